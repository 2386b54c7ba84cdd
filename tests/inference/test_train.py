import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from inference.backbone import Tokenizer, full_tokenizer
from inference.crops import read_crops
from inference.errors import DataUnusable
from inference.generated import generated_nodules
from inference.impressions import every_wording, impression
from inference.model import load_model
from inference.predict import predict_nodule
from inference.preprocess import nine_planes
from inference.prompts import FEATURES, default_prompts, phrases
from inference.settings import BUILT_IN_MODELS, Settings
from inference.train import main, train
from inference.training.adaptation import keep_checkpoint
from inference.training.config import Patients
from inference.training.parts import parts_of_crops
from phantom import nodule_cube
from tests.inference.crops import a_row, write_crops
from tests.inference.examples import TINY_CLIP, a_volume


def test_a_training_ends_in_a_model_folder_that_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.validity.RESAMPLES", 20)
    config = yaml.safe_load((BUILT_IN_MODELS / "demonstration" / "train.yaml").read_text())
    config.pop("patients", None)
    config |= {
        "seeds": {"train": [1, 25], "validation": [101, 117], "test": [201, 225]},
        "clip": TINY_CLIP,
        "cache": str(tmp_path / "cache"),
    }
    for stage in ("backbone", "adaptation"):
        config[stage] = config["adaptation"] | {"epochs": 1, "nodules_per_epoch": 8, "batch": 4}
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "train.yaml").write_text(yaml.safe_dump(config))
    train(tmp_path / "small" / "train.yaml", Settings(threads=1))

    model = load_model("small", tmp_path, torch.device("cpu"))
    measured = model.card.performance["generated nodules held out"]
    assert measured["n"] == 24
    assert set(measured) >= {"model", "diameter_alone", "best_possible"}
    assert 0 < predict_nodule(model, a_volume(), (0, 0, 0))["probability"] < 1

    # Without a configuration of it, the backbone that is there is adapted and stays.
    weights = tmp_path / "small" / "backbone" / "open_clip_model.safetensors"
    before = weights.read_bytes()
    (tmp_path / "small" / "train.yaml").write_text(
        yaml.safe_dump({k: v for k, v in config.items() if k not in {"clip", "backbone"}})
    )
    train(tmp_path / "small" / "train.yaml", Settings(threads=1))
    assert weights.read_bytes() == before
    assert load_model("small", tmp_path, torch.device("cpu")).hash != model.hash


class Killed(BaseException):
    pass


