import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inference.errors import ModelUnusable
from inference.index import make_index
from inference.model import load_model
from inference.predict import predict_nodule
from inference.reference import Known, Reference, ReferenceTable, mahalanobis, spread_of
from inference.settings import Settings
from inference.training.card import calibration_curve
from tests.inference.examples import a_volume, write_tiny_model

CPU = torch.device("cpu")


def a_reference(embeddings: np.ndarray, unlike_above: float = 3) -> Reference:
    nodules = tuple(
        Known(id=f"n{row}", malignant=row % 2 == 1, truth="panel", diameter_mm=5 + row)
        for row in range(len(embeddings))
    )
    table = ReferenceTable(
        weights_hash="a" * 64,
        made_by="a test",
        fitted_on={"generated": 9},
        unlike_above=unlike_above,
        nodules=nodules,
    )
    thumbnails = np.arange(len(embeddings) * 16, dtype=np.uint8).reshape(-1, 4, 4)
    width = embeddings.shape[1]
    return Reference(table, embeddings, thumbnails, np.zeros(width), np.eye(width))


def test_the_nearest_by_angle_come_first_with_their_truth_and_picture() -> None:
    angles = np.deg2rad([80, 10, 30, 190])
    found = a_reference(np.stack([np.cos(angles), np.sin(angles)], axis=1)).similar(
        np.array([1.0, 0.0]), 3
    )
    assert [one["id"] for one in found] == ["n1", "n2", "n0"]
    assert [one["malignant"] for one in found] == [True, False, False]
    assert found[0]["distance"] == pytest.approx(1 - np.cos(np.deg2rad(10)))
    picture = Image.open(io.BytesIO(base64.b64decode(found[0]["thumbnail"])))
    assert np.array_equal(np.asarray(picture), np.arange(16, 32).reshape(4, 4))


def test_what_is_far_in_a_direction_that_never_varied_is_unlike_the_training() -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(0, [1.0, 0.1], (4000, 2))
    mean, precision = spread_of(embeddings)
    near, far = mahalanobis(np.array([[2.0, 0.0], [0.0, 2.0]]), mean, precision)
    assert near == pytest.approx(2, rel=0.05)
    assert far > 8 * near
    reference = a_reference(np.eye(2), unlike_above=3)
    assert reference.likeness(np.array([2.0, 0.0]))["unlike"] is False
    assert reference.likeness(np.array([4.0, 0.0]))["unlike"] is True


def test_a_model_with_an_index_lays_similar_nodules_beside_a_prediction(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    write_tiny_model(folder)
    before = load_model("tiny", tmp_path, CPU)
    make_index(
        folder,
        Settings(device="cpu", threads=1),
        tmp_path / "cache",
        shown=range(10, 16),
        fitted=range(20, 26),
        held_out=range(30, 34),
    )
    model = load_model("tiny", tmp_path, CPU)
    assert model.hash != before.hash
    assert model.weights_hash == before.weights_hash
    found = predict_nodule(model, a_volume(), (0, 0, 0))
    distances = [one["distance"] for one in found["similar"]]
    assert len(distances) == 5
    assert distances == sorted(distances)
    assert all(one["truth"] == "generated" for one in found["similar"])
    likeness = found["likeness"]
    assert likeness["unlike"] == (likeness["distance"] > likeness["unlike_above"])
    json.dumps(found)

    table = json.loads((folder / "reference.json").read_text())
    (folder / "reference.json").write_text(json.dumps(table | {"weights_hash": "0" * 64}))
    with pytest.raises(ModelUnusable, match="other weights"):
        load_model("tiny", tmp_path, CPU)
    (folder / "reference.json").write_text(json.dumps(table | {"nodules": table["nodules"][1:]}))
    with pytest.raises(ModelUnusable, match="how many"):
        load_model("tiny", tmp_path, CPU)


def test_a_calibration_curve_holds_every_nodule_once() -> None:
    probabilities = np.array([0.0, 0.1, 0.11, 0.95, 1.0])
    chance = np.array([0.0, 0.5, 1.0, 1.0, 1.0])
    points = calibration_curve(probabilities, chance, np.array(list("abcde")))
    assert [(one.low, one.high, one.n) for one in points] == [
        (0, 0.1, 2),
        (0.1, 0.2, 1),
        (0.9, 1, 2),
    ]
    assert [one.share for one in points] == [0.25, 1, 1]
    assert points[0].lower < 0.25 < points[0].upper
