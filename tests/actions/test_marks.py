"""Marks and measurements from the draft to the export, and what a reader may know before."""

import csv
import io
import zipfile
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.utils import DatabaseError
from django.urls import reverse

from reader_study.actions.reading import lock_unaided, open_reading, save_draft, submit
from reader_study.actions.verification import verify_study
from reader_study.domain.errors import AnswersIncomplete, AnswersInvalid
from reader_study.domain.reading import Stage
from reader_study.exports.tables import write_tables
from reader_study.models import Answer, Mark, Nodule, Rating, Series
from tests.factories import (
    NOW,
    a_mark,
    a_prediction,
    a_protocol,
    a_reading,
    a_study,
    answers_of,
    free_response,
)

pytestmark = pytest.mark.django_db

CROSS = [[0.0, 0.0, 30.0], [10.0, 0.0, 30.0], [4.0, -3.0, 30.0], [4.0, 3.0, 30.0]]


@pytest.fixture
def searching():
    """A reading in free response, in its unaided stage."""
    return a_reading(stage=Stage.UNAIDED, study=a_study(**free_response()))


def who(reading):
    return {"reader": reading.reader.user, "reading_id": reading.pk}


def a_measurement(reading, nodule, **changes):
    return {
        "id": str(uuid4()),
        "kind": "bidirectional",
        "plane": "axial",
        "series": Series.objects.get(case=reading.case).pk,
        "nodule": nodule,
        "points_mm": CROSS,
        **changes,
    }


def test_marks_are_drafted_locked_and_revised(searching):
    one = a_mark(searching)
    answers = {"case": {}, "nodules": {}, "marks": [one]}
    draft = save_draft(**who(searching), stage=Stage.UNAIDED, version=0, answers=answers, now=NOW)
    assert draft.answers == answers
    lock_unaided(**who(searching), answers=answers, now=NOW)

    later = a_mark(searching, (-40.0, 5.0, 12.5), rating=20)
    revised = {**one, "answers": {**one["answers"], "rating": {"value": 95}}}
    both = {"case": {}, "nodules": {}, "marks": [revised, later]}
    submit(**who(searching), answers=both, now=NOW + timedelta(minutes=1))

    rows = Mark.objects.order_by("answer__stage", "number")
    assert [(m.answer.stage, m.number, str(m.key), m.point_mm) for m in rows] == [
        ("aided", 1, one["id"], (11.25, -20.5, 30.0)),
        ("aided", 2, later["id"], (-40.0, 5.0, 12.5)),
        ("unaided", 1, one["id"], (11.25, -20.5, 30.0)),
    ]
    ratings = Rating.objects.filter(question="rating").order_by("answer__stage", "mark__number")
    assert [r.value for r in ratings] == [95, 20, 80]
    assert verify_study(searching.reader.study).broken is None


def test_a_locked_mark_cannot_be_moved_or_taken_away(searching):
    one = a_mark(searching)
    lock_unaided(**who(searching), answers={"marks": [one]}, now=NOW)
    for marks in ([{**one, "point_mm": [11.25, -20.5, 32.5]}], []):
        with pytest.raises(AnswersInvalid) as refusal:
            submit(**who(searching), answers={"marks": marks}, now=NOW)
        assert refusal.value.more["problems"][0]["mark"] == one["id"]


def test_without_a_mark_the_reader_says_that_there_is_no_finding(searching):
    with pytest.raises(AnswersIncomplete) as refusal:
        lock_unaided(**who(searching), answers={"marks": []}, now=NOW)
    assert [p["question"] for p in refusal.value.more["problems"]] == ["no_finding"]
    lock_unaided(**who(searching), answers={"no_finding": True}, now=NOW)
    (rating,) = Rating.objects.all()
    assert (rating.question, rating.value, rating.nodule, rating.mark) == (
        "no_finding",
        True,
        None,
        None,
    )


def test_the_database_refuses_to_change_a_mark(searching):
    lock_unaided(**who(searching), answers={"marks": [a_mark(searching)]}, now=NOW)
    with pytest.raises(DatabaseError, match="append-only"):
        Mark.objects.update(x=0)


