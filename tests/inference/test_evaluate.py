import json
from pathlib import Path

import numpy as np
import pytest

from inference.crops import read_crops
from inference.errors import DataUnusable
from inference.evaluate import (
    at_high_recall,
    average_precision,
    calibration_of,
    combined_scores,
    evaluate,
    main,
    measure,
    over_patients,
)
from inference.validity import auroc
from tests.inference.crops import a_row, write_crops
from tests.inference.examples import write_tiny_model

DIAMETERS = np.linspace(4, 18, 24)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.evaluate.RESAMPLES", 50)


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
    assert set(found.shortcuts) == {"background alone", "size and background"}
    everybody = {"train": [f"P{number}" for number in range(12)]}
    (tmp_path / "tiny" / "patients.json").write_text(json.dumps(everybody))
    with pytest.raises(DataUnusable, match="trained on every patient"):
        evaluate(tmp_path / "tiny", table)


def test_probabilities_that_come_true_are_calibrated_and_sure_ones_are_not() -> None:
    rng = np.random.default_rng(2)
    chance = rng.uniform(0.05, 0.95, 20_000)
    truth = rng.random(20_000) < chance
    right = calibration_of(chance, truth)
    assert right is not None
    assert right.expected_error < 0.02
    assert right.slope == pytest.approx(1, abs=0.05)
    assert right.intercept == pytest.approx(0, abs=0.05)
    logit = np.log(chance / (1 - chance))
    too_sure = calibration_of(1 / (1 + np.exp(-2 * logit)), truth)
    assert too_sure is not None
    assert too_sure.slope == pytest.approx(0.5, abs=0.03)
    assert too_sure.brier > right.brier


def test_false_positives_at_high_recall_of_an_example_worked_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.5, 0.6, 0.1])
    found = at_high_recall(scores, np.array([True, True, True, False, False]))
    assert found is not None
    assert (found.recall, found.false_positive_rate, found.precision) == (1, 0.5, 0.75)


def test_what_hinders_an_evaluation_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", "demo", "--data", str(tmp_path / "none.csv")])
    assert main() == 1
    said = capsys.readouterr().err
    assert "none.csv" in said
    assert "Traceback" not in said
