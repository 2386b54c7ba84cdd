"""The archive in an object storage, against a real S3 server."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import obstore
import pytest
from django.core.management import call_command
from django.db import connection

from reader_study.actions.cases import site_archive
from reader_study.dicomweb.archive import open_archive
from reader_study.dicomweb.errors import (
    ArchiveUnavailable,
    CannotStore,
    NotInArchive,
    StoredOtherwise,
)
from reader_study.dicomweb.local import LocalArchive
from reader_study.dicomweb.objects import ObjectArchive
from reader_study.dicomweb.search import Search
from reader_study.domain.reading import Stage
from tests.dicomweb.series import SERIES, STUDY, a_series
from tests.factories import a_reading
from tests.objects import S3, an_s3
from tests.stack import database_url

CHECKOUT = Path(__file__).resolve().parents[2]
PLENTY = 1e12


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    yield from an_s3(tmp_path_factory.mktemp("s3"))


@pytest.fixture
def at(s3: S3, tmp_path):
    """Open an archive of this test's own, as another machine each time."""
    prefix = uuid4().hex

    def opened(most_bytes: float = PLENTY) -> ObjectArchive:
        cache = tmp_path / f"cache-{uuid4().hex}"
        archive = open_archive(
            url=s3.url(prefix), token=s3.token, folder=cache, most_bytes=most_bytes
        )
        assert isinstance(archive, ObjectArchive)
        return archive

    return opened


def test_what_one_machine_stores_another_reads_as_from_a_folder(at, tmp_path):
    files = a_series(tmp_path / "in")
    local = LocalArchive(tmp_path / "local")
    assert local.store(STUDY, SERIES, files)

    told = []
    assert at().store(STUDY, SERIES, files, lambda *done: told.append(done))
    archive = at()

    assert told[-1] == (len(files), len(files))
    assert archive.holds(STUDY, SERIES)
    assert archive.series_metadata(STUDY, SERIES) == local.series_metadata(STUDY, SERIES)
    for search in ("search_studies", "search_series", "search_instances"):
        for asked in (Search(), Search({"StudyInstanceUID": STUDY}), Search({"PatientID": "none"})):
            assert getattr(archive, search)(asked) == getattr(local, search)(asked)
    instances = list(local._index(STUDY, SERIES).stored)
    for instance in instances:
        assert archive.frame(STUDY, SERIES, instance) == local.frame(STUDY, SERIES, instance)
        assert archive.instance(STUDY, SERIES, instance) == local.instance(STUDY, SERIES, instance)
    whole = at().folder(STUDY, SERIES)
    assert sorted(path.name for path in whole.glob("*.dcm")) == sorted(
        f"{i}.dcm" for i in instances
    )


def test_what_is_not_there_is_told_from_what_does_not_answer(at, s3, tmp_path):
    archive = at()
    archive.store(STUDY, SERIES, a_series(tmp_path / "in", slices=3))
    for wrong in (("1.2", "1.3", "1.4"), (STUDY, SERIES, "1.4"), ("../..", "x", "y")):
        with pytest.raises(NotInArchive):
            archive.frame(*wrong)
    assert not archive.holds("1.2", "1.3")
    assert archive.search_series(Search({"StudyInstanceUID": "1.2"})) == []

    for url, token in ((s3.url("x"), "reread:wrong"), (
        "s3://images/x?endpoint=http://127.0.0.1:9&region=us-east-1", s3.token
    )):  # fmt: skip
        away = ObjectArchive(url, token, tmp_path / "cache", PLENTY)
        with pytest.raises(ArchiveUnavailable, match="check ARCHIVE_URL, ARCHIVE_TOKEN") as said:
            away.search_studies()
        assert "wrong" not in str(said.value)
        with pytest.raises(CannotStore):
            away.store(STUDY, SERIES, a_series(tmp_path / uuid4().hex, slices=3))


def test_of_imports_at_once_one_is_first_and_the_series_is_one_of_them(at, tmp_path):
    """Eight of one series with two kinds of pixels: whole, of one kind, and the others are told."""
    kinds = [a_series(tmp_path / "one", slices=4), a_series(tmp_path / "two", slices=3)]

    def store(number):
        try:
            return number % 2, at().store(STUDY, SERIES, kinds[number % 2])
        except StoredOtherwise:
            return number % 2, None

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(store, range(8)))

    ((first, _),) = [one for one in said if one[1] is True]
    assert {answer for kind, answer in said if kind == first} == {True, False}
    assert {answer for kind, answer in said if kind != first} == {None}
    archive = at()
    assert len(archive.series_metadata(STUDY, SERIES)) == len(kinds[first])
    assert len(list(archive.folder(STUDY, SERIES).glob("*.dcm"))) == len(kinds[first])


