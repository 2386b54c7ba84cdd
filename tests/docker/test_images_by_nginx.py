"""nginx, as it is configured for a deployment, before a real web server."""

import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from reader_study.actions.cases import site_archive
from reader_study.actions.pseudonyms import pseudonym
from reader_study.domain.reading import Stage
from reader_study.models import Reading, Series
from tests.dicomweb.series import a_series
from tests.factories import a_reading
from tests.nginx import NGINX, Nginx
from tests.server import Server

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx)"),
]


def cookies(client):
    return "; ".join(f"{name}={one.value}" for name, one in client.cookies.items())


def call(address, client=None, shown=""):
    shown = shown or (cookies(client) if client else "")
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, headers={"Cookie": shown}), timeout=30
        ) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers, refusal.read()


def a_reader(**more):
    reading = a_reading(stage=Stage.UNAIDED, **more)
    client = Client()
    client.force_login(reading.reader.user)
    return reading, client


def slices(reading, number=None):
    series = reading.case.series.get()
    uids = [pseudonym(reading, uid) for uid in (series.study_uid, series.series_uid)]
    if number is None:
        return reverse("api-slices", args=[reading.pk, *uids])
    return reverse("api-slice", args=[reading.pk, *uids, number])


def test_images_that_were_shown_come_from_nginx_to_those_who_may_see_them(tmp_path, monkeypatch):
    frames = tmp_path / "frames"
    monkeypatch.setenv("FRAMES_DIR", str(frames))
    reading, client = a_reader()
    series = Series.objects.get()
    files = a_series(tmp_path / "ct", slices=3, study=series.study_uid, series=series.series_uid)
    site_archive().store(series.study_uid, series.series_uid, files)
    another, other_client = a_reader()  # another study, which reads another case
    colleague = Reading.objects.create(
        reader=another.reader, case=reading.case, arm=reading.arm, session=1, position=2,
        stage=Stage.UNAIDED, version=another.version, opened_at=another.opened_at,
    )  # fmt: skip
    server = Server(tmp_path / "web.log")
    try:
        server.start("reader_study.settings")
        nginx = Nginx(tmp_path / "nginx", server.url, frames)
        nginx.start()
        try:
            first = call(nginx.url + slices(reading, 2), client)
            (kept,) = frames.glob("*/2")
            kept.write_bytes(mark := b"from the disk")
            second = call(nginx.url + slices(reading, 2), client)
            shared = call(nginx.url + slices(colleague, 2), other_client)
            foreign = call(nginx.url + slices(reading, 2), other_client)
            nobody = call(nginx.url + slices(reading, 2))
            where = call(nginx.url + slices(reading), client)
            none = call(nginx.url + slices(reading, 99), client)
            before = cookies(client)
            client.logout()
            time.sleep(6)  # what nginx was told holds for five seconds
            afterwards = call(nginx.url + slices(reading, 2), shown=before)
        finally:
            nginx.stop()
    finally:
        server.kill()

    assert (first[0], first[2][:2]) == (200, b"\xff\xd8")
    assert (second[0], second[2]) == (200, mark)
    assert second[1]["Content-Type"] == first[1]["Content-Type"]
    assert second[1]["Cache-Control"] == "private, no-store"
    # One copy for all readers of the case, which each of them is asked for.
    assert shared[2] == mark
    assert (foreign[0], nobody[0], none[0], afterwards[0]) == (404, 401, 404, 401)
    assert where[0] == 404
    key = kept.parent.name
    for _, headers, body in (first, second, shared, foreign, nobody, where, none):
        assert key not in str(headers)
        assert key.encode() not in body
        assert "X-Frames" not in headers
    assert Path(settings.VAR_DIR) not in kept.parents
