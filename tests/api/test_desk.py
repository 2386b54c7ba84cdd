"""The desk's API: a study from its protocol to its export, with the rules the pages have."""

import csv
import hashlib
import io
import json
import zipfile

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from reader_study.actions.desk import run_desk_task
from reader_study.domain.reading import Stage
from reader_study.models import Access, Role, Study
from tests.factories import (
    DEMONSTRATION,
    NOW,
    PASSWORD,
    a_case,
    a_member,
    a_prediction,
    a_reading,
    a_study,
    a_user,
)
from tests.test_rights import the_site

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client):
    """What calls the API as somebody who coordinates a study of their own."""
    user = a_user(username="desk", password=PASSWORD)
    a_member(a_study(), role=Role.COORDINATOR, user=user)
    client.force_login(user)
    client.user = user
    return client


def say(client, method, address, body=None):
    """Call the API, and return status and content."""
    answer = client.generic(
        method,
        f"/api/v1/{address}",
        "" if body is None else json.dumps(body),
        content_type="application/json",
    )
    return answer.status_code, answer.json()


def test_a_study_is_set_up_from_its_protocol_to_its_opening(desk):
    text = DEMONSTRATION.read_text()
    status, study = say(desk, "POST", "studies", {"name": "pilot", "protocol": text})
    assert (status, study["name"], study["opened_at"]) == (201, "pilot", None)
    assert say(desk, "POST", "studies", {"name": "pilot", "template": "demonstration"})[0] == 409

    _, plan = say(desk, "POST", "studies/pilot/protocol/dry-run", {"per_day": 10})
    assert plan["made_up"]
    wrong = text.replace("kind: sequential", "kind: sequentiel")
    status, refused = say(desk, "PUT", "studies/pilot/protocol", {"text": wrong})
    assert (status, refused["code"]) == (409, "protocol_invalid")
    assert {"place", "detail", "line"} <= set(refused["problems"][0])
    status, amended = say(desk, "PUT", "studies/pilot/protocol", {"text": text + "# noted\n"})
    assert (status, amended["version"]) == (200, 2)

    pilot = Study.objects.get(slug="pilot")
    for _ in range(2):
        a_prediction(a_case(pilot).series.get().nodules.get())
    for name in ("rita", "rolf"):
        invited = {"name": name, "role": "reader", "pseudonym": name.upper()}
        status, added = say(desk, "POST", "studies/pilot/invitations", invited)
        assert (status, "/account/invitation/" in added["link"]) == (201, True)
    status, refused = say(desk, "POST", "studies/pilot/invitations", {"role": "king"})
    assert (status, {p["place"] for p in refused["problems"]}) == (
        400,
        {"name", "role", "pseudonym"},
    )

    assert say(desk, "GET", "studies/pilot/checklist")[1]["can_open"] is False
    assert say(desk, "POST", "studies/pilot/open")[1]["code"] == "study_not_open"
    status, asked = say(desk, "POST", "studies/pilot/allocation", {})
    assert (status, asked["status"]) == (202, "waiting")
    run_desk_task(task_id=asked["id"], now=NOW)  # as the worker does
    _, tasks = say(desk, "GET", "studies/pilot/tasks")
    assert tasks["results"][0]["outcome"]["readings"] == 4
    assert say(desk, "POST", "studies/pilot/open")[1]["opened_at"] is not None
    _, first = say(desk, "GET", "studies/pilot/allocation?limit=3")
    _, rest = say(desk, "GET", "studies/pilot/allocation?limit=3&offset=3")
    assert (first["count"], len(first["results"]), len(rest["results"])) == (4, 3, 1)
    _, progress = say(desk, "GET", "studies/pilot/progress")
    assert progress["of"] == 4
    assert [each["reader"] for each in progress["readers"]] == ["RITA", "ROLF"]
    status, refused = say(desk, "GET", "studies/pilot/cases?limit=9999")
    assert (status, refused["problems"][0]["place"]) == (400, "limit")


