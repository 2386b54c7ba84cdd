"""Importing as a job: resumable, cancellable, bounded, and nothing of the patient kept."""

import io
import zipfile
from datetime import timedelta
from pathlib import Path

import pydicom
import pytest

from reader_study.actions import importing
from reader_study.actions.cases import import_cases, import_from_archive, site_archive
from reader_study.actions.importing import run_import
from reader_study.actions.imports import (
    MAX_ATTEMPTS,
    begin_import,
    begin_work,
    cancel_import,
    decide,
    go_on,
    name_files,
    receive,
    resend_lost_imports,
    staging,
)
from reader_study.actions.originals import keys
from reader_study.actions.verification import verify_study
from reader_study.dicomweb import staging as files
from reader_study.dicomweb.profile import Profile
from reader_study.domain.errors import ImportRefused, StudyFrozen
from reader_study.models import (
    Case,
    CaseChange,
    ImportJob,
    ImportSource,
    ImportState,
    Nodule,
    Series,
    SeriesState,
)
from reader_study.models.reference import ReferenceStandard
from tests.dicomweb.series import SERIES, STUDY, a_series, setting
from tests.dicomweb.test_multiframe import enhanced
from tests.factories import NOW, a_study, a_user

pytestmark = pytest.mark.django_db
BURNED_IN = setting(BurnedInAnnotation="YES")
IDENTITY = (b"Doe", b"P-1", b"19500101", b"General Hospital", SERIES.encode())


@pytest.fixture
def study(settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings.ARCHIVE_DIR = tmp_path / "archive"
    settings.STAGING_DIR = tmp_path / "incoming"
    settings.IMPORT_DIR = tmp_path / "server"
    settings.IMPORT_DIR.mkdir()
    monkeypatch.setattr("reader_study.actions.imports.send", lambda job: None)  # no broker here
    monkeypatch.setattr(importing, "send", lambda job: None)
    return a_study(is_open=False)


def begun(study, source=ImportSource.FOLDER, **changes) -> ImportJob:
    said = {"profile": Profile(), "by": a_user(), "now": NOW, "origin": "ct", **changes}
    return begin_import(study=study, source=source, **said)


def run(job: ImportJob) -> ImportJob:
    """Do all of it, as the worker does with one message after the other."""
    for _ in range(50):
        run_import(job_id=job.pk)
        job.refresh_from_db()
        if job.state != ImportState.WAITING:
            break
    return job


def sent(job: ImportJob, content: dict[str, bytes], part: int = 1000) -> None:
    """Send files in parts, as a browser does."""
    listed = name_files(job=job, files=[(path, len(body)) for path, body in content.items()])
    for one in listed:
        at = one.received
        while at < one.size:
            body = content[one.path][at : at + part]
            at = receive(job=job, file_id=one.id, offset=at, content=body).received


def said(job: ImportJob) -> set[tuple[str, str]]:
    return {(one.where, one.code) for one in job.problems.all()}


def stored_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_server_folder_comes_in_without_anything_of_the_patient(study, settings):
    a_series(settings.IMPORT_DIR / "ct" / "deep")
    (settings.IMPORT_DIR / "ct" / "notes.txt").write_text("no image")
    (settings.IMPORT_DIR / "ct" / "link.dcm").symlink_to("/etc/passwd")

    job = run(begun(study))

    assert job.state == ImportState.DONE
    assert (job.done, job.of) == (12, 12)
    assert said(job) >= {("notes.txt", "not_dicom"), ("link.dcm", "unreadable_file")}
    found = job.found.get()
    assert found.state == SeriesState.IMPORTED
    assert found.series is not None
    assert found.series_uid == keys().uid(SERIES) == Series.objects.get().series_uid
    assert Case.objects.get().pseudonym == "Case 001"
    everything = stored_bytes(settings.ARCHIVE_DIR)
    assert not [secret for secret in IDENTITY if secret in everything]
    assert not staging(job.pk).exists()
    assert (settings.IMPORT_DIR / "ct" / "deep" / "000.dcm").exists()

    again = run(begun(study))
    assert again.found.get().said == "imported before as Case 001"
    assert Series.objects.count() == 1


def test_a_ct_in_one_file_comes_in_slice_by_slice(study, settings):
    folder = settings.IMPORT_DIR / "ct"
    folder.mkdir()
    image = enhanced(5)
    pydicom.dcmwrite(folder / "ct.dcm", image, enforce_file_format=True)

    job = run(begun(study))

    assert job.found.get().state == SeriesState.IMPORTED, job.found.get().said
    series = Series.objects.get()
    assert (series.slices, series.geometry["steps_mm"][2]) == (5, 2.5)
    everything = stored_bytes(settings.ARCHIVE_DIR)
    assert not [secret for secret in IDENTITY if secret in everything]
    assert run(begun(study)).found.get().said == "imported before as Case 001"

    # Of its images nobody sees one after the other, as would be needed.
    BURNED_IN(image)
    pydicom.dcmwrite(folder / "ct.dcm", image, enforce_file_format=True)
    doubtful = run(begun(study))
    assert ("ct.dcm", "burned_in") in said(doubtful)
    assert doubtful.found.get().state == SeriesState.REFUSED


def test_a_tilted_series_comes_in_and_what_is_the_matter_is_told(study, settings):
    def shear(image: pydicom.Dataset) -> None:
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, float(y) + 0.3 * float(z), z]

    a_series(settings.IMPORT_DIR / "ct", edit_all=shear)

    job = run(begun(study))

    assert job.found.get().state == SeriesState.IMPORTED
    (told,) = [one.detail for one in job.problems.all() if one.code == "tilted_gantry"]
    assert told == "the gantry was tilted by 16.7 degrees: readers get the axial images alone"


