"""The site's worker is killed in the middle of an import; the next one goes on."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from reader_study.actions.imports import LEASE, begin_import, resend_lost_imports, staging
from reader_study.dicomweb.profile import Profile
from reader_study.models import Case, ImportJob, ImportSource, Series, SeriesState
from tests.dicomweb.series import a_series
from tests.factories import a_study, a_user
from tests.stack import Workers, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

EXAMINATIONS = 4
SLICES = 80


def test_a_killed_worker_costs_nothing_and_doubles_nothing(settings, live_server, tmp_path: Path):
    settings.IMPORT_DIR, settings.STAGING_DIR = tmp_path / "server", tmp_path / "incoming"
    settings.ARCHIVE_DIR = tmp_path / "archive"
    for number in range(1, EXAMINATIONS + 1):
        uid = f"1.2.826.0.1.77.{number}"
        folder = settings.IMPORT_DIR / "ct" / str(number)
        a_series(folder, study=uid, series=f"{uid}.1", slices=SLICES)
    workers = Workers(live_server.url, tmp_path)
    for name in ("IMPORT_DIR", "ARCHIVE_DIR", "STAGING_DIR"):
        workers.environment[name] = str(getattr(settings, name))
    try:
        workers.start_site()
        job = begin_import(
            study=a_study(is_open=False),
            source=ImportSource.FOLDER,
            by=a_user(),
            now=timezone.now(),
            profile=Profile(),
            origin="ct",
        )
        some = job.found.filter(state=SeriesState.IMPORTED)
        wait_until(some.exists, "the first series is in", 120)
        workers.kill("site")
        done = some.count()
        assert done < EXAMINATIONS, "the worker was faster than the kill"
        assert staging(job.pk).exists()

        workers.start_site()
        resend_lost_imports(now=timezone.now() + LEASE + timedelta(seconds=1))
        over = ImportJob.objects.filter(pk=job.pk, state="done").exists
        wait_until(over, "the import is done", 180)
    finally:
        workers.stop()

    assert Case.objects.count() == Series.objects.count() == EXAMINATIONS
    assert {one.slices for one in Series.objects.all()} == {SLICES}
    assert not staging(job.pk).exists()
