"""A site is backed up, and brought back into an empty place by another process."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from reader_study.actions.cases import site_archive
from reader_study.domain.reading import Stage
from reader_study.models import Answer, Chain
from tests.dicomweb.series import SERIES, STUDY, a_series
from tests.factories import NOW, a_prediction, a_reading, a_study
from tests.stack import database_url

CHECKOUT = Path(__file__).resolve().parents[2]
COPY = "reread_brought_back"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def empty_place(tmp_path):
    """An empty database and an empty folder, as variables of a process."""
    name = f"{COPY}_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f"create database {name}")
    address = database_url()
    yield {
        **os.environ,
        "DATABASE_URL": address.rpartition("/")[0] + f"/{name}",
        "ARCHIVE_DIR": str(tmp_path / "brought back"),
    }
    with connection.cursor() as cursor:
        cursor.execute(f"drop database {name} with (force)")


def manage(place, *words, **changes):
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=CHECKOUT,
        env={**place, **changes},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def a_site(tmp_path, settings):
    """A study with images, a locked answer and a prediction."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    study = a_study()
    reading = a_reading(study=study, stage=Stage.AIDED)
    a_prediction(reading.case.series.get().nodules.get())
    files = a_series(tmp_path / "ct")
    site_archive().store(STUDY, SERIES, files)
    return study


def backups(folder):
    return sorted(path.parent for path in folder.glob("*/manifest.json"))


def test_a_site_comes_back_whole_in_an_empty_place_and_verifies(a_site, empty_place, tmp_path):
    call_command("backup", str(tmp_path / "backups"))
    (backup,) = backups(tmp_path / "backups")

    done = manage(empty_place, "restore", str(backup))

    assert done.returncode == 0, done.stderr
    head = bytes(Chain.objects.get(study=a_site).head).hex()
    assert head in done.stdout
    again = manage(empty_place, "verify", a_site.slug, "--noted", head)
    assert again.returncode == 0, again.stderr
    with psycopg.connect(empty_place["DATABASE_URL"]) as database:
        rows = database.execute("select answers from reader_study_answer").fetchall()
        with pytest.raises(psycopg.errors.RestrictViolation):
            database.execute("delete from reader_study_answer")
    assert rows == [(Answer.objects.get().answers,)]
    here, there = Path(settings.ARCHIVE_DIR), Path(empty_place["ARCHIVE_DIR"])
    images = [path.relative_to(here) for path in here.rglob("*") if path.is_file()]
    assert len(images) > 5
    assert all((here / name).read_bytes() == (there / name).read_bytes() for name in images)
    # A second one finds something there already, and leaves it alone.
    assert "is not empty" in manage(empty_place, "restore", str(backup)).stderr


def test_a_second_backup_copies_only_new_images(a_site, tmp_path, monkeypatch):
    folder = tmp_path / "backups"
    call_command("backup", str(folder))
    before = {path: path.stat().st_mtime_ns for path in (folder / "images").rglob("*.dcm")}
    site_archive().store(
        "1.2.4", "1.2.4.4", a_series(tmp_path / "more", series="1.2.4.4", study="1.2.4")
    )
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW)

    call_command("backup", str(folder))

    after = {path: path.stat().st_mtime_ns for path in (folder / "images").rglob("*.dcm")}
    assert before
    assert before.items() < after.items()
    first, second = (
        set((one / "images.sha256").read_text().splitlines()) for one in backups(folder)[::-1]
    )
    assert first < second
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", str(backups(folder)[0] / "images.sha256")],
        cwd=folder / "images",
        check=False,
    )
    assert checked.returncode == 0


@pytest.mark.parametrize("what", ["image", "dump", "secret", "no backup"])
def test_what_is_damaged_is_named_and_not_brought_back(a_site, empty_place, tmp_path, what):
    folder = tmp_path / "backups"
    call_command("backup", str(folder))
    (backup,) = backups(folder)
    changes = {}
    if what == "image":
        damaged = next((folder / "images").rglob("*.dcm"))
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
        says = f"{damaged} is damaged"
    elif what == "dump":
        damaged = backup / "database.dump"
        damaged.write_bytes(damaged.read_bytes() + b"!")
        says = f"{damaged} is damaged"
    elif what == "secret":
        changes["SECRET_KEY"] = "another"
        says = "SECRET_KEY is not the one"
    else:
        backup, says = tmp_path / "ct", "is no backup"

    done = manage(empty_place, "restore", str(backup), **changes)

    assert done.returncode == 1
    assert says in done.stderr
    with psycopg.connect(empty_place["DATABASE_URL"]) as database:
        tables = database.execute(sql.SQL("select 1 from pg_tables where schemaname = 'public'"))
        assert tables.fetchall() == []
