"""Before the lock no byte of prediction or truth reaches a reader, by any address.

The walk takes every address the site has from its URL configuration; one that no sample
is known for fails the test, so that a new address cannot be forgotten.
"""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, path, reverse

from reader_study import urls
from reader_study.actions.reference import load_reference
from reader_study.api import readings as api
from reader_study.domain.reading import Stage
from reader_study.models import Nodule, Prediction, Reading
from tests.factories import NOW, a_prediction, a_reading, answers_of

pytestmark = pytest.mark.django_db

SOURCE = "pathology report 4711-secret"
PROBABILITY = 0.731234567
METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
# What ends the stage under test is walked last, and answers with the next stage.
ENDING = {"api-lock", "api-submit"}


def addresses(patterns=None, prefix="") -> Iterator[tuple[str, URLPattern]]:
    """Every address of the site with its pattern."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield prefix + str(pattern.pattern), pattern


def samples(pattern: URLPattern, readings: list[Reading]) -> list[str]:
    """Addresses to try for `pattern`.

    Raises:
        KeyError: it has a part no sample is known for.
    """
    names = pattern.pattern.converters
    reading = readings[0]
    series = reading.case.series.get()
    values = {
        "slug": reading.reader.study.slug,
        "study_uid": series.study_uid,
        "series_uid": series.series_uid,
        "instance_uid": f"{series.series_uid}.1",
        "frames": "1",
        "number": 1,
    }
    if "reading_id" in names:
        several = [{**values, "reading_id": each.pk} for each in readings]
    else:
        several = [values]
    return [
        reverse(pattern.name, kwargs={name: kwargs[name] for name in names}) for kwargs in several
    ]


def secrets() -> list[bytes]:
    """What must not be seen: everything the stored predictions and references say."""
    found = {SOURCE, str(PROBABILITY)}
    for prediction in Prediction.objects.select_related("model_version"):
        bundle = prediction.bundle
        found |= {prediction.bundle_hash, prediction.input_hash, str(prediction.probability_raw)}
        found |= set(map(str, bundle["faithfulness"].values())) | {str(bundle["relevance_scale"])}
        found |= {str(p) for c in bundle["semantic"].values() for p in c.values()}
        found |= {prediction.model_version.card["title"], prediction.model_version.card["notice"]}
    return [text.encode() for text in found]


def leaks(client: Client, readings: list[Reading]) -> list[str]:
    """Call every address by every method; return where something was seen."""
    body = {
        "stage": readings[0].stage,
        "version": 0,
        "answers": {"case": {}, "nodules": {}},
        "events": [
            {"key": str(uuid4()), "kind": "x", "stage": "unaided", "monotonic_ms": 1, "data": {}}
        ],
    }
    hidden, found = secrets(), []
    for route, pattern in addresses():
        for address in samples(pattern, readings):
            if pattern.name == "logout":
                continue  # it would end the walk; it answers with a redirect
            for method in METHODS:
                if method == "post" and pattern.name in ENDING:
                    continue
                call = getattr(client, method)
                more = {} if method in {"get", "head"} else {"content_type": "application/json"}
                data = {} if method in {"get", "head"} else {"data": json.dumps(body)}
                response = call(address, **data, **more)
                content = b"".join(response) if response.streaming else response.content
                seen = (
                    content + str(dict(response.headers)).encode() + response.reason_phrase.encode()
                )
                found += [
                    f"{method.upper()} {route}: {secret.decode()}"
                    for secret in hidden
                    if secret in seen
                ]
    return found


@pytest.fixture
def readings(client):
    """One's own reading, and a colleague's of the same case who has gone on to the AI."""

    def make(stage: Stage) -> list[Reading]:
        mine = a_reading(stage=stage)
        theirs = a_reading(stage=Stage.SUBMITTED, study=mine.reader.study)
        same_case = Reading.objects.create(reader=theirs.reader, case=mine.case, position=9)
        for nodule in Nodule.objects.all():
            a_prediction(nodule, PROBABILITY)
            load_reference(nodule=nodule, malignant=True, source=SOURCE, now=NOW)
        client.force_login(mine.reader.user)
        return [mine, theirs, same_case]

    return make


@pytest.mark.parametrize("stage", [Stage.ASSIGNED, Stage.UNAIDED])
def test_a_reader_sees_nothing_of_ai_or_truth_before_the_lock(client, readings, stage):
    assert leaks(client, readings(stage)) == []


def test_the_walk_sees_the_ai_after_the_lock(client, readings):
    found = leaks(client, readings(Stage.AIDED))

    assert {line.split(": ")[0] for line in found} == {"GET api/readings/<int:reading_id>/ai"}
    assert any(str(PROBABILITY) in line for line in found)
    assert not any(SOURCE in line for line in found)


def test_a_refused_lock_tells_nothing(client, readings):
    reading, *_ = readings(Stage.UNAIDED)
    refused = client.post(
        reverse("api-lock", args=[reading.pk]),
        {"answers": {"case": {}, "nodules": {}}},
        content_type="application/json",
    )

    assert refused.status_code == 422
    assert not [secret for secret in secrets() if secret in refused.content]


def test_locking_itself_brings_no_ai(client, readings):
    reading, *_ = readings(Stage.UNAIDED)
    locked = client.post(
        reverse("api-lock", args=[reading.pk]),
        {"answers": answers_of(reading)},
        content_type="application/json",
    )

    assert locked.json()["stage"] == "aided"
    assert not [secret for secret in secrets() if secret in locked.content]


def test_a_leak_in_a_serializer_is_found(client, readings, monkeypatch):
    honest = api.describe
    monkeypatch.setattr(
        api,
        "describe",
        lambda reading: {**honest(reading), "case": str(Prediction.objects.first().probability)},
    )

    found = leaks(client, readings(Stage.UNAIDED))

    assert f"GET api/readings/<int:reading_id>: {PROBABILITY}" in found


def test_a_leak_in_a_refusal_is_found(client, readings, monkeypatch):
    monkeypatch.setattr("reader_study.api.errors.NOT_FOUND", {"detail": SOURCE})

    found = leaks(client, readings(Stage.UNAIDED))

    assert f"GET api/readings/<int:reading_id>/ai: {SOURCE}" in found


def test_an_address_without_a_sample_fails_the_walk(client, readings, monkeypatch):
    new = path("new/<str:unheard_of>", lambda request, unheard_of: None, name="new")
    monkeypatch.setattr(urls, "urlpatterns", [*urls.urlpatterns, new])

    mine = readings(Stage.UNAIDED)

    with pytest.raises(KeyError, match="unheard_of"):
        [samples(pattern, mine) for _, pattern in addresses(urls.urlpatterns)]