def test_as_they_are_keeps_uids_and_a_list_brings_its_nodules_either_way(study, settings):
    a_series(settings.IMPORT_DIR / "ct")
    lines = f"patient,study,series,nodule,x,y,z,reference\nP-1,{STUDY},{SERIES},N1,0,0,15,benign\n"
    bad = f"P-1,{STUDY},{SERIES},N2,0,0,999,\nP-1,{STUDY},{SERIES},N3,0,zero,0,\n"
    bad += "P-1,1.2,1.3,N4,0,0,0,\n"

    job = run(begun(study, nodules=lines + bad))
    plain = run(begun(study, profile=None, nodules=lines))

    assert said(job) >= {
        ("line 3, nodule N2", "nodule_outside_volume"),
        ("line 4", "bad_number"),
        ("line 5", "unknown_series"),
    }
    assert plain.found.get().series_uid == SERIES
    assert [nodule.label for nodule in Nodule.objects.all()] == ["N1", "N1"]
    assert {nodule.series.series_uid for nodule in Nodule.objects.all()} == {
        SERIES,
        keys().uid(SERIES),
    }


@pytest.mark.parametrize("name", ["..", "../server2", "/etc", "ct/../../x", "out", "a\0b", ""])
def test_no_name_and_no_link_leads_out_of_the_folder_of_imports(study, settings, name):
    (settings.IMPORT_DIR.parent / "server2").mkdir()
    (settings.IMPORT_DIR / "out").symlink_to(settings.IMPORT_DIR.parent / "server2")
    if name:
        with pytest.raises(ImportRefused):
            begun(study, origin=name)
    else:  # all of it, and still nothing behind the link
        a_series(settings.IMPORT_DIR.parent / "server2")
        assert run(begun(study, origin=name)).of == 0


def test_files_are_sent_in_parts_and_go_on_where_they_were_cut_off(study, settings, tmp_path):
    content = {f"ct/{path.name}": path.read_bytes() for path in a_series(tmp_path / "mine")}
    job = begun(study, ImportSource.UPLOAD, origin="ct")
    first = "ct/000.dcm"
    (one,) = name_files(job=job, files=[(first, len(content[first]))])
    receive(job=job, file_id=one.id, offset=0, content=content[first][:700])
    # The answer got lost, and the part comes again; then one that is not the next.
    assert receive(job=job, file_id=one.id, offset=0, content=b"x" * 700).received == 700
    assert receive(job=job, file_id=one.id, offset=900, content=b"x").received == 700
    with pytest.raises(ImportRefused, match="1 files are not here yet"):
        begin_work(job=job, now=NOW)
    (one,) = name_files(job=job, files=[(first, len(content[first]))])
    assert one.received == 700

    sent(job, content)
    job = run(begin_work(job=job, now=NOW))

    assert job.found.get().state == SeriesState.IMPORTED
    assert Series.objects.get().slices == 12
    assert not staging(job.pk).exists()
    with pytest.raises(ImportRefused, match="takes no more files"):
        sent(job, {"more": b"x"})


def test_an_archive_of_files_is_unpacked_within_bounds(study, settings, tmp_path):
    paths = a_series(tmp_path / "mine")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, f"../../{path.name}")
        archive.writestr("zeros", b"\0" * 300_000_000)  # one slice is never so large
    job = begun(study, ImportSource.UPLOAD, origin="a.zip")
    sent(job, {"a.zip": buffer.getvalue()}, part=100_000)

    job = run(begin_work(job=job, now=NOW))

    assert Series.objects.get().slices == 12
    assert ("a.zip/zeros", "too_large") in said(job)
    assert not (tmp_path / "000.dcm").exists()

    settings.IMPORT_GB = 0.0001
    job = begun(study, ImportSource.UPLOAD, origin="b.zip")
    with pytest.raises(ImportRefused, match="at most"):
        name_files(job=job, files=[("c.zip", 200_000)])


