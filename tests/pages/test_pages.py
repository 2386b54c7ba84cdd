"""The pages of readers and coordinators."""

import io
import re
import zipfile

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from reader_study.domain.reading import Stage
from reader_study.models import Nodule, Role, Study
from tests.factories import (
    PASSWORD,
    a_case,
    a_member,
    a_prediction,
    a_reading,
    a_study,
    a_user,
)

pytestmark = pytest.mark.django_db


def a_desk(study):
    return a_member(study, role=Role.COORDINATOR).user


def test_everybody_is_led_to_their_work(client):
    reading = a_reading()
    study = reading.reader.study
    user = a_user(username="anna", password=PASSWORD)
    a_member(study, role=Role.COORDINATOR, user=user)

    assert client.get("/").headers["Location"] == "/login?next=/"
    login = client.post("/login", {"login": "anna", "password": PASSWORD}, follow=True)
    assert login.redirect_chain[-1][0] == reverse("study", args=[study.slug])
    client.force_login(reading.reader.user)
    assert client.get("/").headers["Location"] == reverse("worklist")


def test_a_wrong_password_says_so_and_keeps_the_name(client):
    page = client.post("/login", {"login": "anna", "password": "x"}).content.decode()

    assert "do not match" in page
    assert 'value="anna"' in page


def test_the_worklist_shows_the_readers_cases_in_their_order(client):
    reading = a_reading(stage=Stage.SUBMITTED)
    second = a_reading(reader=reading.reader)
    foreign = a_reading()
    client.force_login(reading.reader.user)

    page = client.get(reverse("worklist")).content.decode()

    # What is to be read comes first; what is done is folded away below it.
    assert page.index(second.case.pseudonym) < page.index("<summary>Done: 1</summary>")
    assert page.index("<summary>Done: 1</summary>") < page.index(reading.case.pseudonym)
    assert "1 of 2 submitted" in page
    assert "Begin with case 2" in page or "Go on with case 2" in page
    assert foreign.case.pseudonym not in page


def test_a_study_that_is_not_open_offers_no_reading(client):
    reading = a_reading(reader=a_member(a_study(is_open=False)))
    client.force_login(reading.reader.user)

    assert "not open yet" in client.get(reverse("worklist")).content.decode()
    assert client.get(reverse("reading", args=[reading.pk])).status_code == 302


def test_only_its_reader_enters_a_reading_room(client):
    reading, other = a_reading(), a_reading()
    study = reading.reader.study
    for user in (other.reader.user, a_desk(study), a_user(is_superuser=True)):
        client.force_login(user)
        assert client.get(reverse("reading", args=[reading.pk])).status_code == 404


def test_the_desk_is_closed_to_readers_and_strangers(client):
    reading = a_reading()
    study = reading.reader.study
    reader_and_admin = reading.reader.user
    reader_and_admin.is_superuser = True
    reader_and_admin.save()

    for user in (reader_and_admin, a_user(), a_desk(a_study())):
        client.force_login(user)
        assert client.get(reverse("study", args=[study.slug])).status_code == 404
        assert client.get(reverse("study-export", args=[study.slug])).status_code == 404
        assert client.post(reverse("study-open", args=[study.slug])).status_code == 404


def test_the_desk_shows_progress_and_nothing_of_accuracy(client):
    reading = a_reading(stage=Stage.SUBMITTED)
    a_prediction(Nodule.objects.get(), 0.731234567)
    client.force_login(a_desk(reading.reader.study))

    page = client.get(reverse("study", args=[reading.reader.study.slug])).content.decode()

    assert reading.reader.pseudonym in page
    assert "1 of 1 nodules predicted" in page
    assert "0.73" not in page
    assert reading.reader.user.username not in page


def test_the_coordinator_exports(client):
    reading = a_reading(stage=Stage.SUBMITTED)
    client.force_login(a_desk(reading.reader.study))

    response = client.get(reverse("study-export", args=[reading.reader.study.slug]))

    archive = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))
    assert "readings.csv" in archive.namelist()
    assert 'attachment; filename="study-' in response.headers["Content-Disposition"]


def test_a_study_that_lacks_something_says_so_instead_of_opening(client):
    study = a_study(is_open=False)
    client.force_login(a_desk(study))

    page = client.post(reverse("study-open", args=[study.slug]), follow=True).content.decode()

    assert "cannot open yet" in page
    assert Study.objects.get(pk=study.pk).opened_at is None


@pytest.mark.parametrize("name", ["worklist", "study"])
def test_a_page_takes_as_many_queries_for_many_readings_as_for_one(client, name):
    reading = a_reading(stage=Stage.SUBMITTED)
    study = reading.reader.study
    client.force_login(reading.reader.user if name == "worklist" else a_desk(study))
    address = reverse(name, args=[study.slug] if name == "study" else [])

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    queries()
    once = queries()
    for _ in range(5):
        a_reading(reader=reading.reader)
        a_member(study)
        a_case(study)
    assert queries() == once


def test_a_page_says_what_it_may_load(client):
    policy = client.get("/login").headers["Content-Security-Policy"]

    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy


def test_health_tells_nothing_of_any_study(client):
    a_prediction(a_reading().case.series.get().nodules.get())

    assert client.get("/health/live").json() == {"live": True}
    told = client.get("/health/ready").json()
    assert told["ready"] is True
    assert told.keys() <= {"ready", "missing"}


def test_a_service_learns_how_many_predictions_have_ended(client):
    a_prediction(a_reading().case.series.get().nodules.get())

    told = client.get("/health/ready", headers={"Authorization": "Bearer a token of the tests"})

    assert told.json()["predictions"] == {"total": 1, "done": 1}


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.INVESTIGATOR])
def test_every_way_about_the_desk_leads_somewhere_for_whom_it_is_shown(client, role):
    reading = a_reading()
    client.force_login(a_member(reading.reader.study, role).user)
    page = client.get(reverse("study", args=[reading.reader.study.slug])).content.decode()

    nav = page.split('<nav class="desk"')[1].split("</nav>")[0]
    ways = re.findall('href="([^"]+)"', nav)

    assert len(ways) == (10 if role == Role.COORDINATOR else 7)
    assert 'aria-current="page">Overview<' in nav
    assert {client.get(way).status_code for way in ways} == {200}
    assert ("Export readings" in page) == (role == Role.COORDINATOR)
