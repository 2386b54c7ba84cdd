"""Before the lock no byte of prediction or truth reaches a reader, by any address.

The walk takes every address the site has from its URL configuration; one that no sample
is known for fails the test, so that a new address cannot be forgotten.
"""

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, path, reverse

from reader_study import urls
from reader_study.actions.cases import site_archive
from reader_study.actions.pseudonyms import pseudonym
from reader_study.actions.reference import load_reference
from reader_study.api import readings as api
from reader_study.domain.reading import Stage
from reader_study.models import Nodule, Prediction, Reading, Series
from tests.dicomweb.series import a_series
from tests.factories import NOW, a_prediction, a_reading, answers_of

pytestmark = pytest.mark.django_db

# What the headers of the images say of the patient, and where the archive keeps them.
IDENTITY = {"Doe", "P-1", "19500101", "General Hospital", "1.2.3."}
SOURCE = "pathology report 4711-secret"
PROBABILITY = 0.731234567
METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
# What would end the stage, or the session, under test: tested by itself below.
ENDING = {"api-lock", "api-submit", "logout", "account_logout"}


class Address(NamedTuple):
    """One address of the site: its route, its name, and the parts to be filled in."""

    route: str
    name: str
    parts: frozenset[str]


def addresses(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[Address]:
    """Every address below `patterns`."""
    for pattern in patterns:
        route, parts = str(pattern.pattern), frozenset(pattern.pattern.converters)
        if isinstance(pattern, URLResolver):
            for inner in addresses(pattern.url_patterns):
                yield Address(route + inner.route, inner.name, parts | inner.parts)
        else:
            yield Address(route, pattern.name or "", parts)


def samples(address: Address, readings: list[Reading]) -> list[str]:
    """What to call for `address`.

    Raises:
        KeyError: it has a part no sample is known for.
    """
    found = []
    for reading in readings if "reading_id" in address.parts else readings[:1]:
        series = reading.case.series.get()
        uids = [
            series.study_uid,
            series.series_uid,
            f"{series.series_uid}.1",
        ]  # as a_slice names it
        if "reading_id" in address.parts:
            uids = [pseudonym(reading, uid) for uid in uids]
        values = {
            "slug": reading.reader.study.slug,
            "reading_id": reading.pk,
            "study_uid": uids[0],
            "series_uid": uids[1],
            "instance_uid": uids[2],
            "frames": "1",
            "number": 1,
            "frame": 0,
            "session": 1,
            "pk": 1,
            "case_id": reading.case_id,
            "nodule_id": 1,
            "file_id": 1,
            "series_id": 1,
            "uidb64": "MQ",
            "token": "set-password",
            "name": "results.json",
        }
        found.append(reverse(address.name, kwargs={part: values[part] for part in address.parts}))
    return found


def secrets() -> list[bytes]:
    """What must not be seen: what predictions and references say, and who the patient is."""
    found = {SOURCE, str(PROBABILITY), *IDENTITY}
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
    for each in addresses(get_resolver().url_patterns):
        for address in samples(each, readings):
            for method in METHODS:
                if method == "post" and each.name in ENDING:
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
                    f"{method.upper()} {each.route}: {secret.decode()}"
                    for secret in hidden
                    if secret in seen
                ]
    return found


@pytest.fixture
def readings(client, settings, tmp_path):
    """One's own reading, and a colleague's of the same case who has gone on to the AI."""
    settings.ARCHIVE_DIR = tmp_path / "archive"

    def make(stage: Stage) -> list[Reading]:
        mine = a_reading(stage=stage)
        theirs = a_reading(stage=Stage.SUBMITTED, study=mine.reader.study)
        same_case = Reading.objects.create(reader=theirs.reader, case=mine.case, position=9)
        for nodule in Nodule.objects.all():
            a_prediction(nodule, PROBABILITY)
            load_reference(nodule=nodule, malignant=True, source=SOURCE, now=NOW)
        for series in Series.objects.all():
            folder = tmp_path / series.series_uid
            files = a_series(folder, slices=3, study=series.study_uid, series=series.series_uid)
            site_archive().store(series.study_uid, series.series_uid, files)
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


@pytest.mark.parametrize("name", ["api-frame", "api-block"])
def test_the_walk_gets_the_images_of_ones_own_reading_only(client, readings, name):
    mine, theirs, same_case = readings(Stage.UNAIDED)
    frame = next(a for a in addresses(get_resolver().url_patterns) if a.name == name)

    answers = [client.get(address) for address in samples(frame, [mine, theirs, same_case])]

    assert [answer.status_code for answer in answers] == [200, 404, 404]
    assert len(answers[0].content) > 1000


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
        [samples(address, mine) for address in addresses(urls.urlpatterns)]
