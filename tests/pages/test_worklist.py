"""A worklist of thousands of readings: what is next on top, everything else a page away."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from reader_study.actions.schedule import skip_reading
from reader_study.actions.worklist import A_PAGE, LAST, NEXT
from reader_study.domain.reading import Stage
from reader_study.models import ProtocolVersion, Reading, Role
from tests.factories import DEMONSTRATION, NOW, a_member, a_reading, a_study, many_readings

pytestmark = pytest.mark.django_db


def asked(client, path):
    client.get(path)  # what is kept once a process is not counted
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200
    return len(queries), answer.content.decode()


def numbers(page):
    """The cases on a page, by their place on the worklist, in its order."""
    return [int(found) for found in re.findall(r'<td class="number">(\d+)</td>', page)]


@pytest.fixture
def reader(client):
    """A reader who has begun one reading and has many more before and behind it."""
    reader = a_member(a_study())
    many_readings(reader, ended=30, waiting=0)
    begun = a_reading(reader=reader, stage=Stage.UNAIDED)
    assert begun.position == 31
    many_readings(reader, ended=0, waiting=29)
    client.force_login(reader.user)
    return reader


def test_two_thousand_readings_take_as_many_queries_and_bytes_as_sixty(client, reader):
    pages = [reverse("worklist"), reverse("session-cases", args=[reader.study.slug, 1])]
    room = reverse("api-reading", args=[Reading.objects.get(reader=reader, position=31).pk])
    before = [asked(client, page) for page in (*pages, room)]

    many_readings(reader, ended=0, waiting=1940)

    for (few, small), (queries, large) in zip(
        before, [asked(client, page) for page in (*pages, room)], strict=True
    ):
        assert queries <= few
        assert len(large) < len(small) + 1000
    assert "30 of 2000 submitted" in asked(client, pages[0])[1]


def test_the_next_case_is_on_top_and_the_last_that_are_done_are_folded_away(client, reader):
    _, page = asked(client, reverse("worklist"))

    assert "Go on with case 31" in page
    assert "30 of 60 submitted" in page
    todo, _, done = page.partition("<details>\n    <summary>")
    assert numbers(todo) == list(range(31, 31 + NEXT))
    assert done.startswith("The last 10 of 30 that are done")
    assert numbers(done) == list(range(30, 30 - LAST, -1))
    assert "All 60 cases" in done


def test_all_cases_of_a_session_are_pages_that_begin_where_the_reader_is(client, reader):
    many_readings(reader, ended=0, waiting=60)
    reading = Reading.objects.get(reader=reader, position=32)
    skip_reading(reader=reader.user, reading_id=reading.pk, reason="Images are cut", now=NOW)
    path = reverse("session-cases", args=[reader.study.slug, 1])

    first, second, last = (asked(client, f"{path}?page={n}")[1] for n in (1, 2, 3))
    everything = [number for page in (first, second, last) for number in numbers(page)]

    assert everything == list(range(1, 121))
    assert len(numbers(first)) == A_PAGE
    assert "Images are cut" in first
    assert "Page 2 of 3" in second
    assert numbers(asked(client, path)[1]) == numbers(first)  # it holds case 31
    many_done = Reading.objects.filter(reader=reader, position__gt=32, position__lt=70)
    version = ProtocolVersion.objects.get(study=reader.study)
    many_done.update(stage="submitted", version=version, opened_at=NOW, submitted_at=NOW)
    Reading.objects.filter(reader=reader, position=31).update(stage="submitted", submitted_at=NOW)
    assert numbers(asked(client, path)[1]) == numbers(second)


def test_nobody_sees_the_cases_of_another_reader(client, reader):
    other = a_member(reader.study)
    many_readings(other, ended=0, waiting=1)

    for user, session in ((a_member(reader.study).user, 1), (other.user, 2)):
        client.force_login(user)
        answer = client.get(reverse("session-cases", args=[reader.study.slug, session]))
        assert answer.status_code == 404
    client.force_login(other.user)
    page = client.get(reverse("session-cases", args=[reader.study.slug, 1])).content.decode()
    assert numbers(page) == [1]


def test_the_desk_shows_cases_page_by_page_and_makes_large_plans_when_asked(
    client, reader, monkeypatch
):
    many_readings(reader, ended=0, waiting=60)
    study = reader.study
    client.force_login(a_member(study, role=Role.COORDINATOR).user)

    page = asked(client, f"{reverse('study', args=[study.slug])}?page=3")[1]
    assert "Page 3 of 3" in page
    assert len(re.findall(r"<td>M\d+-\d+</td>", page)) == 120 - 2 * 50

    protocol = reverse("study-protocol", args=[study.slug])
    monkeypatch.setattr("reader_study.pages.protocol.MANY", 119)
    assert "1 readers and 120 cases take some seconds" in asked(client, protocol)[1]
    text = {"text": DEMONSTRATION.read_text(), "check": ""}
    assert "At 20 cases a day" in client.post(protocol, text).content.decode()
    monkeypatch.setattr("reader_study.pages.protocol.MANY", 120)
    assert "At 20 cases a day" in asked(client, protocol)[1]
