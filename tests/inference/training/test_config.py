from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from inference.settings import BUILT_IN_MODELS
from inference.training.config import Training

PUBLISHED = BUILT_IN_MODELS.parent / "training" / "published.yaml"


def test_the_published_configuration_has_the_published_numbers() -> None:
    training = Training.model_validate(yaml.safe_load(PUBLISHED.read_text()))
    assert (training.start.name, training.start.pretrained) == ("ViT-B-32-quickgelu", "openai")
    lora, stage, how = training.lora, training.adaptation, training.augmentation
    assert (lora.rank, lora.alpha, lora.dropout) == (2, 1, 0.25)
    assert (stage.learning_rate, stage.weight_decay, stage.batch) == (1e-4, 0.1, 4)
    assert (stage.epochs, stage.patience, stage.views, stage.prompt_loss) == (100, 5, 9, 0)
    assert (stage.schedule, training.sampler, training.label_smoothing) == (
        "constant",
        "balanced",
        0.1,
    )
    assert (how.shift_mm, how.flip, how.degrees, how.noise, how.log_gamma) == (
        5,
        0.5,
        10,
        0.02,
        0.2,
    )
    assert training.folds > 1
    assert training.precision == "float32"
    assert training.calibration == "beta"


WRONG = {
    "learning_rate": {"adaptation": {"epochs": 1, "batch": 4, "learning_rate": 0}},
    "batch": {"adaptation": {"epochs": 1, "batch": 1, "learning_rate": 1e-4}},
    "lerning_rate": {"adaptation": {"epochs": 1, "batch": 4, "lerning_rate": 1e-4}},
    "given together": {"clip": {"embed_dim": 1}},
    "pretrained": {"start": {"name": "ViT-B-32-quickgelu"}},
    "folds": {"folds": 0},
    "precision": {"precision": "fp8"},
}


@pytest.mark.parametrize("said", WRONG)
def test_a_setting_that_makes_no_sense_is_named(said: str) -> None:
    given = yaml.safe_load(PUBLISHED.read_text()) | WRONG[said]
    with pytest.raises(ValidationError, match=said):
        Training.model_validate(given)


def test_the_demonstrations_configurations_are_valid() -> None:
    for path in Path(BUILT_IN_MODELS).rglob("train.yaml"):
        assert Training.model_validate(yaml.safe_load(path.read_text())).demonstration