def test_what_the_desk_does_to_readings_is_done_by_the_same_rules(desk):
    reading = a_reading(stage=Stage.SUBMITTED)
    study = reading.reader.study
    a_member(study, role=Role.COORDINATOR, user=desk.user)
    named = {"reader": reading.reader.pseudonym, "session": 1, "position": 1, "reason": "misclick"}

    status, unlocked = say(desk, "POST", f"studies/{study.slug}/unlocks", named)
    assert (status, unlocked["reason"]) == (201, "misclick")
    again = say(desk, "POST", f"studies/{study.slug}/unlocks", named)
    assert (again[0], again[1]["code"]) == (409, "unlock_refused")
    assert say(desk, "POST", f"studies/{study.slug}/unlocks", {**named, "position": 9})[0] == 404
    assert say(desk, "GET", f"studies/{study.slug}/unlocks")[1]["count"] == 1
    assert say(desk, "GET", f"studies/{study.slug}/results")[1]["code"] == "results_sealed"

    ending = {"password": "wrong", "statement": "All is done."}
    assert say(desk, "POST", f"studies/{study.slug}/lock", ending)[1]["code"] == "password_wrong"
    status, refused = say(
        desk, "POST", f"studies/{study.slug}/lock", {**ending, "password": PASSWORD}
    )
    assert (status, refused["code"]) == (409, "lock_refused")
    reasons = {each["kind"]: "accepted" for each in refused["open"]}
    status, locked = say(
        desk,
        "POST",
        f"studies/{study.slug}/lock",
        {**ending, "password": PASSWORD, "accepted": reasons},
    )
    assert status == 200
    assert locked["locked_at"] is not None


def test_an_export_that_broke_off_goes_on_unless_something_was_recorded(desk):
    reading = a_reading(stage=Stage.SUBMITTED)
    study = reading.reader.study
    a_member(study, role=Role.COORDINATOR, user=desk.user)
    address = f"/api/v1/studies/{study.slug}/export"

    whole = desk.get(address)
    content = b"".join(whole.streaming_content)
    tag = whole.headers["ETag"]
    rest = desk.get(address, headers={"Range": "bytes=1000-", "If-Range": tag})

    assert tag == f'"{hashlib.sha256(content).hexdigest()}"'
    assert "readings.csv" in zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert rest.status_code == 206
    assert rest.headers["Content-Range"] == f"bytes 1000-{len(content) - 1}/{len(content)}"
    assert b"".join(rest.streaming_content) == content[1000:]
    a_reading(stage=Stage.SUBMITTED, reader=reading.reader)
    changed = desk.get(address, headers={"Range": "bytes=1000-", "If-Range": tag})
    assert changed.status_code == 200
    assert b"".join(changed) != content


def test_the_access_log_says_who_saw_which_case_once_a_minute(desk, client):
    reading = a_reading(stage=Stage.AIDED)
    study = reading.reader.study
    a_member(study, role=Role.COORDINATOR, user=desk.user)
    a_prediction(reading.case.series.get().nodules.get())
    client.force_login(reading.reader.user)
    with the_site():
        for _ in range(3):
            assert client.get(reverse("api-reading", args=[reading.pk])).status_code == 200
        assert client.get(reverse("api-ai", args=[reading.pk])).status_code == 200
    client.force_login(desk.user)
    b"".join(client.get(f"/studies/{study.slug}/export.zip"))

    _, log = say(desk, "GET", f"studies/{study.slug}/accesses")

    seen = {(each["who"], each["what"], each["case"]) for each in log["results"]}
    reader, case = reading.reader.pseudonym, reading.case.pseudonym
    assert {(reader, "answers", case), (reader, "ai", case)} <= seen
    assert any(what == "export" for _, what, _ in seen)
    answers = Access.objects.filter(what="answers")
    assert answers.values("minute").distinct().count() == answers.count()
    text = b"".join(client.get(f"/studies/{study.slug}/accesses.csv")).decode()
    assert len(list(csv.DictReader(io.StringIO(text)))) == log["count"] + 1  # and this download
    assert "answers of a reading" in client.get(f"/studies/{study.slug}/accesses").content.decode()
    for change in ("update reader_study_access set what = 'ai'", "delete from reader_study_access"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
