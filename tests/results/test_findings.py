"""What a locked study found is what the statistics say, of the right readings and no others."""

import csv
import json
from dataclasses import dataclass

import pytest

from reader_study.results.drawing import draw
from reader_study.results.figures import HOW
from reader_study.results.findings import Findings, as_document, find, text_of
from reader_study.statistics.__main__ import main
from tests.results.simulated import write_archive


def silent(*_):
    pass


@dataclass
class Made:
    folder: object
    work: object
    found: Findings

    def table(self, name):
        return next(table for table in self.found.tables if table.name == name)

    def section(self, name):
        return next(section for section in self.found.sections if section.name == name)


def made(folder, *args, alter=None, **changes):
    tables, work = folder / "tables", folder / "work"
    write_archive(tables, *args, **changes)
    if alter:
        alter(tables)
    work.mkdir()
    return Made(tables, work, find(tables, work, silent))


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory):
    return made(tmp_path_factory.mktemp("demonstration"))


def test_an_endpoint_is_what_the_command_line_says_of_its_file(demonstration, tmp_path):
    said = tmp_path / "said.json"
    asked = ["mrmc", str(demonstration.work / "endpoint-malignancy_auc.csv"), "--method", "or"]
    main([*asked, "--covariance", "jackknife", "--json", str(said)])

    difference = json.loads(said.read_text())["rrrc"]["differences"]["aided - unaided"]
    row = demonstration.table("endpoint-malignancy_auc").rows[-1]

    keys = ("estimate", "lower", "upper", "df", "p")
    assert row == pytest.approx(["aided − unaided", *(difference[key] for key in keys)])


def test_what_the_protocol_asks_for_comes_first_and_is_marked(demonstration):
    standings = [section.standing for section in demonstration.found.sections]
    names = [section.name for section in demonstration.found.planned]

    assert standings == sorted(standings, reverse=True)
    assert names[:3] == ["endpoint-malignancy_auc", "endpoint-sensitivity", "endpoint-specificity"]
    assert {"time", "concordance", "subgroups-size"} < set(names)
    assert "roc" in [section.name for section in demonstration.found.exploratory]


def test_a_fixed_sequence_stops_where_an_endpoint_was_not_met(demonstration):
    results = [row[-1] for row in demonstration.table("endpoints").rows]

    assert results[0] == "a difference was shown"
    assert results[1] == "a difference was not shown"
    assert results[2].startswith("not tested: the endpoint before it")


def test_holm_takes_one_sided_tests_against_half_of_the_level(tmp_path):
    study = made(tmp_path, "lung_rads")
    rows = study.table("endpoints").rows[1:]

    # p counts as a part of 0.025 against a margin, and of 0.05 otherwise.
    levels = [0.025 if "margin" in row[1] else 0.05 for row in rows]
    parts = sorted(
        (row[6] / level, i) for i, (row, level) in enumerate(zip(rows, levels, strict=True))
    )
    so_far = 0.0
    for rank, (part, i) in enumerate(parts):
        so_far = max(so_far, part * (len(parts) - rank))
        assert rows[i][7] == pytest.approx(min(1, so_far * levels[i]))


def test_what_is_repeated_or_for_practice_or_of_unknown_truth_is_left_out(tmp_path):
    def alter(tables):
        references = rows_of(tables / "reference.csv")
        references[3]["truth"] = ""
        write_rows(tables / "reference.csv", references)
        for name in ("allocation.csv", "readings.csv", "times.csv"):
            rows = rows_of(tables / name)
            for row in rows:
                if (row["reader"], row["session"], row["position"]) == ("R02", "1", "5"):
                    row["session"] = "0"
            write_rows(tables / name, rows)

    study = made(tmp_path, "lung_rads", alter=alter)
    rated = rows_of(study.work / "ratings.csv")
    practised = next(
        row["case"]
        for row in rows_of(study.folder / "allocation.csv")
        if (row["reader"], row["session"], row["position"]) == ("R02", "0", "5")
    )

    assert {row["session"] for row in rated} == {"1", "2", "3"}
    assert "C004/1" not in {row["case"] for row in rated}
    assert not [
        row
        for row in rated
        if row["reader"] == "R02" and row["case"] == f"{practised}/1" and row["session"] == "1"
    ]
    # 4 readers and 30 cases less the unknown one, what R01 skipped, and the practice.
    assert len(rated) == 3 * (4 * 29 - 1) - 1
    assert len(rows_of(study.work / "repeats.csv")) == 4 * 2
    assert study.table("flow").rows[-1][3] == 3 * (4 * 30 - 1) + 4 * 2 - 1


