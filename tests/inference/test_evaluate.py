import json
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.archive import read_folder
from inference.crops import read_crops
from inference.data.cache import CropCache
from inference.data.images import Images
from inference.data.measurable import read_measurable
from inference.errors import DataUnusable
from inference.estimates import (
    at_high_recall,
    average_precision,
    between,
    calibration_of,
    combined_scores,
    compare,
    over_patients,
)
from inference.evaluate import evaluate, look_at, main, measure
from inference.model import load_model
from inference.predict import predict_nodule
from inference.prompts import Prompts
from inference.validity import auroc
from tests.inference.crops import a_row, write_crops
from tests.inference.data.tables import a_nodule, written
from tests.inference.examples import a_series, write_series, write_tiny_model

DIAMETERS = np.linspace(4, 18, 24)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.estimates.RESAMPLES", 50)


def test_average_precision_of_an_example_worked_by_hand() -> None:
    truth = np.array([True, False, True, False])
    # Recall 1/2 at precision 1, then 1 at precision 2/3.
    assert average_precision(np.array([4.0, 3.0, 2.0, 1.0]), truth) == pytest.approx(5 / 6)
    # Where all are tied, precision is the prevalence.
    assert average_precision(np.ones(4), truth) == pytest.approx(0.5)


def test_an_interval_draws_patients_not_nodules() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=20), 50)
    patient = np.repeat([f"P{number:02}" for number in range(20)], 50)
    by_patient = over_patients(lambda rows: float(values[rows].mean()), patient)
    alone = np.array([f"N{number:04}" for number in range(1000)])
    by_nodule = over_patients(lambda rows: float(values[rows].mean()), alone)
    assert by_patient.upper is not None
    assert by_patient.lower is not None
    assert by_nodule.upper is not None
    assert by_nodule.lower is not None
    wider = (by_patient.upper - by_patient.lower) / (by_nodule.upper - by_nodule.lower)
    # Fifty equal nodules a patient: as wide as the square root of 50.
    assert 4 < wider < 11


def test_a_patient_is_scored_by_a_fit_that_has_not_seen_it() -> None:
    rng = np.random.default_rng(1)
    truth = np.arange(60) % 2 == 1
    score, diameter = rng.random(60), np.where(truth, 15.0, 6.0) + rng.random(60)
    patient = np.array([f"P{number}" for number in range(60)])
    joined = combined_scores(score, diameter, truth, patient)
    assert auroc(joined, truth) > 0.95
    # Turning one patient's truth round leaves its own score as it was.
    turned = truth.copy()
    turned[7] = not turned[7]
    assert combined_scores(score, diameter, turned, patient)[7] == joined[7]


def test_the_command_writes_figures_with_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny").mkdir()
    write_tiny_model(tmp_path / "tiny", folds=2)
    rows = [a_row(number, mm) for number, mm in enumerate(DIAMETERS)]
    rows += [a_row(90, 12, malignancy="5 5"), a_row(91, 8, malignancy="3 3 3")]
    table = write_crops(tmp_path, rows)
    out = tmp_path / "out.json"
    monkeypatch.setattr(
        "sys.argv",
        ["evaluate", str(tmp_path / "tiny"), "--data", str(table), "--json", str(out)],
    )
    assert main() == 0
    found = json.loads(out.read_text())
    assert (found["nodules"], found["patients"]) == (24, 12)  # without two readers, and 3
    assert found["malignant"] == (DIAMETERS > 10).sum()
    assert found["baseline_diameter"]["auroc"]["estimate"] == 1
    for beside in (found["combined"], found["baseline_diameter"]):
        assert {name: beside[name] for name in beside["auroc"]} == beside["auroc"]
    for pair in (found, found["combined"], found["baseline_diameter"]):
        for figure in ("auroc", "auprc"):
            of = pair[figure]
            assert of["lower"] <= of["estimate"] <= of["upper"]
    assert set(found["semantic"]) == {
        "margin_conspicuity", "margin", "shape", "consistency", "lobulation", "spiculation",
    }  # fmt: skip
    assert set(found["semantic"]["margin"]) == {"auroc", "lower", "upper", "n"}
    assert found["semantic"]["margin"]["n"] == 25
    assert found["semantic"]["lobulation"]["auroc"] is None  # nobody's is lobulated
    assert "not defined" in capsys.readouterr().out


def test_scores_that_are_the_truth_are_measured_as_perfect(tmp_path: Path) -> None:
    rows = [a_row(number, mm) for number, mm in enumerate(DIAMETERS)]
    crops = read_crops(write_crops(tmp_path, rows))
    category = crops.nodules.categories_of("consistency")
    named = {"consistency": np.eye(3)[category]}
    found = measure(crops, crops.nodules.malignant.astype(float), named, {})
    assert found.auroc.estimate == 1
    assert found.auprc.estimate == pytest.approx(1)
    assert found.semantic["consistency"].auroc == pytest.approx(1)


