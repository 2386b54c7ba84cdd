"""Whoever has the archive of a study makes its results again, byte for byte, with nothing else."""

import io
import os
import re
import subprocess
import sys
import zipfile
from datetime import timedelta

import pytest
from django.urls import reverse

from reader_study.actions.computation import compute_results
from reader_study.models import Role
from reader_study.results.archive import pack
from reader_study.results.make import make
from tests.factories import NOW, a_member
from tests.results.locked import a_read_study, lock
from tests.results.simulated import write_archive


def again(archive, folder):
    """Make the results of `archive` again where there is no database and no setting."""
    return subprocess.run(
        [sys.executable, "-m", "reader_study.results", archive, folder],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    tables = write_archive(folder / "tables", "lung_rads", cases=24)
    (folder / "work").mkdir()
    return tables, make(tables, folder / "work", lambda *_: None)


@pytest.fixture(scope="module")
def archive(made, tmp_path_factory):
    target = tmp_path_factory.mktemp("archive") / "study.zip"
    tables, results = made
    with target.open("wb") as file:
        pack(tables, results.files.items(), file)
    return target


def altered(archive, target, name, change):
    """The archive with one file changed, and its checksum with it or not."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry.filename, change(content) if entry.filename == name else content)
    return target


def test_the_archive_of_the_same_study_is_the_same_file(made, archive):
    tables, results = made
    target = io.BytesIO()
    pack(tables, results.files.items(), target)

    assert target.getvalue() == archive.read_bytes()


def test_a_file_that_was_changed_is_named(archive, tmp_path):
    def more(content):
        return content + b" "

    for name in ("tables/readings.csv", "results/report.html"):
        changed = altered(archive, tmp_path / "changed.zip", name, more)
        done = again(changed, tmp_path / "again")
        assert done.returncode == 2
        assert f"{name} is not as it was" in done.stderr


def test_results_that_do_not_follow_from_the_tables_are_named(made, tmp_path):
    tables, results = made
    false = results.files | {"tables/endpoints.csv": b"Endpoint,p\nAUC,0.001\n"}
    with (tmp_path / "false.zip").open("wb") as file:
        pack(tables, false.items(), file)

    done = again(tmp_path / "false.zip", tmp_path / "again")

    assert done.returncode == 1
    assert done.stdout.splitlines() == ["not the same: tables/endpoints.csv"]


def test_the_report_holds_what_was_planned_and_found(made):
    _, results = made
    page = results.files["report.html"].decode()
    text = re.sub(r"<[^>]*>", "", page)

    assert "explained AI minus none" in text
    assert "The mean AUC of 4 readers" in text
    assert "separated by a washout of 28 days" in text
    assert "Obuchowski NA, Rockette HE." in text
    assert all(title in text for title in ("CLAIM", "STARD-AI", "DECIDE-AI", "For the authors."))
    assert results.inputs_hash in text
    assert results.code_hash in text
    # It loads nothing, and every figure says what it shows.
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert (
        page.count("<img")
        == page.count('alt="')
        == len([name for name in results.files if name.endswith(".svg")])
    )
    assert results.files["report.pdf"].startswith(b"%PDF-")


def test_the_archive_holds_the_readings_for_other_programs(made):
    _, results = made
    names = [name for name in results.files if name.startswith("exports/")]
    folders = {name.split("/")[1] for name in names}
    given = {name.split("/")[1] for name in results.files if name.startswith("data/endpoint-")}

    assert {f"{folder}.csv" for folder in folders} == given
    for folder in folders:
        own = {name.rpartition("/")[2] for name in names if f"/{folder}/" in name}
        assert {"readings.imrmc", "readings.parquet", "mrmcaov.csv", "analysis.R"} <= own
        script = results.files[f"exports/{folder}/analysis.R"].decode()
        assert 'read.csv("readings.csv"' in script
        rows = results.files[f"data/{folder}.csv"].decode().splitlines()
        read = [row for row in rows[1:] if row.split(",")[4]]
        imrmc = results.files[f"exports/{folder}/readings.imrmc"].decode().splitlines()
        assert len([row for row in imrmc if row[:6] != "truth," and row.count(",") == 3]) == len(
            read
        )


@pytest.mark.django_db
def test_the_archive_of_a_study_of_the_site_gives_its_results_again(client, tmp_path):
    study = a_read_study(readers=2, cases=6)
    client.force_login(a_member(study, role=Role.INVESTIGATOR).user)
    address = reverse("study-archive", args=[study.slug])
    assert client.get(address).status_code == 404
    lock(study)
    compute_results(study=study, now=NOW + timedelta(days=31))

    target = tmp_path / "study.zip"
    target.write_bytes(b"".join(client.get(address).streaming_content))
    done = again(target, tmp_path / "again")

    assert (done.returncode, done.stderr) == (0, "")
    assert "each the same as in the archive, byte for byte" in done.stdout
    assert study.results.filter(name__startswith="exports/", name__endswith=".xlsx").exists()
    stored = {each.name: bytes(each.content) for each in study.results.all()}
    assert {name: (tmp_path / "again" / name).read_bytes() for name in stored} == stored
    client.force_login(study.members.filter(role=Role.READER).first().user)
    assert client.get(address).status_code == 404