def test_an_import_that_was_cut_off_is_no_series_and_can_be_done_again(at, tmp_path, monkeypatch):
    files = a_series(tmp_path / "in", slices=3)
    archive = at()
    written = ObjectArchive.write

    def dies(self, name, content):
        if name.endswith("index.json"):
            raise KeyboardInterrupt
        return written(self, name, content)

    with monkeypatch.context() as cut:
        cut.setattr(ObjectArchive, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            archive.store(STUDY, SERIES, files)

    assert list(archive.everything())
    assert not archive.holds(STUDY, SERIES)
    assert archive.search_series() == []
    assert not [path for path in archive.root.rglob("*") if path.is_file()]  # nothing staged stays
    assert at().store(STUDY, SERIES, files)


def test_a_damaged_object_is_refused_and_not_kept(at, s3, tmp_path):
    archive = at()
    archive.store(STUDY, SERIES, a_series(tmp_path / "in", slices=3))
    instance = next(iter(archive._index(STUDY, SERIES).stored))
    digest = archive._objects(STUDY, SERIES)[f"{instance}.dcm"]
    content = archive.read(f"{STUDY}/{SERIES}/{digest}")
    assert hashlib.sha256(content).hexdigest() == digest
    obstore.put(archive._store, f"{STUDY}/{SERIES}/{digest}", content[:-1] + b"!")

    for _ in range(2):
        with pytest.raises(ArchiveUnavailable, match="is damaged"):
            archive.frame(STUDY, SERIES, instance)


def test_what_is_kept_here_is_bounded_and_comes_back(at, tmp_path):
    for number in range(1, 5):
        series = f"{SERIES}.{number}"
        at().store(STUDY, series, a_series(tmp_path / series, slices=3, series=series))
    archive = at()
    for number in range(1, 5):
        archive.folder(STUDY, f"{SERIES}.{number}")
        used = archive.root / STUDY / f"{SERIES}.{number}" / ".used"
        os.utime(used, (time.time() - 9000 + number,) * 2)
    size = sum(path.stat().st_size for path in archive.root.rglob("*") if path.is_file())

    archive._shelf.most_bytes = size / 2
    archive._shelf.make_room()

    kept = sum(path.stat().st_size for path in archive.root.rglob("*") if path.is_file())
    assert kept <= size / 2
    assert not (archive.root / STUDY / f"{SERIES}.1").exists()
    (instance, *_) = archive._index(STUDY, f"{SERIES}.1").stored
    assert archive.frame(STUDY, f"{SERIES}.1", instance).data
    # A machine whose disk was emptied knows everything still.
    shutil.rmtree(archive.root)
    assert archive.frame(STUDY, f"{SERIES}.1", instance).data


@pytest.mark.django_db(transaction=True)
def test_a_site_with_its_images_in_a_bucket_is_backed_up_and_brought_into_another(
    s3, tmp_path, settings
):
    settings.ARCHIVE_URL, settings.ARCHIVE_TOKEN = s3.url("first"), s3.token
    settings.ARCHIVE_DIR = tmp_path / "cache"
    reading = a_reading(stage=Stage.UNAIDED)
    site_archive().store(STUDY, SERIES, a_series(tmp_path / "ct", slices=3))
    before = site_archive()
    call_command("backup", str(tmp_path / "backups"))
    (backup,) = (path.parent for path in (tmp_path / "backups").glob("*/manifest.json"))
    name = f"reread_bucket_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f"create database {name}")
    place = {
        **os.environ,
        "DATABASE_URL": database_url().rpartition("/")[0] + f"/{name}",
        "ARCHIVE_DIR": str(tmp_path / "other cache"),
        "ARCHIVE_TOKEN": s3.token,
    }

    def restore(prefix):
        return subprocess.run(
            [sys.executable, "manage.py", "restore", str(backup)],
            cwd=CHECKOUT,
            env={**place, "ARCHIVE_URL": s3.url(prefix)},
            capture_output=True,
            text=True,
            check=False,
        )

    try:
        refused = restore("first")
        done = restore("second")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"drop database {name} with (force)")

    assert "is not empty" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert f"{reading.reader.study.slug}: " in done.stdout
    after = ObjectArchive(s3.url("second"), s3.token, tmp_path / "third", PLENTY)
    assert dict(after.everything()) == dict(before.everything())
    assert after.series_metadata(STUDY, SERIES) == before.series_metadata(STUDY, SERIES)