def test_patients_the_model_has_seen_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    write_tiny_model(tmp_path / "tiny")
    table = write_crops(tmp_path, [a_row(number, mm) for number, mm in enumerate(DIAMETERS)])
    seen = {"train": ["P1", "P2"], "validation": ["P3"]}
    (tmp_path / "tiny" / "patients.json").write_text(json.dumps(seen))
    found = evaluate(tmp_path / "tiny", table, shortcuts=True)
    assert (found.patients, found.left_out_as_seen) == (9, 6)
    assert set(found.shortcuts) == {"background alone", "size and background", "size alone"}
    everybody = {"train": [f"P{number}" for number in range(12)]}
    (tmp_path / "tiny" / "patients.json").write_text(json.dumps(everybody))
    with pytest.raises(DataUnusable, match="trained on every patient"):
        evaluate(tmp_path / "tiny", table)


def test_probabilities_that_come_true_are_calibrated_and_sure_ones_are_not() -> None:
    rng = np.random.default_rng(2)
    chance = rng.uniform(0.05, 0.95, 20_000)
    truth = rng.random(20_000) < chance
    patient = np.arange(20_000).astype(str)
    right = calibration_of(chance, truth, patient)
    assert right is not None
    assert right.expected_error.estimate == pytest.approx(0, abs=0.02)
    assert right.slope.estimate == pytest.approx(1, abs=0.05)
    assert right.intercept.estimate == pytest.approx(0, abs=0.05)
    assert sum(one.n for one in right.curve) == 20_000
    assert all(abs(one.mean_probability - one.share_malignant) < 0.05 for one in right.curve)
    logit = np.log(chance / (1 - chance))
    too_sure = calibration_of(1 / (1 + np.exp(-2 * logit)), truth, patient)
    assert too_sure is not None
    assert too_sure.slope.estimate == pytest.approx(0.5, abs=0.03)
    assert too_sure.brier.lower is not None
    assert right.brier.upper is not None
    assert too_sure.brier.lower > right.brier.upper


def test_false_positives_at_high_recall_of_an_example_worked_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.5, 0.6, 0.1])
    truth = np.array([True, True, True, False, False])
    found = at_high_recall(scores, truth, np.array(list("abcde")))["0.95"]
    assert found.recall == 1
    assert found.false_positive_rate.estimate == 0.5
    assert found.precision.estimate == 0.75


def test_delong_of_an_example_worked_by_hand_and_a_score_against_itself() -> None:
    truth = np.array([True, True, False, False])
    first, second = np.array([3.0, 2.0, 1.0, 2.0]), np.array([1.0, 4.0, 3.0, 2.0])
    each = np.array(list("abcd"))
    found = compare(first, second, truth, each)
    assert (found.model, found.other) == (0.875, 0.5)
    # Placements of the difference: malignant 1 and -1/4, benign 1/2 and 1/4.
    assert found.difference.upper is not None
    half = found.difference.upper - 0.375
    assert half == pytest.approx(1.959964 * np.sqrt(1.25**2 / 2 / 2 + 0.25**2 / 2 / 2))
    same = compare(first, first, truth, each)
    assert (same.difference.estimate, same.p) == (0, None)
    assert same.reason


def test_groups_have_names_and_leave_out_what_is_not_known() -> None:
    groups = between(np.array([3.0, 8.0, 14.9, 15.0, np.nan]), (8.0, 15.0), "mm")
    assert {name: list(np.flatnonzero(of)) for name, of in groups.items()} == {
        "below 8 mm": [0],
        "8 to 15 mm": [1, 2],
        "from 15 mm": [3],
    }


def test_a_table_may_tell_more_and_may_lack_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    write_tiny_model(tmp_path / "tiny")
    rows = [
        a_row(
            number,
            mm,
            rival="" if number == 0 else mm,
            site=f"S{number % 2}",
            slice_thickness="1.25",
            calcification="6 4 4" if number % 2 else "6 6 4",
        )
        for number, mm in enumerate(DIAMETERS)
    ]
    table = write_crops(tmp_path, rows)
    (tmp_path / "images" / "nodule5.png").unlink()
    found = evaluate(tmp_path / "tiny", table, against=["rival"], figures=tmp_path / "figures")
    assert (found.nodules, found.left_out) == (23, 1)
    assert any("nodule5.png" in note for note in found.notes)
    assert set(found.against) == {"diameter", "rival"}
    assert found.against["rival"].nodules == 22
    assert found.against["rival"].other == 1
    assert {name: one.nodules for name, one in found.subgroups["site"].items()} == {
        "S0": 12,
        "S1": 11,
    }
    assert found.subgroups["slice_thickness"]["below 1.5 mm"].nodules == 23
    assert found.semantic["eccentric_calcification"].n == 23
    for name in ("roc", "precision_recall", "calibration", "semantic"):
        assert (tmp_path / "figures" / f"{name}.svg").read_text().startswith("<?xml")
        assert (tmp_path / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataUnusable, match="no column nobody"):
        evaluate(tmp_path / "tiny", table, against=["nobody"])