def test_a_training_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.validity.RESAMPLES", 5)
    monkeypatch.setattr("inference.estimates.RESAMPLES", 5)
    config = yaml.safe_load((BUILT_IN_MODELS / "demonstration" / "train.yaml").read_text())
    config.pop("patients", None)
    config |= {
        "seeds": {"train": [1, 25], "validation": [101, 117], "test": [201, 217]},
        "clip": TINY_CLIP,
        "cache": str(tmp_path / "cache"),
    }
    config["adaptation"] |= {"epochs": 3, "nodules_per_epoch": 8, "batch": 4}
    config["backbone"] = config["adaptation"] | {"epochs": 1}

    def trained(name: str) -> dict[str, torch.Tensor]:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "train.yaml").write_text(yaml.safe_dump(config))
        train(tmp_path / name / "train.yaml", Settings(threads=1))
        weights: dict[str, torch.Tensor] = load_file(tmp_path / name / "fold0.safetensors")
        return weights

    expected = trained("whole")
    honest = keep_checkpoint

    def dies(file: Path, content: dict[str, Any]) -> None:
        honest(file, content)
        if content["epoch"] == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("inference.training.adaptation.keep_checkpoint", dies)
        with pytest.raises(Killed):
            trained("killed")
    checkpoint = tmp_path / "killed" / "training.checkpoint"
    assert checkpoint.is_file()
    config["adaptation"]["learning_rate"] *= 2
    with pytest.raises(DataUnusable, match="another configuration"):
        trained("killed")
    config["adaptation"]["learning_rate"] /= 2
    found = trained("killed")
    assert not checkpoint.exists()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_training_on_crops_keeps_patients_apart_and_reports_on_those_it_never_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.validity.RESAMPLES", 20)
    monkeypatch.setattr("inference.estimates.RESAMPLES", 20)
    config = yaml.safe_load((BUILT_IN_MODELS / "demonstration" / "train.yaml").read_text())
    config |= {
        "seeds": {"train": [1, 9], "validation": [101, 109], "test": [201, 209]},
        "patients": {"kept_out": ["P3"], "validation": 0.3, "test": 0.3},
        "clip": TINY_CLIP,
        "cache": str(tmp_path / "cache"),
    }
    for stage in ("backbone", "adaptation"):
        config[stage] = config["adaptation"] | {
            "epochs": 1, "nodules_per_epoch": 8, "batch": 4, "views": 2
        }  # fmt: skip
    rows = [a_row(number, 5 + 10 * (number % 2)) for number in range(60)]
    table = write_crops(tmp_path / "crops", rows)
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "train.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(DataUnusable, match="--crops"):
        train(tmp_path / "small" / "train.yaml", Settings(threads=1))
    train(tmp_path / "small" / "train.yaml", Settings(threads=1), table)

    patients = Patients.model_validate(config["patients"])
    held_out = [row for row in rows if patients.part_of(row["patient_id"]) == "test"]
    model = load_model("small", tmp_path, torch.device("cpu"))
    measured = model.card.performance["crops of patients held out"]
    assert measured["nodules"] == len(held_out)
    assert measured["baseline_diameter"]["auroc"]["estimate"] == 1
    split = parts_of_crops(read_crops(table), patients)
    seen = [set(split[name].patient) for name in ("train", "validation", "test")]
    assert len(set.union(*seen)) == sum(len(one) for one in seen)
    assert "P3" not in set.union(*seen)

    # The same image under two names, in two parts.
    trained, tested = (split[name].patient[0] for name in ("train", "test"))
    first, second = (
        next(row["file"] for row in rows if row["patient_id"] == one) for one in (trained, tested)
    )
    shutil.copy(table.parent / "images" / first, table.parent / "images" / second)
    with pytest.raises(DataUnusable, match=f"{trained} .*{tested} .* share an image"):
        parts_of_crops(read_crops(table), patients)


def test_what_training_sees_is_what_prediction_sees(tmp_path: Path) -> None:
    nodules = generated_nodules(range(7, 9), tmp_path)
    again = generated_nodules(range(7, 9), tmp_path)
    sample = nodule_cube(8)
    seen = nodules.planes[1][:, 7:-7, 7:-7] / 255
    assert np.abs(seen - nine_planes(sample.hu)).max() <= 0.5 / 255 + 1e-6
    assert nodules.features(1) == {name: sample.features[name] for name in nodules.features(1)}
    assert (again.planes == nodules.planes).all()


def test_every_word_of_impressions_and_prompts_is_in_the_vocabulary() -> None:
    full = full_tokenizer(48)
    known = Tokenizer(full, sorted(set(full(every_wording()).flatten().tolist())))
    rng = np.random.default_rng(0)
    for _ in range(300):
        features = {name: str(rng.choice(choice)) for name, choice in FEATURES.items()}
        text = impression(features, float(rng.uniform(3, 40)), rng)
        assert known([text]).shape == (1, 48)
    for categories in default_prompts().root.values():
        for sentences in categories.values():
            known(sentences)


def test_the_confirmed_prompts_of_the_method_are_used_as_they_are() -> None:
    prompts = default_prompts().root["margin_conspicuity"]
    assert prompts["well_marginated"][0] == "The nodule is well marginated."
    assert prompts["poorly_marginated"][0] == "The nodule is poorly marginated."


def test_no_two_categories_of_a_feature_share_a_phrase() -> None:
    for feature, categories in FEATURES.items():
        every = [phrase for category in categories for phrase in phrases(feature, category)]
        assert len(set(every)) == len(every)


def test_a_configuration_that_is_wrong_is_named_and_nothing_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.yaml").write_text("title: no more than a title\n")
    monkeypatch.setattr("sys.argv", ["train", str(tmp_path / "train.yaml")])
    assert main() == 1
    assert "Training cannot start" in capsys.readouterr().err
