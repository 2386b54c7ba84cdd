"""The API of the reading room."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from reader_study.actions.prediction import record_prediction
from reader_study.domain.reading import Stage
from reader_study.models import Event, Nodule
from tests.factories import (
    NOW,
    a_job,
    a_member,
    a_prediction,
    a_protocol,
    a_reading,
    a_study,
    answers_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def room(client):
    """Call the API as the reader of a reading."""

    def call(reading, what, method="post", **data):
        client.force_login(reading.reader.user)
        address = reverse(f"api-{what}", args=[reading.pk])
        return getattr(client, method)(address, data, content_type="application/json")

    return call


def test_a_reading_says_what_the_room_shows(room):
    reading = a_reading(stage=Stage.UNAIDED, nodules=2)

    shown = room(reading, "reading", "get").json()

    assert (shown["stage"], shown["position"], shown["of"]) == ("unaided", 1, 1)
    assert [n["centre_mm"] for n in shown["nodules"]] == [[10.0, -20.0, 30.5], [20.0, -20.0, 30.5]]
    assert [q["name"] for q in shown["questionnaire"]["nodule"]][:2] == [
        "margin_conspicuity",
        "margin",
    ]
    assert shown["shows"] == []
    assert shown["draft"] == {
        "version": 0,
        "key": None,
        "answers": {"case": {}, "nodules": {}},
        "saved_at": None,
    }


def test_a_reading_goes_from_open_to_submitted_over_the_api(room):
    reading = a_reading()
    a_prediction(Nodule.objects.get())

    assert room(reading, "open").json()["stage"] == "unaided"
    answers = answers_of(reading)
    saved = room(reading, "draft", "put", stage="unaided", version=0, answers=answers)
    assert saved.json()["version"] == 1
    locked = room(reading, "lock", answers=answers).json()
    assert (locked["stage"], locked["answers"]["unaided"]) == ("aided", answers)
    ai = room(reading, "ai", "get").json()
    (of_nodule,) = ai["nodules"].values()
    assert of_nodule["score"]["probability"] == 0.73
    assert of_nodule["semantic"]["margin"]["spiculated"] == 0.625
    assert len(of_nodule["saliency"]["planes"]) == 3
    assert ai["model"]["demonstration"] is True
    (similar,) = of_nodule["similar"]
    assert similar["image"] == "data:image/png;base64,iVBORw0KGgo="
    assert (similar["malignant"], similar["distance"]) == (True, 0.2718281828)
    assert of_nodule["score"]["unlike_training"] is True
    assert of_nodule["score"]["wording"] == "probability of malignancy (calibrated)"
    revised = answers_of(reading, malignancy=66)
    done = room(reading, "submit", answers=revised).json()
    assert (done["stage"], done["next"]) == ("submitted", None)
    assert done["answers"] == {"unaided": answers, "aided": revised}


def test_the_ai_shows_only_what_the_condition_names(room):
    study = a_study(
        design={
            "kind": "sequential",
            "stages": [{"stage": "unaided"}, {"stage": "aided", "shows": ["semantic"]}],
        }
    )
    reading = a_reading(stage=Stage.AIDED, study=study)
    a_prediction(Nodule.objects.get())

    response = room(reading, "ai", "get")

    (of_nodule,) = response.json()["nodules"].values()
    assert set(of_nodule) == {"status", "detail", "semantic"}
    assert b"0.73" not in response.content
    assert "calibration" not in response.json()["model"]


def test_a_nodule_the_ai_failed_on_says_so_after_the_lock(room):
    reading = a_reading(stage=Stage.AIDED)
    failure = {"status": "failed", "code": "series_unreadable", "detail": "No images."}
    record_prediction(job_id=a_job(Nodule.objects.get()).pk, message=failure, now=NOW)

    (of_nodule,) = room(reading, "ai", "get").json()["nodules"].values()
    assert of_nodule == {"status": "failed", "detail": "No images."}


@pytest.mark.parametrize("what", ["reading", "ai"])
def test_what_is_not_yours_looks_like_what_does_not_exist(room, client, what):
    theirs, mine = a_reading(stage=Stage.AIDED), a_reading()
    client.force_login(mine.reader.user)

    other = client.get(reverse(f"api-{what}", args=[theirs.pk]))
    missing = client.get(reverse(f"api-{what}", args=[10**9]))

    assert other.status_code == missing.status_code == 404
    assert other.content == missing.content
    heads = [dict(each.headers) for each in (other, missing)]
    assert heads[0].pop("X-Request-ID") != heads[1].pop("X-Request-ID")
    assert heads[0] == heads[1]


def test_before_the_lock_the_ai_answers_as_if_there_were_none(room, client):
    reading = a_reading(stage=Stage.UNAIDED)
    without = room(reading, "ai", "get")
    a_prediction(Nodule.objects.get())

    before = room(reading, "ai", "get")

    assert before.status_code == 404
    assert before.content == without.content
    assert before.content == client.get(reverse("api-ai", args=[10**9])).content


def test_without_a_session_the_answer_is_to_log_in(client):
    response = client.get(reverse("api-reading", args=[1]))

    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"


def test_a_request_of_another_site_is_refused(room):
    reading = a_reading()
    client = Client(enforce_csrf_checks=True)
    client.force_login(reading.reader.user)

    assert client.post(reverse("api-open", args=[reading.pk])).status_code == 403


def test_a_coordinator_has_no_readings(room, client):
    reading = a_reading(stage=Stage.AIDED)
    desk = a_member(reading.reader.study, role="coordinator")
    client.force_login(desk.user)

    assert client.get(reverse("api-reading", args=[reading.pk])).status_code == 404
    assert client.get(reverse("api-ai", args=[reading.pk])).status_code == 404


def test_an_incomplete_form_is_refused_with_its_places(room):
    reading = a_reading(stage=Stage.UNAIDED)

    refused = room(reading, "lock", answers={"case": {}, "nodules": {}})

    assert refused.status_code == 422
    assert refused.json()["code"] == "answers_incomplete"
    assert {"nodule": None, "question": "image_quality"}.items() <= refused.json()["problems"][
        -0
    ].items()


def test_a_stale_draft_is_refused_with_the_version_held(room):
    reading = a_reading(stage=Stage.UNAIDED)
    room(reading, "draft", "put", stage="unaided", version=0, answers=answers_of(reading))

    refused = room(reading, "draft", "put", stage="unaided", version=0, answers={"case": {}})

    assert (refused.status_code, refused.json()["code"]) == (409, "draft_conflict")
    assert refused.json()["version"] == 1


def test_events_are_stored_once(room):
    reading = a_reading(stage=Stage.UNAIDED)
    event = {"key": str(uuid4()), "kind": "first_image", "stage": "unaided", "monotonic_ms": 5}

    assert room(reading, "events", events=[event]).json() == {"stored": 1}
    assert room(reading, "events", events=[event]).status_code == 200
    assert Event.objects.filter(kind="first_image").count() == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b'{"answers": {"case": {"comment": {"value": "\\u0000"}}}}',
        b'{"answers": {"case": {"comment": {"value": "\\ud800"}}}}',
        b'{"answers": {"case": {"comment": {"value": 1e999}}}}',
        b'{"answers": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"answers": null}',
        b'{"answers": 5}',
        b'{"answers": {"nodules": {"x": {"y": {}}}}}',
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("what", ["lock", "submit", "draft", "events"])
def test_a_malformed_request_is_refused_and_never_a_failure(room, client, what, body):
    reading = a_reading(stage=Stage.UNAIDED)
    client.force_login(reading.reader.user)
    method = client.put if what == "draft" else client.post

    address = reverse(f"api-{what}", args=[reading.pk])
    response = method(address, body, content_type="application/json")

    assert 400 <= response.status_code < 500
    assert set(response.json()) >= {"code", "detail"}


def test_a_reading_takes_as_many_queries_with_many_nodules_as_with_one(client):
    small = a_reading(stage=Stage.UNAIDED)
    large = a_reading(stage=Stage.UNAIDED, nodules=9, reader=small.reader)
    client.force_login(small.reader.user)
    counts = []

    for reading in (small, large):
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("api-reading", args=[reading.pk]))
        counts.append(len(queries))

    assert counts[0] == counts[1]


NOTHING: dict[str, dict[str, str]] = {"case": {}, "nodules": {}}


def test_what_readers_wait_for_takes_few_queries(client):
    """Each is a share of the time in which a reading opens or an answer is kept."""
    reading = a_reading()
    answers, page = answers_of(reading), str(uuid4())
    client.force_login(reading.reader.user)

    def event(n):
        told = {"kind": "slice", "stage": "unaided", "monotonic_ms": n, "data": {"page": page}}
        return {"key": str(uuid4()), **told}

    def step(**more):
        return {"answers": answers, "key": str(uuid4()), **more}

    calls = [
        ("reading", "get", None, 4),
        ("api-open", "post", None, 23),
        ("api-open", "post", None, 17),  # and again, as after a reload
        ("api-draft", "put", step(stage="unaided", version=0), 10),
        ("api-draft", "put", step(stage="unaided", version=1, answers=NOTHING), 10),
        ("api-events", "post", {"events": [event(n) for n in range(50)]}, 8),
        ("api-lock", "post", step(version=2), 28),
        ("api-submit", "post", step(), 26),
    ]
    took = []
    for name, method, body, most in calls:
        with CaptureQueriesContext(connection) as queries:
            path = reverse(name, args=[reading.pk])
            answer = getattr(client, method)(path, body, content_type="application/json")
        assert answer.status_code == 200, (name, answer.content)
        took.append((name, len(queries), most))

    assert [each for each in took if each[1] > each[2]] == []


def test_a_condition_reaches_the_room_as_the_protocol_has_it(room):
    form = a_protocol()["questionnaire"]
    form["nodule"][1]["when"] = {"question": "margin_conspicuity", "is": "poorly_marginated"}
    reading = a_reading(stage=Stage.UNAIDED, study=a_study(questionnaire=form))

    first, second, *_ = room(reading, "reading", "get").json()["questionnaire"]["nodule"]

    assert first["when"] is None
    assert second["when"] == {"question": "margin_conspicuity", "is": ["poorly_marginated"]}
