import json
import math

import numpy as np
import pytest

from inference.errors import PredictionImpossible
from inference.model import Model
from inference.predict import predict_nodule
from inference.prompts import FEATURES
from tests.inference.examples import a_volume, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_model(tmp_path_factory.mktemp("models"))


def test_a_prediction_is_plain_json_with_everything_the_site_stores(model: Model) -> None:
    hu = np.random.default_rng(0).integers(-900, 100, (128, 128, 128)).astype(np.int16)
    result = predict_nodule(model, a_volume(hu), (1.5, -2.0, 3.0), "1.2.3")

    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert set(result) == {
        "status", "model", "input_hash", "probability_raw", "probability", "semantic", "planes",
        "relevance_scale", "faithfulness", "embedding", "device", "seconds",
    }  # fmt: skip
    assert set(result["model"]) == {
        "name", "version", "hash", "weights_hash", "code_hash", "demonstration", "title",
        "notice", "backbone", "token_mm", "calibration", "calibration_truth",
    }  # fmt: skip
    assert result["status"] == "done"
    assert 0 < result["probability_raw"] < 1
    logit = 1.2 * math.log(result["probability_raw"]) + 0.1
    logit -= 0.8 * math.log(1 - result["probability_raw"])
    assert result["probability"] == pytest.approx(1 / (1 + math.exp(-logit)))
    assert len(result["input_hash"]) == len(result["model"]["code_hash"]) == 64
    assert set(result["faithfulness"]) == {"deletion_drop", "random_drop"}
    assert np.linalg.norm(result["embedding"]) == pytest.approx(1, abs=1e-5)
    assert result["device"] == "cpu"


def test_only_features_the_card_calls_valid_are_named_and_their_categories_sum_to_one(
    model: Model,
) -> None:
    semantic = predict_nodule(model, a_volume(), (0, 0, 0))["semantic"]
    assert list(semantic) == ["margin", "consistency"]
    for feature, categories in semantic.items():
        assert tuple(categories) == FEATURES[feature]
        assert sum(categories.values()) == pytest.approx(1)


def test_maps_are_of_one_scale_and_planes_lie_around_the_nodule(model: Model) -> None:
    result = predict_nodule(model, a_volume(), (1.5, -2.0, 3.0))
    planes = result["planes"]
    assert [set(plane) for plane in planes] == [
        {"name", "weight", "centre_mm", "row", "column", "cell_mm", "relevance"}
    ] * 9
    assert sum(plane["weight"] for plane in planes) == pytest.approx(1, abs=1e-6)
    maps = np.array([plane["relevance"] for plane in planes])
    assert maps.shape == (9, 4, 4)
    assert maps.min() >= 0
    assert maps.max() == pytest.approx(result["relevance_scale"])
    assert {plane["cell_mm"] for plane in planes} == {12.5}
    for plane in planes:
        assert np.linalg.norm(np.subtract(plane["centre_mm"], [1.5, -2, 3])) < 1.01


def test_the_input_is_known_by_its_hash(model: Model) -> None:
    one = predict_nodule(model, a_volume(), (0, 0, 0))["input_hash"]
    hu = a_volume().hu.copy()
    hu[64, 64, 64] += 30
    assert predict_nodule(model, a_volume(), (0, 0, 0))["input_hash"] == one
    assert predict_nodule(model, a_volume(hu), (0, 0, 0))["input_hash"] != one


def test_a_point_of_another_frame_of_reference_is_refused(model: Model) -> None:
    with pytest.raises(PredictionImpossible) as refusal:
        predict_nodule(model, a_volume(), (0, 0, 0), "9.9")
    assert refusal.value.code == "other_frame_of_reference"
