"""The model that comes with the repository, on nodules it was not trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import phantom
from inference.archive import Volume, read_folder
from inference.evaluate import seen_patients
from inference.model import Model, load_model
from inference.predict import predict_nodule
from inference.prompts import FEATURES
from inference.settings import BUILT_IN_MODELS
from inference.training.config import Training
from inference.validity import auroc, weighted_auroc

Predictions = list[tuple[phantom.NoduleSample, dict[str, Any]]]

# Neither trained on nor measured with: see train.yaml.
SEEDS = range(4_000_000, 4_000_048)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.set_num_threads(1)
    return load_model("demonstration", BUILT_IN_MODELS, torch.device("cpu"))


def volume_of(sample: phantom.NoduleSample) -> Volume:
    lps_from_index = np.eye(4)
    lps_from_index[:3, 3] = -50
    return Volume(sample.hu, lps_from_index, "1", "2", "3")


@pytest.fixture(scope="module")
def predictions(model: Model) -> Predictions:
    samples = [phantom.nodule_cube(seed) for seed in SEEDS]
    return [(sample, predict_nodule(model, volume_of(sample), (0, 0, 0))) for sample in samples]


def test_it_is_small_and_says_what_it_is(model: Model) -> None:
    files = [path for path in (BUILT_IN_MODELS / "demonstration").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20_000_000
    assert not any(path.suffix in {".pt", ".pth", ".pkl", ".bin"} for path in files)
    assert model.card.demonstration
    assert "not on diagnoses" in model.card.notice
    assert "Not for clinical use" in model.card.notice


def test_it_tells_malignant_from_benign_better_than_chance(predictions: Predictions) -> None:
    scores = np.array([result["probability"] for _, result in predictions])
    truth = np.array([sample.malignant for sample, _ in predictions])
    assert auroc(scores, truth) > 0.55


def test_real_nodules_are_ranked_and_described_nearly_as_their_readers_did(
    model: Model, unpack: Callable[[str], Path]
) -> None:
    # Patients kept out of training; the mean centre of the readers' outlines, LPS millimetres.
    mass = read_folder(unpack("LIDC-IDRI-0001"))
    spiculated_mass = predict_nodule(model, mass, (56.39, 86.37, -115.81))
    series = read_folder(unpack("LIDC-IDRI-0063"))
    small = predict_nodule(model, series, (-97.16, 40.12, -219.04))
    assert spiculated_mass["probability"] > 0.6  # scored 5, 5, 5 and 4 of 5
    assert small["probability"] < 0.4  # scored 1 of 5
    solid = spiculated_mass["semantic"]["consistency"]
    assert max(solid, key=solid.get) == "solid"


def test_it_has_seen_none_of_the_patients_it_is_reported_on(model: Model) -> None:
    folder = BUILT_IN_MODELS / "demonstration"
    settings = Training.model_validate(yaml.safe_load((folder / "train.yaml").read_text()))
    assert settings.patients is not None
    seen = seen_patients(folder)
    assert seen
    assert not seen & set(settings.patients.kept_out)
    assert {settings.patients.part_of(patient) for patient in seen} == {"train", "validation"}


def test_the_features_it_names_are_better_than_chance_together(predictions: Predictions) -> None:
    values = []
    for feature in predictions[0][1]["semantic"]:
        names = FEATURES[feature]
        category = np.array([names.index(sample.features[feature]) for sample, _ in predictions])
        found = np.array([list(result["semantic"][feature].values()) for _, result in predictions])
        if len(np.unique(category)) > 1:
            values.append(weighted_auroc(found, category))
    assert len(values) >= 3
    assert np.mean(values) > 0.65


def test_deleting_what_the_map_points_at_matters_more_than_deleting_at_random(
    predictions: Predictions,
) -> None:
    suspicious = [result for _, result in predictions if result["probability"] > 0.5]
    drops = np.array(
        [
            [result["faithfulness"]["deletion_drop"], result["faithfulness"]["random_drop"]]
            for result in suspicious
        ]
    )
    assert len(drops) >= 5
    assert drops[:, 0].mean() > 2 * drops[:, 1].mean()