def test_a_table_of_one_class_still_says_what_can_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny").mkdir()
    write_tiny_model(tmp_path / "tiny")
    rows = [a_row(number, 5, rival=number) for number in range(8)]
    rows[0]["margin"] = rows[1]["mask_area_px"] = ""
    table, out = write_crops(tmp_path, rows), tmp_path / "out.json"
    given = [str(tmp_path / "tiny"), "--data", str(table), "--json", str(out)]
    given += ["--against", "rival", "--figures", str(tmp_path / "figures")]
    monkeypatch.setattr("sys.argv", ["evaluate", *given])
    assert main() == 0
    found = json.loads(out.read_text())
    assert (found["nodules"], found["malignant"]) == (8, 0)
    nothing = {"estimate": None, "lower": None, "upper": None}
    assert found["auroc"] == found["combined"]["auprc"] == nothing
    assert found["calibration"] is None
    assert "both classes" in found["against"]["rival"]["reason"]
    assert "Without a diameter: 1 nodules." in found["notes"]
    assert any(note.startswith("All 8 nodules are benign") for note in found["notes"])
    assert found["semantic"]["margin_conspicuity"]["n"] == 7
    assert found["semantic"]["consistency"]["auroc"] is not None
    assert "All 8 nodules are benign" in capsys.readouterr().out


def test_what_hinders_an_evaluation_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", "demo", "--data", str(tmp_path / "none.csv")])
    assert main() == 1
    said = capsys.readouterr().err
    assert "none.csv" in said
    assert "Traceback" not in said


def test_a_table_of_volumes_is_measured_as_its_label_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("inference.estimates.RESAMPLES", 20)
    write_tiny_model(tmp_path / "tiny")
    nodules = []
    for number in range(8):
        hu = np.random.default_rng(number).integers(-950, -700, (30, 60, 60)).astype(np.int16)
        hu[15, 30, 30] = 40
        series = a_series(hu, (1, 1, 2), (-30, -30, -30), SeriesInstanceUID=f"1.2.{number}")
        write_series(series, tmp_path / "ct" / str(number))
        nodules.append(
            a_nodule(
                number, x=0, y=0, z=0, diameter_mm=None if number == 7 else 4 + number,
                features={"margin": "smooth" if number < 5 else "spiculated"},
                scanner="A" if number < 4 else "B", other={"sybil": str(number / 10)},
                truth="pathology", label=["", *["benign"] * 3, *["malignant"] * 4][number],
                suspicion=0.5 if number == 0 else None,
            )
        )  # fmt: skip
    table = written(tmp_path, *nodules)
    found = evaluate(
        tmp_path / "tiny", table, dicom=tmp_path / "ct", against=["sybil"], shortcuts=True
    )
    assert (found.nodules, found.malignant, found.benign) == (7, 4, 3)  # one has no label
    assert found.baseline_diameter.auroc.estimate == 1  # of the six that have one
    assert "Without a diameter: 1 nodules." in found.notes
    assert found.notes[0] == "The truth is the table's label, where it comes from: pathology."
    assert found.semantic["margin"].n == 8  # with and without a label
    assert set(found.semantic) == {"margin"}
    assert set(found.against) == {"diameter", "sybil"}
    assert {name: one.nodules for name, one in found.subgroups["scanner"].items()} == {
        "A": 3, "B": 4,
    }  # fmt: skip
    # The score of one nodule is what a prediction makes of it.
    model = load_model("tiny", tmp_path, torch.device("cpu"))
    volume = read_folder(tmp_path / "ct" / "5")
    (crop, *_) = [one for one in nodules if one.nodule == "n5"]
    said = predict_nodule(model, volume, crop.point_mm, explain=False)
    crops = read_measurable(table, Images(tmp_path, tmp_path / "ct"), CropCache(tmp_path / "kept"))
    scores, _ = look_at(model, Prompts({}), crops)
    assert scores[5] == pytest.approx(said["probability"], abs=2e-3)  # planes are kept as bytes
