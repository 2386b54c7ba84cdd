"""What the AI and the order of reading do to readers, from files."""

import re
from pathlib import Path

import numpy as np
import pytest

from reader_study.statistics.__main__ import parser
from tests.statistics.test_command_line import HEADER, nulls, readings, refused, run, write

ADVICE = ("reader", "case", "truth", "before", "after", "ai")


def test_switches_are_counted_by_whether_the_ai_was_right(tmp_path):
    rows = [
        ["r1", "a", 1, 30, 70, 0.9],  # wrong, AI right, then right: benefit
        ["r1", "b", 1, 30, 40, 0.9],  # wrong, AI right, still wrong
        ["r1", "c", 0, 30, 60, 0.8],  # right, AI wrong, then wrong: harm, commission
        ["r2", "a", 1, 80, 80, 0.9],
        ["r2", "b", 1, 90, 20, 0.1],  # right, AI wrong, then wrong: harm, omission
        ["r2", "c", 0, 20, 20, 0.8],  # right, AI wrong, and not followed: override
    ]
    path = write(tmp_path / "pairs.csv", rows, ADVICE)
    found = run(path, "--threshold", 50, "--ai-scale", 100, command="influence")

    one = found["influence"]
    assert (one["benefit"]["estimate"], one["benefit"]["n"]) == (0.5, 2)
    assert (one["harm"]["estimate"], one["harm"]["n"]) == (pytest.approx(2 / 3), 3)
    assert (one["commission"]["n"], one["omission"]["n"]) == (2, 1)
    assert (found["right_before_only"], found["right_after_only"]) == (2, 1)
    assert found["reclassification"]["net_malignant"] == 0  # one up, one down, of four
    # 40/60, 10/60, 30/50, 0, 70/80 and 0 of the way to 90, 90, 80, 90, 10 and 80.
    ways = [40 / 60, 10 / 60, 30 / 50, 0, 70 / 80, 0]
    assert found["weight_of_advice"]["mean"] == pytest.approx(np.mean(ways))
    assert found["readers"]["r2"]["influence"]["benefit"]["estimate"] is None
    assert set(nulls({k: v for k, v in found.items() if k != "notes"})) <= set(found["notes"])


def test_concordance_holds_disagreement_on_a_feature_against_switches(tmp_path):
    rows = [
        ["r", f"c{i}", "margin", *("smooth", "smooth" if i < 2 else "spiculated"), "spiculated", m]
        for i, m in enumerate([0, 0, 1, 1])
    ] + [["r", f"c{i}", "shape", "round", "NA", "round", 0] for i in range(4)]
    header = ("reader", "case", "feature", "before", "after", "ai", "switched")
    found = run(write(tmp_path / "features.csv", rows, header), command="concordance")

    margin, shape = found["features"]["margin"], found["features"]["shape"]
    assert margin["before"]["agreement"]["estimate"] == 0
    assert margin["after"]["agreement"]["estimate"] == 0.5
    assert shape["after"]["agreement"]["estimate"] is None
    assert found["disagreement_and_switch"]["margin"]["disagreed_and_switched"] == 2
    assert found["disagreement_and_switch"]["shape"]["agreed_and_stayed"] == 4


def test_early_readings_are_held_against_late_ones(tmp_path):
    rows = readings(n_malignant=12, n_benign=12)
    # The second half of the positions has as many malignant cases as the first.
    better = [[*row, int(row[1][1:]) * 5 % 24] for row in rows]
    path = write(tmp_path / "order.csv", better, (*HEADER, "position"))
    found = run(path, "--by", "position", command="order")

    assert found["blocks"] == ["early", "late"]
    assert set(found["modalities"]) == {"A", "B"}
    assert found["modalities"]["A"]["rrrc"]["differences"]["early - late"]["p"] is not None
    assert found["modalities"]["B"]["counts"]["readings"] == 72
    halves = [[*row[:5], 1 + int(row[1][1:]) % 2] for row in better]
    path = write(tmp_path / "session.csv", halves, (*HEADER, "session"))
    found = run(path, "--by", "session", command="order")
    assert list(found["modalities"]["A"]["rrrc"]["differences"]) == ["1 - 2"]


def test_readings_that_stand_twice_are_named(tmp_path, capsys):
    path = write(tmp_path / "pairs.csv", [["r", "a", 1, 30, 70, 0.9]] * 2, ADVICE)

    said = refused(capsys, path, "--threshold", "50", command="influence")
    assert "line 3, column case: this reading stands in line 2 already" in said


def test_every_command_and_option_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (.*) \|$", text, re.MULTILINE))
    [commands] = [a.choices for a in parser()._actions if hasattr(a, "choices") and a.choices]

    for name, command in commands.items():
        options = {o for action in command._actions for o in action.option_strings if "--" in o}
        missing = {o for o in options - {"--help", "--json"} if o not in rows[name]}
        assert not missing, f"{name}: {missing}"
        known = set(re.findall(r"--[a-z][a-z-]*", rows[name]))
        assert known <= options, f"{name}: {known - options}"
