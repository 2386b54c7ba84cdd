"""What became of malignant nodules, in the results of a locked study."""

import csv

from reader_study.results.drawing import draw
from reader_study.results.figures import HOW
from tests.results.test_findings import made, rows_of, write_rows


def test_a_malignant_nodule_that_was_never_on_screen_is_told_from_one_that_was_under_rated(
    tmp_path,
):
    def alter(tables):
        allocated = [r for r in rows_of(tables / "allocation.csv") if r["stage"] == "submitted"]
        nodules = rows_of(tables / "nodules.csv")
        stages = {(r["arm"], r["stage"]) for r in rows_of(tables / "readings.csv")}
        with (tables / "seen.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(
                ["reader", "case", "session", "position", "stage", "nodule", "displayed_seconds"]
            )
            for place in allocated:
                for stage in sorted(stage for arm, stage in stages if arm == place["arm"]):
                    for nodule in (n for n in nodules if n["case"] == place["case"]):
                        seconds = "0.100" if place["reader"] == "R01" else "4.000"
                        own = [place[part] for part in ("reader", "case", "session", "position")]
                        rows.writerow([*own, stage, nodule["nodule"], seconds])

    study = made(tmp_path, "lung_rads", alter=alter)
    of_nodules = study.table("seen-nodules").rows
    of_readers = study.table("seen-readers").rows
    malignant = {
        f"{row['case']}/{row['nodule']}"
        for row in rows_of(study.folder / "reference.csv")
        if row["truth"] == "malignant"
    }

    assert of_nodules
    assert {row[2] for row in of_nodules} <= malignant
    assert {row[5] for row in of_nodules if row[1] == "R01"} == {"never displayed"}
    threshold = study.found.data.threshold
    for _, reader, _, _, rating, became in of_nodules:
        if reader != "R01":
            positive = rating is not None and rating >= threshold
            assert became == ("found" if positive else "found, under-rated")
    assert sum(sum(row[2:]) for row in of_readers) == len(of_nodules)
    assert {became for *_, became in of_nodules} >= {"found", "found, under-rated"}


def test_dwell_maps_show_the_seconds_a_reading_and_the_malignant_nodules(tmp_path):
    def alter(tables):
        nodules = [{**r, "x": -60, "y": 10, "z": 40} for r in rows_of(tables / "nodules.csv")]
        write_rows(tables / "nodules.csv", nodules)
        stages = {(r["arm"], r["stage"]) for r in rows_of(tables / "readings.csv")}
        with (tables / "dwell_maps.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            ends = ["left_mm", "right_mm", "top_mm", "bottom_mm"]
            rows.writerow(["case", "arm", "stage", "readings", "projection", *ends, "seconds"])
            for case in sorted({n["case"] for n in nodules}):
                for arm, stage in sorted(stages):
                    for plane in ("axial", "coronal", "sagittal"):
                        seconds = " ".join(["0"] * 575 + ["12"])
                        own = [case, arm, stage, 4, plane, -150, 150, 200, -100, seconds]
                        rows.writerow(own)

    study = made(tmp_path, "lung_rads", alter=alter)
    (section,) = [one for one in study.found.sections if one.name == "dwell"]
    malignant = {
        row["case"]
        for row in rows_of(study.folder / "reference.csv")
        if row["truth"] == "malignant"
    }

    assert len(section.figures) == len(study.found.data.modalities)
    cases = section.figures[0].content["cases"]
    assert 0 < len(cases) <= 6
    assert {each["case"] for each in cases} <= malignant
    for each in cases:
        assert [one["projection"] for one in each["maps"]] == ["coronal", "sagittal", "axial"]
        assert each["maps"][0]["seconds"][-1] == 3.0
        assert each["maps"][0]["nodules"][0] == [-60, 40]
    # The same figure for a person to look at, of bounded size.
    svg, png = draw(section.figures[0], HOW["dwell"])
    assert b"<svg" in svg
    assert len(svg) + len(png) < 1_000_000


def test_where_readers_mark_a_nodule_is_found_by_the_mark_nearest_to_it(tmp_path):
    def alter(tables):
        nodules = [{**r, "x": 0, "y": 0, "z": 40} for r in rows_of(tables / "nodules.csv")]
        write_rows(tables / "nodules.csv", nodules)
        allocated = [r for r in rows_of(tables / "allocation.csv") if r["stage"] == "submitted"]
        own = ("reader", "case", "session", "position")
        # R01 marks 3 mm off and is sure, R02 likewise and is not, R03 marks 30 mm off, R04 nothing
        # and never had the nodule on screen.
        far = {"R01": 3, "R02": 3, "R03": 30}
        seen, marks, readings = [], [], rows_of(tables / "readings.csv")
        for place in allocated:
            at = {part: place[part] for part in own}
            for stage in ("unaided", "aided"):
                seconds = "0.000" if place["reader"] == "R04" else "2.000"
                seen.append({**at, "stage": stage, "nodule": 1, "displayed_seconds": seconds})
                if place["reader"] not in far:
                    continue
                mark = {**at, "arm": place["arm"], "stage": stage, "current": "true", "mark": 1}
                mark["mark_id"] = "-".join(at.values())
                marks.append({**mark, "x_mm": far[place["reader"]], "y_mm": 0, "z_mm": 40})
                rating = 20 if place["reader"] == "R02" else 90
                readings.append({**mark, "nodule": "", "question": "rating", "value": rating})
        columns = dict.fromkeys(name for row in readings for name in row)
        blank = dict.fromkeys(columns, "") | {"current": "true"}
        write_rows(tables / "readings.csv", [blank | row for row in readings])
        write_rows(tables / "seen.csv", seen)
        write_rows(tables / "marks.csv", marks)

    study = made(tmp_path, "free_response", alter=alter)

    became = {(row[1], row[5]) for row in study.table("seen-nodules").rows}
    assert became == {
        ("R01", "found"),
        ("R02", "found, under-rated"),
        ("R03", "displayed, not found"),
        ("R04", "never displayed"),
    }
    (section,) = [one for one in study.found.sections if one.name == "seen"]
    assert "rating 50 or higher" in section.text[0]
    assert "5 mm where that is more" in section.text[0]