def test_a_bomb_of_many_members_stops_the_import_with_its_reason(study, settings):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(str(number), b"\0" * 30_000_000)
    settings.IMPORT_GB = 0.1
    job = begun(study, ImportSource.UPLOAD, origin="bomb.zip")
    sent(job, {"bomb.zip": buffer.getvalue()}, part=1_000_000)

    job = run(begin_work(job=job, now=NOW))

    assert job.state == ImportState.FAILED
    assert "bomb.zip unpacks to more than the 0.1 GB of one import" in job.detail
    assert Series.objects.count() == 0


def test_a_full_disk_stops_the_import_and_it_can_go_on(study, settings, monkeypatch):
    a_series(settings.IMPORT_DIR / "ct")
    monkeypatch.setattr(files, "SPARE_BYTES", 1 << 62)  # more than any disk has
    job = run(begun(study))
    assert job.state == ImportState.FAILED
    assert "Make room there" in job.detail
    assert (Series.objects.count(), Case.objects.count()) == (0, 0)

    monkeypatch.undo()
    monkeypatch.setattr("reader_study.actions.imports.send", lambda job: None)
    job = run(go_on(job=job, now=NOW))
    assert job.state == ImportState.DONE
    assert Series.objects.count() == 1


def test_a_worker_that_died_is_followed_by_one_that_goes_on(study, settings, monkeypatch):
    for number in (1, 2):
        series = f"1.2.826.0.1.{number}.1"
        a_series(settings.IMPORT_DIR / "ct" / str(number), series=series, study=series[:-2])
    job = begun(study)
    monkeypatch.setattr(importing, "TURN_S", 0.0)
    run_import(job_id=job.pk)  # a turn without time: only the headers are read
    job.refresh_from_db()
    assert (job.state, job.found.count(), Series.objects.count()) == (ImportState.WAITING, 2, 0)
    monkeypatch.undo()
    monkeypatch.setattr(importing, "send", lambda job: None)
    monkeypatch.setattr("reader_study.actions.imports.send", lambda job: None)

    class Dead(BaseException):
        pass

    real, calls = importing.import_series, []

    def dies(**given):
        report = real(**given)
        calls.append(given)
        if len(calls) == 1:
            raise Dead  # stored and registered, and never written down
        return report

    monkeypatch.setattr(importing, "import_series", dies)
    with pytest.raises(Dead):
        run_import(job_id=job.pk)
    run_import(job_id=job.pk)  # its lease has not ended
    assert len(calls) == 1
    job.refresh_from_db()
    assert job.state == ImportState.RUNNING
    assert job.lease_until is not None

    assert resend_lost_imports(now=job.lease_until + timedelta(seconds=1)) == 1
    job = run(job)

    assert (job.state, job.done, job.of) == (ImportState.DONE, 24, 24)
    assert Series.objects.count() == 2
    assert sorted(one.said.split(" with ")[0] for one in job.found.all()) == [
        "imported as Case 002",
        "imported before as Case 001",
    ]


def test_an_import_that_kills_its_workers_is_given_up(study, settings):
    job = begun(study, origin="")
    for attempt in range(MAX_ATTEMPTS + 1):
        ImportJob.objects.filter(pk=job.pk).update(state=ImportState.RUNNING)
        resend_lost_imports(now=NOW + timedelta(hours=attempt + 1))
    job.refresh_from_db()
    assert job.state == ImportState.FAILED


def test_a_cancelled_import_stops_at_the_next_file(study, settings, monkeypatch):
    a_series(settings.IMPORT_DIR / "ct")
    job = begun(study)
    monkeypatch.setattr(importing, "BEAT_S", 0.0)
    real = importing.content_of

    def cancelled(path, name):
        cancel_import(job=job, now=NOW)
        return real(path, name)

    monkeypatch.setattr(importing, "content_of", cancelled)
    job = run(job)
    assert job.state == ImportState.CANCELLED
    assert Series.objects.count() == 0
    assert not staging(job.pk).exists()


def test_what_nobody_sends_to_the_end_is_not_kept_for_ever(study, tmp_path, transactional_db):
    job = begun(study, ImportSource.UPLOAD)
    (one,) = name_files(job=job, files=[("a", 10)])
    receive(job=job, file_id=one.id, offset=0, content=b"12345")
    assert resend_lost_imports(now=NOW + timedelta(days=13)) == 0
    assert staging(job.pk).exists()
    resend_lost_imports(now=NOW + timedelta(days=15))
    job.refresh_from_db()
    assert job.state == ImportState.CANCELLED
    assert not staging(job.pk).exists()


