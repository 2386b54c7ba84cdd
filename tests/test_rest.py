"""Breaks, a day's number of readings, and the order of readings: kept by the server."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from reader_study.domain.conduct import Breaks
from reader_study.domain.rest import Sitting, break_due, day_done
from reader_study.models import Deviation, Role
from tests.conduct import Conductor, a_study_to_conduct
from tests.factories import NOW, a_member, answers_of

pytestmark = pytest.mark.django_db

AN_HOUR = Breaks(after_minutes=60, minutes=10, enforced=True)


@pytest.fixture
def conductor(client, monkeypatch):
    clock = {"now": NOW}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])
    return Conductor(client, clock)


def worklist(conductor, reading):
    conductor.client.force_login(reading.reader.user)
    return conductor.client.get(reverse("worklist")).content.decode()


def slowly(conductor, reading, minutes):
    """Do one reading that takes `minutes`, with a sign of the reader in every one."""
    assert conductor.call(reading, "open").status_code == 200
    for minute in range(minutes):
        conductor.wait(minutes=1)
        event = {"key": str(uuid4()), "kind": "slice", "stage": "unaided"}
        conductor.call(reading, "events", events=[{**event, "monotonic_ms": minute * 60_000.0}])
    conductor.call(reading, "lock", answers=answers_of(reading))
    conductor.call(reading, "submit", answers=answers_of(reading))


def test_a_break_is_due_after_an_hour_and_over_when_its_length_has_passed():
    sitting = Sitting(NOW, NOW + timedelta(minutes=60))

    def due(now):
        return break_due(sitting, AN_HOUR, NOW + timedelta(minutes=now))

    assert due(60).until == due(69).until == NOW + timedelta(minutes=70)
    assert due(60).blocks(NOW + timedelta(minutes=69))
    assert due(70) is None
    assert break_due(Sitting(NOW, NOW + timedelta(minutes=59)), AN_HOUR, NOW) is None
    assert break_due(None, AN_HOUR, NOW) is None
    suggested = AN_HOUR.model_copy(update={"enforced": False})
    assert not break_due(sitting, suggested, NOW + timedelta(minutes=60)).blocks(NOW)


def test_a_day_is_done_at_its_last_reading_and_begins_at_midnight():
    evening = datetime(2026, 1, 5, 23, 59, tzinfo=UTC)
    assert day_done(2, 3, evening) is None
    assert day_done(9, None, evening) is None
    assert day_done(3, 3, evening).until == datetime(2026, 1, 6, tzinfo=UTC)


def test_an_enforced_break_opens_the_next_reading_when_it_is_over(conductor):
    breaks = {"after_minutes": 30, "minutes": 10, "enforced": True}
    study = a_study_to_conduct(1, 4, conduct={"breaks": breaks})
    first, second, third, fourth = conductor.readings(study, 1)
    conductor.call(third, "open")
    slowly(conductor, first, 20)
    # Ten minutes between two cases are a break, so that reading begins anew.
    conductor.wait(minutes=10)
    slowly(conductor, second, 20)
    # Half an hour has passed in the middle of a case, which is not interrupted.
    slowly(conductor, third, 15)

    refused = conductor.call(fourth, "open").json()
    until = conductor.clock["now"] + timedelta(minutes=10)
    assert (refused["code"], refused["not_before"]) == ("not_open_yet", until.isoformat())
    assert f"asks for a break of 10 minutes, until {until:%H:%M} UTC" in refused["detail"]
    page = worklist(conductor, first)
    assert refused["detail"] in page
    assert reverse("reading", args=[fourth.pk]) not in page
    assert conductor.call(third, "reading", "get").json()["next"] is None
    address = reverse("reading", args=[fourth.pk])
    assert conductor.client.get(address).headers["Location"] == reverse("worklist")
    conductor.wait(minutes=10)
    assert conductor.call(fourth, "open").status_code == 200
    (noted,) = Deviation.objects.values_list("kind", "detail")
    assert noted == ("sitting_too_long", {"minutes_read": 35, "minutes_allowed": 30})


def test_a_suggested_break_may_be_passed_by_which_is_noted_once_a_sitting(conductor):
    breaks = {"after_minutes": 30, "minutes": 10}
    study = a_study_to_conduct(1, 3, conduct={"breaks": breaks})
    first, second, third = conductor.readings(study, 1)
    slowly(conductor, first, 30)
    assert "The protocol suggests a break" in worklist(conductor, first)
    assert Deviation.objects.count() == 0
    slowly(conductor, second, 5)
    slowly(conductor, third, 5)

    assert list(Deviation.objects.values_list("kind", "reading")) == [
        ("break_not_kept", second.pk),
        ("sitting_too_long", second.pk),
    ]


def test_a_day_has_as_many_readings_as_the_protocol_allows(conductor):
    study = a_study_to_conduct(1, 3, conduct={"readings_a_day": 2})
    first, second, third = conductor.readings(study, 1)
    conductor.read(first, answers_of(first))
    conductor.call(second, "open")

    refused = conductor.call(third, "open").json()
    assert "allows 2 cases a day" in refused["detail"]
    assert refused["not_before"] == "2026-01-06T00:00:00+00:00"
    page = worklist(conductor, first)
    assert "allows 2 cases a day" in page
    assert "Go on with case 2" in page
    conductor.read(second, answers_of(second))
    conductor.wait(days=1)
    assert conductor.call(third, "open").status_code == 200


def test_without_a_word_in_the_protocol_readers_go_back_to_what_is_begun_in_any_order(conductor):
    study = a_study_to_conduct(1, 3)
    first, second, third = conductor.readings(study, 1)
    conductor.call(third, "open")
    draft = {"stage": "unaided", "version": 0, "answers": answers_of(third, malignancy=44)}
    conductor.call(third, "draft", "put", **draft)
    conductor.read(first, answers_of(first))
    conductor.call(second, "open")

    back = conductor.call(third, "open").json()
    assert back["draft"]["answers"] == draft["answers"]
    assert conductor.call(first, "reading", "get").json()["answers"]["unaided"] is not None
    assert conductor.client.get(reverse("reading", args=[first.pk])).status_code == 200
    assert not Deviation.objects.exists()


def test_forward_only_opens_one_after_the_other_and_shows_none_again(conductor):
    study = a_study_to_conduct(1, 3, conduct={"navigation": "forward_only"})
    first, second, third = conductor.readings(study, 1)
    for reading, position in ((second, 1), (third, 1)):
        refused = conductor.call(reading, "open").json()
        assert refused["detail"] == f"Opens when case {position} is done."
    assert "Opens when case 1 is done." in worklist(conductor, first)
    conductor.read(first, answers_of(first))

    assert conductor.call(first, "reading", "get").json()["answers"]["aided"] is None
    assert conductor.call(first, "ai", "get").status_code == 404
    assert conductor.client.get(reverse("reading", args=[first.pk])).status_code == 302
    conductor.client.post(reverse("skip"), {"reading": second.pk, "reason": "no images"})
    assert conductor.call(third, "open").status_code == 200


def test_a_reading_that_was_let_begin_out_of_its_order_is_noted(conductor):
    study = a_study_to_conduct(1, 3, conduct={"navigation": "forward_only"})
    *_, third = conductor.readings(study, 1)
    conductor.client.force_login(a_member(study, Role.COORDINATOR).user)
    asked = {"reader": third.reader.pseudonym, "session": 1, "position": 3, "reason": "urgent"}
    conductor.client.post(reverse("study-open-early", args=[study.slug]), asked)

    assert conductor.call(third, "open").status_code == 200
    assert list(Deviation.objects.values_list("kind", "detail")) == [
        ("early_opening", {"reason": "urgent", "waited_for_case": 1}),
        ("out_of_order", {"ahead_of_case": 1}),
    ]
