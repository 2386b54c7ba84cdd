"""What departs from the protocol is recorded by the site itself."""

import io
import json
import zipfile
from csv import DictReader
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from reader_study.actions.conduct import lock_database
from reader_study.actions.deviations import review_deviations
from reader_study.actions.protocol import amend_protocol
from reader_study.actions.schedule import open_early
from reader_study.actions.unlocking import unlock_reading
from reader_study.actions.verification import verify_study
from reader_study.exports.tables import write_tables
from reader_study.models import Deviation, Job, JobStatus, Prediction, Reading, Role
from tests.conduct import Conductor, a_study_to_conduct
from tests.domain.designs import CROSSOVER
from tests.factories import NOW, a_member, a_protocol, answers_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def conductor(client, monkeypatch):
    clock = {"now": NOW}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])
    return Conductor(client, clock)


def recorded():
    return [(each.kind, each.detail) for each in Deviation.objects.all()]


def test_what_coordinators_and_readers_decide_is_a_deviation_with_its_reason(conductor):
    study = a_study_to_conduct(1, 2, design=CROSSOVER)
    desk = a_member(study, Role.COORDINATOR).user
    first, second = conductor.readings(study, 1)
    conductor.read(first, answers_of(first))
    again = Reading.objects.get(case=first.case_id, session=2)
    by = {"study": study, "by": desk, "now": NOW}
    open_early(**by, reading_id=again.pk, reason="leaves soon")
    conductor.client.force_login(second.reader.user)
    conductor.client.post(reverse("skip"), {"reading": second.pk, "reason": "no images"})
    unlock_reading(**by, reading_id=first.pk, reason="wrong side")
    every = Deviation.objects.values_list("pk", flat=True)
    review_deviations(**by, ids=every, note="no effect on the readings")
    lock_database(**by, statement="Done.", accepted={"readings": "one reader has left"})

    assert recorded() == [
        ("early_opening", {"reason": "leaves soon", "waited_for_session": 1}),
        (
            "washout_overridden",
            {"reason": "leaves soon", "not_before": "2026-02-02T09:01:00+00:00"},
        ),
        ("skip", {"reason": "no images"}),
        ("unlock", {"reason": "wrong side", "stage": "unaided", "revision": 1}),
        (
            "open_at_lock",
            {
                "open": "3 readings are neither submitted nor skipped",
                "reason": "one reader has left",
            },
        ),
    ]
    conductor.client.force_login(desk)
    page = conductor.client.get(reverse("study-conduct", args=[study.slug])).content.decode()
    file = io.BytesIO()
    write_tables(study, file)
    table = zipfile.ZipFile(file).read("deviations.csv").decode()
    rows = list(DictReader(io.StringIO(table, newline="")))
    assert [row["kind"] for row in rows] == [kind for kind, _ in recorded()]
    for row in rows:
        assert row["meaning"] in page
        assert json.loads(row["detail"])["reason"] in page
    assert (rows[0]["reader"], rows[0]["session"]) == (first.reader.pseudonym, "2")
    assert (rows[-1]["reader"], rows[-1]["session"]) == ("", "")
    checked = verify_study(study)
    assert (checked.broken, checked.counts["deviation"]) == (None, 5)


def test_an_ai_that_has_no_result_when_it_is_shown_is_noted_once(conductor):
    study = a_study_to_conduct(1, 2)
    first, second = conductor.readings(study, 1)
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        Prediction.objects.filter(job__nodule__series__case=first.case_id).delete()
        cursor.execute("set session_replication_role = origin")
    Job.objects.filter(nodule__series__case=first.case_id).update(status=JobStatus.FAILED)
    for reading in (first, second):
        conductor.read(reading, answers_of(reading))

    assert recorded() == [("inference_failed", {"nodules": [1]})]
    assert Deviation.objects.get().reading_id == first.pk


def told(conductor, reading, page, monotonic_ms=1000.0):
    event = {"key": str(uuid4()), "kind": "slice", "stage": "unaided", "data": {"page": page}}
    response = conductor.call(reading, "events", events=[{**event, "monotonic_ms": monotonic_ms}])
    assert response.status_code == 200


def test_a_reading_that_is_open_in_two_pages_at_once_is_noted_and_a_reload_is_not(conductor):
    study = a_study_to_conduct(1, 2)
    first, second = conductor.readings(study, 1)
    for reading in (first, second):
        conductor.call(reading, "open")
    for page in ("a", "a", "b", "b"):  # a reload
        told(conductor, first, page)
    assert recorded() == []
    for page in ("a", "b", "a", "b"):
        told(conductor, second, page)
    assert recorded() == [("two_pages", {"noticed_by": "events"})]

    draft = {"stage": "unaided", "answers": answers_of(first)}
    assert conductor.call(first, "draft", "put", version=0, **draft).status_code == 200
    other = {"stage": "unaided", "answers": {"case": {}, "nodules": {}}}
    conflict = conductor.call(first, "draft", "put", version=0, **other)
    assert conflict.json()["code"] == "draft_conflict"
    assert recorded()[1:] == [("two_pages", {"noticed_by": "drafts"})]


def test_a_page_that_was_there_before_its_reading_was_begun_is_noted(conductor):
    study = a_study_to_conduct(1, 1)
    reading = next(conductor.readings(study, 1))
    conductor.call(reading, "open")
    conductor.wait(minutes=10)
    told(conductor, reading, "a", 10 * 60_000.0 + 5_000)
    assert recorded() == []
    told(conductor, reading, "a", 30 * 60_000.0)

    assert recorded() == [("browser_clock", {"ahead_seconds": 19 * 60})]


def test_an_amendment_after_the_first_reading_is_one_and_before_it_is_none(conductor):
    study = a_study_to_conduct(1, 1)
    reading = next(conductor.readings(study, 1))
    by = {"study": study, "by": None, "now": NOW, "reason": "a longer text"}
    amend_protocol(**by, document=a_protocol(summary="Before."))
    conductor.call(reading, "open")
    amend_protocol(**by, document=a_protocol(summary="After."))

    detail = {"reason": "a longer text", "version": 3, "changed": "summary"}
    assert recorded() == [("amendment", detail)]


def test_a_deviation_cannot_be_taken_back(conductor):
    study = a_study_to_conduct(1, 1)
    reading = next(conductor.readings(study, 1))
    conductor.client.force_login(reading.reader.user)
    conductor.client.post(reverse("skip"), {"reading": reading.pk, "reason": "no images"})

    for change in ("detail = '{}'", "kind = 'unlock'"):
        with (
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"update reader_study_deviation set {change}")
