"""A free-response study over the site's own API, from the allocation to figures of merit."""

import csv
import io
import zipfile

import pytest
from django.utils import timezone

from reader_study.actions.study import allocate_readings
from reader_study.actions.verification import verify_study
from reader_study.domain.findings import Lesion, Marked, froc_tables
from reader_study.exports.tables import write_tables
from reader_study.models import Nodule, Reading
from reader_study.statistics.commands.marks import of_froc
from tests.conduct import Conductor
from tests.factories import NOW, a_case, a_mark, a_member, a_prediction, a_study, free_response

pytestmark = pytest.mark.django_db

# Where a nodule of the tests lies, a place on it, and one far from it.
ON_IT, ELSEWHERE = (12.0, -21.0, 30.0), (-60.0, 40.0, -10.0)


def test_readers_search_cases_with_and_without_nodules_and_are_analysed(
    client, monkeypatch, tmp_path
):
    clock = {"now": NOW}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])
    conductor = Conductor(client, clock)
    study = a_study(is_open=False, **free_response())
    with_nodule = [a_case(study) for _ in range(3)]
    without = [a_case(study, nodules=0) for _ in range(3)]
    readers = [a_member(study) for _ in range(3)]
    # A case without a nodule is read as well.
    assert allocate_readings(study=study, now=NOW) == len(readers) * 6
    for nodule in Nodule.objects.of_study(study):
        a_prediction(nodule)
    study.refresh_from_db()
    study.opened_at = NOW
    study.save()

    for reading in conductor.readings(study, 1):
        skill = readers.index(next(r for r in readers if r.pk == reading.reader_id))
        shown = conductor.call(reading, "open").json()
        assert shown["nodules"] == []
        assert conductor.call(reading, "ai", "get").status_code == 404
        rank = (with_nodule if reading.case in with_nodule else without).index(reading.case)
        marks = []
        if reading.case in with_nodule and rank <= skill:
            marks = [a_mark(reading, ON_IT, rating=60 + rank)]
        if reading.case in without and rank == 0:
            marks = [a_mark(reading, ELSEWHERE, rating=40 + skill)]
        answers = {"marks": marks} if marks else {"no_finding": True}
        locked = conductor.call(reading, "lock", answers=answers)
        assert locked.status_code == 200, locked.content
        ai = conductor.call(reading, "ai", "get").json()["nodules"]
        places = [each["place"]["centre_mm"] for each in ai.values()]
        assert places == ([[10.0, -20.0, 30.5]] if reading.case in with_nodule else [])
        revised = list(marks)
        if places and not marks:  # shown by the AI, and marked now
            revised = [a_mark(reading, tuple(places[0]), rating=55)]
        answers = {"marks": revised} if revised else {"no_finding": True}
        assert conductor.call(reading, "submit", answers=answers).status_code == 200
        conductor.wait(minutes=1)

    assert not Reading.objects.exclude(stage="submitted").exists()
    assert verify_study(study).broken is None
    file = io.BytesIO()
    write_tables(study, file)
    archive = zipfile.ZipFile(file)
    tables = {
        name: list(csv.DictReader(archive.read(f"{name}.csv").decode().splitlines()))
        for name in ("marks", "readings")
    }
    said = [row for row in tables["readings"] if row["question"] == "no_finding"]
    assert len(said) == 18 * 2 - len(tables["marks"])  # one mark at most, or said so

    # From the tables, by the stated rule, to what the statistics say of both stages.
    rating = {
        (row["reader"], row["case"], row["stage"], row["mark_id"]): float(row["value"])
        for row in tables["readings"]
        if row["question"] == "rating"
    }
    marked = [
        Marked(
            row["reader"],
            row["case"],
            row["stage"],
            (float(row["x_mm"]), float(row["y_mm"]), float(row["z_mm"])),
            rating[row["reader"], row["case"], row["stage"], row["mark_id"]],
        )
        for row in tables["marks"]
    ]
    lesions = {case.pseudonym: [] for case in without} | {
        case.pseudonym: [Lesion("1", nodule.centre_mm, nodule.diameter_mm)]
        for case in with_nodule
        for nodule in Nodule.objects.filter(series__case=case)
    }
    rows, truth = froc_tables(marked, lesions, acceptance_mm=5)
    for name, header, body in (
        ("marks", ("reader", "case", "modality", "mark", "lesion_id", "rating"), rows),
        ("truth", ("case", "truth", "lesion_id"), truth),
    ):
        with (tmp_path / f"{name}.csv").open("w", newline="") as target:
            csv.writer(target).writerows([header, *body])
    found = of_froc(tmp_path / "marks.csv", None, merit="MaxLLF", margin=None)
    # Unaided 1, 2 and 3 of 3 lesions are found; aided all of them.
    found_of = found["figures_of_merit"]["MaxLLF"]
    assert sorted(found_of["unaided"].values()) == pytest.approx([1 / 3, 2 / 3, 1])
    assert list(found_of["aided"].values()) == [1, 1, 1]
    # One of three cases without a nodule has a mark, in both stages.
    elsewhere = found["figures_of_merit"]["MaxNLF"]
    assert list(elsewhere["unaided"].values()) == pytest.approx([1 / 3] * 3)
    assert elsewhere["aided"] == elsewhere["unaided"]