@pytest.mark.parametrize("accepted", [True, False])
def test_images_that_may_show_a_name_wait_until_somebody_has_looked(study, settings, accepted):
    a_series(settings.IMPORT_DIR / "ct", edits={3: setting(BurnedInAnnotation="YES")})
    job = run(begun(study))
    held = job.found.get()
    assert (held.state, job.state) == (SeriesState.HELD, ImportState.DONE)
    assert held.doubts == [["burned_in", "says that text is burned into the image", [3]]]
    assert Series.objects.count() == 0

    decide(job=job, series_id=held.pk, shows_nobody=accepted, by=a_user(), now=NOW)
    job = run(job)

    held.refresh_from_db()
    assert held.state == (SeriesState.IMPORTED if accepted else SeriesState.REJECTED)
    assert Series.objects.count() == accepted
    change = CaseChange.objects.get()
    assert change.kind == ("images_accepted" if accepted else "images_rejected")
    assert verify_study(study).counts["case_change"] == 1
    assert not staging(job.pk).exists()
    if accepted:
        folder = site_archive().folder(held.study_uid, held.series_uid)
        marked = {pydicom.dcmread(path).BurnedInAnnotation for path in folder.glob("*.dcm")}
        assert marked == {"NO"}


def test_nothing_is_added_once_the_cases_are_dealt_out(study, settings):
    a_series(settings.IMPORT_DIR / "ct")
    job = begun(study)
    study.allocated_at = NOW
    study.save()
    assert "dealt out" in run(job).detail
    with pytest.raises(StudyFrozen):
        begun(study)


def test_an_earlier_examination_comes_in_as_the_prior_of_its_case(study, settings):
    now, before = "1.2.826.0.7.2", "1.2.826.0.7.1"
    dates = {now: "20200131", before: "20190131"}
    for uid, day in dates.items():
        folder = settings.IMPORT_DIR / "ct" / uid
        a_series(folder, study=uid, series=f"{uid}.1", edit_all=setting(StudyDate=day))
    lines = f"patient,study,series,nodule,x,y,z,prior_of\nP-1,{now},{now}.1,N1,0,0,15,\n"
    lines += f"P-1,{before},,,,,,{now}\n"

    job = run(begun(study, nodules=lines, without_nodules=False))

    assert {code for _, code in said(job)} <= {"covers_little", "nodule_near_edge"}
    case = Case.objects.get()
    assert [(one.prior, one.days_before) for one in case.series.by_examination()] == [
        (False, None),
        (True, 365),
    ]


def test_a_command_brings_the_truth_to_what_was_deidentified(study, settings, tmp_path):
    a_series(settings.IMPORT_DIR / "ct")
    lines = "patient,study,series,nodule,x,y,z,reference,reference_source\n"
    lines += f"P-1,{STUDY},{SERIES},N1,0,0,15,malignant,pathology\n"
    run(begun(study, nodules=lines))
    assert not ReferenceStandard.objects.exists()
    (tmp_path / "list.csv").write_text(lines)

    report = import_from_archive(study=study, nodules=tmp_path / "list.csv", now=NOW)

    assert report.complete
    truth = ReferenceStandard.objects.get()
    assert (truth.malignant, truth.source) == (True, "pathology")
    assert truth.nodule == Nodule.objects.get()


def test_the_command_deidentifies_as_the_desk_does(study, settings, tmp_path):
    a_series(tmp_path / "ct")
    other = "1.2.826.0.5"
    a_series(tmp_path / "ct" / "b", study=other, series=f"{other}.1", edit_all=BURNED_IN)
    lines = "patient,study,series,nodule,x,y,z,reference\n"
    lines += f"P-1,{STUDY},{SERIES},N1,0,0,15,benign\nP-1,{other},{other}.1,N1,0,0,15,\n"
    (tmp_path / "ct" / "list.csv").write_text(lines)

    given = {"folder": tmp_path / "ct", "nodules": tmp_path / "ct" / "list.csv", "now": NOW}
    report = import_cases(study=study, **given, profile=Profile())

    assert any("looked at" in str(one) for one in report.findings.set_aside)
    assert Series.objects.get().series_uid == keys().uid(SERIES)
    assert ReferenceStandard.objects.get().malignant is False
    everything = stored_bytes(settings.ARCHIVE_DIR)
    assert not [secret for secret in IDENTITY if secret in everything]
    assert list(settings.STAGING_DIR.iterdir()) == []
