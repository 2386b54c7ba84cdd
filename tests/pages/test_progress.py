"""The desk's view of progress: what it counts, what it must not show, and what it costs."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from reader_study.actions.heartbeat import note_alive
from reader_study.actions.monitoring import note_paces, progress_of
from reader_study.actions.reading import Told, lock_unaided, store_events, submit
from reader_study.actions.reference import load_reference
from reader_study.actions.schedule import skip_reading
from reader_study.actions.unlocking import unlock_reading
from reader_study.domain.monitoring import Oddity
from reader_study.domain.reading import Stage
from reader_study.models import Nodule, ReadingPace, Role
from tests.factories import NOW, a_member, a_prediction, a_reading, a_study, answers_of

pytestmark = pytest.mark.django_db


def a_read_one(reader=None, study=None, *, active_s=120, pause_s=0):
    """A submitted reading whose page told of activity for so long, and then of a pause."""
    reading = a_reading(stage=Stage.UNAIDED, reader=reader, study=study)
    seconds = [0.0, *range(1, active_s + 1, 20), float(active_s)]
    if pause_s:
        seconds.append(active_s + pause_s)
    kinds = ["first_image"] + ["slice"] * (len(seconds) - 1)
    store_events(
        reader=reading.reader.user,
        reading_id=reading.pk,
        events=[
            Told(uuid4(), kind, "unaided", at * 1000, {"page": "p"})
            for kind, at in zip(kinds, seconds, strict=True)
        ],
        now=NOW + timedelta(seconds=seconds[-1]),
    )
    return finish(reading)


def finish(reading):
    by = {"reader": reading.reader.user, "reading_id": reading.pk}
    lock_unaided(**by, answers=answers_of(reading), now=NOW + timedelta(minutes=2))
    submit(**by, answers=answers_of(reading, malignancy=70), now=NOW + timedelta(minutes=3))
    reading.refresh_from_db()
    return reading


def test_progress_pace_and_what_looks_odd_are_told_per_reader_and_session():
    study = a_study()
    one = a_read_one(study=study)
    reader = one.reader
    a_read_one(reader, active_s=4)
    a_read_one(reader, pause_s=900)
    skipped = a_reading(reader=reader)
    skip_reading(reader=reader.user, reading_id=skipped.pk, reason="no images", now=NOW)
    a_reading(reader=reader)
    a_reading(reader=reader, stage=Stage.AIDED)
    assert note_paces() == 3
    assert note_paces() == 0

    found = progress_of(study, NOW + timedelta(days=7))

    (line,) = found.readers
    (session,) = line.sessions
    assert (session.of, session.submitted, session.skipped, session.under_way) == (6, 3, 1, 1)
    assert (session.left, line.ended, found.ended) == (2, 4, 4)
    assert session.odd == {Oddity.TOO_FAST: 1, Oddity.SAME_ANSWERS: 0, Oddity.LONG_PAUSE: 1}
    assert line.median_s == pytest.approx(120)
    assert line.per_week == pytest.approx(3, rel=0.01)
    assert line.hours_left == pytest.approx(2 * 120 / 3600)
    assert found.ends_at == line.ends_at
    assert (line.ends_at - NOW).days == 11  # two left at three a week
    assert [words for words, _ in found.deviations] == ["A reading was skipped"]
    assert line.deviations == 1
    assert {why for each in found.odd for why in each.why} == {
        "less than 10 s of active reading",
        "nothing done on an open page for 10 min or more",
    }


def test_ratings_that_repeat_are_counted_in_the_order_of_submission():
    study = a_study(conduct={"quality": {"same_answers_in_a_row": 3}})
    readings = [a_read_one(study=study)]
    readings += [a_read_one(readings[0].reader) for _ in range(3)]
    note_paces()
    assert list(ReadingPace.objects.order_by("pk").values_list("same_in_a_row", flat=True)) == [
        *(1, 2, 3, 4)
    ]
    assert progress_of(study, NOW).readers[0].sessions[0].odd[Oddity.SAME_ANSWERS] == 2


def test_a_reading_that_was_reopened_is_looked_at_anew():
    study = a_study()
    reading = a_read_one(study=study)
    note_paces()
    desk = a_member(study, Role.COORDINATOR).user
    unlock_reading(study=study, reading_id=reading.pk, by=desk, reason="typing", now=NOW)
    again = NOW + timedelta(hours=1)
    submit(
        reader=reading.reader.user,
        reading_id=reading.pk,
        answers=answers_of(reading, malignancy=10),
        now=again,
    )
    before = ReadingPace.objects.get().ratings_hash

    assert note_paces() == 1
    assert ReadingPace.objects.get().submitted_at == again
    assert ReadingPace.objects.get().ratings_hash != before


@pytest.fixture
def desk(client):
    """A study with a submitted reading, its prediction and its truth, and a page for its desk."""
    reading = a_read_one()
    nodule = Nodule.objects.get()
    a_prediction(nodule, 0.731234567)
    load_reference(nodule=nodule, malignant=True, source="pathology 4711", now=NOW)
    note_paces()
    note_alive("site", NOW)
    client.force_login(a_member(reading.reader.study, Role.COORDINATOR).user)
    return reading


@pytest.mark.parametrize("name", ["study-progress", "study-progress-now"])
def test_the_page_tells_nothing_of_accuracy_and_nobody_by_name(client, desk, name):
    page = client.get(reverse(name, args=[desk.reader.study.slug])).content.decode()

    assert desk.reader.pseudonym in page
    assert "1 of 1 readings" in page
    assert "was there at" in page
    for hidden in ("0.73", "pathology", "malignant", desk.reader.user.username):
        assert hidden not in page


@pytest.mark.parametrize("role", [Role.READER, Role.TRUTH_PANEL])
def test_the_page_is_for_the_desk(client, desk, role):
    client.force_login(a_member(desk.reader.study, role).user)

    for name in ("study-progress", "study-progress-now"):
        assert client.get(reverse(name, args=[desk.reader.study.slug])).status_code == 404


def test_it_takes_as_many_queries_for_many_readings_as_for_one(client, desk):
    address = reverse("study-progress-now", args=[desk.reader.study.slug])

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    queries()
    once = queries()
    for _ in range(3):
        a_read_one(desk.reader, active_s=3)
        a_read_one(study=desk.reader.study)
    note_paces()
    assert queries() == once


def test_noting_takes_as_many_queries_for_many_readings_as_for_one():
    def queries(count):
        study = a_study()
        first = a_read_one(study=study)
        for _ in range(count - 1):
            a_read_one(first.reader)
        with CaptureQueriesContext(connection) as captured:
            assert note_paces() == count
        return len(captured)

    assert queries(4) == queries(1)
