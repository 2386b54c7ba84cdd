"""The check of a running server: gunicorn asked over HTTP, honest and with leaks on purpose."""

import io
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command

from reader_study.actions.cases import site_archive
from reader_study.domain.reading import Stage
from reader_study.models import Nodule, Prediction, Series
from tests.dicomweb.series import a_series
from tests.factories import a_prediction, a_reading
from tests.server import Server

pytestmark = pytest.mark.django_db(transaction=True)


def check(study, server):
    out = io.StringIO()
    try:
        call_command("check_blinding", study.slug, server=server.url, stdout=out)
    except CommandError as error:
        out.write(str(error))
    return out.getvalue().strip().splitlines()


@pytest.fixture
def study(tmp_path):
    reading = a_reading(stage=Stage.UNAIDED)
    series = Series.objects.get()
    files = a_series(tmp_path, slices=3, study=series.study_uid, series=series.series_uid)
    site_archive().store(series.study_uid, series.series_uid, files)
    a_prediction(Nodule.objects.get(), 0.731234567)
    return reading.reader.study


def test_a_running_server_is_asked_over_http(study, tmp_path):
    server = Server(tmp_path / "web.log")
    leak = Path(settings.STATIC_ROOT) / "bundles.json"
    try:
        server.start()
        (said,) = check(study, server)
        assert said.startswith("no leak found:")
        assert "as 1 readers on 1 readings before the AI" in said
        assert not Session.objects.exists()

        server.kill()
        leak.write_text(Prediction.objects.get().bundle_hash)
        server.start("tests.browser.leaky")
        *found, total = check(study, server)
        assert any("GET /api/readings/" in line and "0.731234567" in line for line in found)
        assert any("static file bundles.json" in line for line in found)
        assert "leaks found" in total
    finally:
        server.kill()
        leak.unlink(missing_ok=True)

    with pytest.raises(CommandError, match="does not answer"):
        call_command("check_blinding", study.slug, server=server.url)
