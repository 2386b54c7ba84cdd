import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from inference.backbone import Tokenizer, full_tokenizer
from inference.calibration import BetaCalibration, fit_beta
from inference.crops import read_crops
from inference.data.__main__ import main as data_command
from inference.errors import DataUnusable
from inference.evaluate import look_at
from inference.generated import generated_nodules
from inference.impressions import every_wording, impression
from inference.model import Model, load_model
from inference.predict import predict_nodule
from inference.preprocess import nine_planes
from inference.prompts import FEATURES, Prompts, default_prompts, phrases
from inference.settings import BUILT_IN_MODELS, Settings
from inference.train import CHECKPOINT, main, train
from inference.training.adaptation import train_network
from inference.training.config import Patients
from inference.training.parts import PARTS, crops_source, refuse_leakage
from phantom import nodule_cube
from tests.inference.crops import a_row, write_crops
from tests.inference.data.tables import a_nodule, written
from tests.inference.examples import (
    TINY_CLIP,
    a_series,
    a_volume,
    write_series,
    write_tiny_backbone,
)
from tests.stack import wait_until

SEEDS = {"train": [1, 25], "validation": [101, 117], "test": [201, 225]}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where generated nodules are kept: drawing them takes longest."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def config(cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A small training that starts from nothing."""
    monkeypatch.setattr("inference.validity.RESAMPLES", 10)
    monkeypatch.setattr("inference.estimates.RESAMPLES", 10)
    config: dict[str, Any] = yaml.safe_load(
        (BUILT_IN_MODELS / "demonstration" / "train.yaml").read_text()
    )
    config.pop("patients")
    config |= {"seeds": SEEDS, "clip": TINY_CLIP, "cache": str(cache)}
    config["adaptation"] |= {"epochs": 1, "nodules_per_epoch": 8, "batch": 4}
    config["backbone"] = dict(config["adaptation"])
    return config


def trained(folder: Path, config: dict[str, Any], table: Path | None = None) -> Model:
    folder.mkdir(exist_ok=True)
    (folder / "train.yaml").write_text(yaml.safe_dump(config))
    train(folder / "train.yaml", Settings(threads=1), table)
    return load_model(folder.name, folder.parent, torch.device("cpu"))