def test_verification_holds_marks_against_the_form(searching):
    lock_unaided(**who(searching), answers={"marks": [a_mark(searching)]}, now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        cursor.execute("update reader_study_mark set z = z + 1")
        cursor.execute("set session_replication_role = origin")
    broken = verify_study(searching.reader.study).broken
    assert broken is not None
    assert "marks are not those of the form" in str(broken)


# What a reader knows


def test_in_free_response_nobody_is_told_where_nodules_are_before_the_lock(searching, client):
    nodule = Nodule.objects.get()
    a_prediction(nodule)
    client.force_login(searching.reader.user)
    address = reverse("api-reading", args=[searching.pk])

    shown = client.get(address)
    assert (shown.json()["findings"], shown.json()["nodules"]) == ("free_response", [])
    assert [q["name"] for q in shown.json()["questionnaire"]["mark"]] == ["rating"]
    assert client.get(reverse("api-ai", args=[searching.pk])).status_code == 404
    # That an id is one of a nodule is not told either.
    details = set()
    for key in (str(nodule.pk), "999999"):
        with pytest.raises(AnswersInvalid) as refusal:
            lock_unaided(**who(searching), answers={"nodules": {key: {}}}, now=NOW)
        details.add(refusal.value.more["problems"][0]["detail"])
    assert details == {"there is no such nodule in this reading"}

    lock_unaided(**who(searching), answers={"no_finding": True}, now=NOW)
    assert client.get(address).json()["nodules"] == []
    ai = client.get(reverse("api-ai", args=[searching.pk])).json()["nodules"]
    assert ai[str(nodule.pk)]["place"]["centre_mm"] == list(nodule.centre_mm)
    assert ai[str(nodule.pk)]["score"]["probability"] == 0.73


def test_where_nodules_are_given_and_marks_are_made_both_are_rated(client):
    questions = {**a_protocol()["questionnaire"], "mark": free_response()["questionnaire"]["mark"]}
    study = a_study(findings="both", questionnaire=questions)
    form = answers_of(reading := a_reading(stage=Stage.UNAIDED, study=study))
    client.force_login(reading.reader.user)
    shown = client.get(reverse("api-reading", args=[reading.pk])).json()
    assert [n["number"] for n in shown["nodules"]] == [1]
    (of_nodule,) = form["nodules"].values()
    mark = a_mark(reading)
    mark["answers"] = {**of_nodule, "rating": {"value": 50}}
    lock_unaided(**who(reading), answers={**form, "marks": [mark]}, now=NOW)
    assert Rating.objects.filter(mark__isnull=False).count() == len(of_nodule) + 1


# Measurements


def test_a_measurement_is_kept_as_its_points_and_computed_for_the_export(searching):
    mark = a_mark(searching)
    measured = a_measurement(searching, mark["id"])
    mark["answers"]["diameter"] = {"value": 8.0, "measurement": measured["id"]}
    arrow = a_measurement(
        searching, None, kind="arrow", plane="sagittal", points_mm=[[1, 2, 3], [1, 9, 9]], text="?"
    )
    answers = {"marks": [mark], "measurements": [measured, arrow]}
    lock_unaided(**who(searching), answers=answers, now=NOW)
    assert Answer.objects.get().answers == answers

    file = io.BytesIO()
    write_tables(searching.reader.study, file)
    with zipfile.ZipFile(file) as archive:
        tables = {
            name: list(csv.DictReader(archive.read(f"{name}.csv").decode().splitlines()))
            for name in ("marks", "measurements", "readings")
        }
    (row,) = tables["marks"]
    assert [row[c] for c in ("mark", "mark_id", "x_mm", "y_mm", "z_mm", "stage")] == [
        *("1", mark["id"], "11.25", "-20.5", "30.0", "unaided")
    ]
    first, second = tables["measurements"]
    assert (first["long_axis"], first["short_axis"], first["mean_diameter"]) == (
        "10.0",
        "6.0",
        "8.0",
    )
    assert (first["mark"], first["nodule"], first["questions"]) == ("1", "", "diameter")
    assert first["points_mm"].split("|")[1] == "10.0 0.0 30.0"
    assert (second["kind"], second["text"], second["length"]) == ("arrow", "?", "")
    rated = {r["question"]: (r["mark"], r["mark_id"], r["value"]) for r in tables["readings"]}
    assert rated["diameter"] == ("1", mark["id"], "8")
    assert rated["rating"] == ("1", mark["id"], "80")


def test_a_measurement_outside_of_the_images_is_refused():
    reading = a_reading()
    Series.objects.update(
        geometry={
            "first": [-200.0, -200.0, 0.0],
            "axes": [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]],
            "steps_mm": [0.8, 0.8, 2.5],
            "counts": [512, 512, 60],
        }
    )
    open_reading(**who(reading), now=NOW)

    def draft(z):
        points = [[0.0, 0.0, z], [5.0, 0.0, z]]
        measured = a_measurement(reading, None, kind="length", points_mm=points)
        answers = {"measurements": [measured]}
        save_draft(**who(reading), stage=Stage.UNAIDED, version=0, answers=answers, now=NOW)

    with pytest.raises(AnswersInvalid) as refusal:
        draft(160.0)
    assert refusal.value.more["problems"][0]["detail"] == "it lies outside of the images"
    draft(147.0)