def test_nodules_of_a_patient_are_kept_together(tmp_path):
    study = made(tmp_path, nodules_a_case=2)
    document = study.section("endpoint-malignancy_auc").document

    assert document["counts"]["clusters"] == 30
    assert document["counts"]["cases"] == 60
    assert len(study.table("methods").rows) == 4 * 3 + 1


def test_switches_are_counted_by_whether_the_ai_was_right(demonstration):
    truth = {
        f"{row['case']}/{row['nodule']}": row["truth"] == "malignant"
        for row in rows_of(demonstration.folder / "reference.csv")
    }
    says = {
        f"{row['case']}/{row['nodule']}": float(row["probability"]) >= 0.5
        for row in rows_of(demonstration.folder / "predictions.csv")
        if row["target"] == "malignancy"
    }
    decided = {}
    for row in rows_of(demonstration.folder / "readings.csv"):
        if row["question"] == "malignancy":
            key = (row["reader"], f"{row['case']}/{row['nodule']}")
            decided.setdefault(key, {})[row["stage"]] = float(row["value"]) >= 50
    gained = [
        each["aided"] == truth[unit]
        for (_, unit), each in decided.items()
        if unit in says and says[unit] == truth[unit] != each["unaided"]
    ]

    label, share, of, low, high = demonstration.table("switches-aided-unaided").rows[0]
    assert label.startswith("Beneficial")
    assert (share, of) == (pytest.approx(sum(gained) / len(gained)), len(gained))
    assert low <= share <= high


@pytest.mark.parametrize("protocol", ["demonstration", "lidc", "lung_rads"])
def test_every_protocol_has_results_without_a_number_that_is_none(tmp_path, protocol):
    found = made(tmp_path, protocol, seed=3).found

    assert found.planned
    assert "NaN" not in text_of(as_document(found))
    for section in found.sections:
        assert section.source, section.name
        assert all(table.rows for table in section.tables), section.name


def test_without_a_planned_analysis_everything_is_exploratory(tmp_path):
    found = made(tmp_path, analysis=None).found

    assert found.endpoints is None
    assert found.planned == []
    assert {"roc", "methods", "threshold", "time"} < {section.name for section in found.sections}


def test_a_study_whose_readers_all_agree_says_why_nothing_can_be_tested(tmp_path):
    def alter(tables):
        readings = rows_of(tables / "readings.csv")
        for row in readings:
            if row["question"] == "malignancy":
                row["value"] = "50"
        write_rows(tables / "readings.csv", readings)

    study = made(tmp_path, alter=alter)

    assert study.table("endpoints").rows[0][-1].startswith("not tested: the estimate has no")
    assert any("variance" in note for note in study.table("endpoint-malignancy_auc").notes)


def test_groups_are_those_of_the_protocol(demonstration):
    groups = [row[0] for row in demonstration.table("subgroups-size").rows]

    assert groups == ["below 6 mm", "6 to below 8 mm", "8 to below 15 mm", "15 mm and above"]


def test_a_study_that_tells_nothing_says_so_in_the_place_of_each_result(tmp_path):
    def alter(tables):
        references = rows_of(tables / "reference.csv")
        for row in references:
            row["truth"] = ""
        write_rows(tables / "reference.csv", references)

    study = made(tmp_path, readers=1, cases=2, alter=alter)

    assert study.table("endpoints").rows[0][-1].startswith("could not be analysed: endpoint-")
    assert "Could not be analysed: ratings.csv: there is no row" in study.section("curves").text[0]
    assert study.table("flow").rows[-1][1] == 2


def test_a_figure_is_the_same_again_and_says_what_it_shows(demonstration):
    for section in demonstration.found.sections:
        for figure in section.figures:
            svg, png = draw(figure, HOW[figure.kind])
            assert draw(figure, HOW[figure.kind]) == (svg, png)
            assert svg.startswith(b"<?xml")
            assert png.startswith(b"\x89PNG")
            assert len(figure.alt) > 40
