"""What became of malignant nodules, in the results of a locked study."""

import csv

from tests.results.test_findings import made, rows_of


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