def without_backbone(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same, adapting a backbone with random weights, which takes no time."""
    write_tiny_backbone(folder)
    return {k: v for k, v in config.items() if k not in {"clip", "backbone"}}


def test_a_training_ends_in_a_model_folder_that_predicts(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    model = trained(tmp_path / "small", config)
    measured = model.card.performance["generated nodules held out"]
    assert measured["n"] == 24
    assert set(measured) >= {"model", "diameter_alone", "best_possible"}
    assert model.card.demonstration
    assert 0 < predict_nodule(model, a_volume(), (0, 0, 0))["probability"] < 1
    kept = json.loads((tmp_path / "small" / "training.json").read_text())
    assert kept["label_smoothing"] == 0.1  # a default that the file does not say
    (line,) = (tmp_path / "small" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["epoch"] == 1

    # Without a configuration of it, the backbone that is there is adapted and stays; in bf16.
    weights = tmp_path / "small" / "backbone" / "open_clip_model.safetensors"
    before = weights.read_bytes()
    config = {k: v for k, v in config.items() if k not in {"clip", "backbone"}}
    again = trained(tmp_path / "small", config | {"precision": "bf16"})
    assert weights.read_bytes() == before
    assert again.hash != model.hash


KILLED = """
import sys
from pathlib import Path
from inference.settings import Settings
from inference.train import train
train(Path(sys.argv[1]), Settings(threads=1))
"""


def test_a_training_killed_outright_goes_on_and_ends_as_if_it_had_not_been(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    config = without_backbone(config, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    config["folds"] = 1
    config["adaptation"] |= {"epochs": 40, "patience": 40}
    trained(tmp_path / "whole", config)
    expected = load_file(tmp_path / "whole" / "fold0.safetensors")

    file, checkpoint = tmp_path / "killed" / "train.yaml", tmp_path / "killed" / CHECKPOINT
    file.write_text(yaml.safe_dump(config))
    running = subprocess.Popen([sys.executable, "-c", KILLED, str(file)])
    wait_until(checkpoint.is_file, "an epoch is over", 300)
    running.kill()  # SIGKILL: it can tidy nothing up
    assert running.wait() == -signal.SIGKILL
    epochs = torch.load(checkpoint, weights_only=True)["epoch"]
    assert 1 <= epochs < 40

    config["adaptation"]["learning_rate"] *= 2
    with pytest.raises(DataUnusable, match="another configuration"):
        trained(tmp_path / "killed", config)
    config["adaptation"]["learning_rate"] /= 2
    trained(tmp_path / "killed", config)
    assert not checkpoint.exists()
    found = load_file(tmp_path / "killed" / "fold0.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    lines = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, 41))


def test_folds_are_trained_on_other_patients_and_a_fold_that_is_done_is_not_done_again(
    tmp_path: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = without_backbone(config, tmp_path / "folds")
    config |= {
        "folds": 3,
        "patients": {"validation": 0.0, "test": 0.3},  # folds validate
        "data": [{"table": "../crops/nodules.csv"}],
    }
    del config["seeds"]
    rows = [a_row(number, 5 + 10 * (number % 2)) for number in range(80)]
    crops = write_crops(tmp_path / "crops", rows)
    assert data_command(["crops", str(crops), "--out", str(crops.parent / "nodules.csv")]) == 0

    honest, seen = train_network, []

    def dies_in_the_last(*arguments: Any) -> None:
        seen.append(arguments[-1])
        if arguments[-1] == 2 and len(seen) == 3:
            raise Killed
        honest(*arguments)

    monkeypatch.setattr("inference.train.train_network", dies_in_the_last)
    with pytest.raises(Killed):
        trained(tmp_path / "folds", config)
    model = trained(tmp_path / "folds", config)
    assert seen == [0, 1, 2, 2]
    assert len(model.networks) == len(model.calibrations) == 3
    folds = model.card.training["folds"]
    assert [fold["epochs"] for fold in folds] == [1, 1, 1]
    patients = [fold["patients"]["nodules"] for fold in folds]
    held = model.card.performance["nodules of patients held out"]
    # Of 40 patients, each outside of the test is held out by one fold.
    assert sum(validation for _, validation in patients) == 40 - held["patients"]
    assert all(train + validation == 40 - held["patients"] for train, validation in patients)
    assert set(model.card.performance["out of fold"]) == {"nodules"}
    kept = json.loads((tmp_path / "folds" / "patients.json").read_text())
    assert len({*kept["train"], *kept["validation"]}) == 40 - held["patients"]


class Killed(BaseException):
    pass


def test_a_training_on_volumes_of_a_table_reports_on_patients_it_never_saw(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    config = without_backbone(config, tmp_path / "small")
    del config["seeds"]
    config |= {
        "data": [{"table": "nodules.csv", "dicom": "ct"}],
        "crops": {"folder": str(tmp_path / "kept")},
    }
    nodules = []
    for number in range(12):
        cube = nodule_cube(number).hu[::2]
        series = a_series(
            np.rint(cube).astype(np.int16), (1, 1, 2), (-50, -50, -50),
            SeriesInstanceUID=f"1.2.{number}",
        )  # fmt: skip
        write_series(series, tmp_path / "small" / "ct" / str(number))
        split = ("train", "validation", "test")[number // 2 % 3]
        nodules.append(a_nodule(number, x=0, y=0, z=0, split=split, diameter_mm=5 + number))
    written(tmp_path / "small", *nodules)
    model = trained(tmp_path / "small", config)
    held = model.card.performance["nodules of patients held out"]
    assert (held["nodules"], held["patients"], held["malignant"]) == (4, 4, 2)
    assert model.card.semantic == {}  # nobody named any feature
    assert len(list((tmp_path / "kept").glob("*/*.npy"))) == 12

    nodules[0] = nodules[0].model_copy(update={"patient": nodules[2].patient})
    written(tmp_path / "small", *nodules)
    with pytest.raises(DataUnusable, match=r"patient P2 is in train .*, validation .*"):
        trained(tmp_path / "small", config)


def test_a_training_on_crops_keeps_patients_apart_and_reports_on_those_it_never_saw(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    config = without_backbone(config, tmp_path / "small")
    config["patients"] = {"kept_out": ["P3"], "validation": 0.3, "test": 0.3}
    config["adaptation"]["views"] = 2
    rows = [a_row(number, 5 + 10 * (number % 2)) for number in range(60)]
    for row in rows[5::6]:
        row["malignancy"] = "3 2 4"  # trained with, but neither malignant nor benign
    table = write_crops(tmp_path / "crops", rows)
    record = {"command": "python -m inference.pretrain FILE", "seconds": 1000}
    (tmp_path / "small" / "backbone" / "pretraining.json").write_text(json.dumps(record))
    with pytest.raises(DataUnusable, match="--crops"):
        trained(tmp_path / "small", config)
    model = trained(tmp_path / "small", config, table)

    patients = Patients.model_validate(config["patients"])
    decided = [row for row in rows if row["malignancy"] != "3 2 4"]
    held_out = [row for row in decided if patients.part_of(row["patient_id"]) == "test"]
    measured = model.card.performance["crops of patients held out"]
    assert measured["nodules"] == len(held_out)
    assert measured["baseline_diameter"]["auroc"]["estimate"] == 1
    source = crops_source(read_crops(table), patients)
    seen = [set(getattr(source, name).patient) for name in PARTS]
    assert len(set.union(*seen)) == sum(len(one) for one in seen)
    assert "P3" not in set.union(*seen)

    # Calibrated on the real nodules to validate with that count as malignant or benign.
    assert source.validation.decided.sum() < len(source.validation.nodules)
    to_calibrate = np.isin(
        read_crops(table).columns["file"],
        [row["file"] for row in decided if patients.part_of(row["patient_id"]) == "validation"],
    )
    crops = read_crops(table).rows(to_calibrate)
    uncalibrated = replace(model, calibrations=(BetaCalibration(),))
    raw, _ = look_at(uncalibrated, Prompts({}), crops)
    fitted = fit_beta(raw, crops.nodules.malignant)
    (found,) = model.calibrations
    assert [found(p) for p in raw] == pytest.approx([fitted(p) for p in raw], abs=0.01)
    assert sum(point.n for point in model.card.calibration) == len(held_out)

    took = model.card.training["seconds_of"]
    assert model.card.training["seconds"] == 1000 + took["training"]
    assert model.card.training["command"].startswith(f"{record['command']} && ")

    # The same image under two names, in two parts.
    trained_on, tested = (getattr(source, name).patient[0] for name in ("train", "test"))
    first, second = (
        next(row["file"] for row in rows if row["patient_id"] == one)
        for one in (trained_on, tested)
    )
    shutil.copy(table.parent / "images" / first, table.parent / "images" / second)
    with pytest.raises(DataUnusable, match=f"{trained_on} .*{tested} .* share an image"):
        refuse_leakage([crops_source(read_crops(table), patients)])


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
        mm = float(rng.uniform(3, 40)) if rng.random() < 0.8 else np.nan
        text = impression(features, mm, rng)
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
