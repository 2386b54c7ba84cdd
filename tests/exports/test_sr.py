"""Structured reports: valid by two other programs, and in the right place by a third."""

import shutil
import subprocess
from uuid import UUID, uuid4

import numpy as np
import pydicom
import pytest
from django.core.management import call_command
from highdicom import sr

from reader_study.actions.cases import site_archive
from reader_study.actions.reading import lock_unaided, submit
from reader_study.domain.reading import Stage
from reader_study.models import Series
from tests.dicomweb.series import FRAME_OF_REFERENCE, a_series, noise
from tests.factories import NOW, a_mark, a_reading, a_study, free_response

pytestmark = pytest.mark.django_db

# As the series of the tests lies: 48 columns, 64 rows, 12 slices.
GEOMETRY = {
    "first": [-24.0, -32.0, 0.0],
    "axes": [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]],
    "steps_mm": [1.0, 1.0, 2.5],
    "counts": [48, 64, 12],
}
POINT = (3.25, -7.5, 10.0)
CROSS = [[-5.0, 0.0, 10.0], [5.0, 0.0, 10.0], [0.0, -3.0, 10.0], [0.0, 3.0, 10.0]]


def measured(series, nodule, kind, points, **more):
    plane = "axial"
    ids = {"id": str(uuid4()), "series": series.pk, "nodule": nodule}
    return {**ids, "kind": kind, "plane": plane, "points_mm": points, **more}


@pytest.fixture
def read(settings, tmp_path):
    """A reading with a mark and every kind of measurement, locked and revised, with its images."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    reading = a_reading(stage=Stage.UNAIDED, study=a_study(**free_response()))
    series = Series.objects.get()
    Series.objects.update(geometry=GEOMETRY, frame_of_reference_uid=FRAME_OF_REFERENCE)
    files = a_series(tmp_path / "ct", study=series.study_uid, series=series.series_uid)
    site_archive().store(series.study_uid, series.series_uid, files)
    mark = a_mark(reading, POINT)
    lines = [
        measured(series, mark["id"], "bidirectional", CROSS),
        measured(series, mark["id"], "ellipse", CROSS),
        measured(series, None, "length", CROSS[:2]),
        measured(series, None, "arrow", CROSS[:2], text="vessel?"),
    ]
    mark["answers"]["diameter"] = {"value": 8.0, "measurement": lines[0]["id"]}
    who = {"reader": reading.reader.user, "reading_id": reading.pk, "now": NOW}
    lock_unaided(**who, answers={"marks": [mark], "measurements": lines})
    submit(**who, answers={"marks": [mark], "measurements": lines[:1]})
    return reading, mark, lines


@pytest.fixture
def reports(read, tmp_path):
    """The reports of the two stages: file and data set."""
    folder = tmp_path / "sr"
    call_command("export_sr", read[0].reader.study.slug, str(folder))
    files = sorted(folder.iterdir())
    assert len(files) == 2
    return {("unaided" if "unaided" in f.name else "aided"): (f, pydicom.dcmread(f)) for f in files}


@pytest.mark.parametrize("stage", ["unaided", "aided"])
def test_dciodvfy_finds_no_error(reports, stage):
    if shutil.which("dciodvfy") is None:
        pytest.skip("no dciodvfy here (apt-get install dicom3tools)")
    done = subprocess.run(
        ["dciodvfy", str(reports[stage][0])], capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
    assert "Comprehensive3DSR" in said


def test_dcmtk_reads_its_tree(reports):
    if shutil.which("dsrdump") is None:
        pytest.skip("no dsrdump here (apt-get install dcmtk)")
    file, _ = reports["unaided"]
    done = subprocess.run(["dsrdump", str(file)], capture_output=True, text=True, check=True)
    assert "Imaging Measurement Report" in done.stdout
    for part in ("Long axis", "Short axis", "Nodule", "vessel?", "Mark 1", "POINT", "ELLIPSE"):
        assert part in done.stdout


def test_a_mark_is_where_it_was_made_and_measurements_are_what_they_were(read, reports):
    _, mark, lines = read
    _, report = reports["unaided"]
    content = sr.MeasurementReport.from_sequence([report])
    regions = content.get_planar_roi_measurement_groups()
    by_id = {group.tracking_uid: group for group in regions}
    series = Series.objects.get()

    point = by_id[f"2.25.{UUID(mark['id']).int}"]
    assert point.tracking_identifier == "Mark 1"
    np.testing.assert_allclose(point.roi.value, [POINT], atol=1e-4)
    assert point.roi.frame_of_reference_uid == series.frame_of_reference_uid
    rated = {str(m.name.meaning): (m.value, m.unit.value) for m in point.get_measurements()}
    assert rated["Mean diameter"] == (8.0, "mm")
    assert rated["Likelihood of malignancy"] == (60.0, "1")
    (kind,) = point.get_qualitative_evaluations()
    assert kind.value.meaning == "Solid"

    ellipse = by_id[f"2.25.{UUID(lines[1]['id']).int}"]
    found = {
        (str(m.name.meaning), m.derivation and str(m.derivation.meaning)): m.value
        for m in ellipse.get_measurements()
    }
    # Slice 4 lies at z = 10 mm; held against the pixels themselves.
    columns, rows = np.arange(48) - 24.0, np.arange(64) - 32.0
    inside = (columns[None, :] / 5) ** 2 + (rows[:, None] / 3) ** 2 <= 1
    hu = noise(4)[inside] - 1024.0
    assert found["Area", None] == pytest.approx(np.pi * 15, abs=0.05)
    assert found["Attenuation Coefficient", "Mean"] == pytest.approx(hu.mean(), abs=0.06)
    assert found["Attenuation Coefficient", "Standard Deviation"] == pytest.approx(
        hu.std(ddof=1), abs=0.06
    )
    assert found["Attenuation Coefficient", "Minimum"] == hu.min()
    assert found["Attenuation Coefficient", "Maximum"] == hu.max()

    others = {g.tracking_uid: g for g in content.get_image_measurement_groups()}
    axes = others[f"2.25.{UUID(lines[0]['id']).int}"].get_measurements()
    assert [(str(m.name.meaning), m.value) for m in axes] == [
        ("Long axis", 10.0),
        ("Short axis", 6.0),
        ("Diameter", 8.0),
    ]
    # It can be shown on the very image: the archive's own UIDs.
    (seen,) = {
        image.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for each in study.ReferencedSeriesSequence
        for image in each.ReferencedSOPSequence
    }
    assert seen == f"{series.series_uid}.5"
    assert report.StudyInstanceUID == series.study_uid


def test_the_patient_is_a_pseudonym_unless_the_archive_is_asked_for(read, reports, tmp_path):
    reading, *_ = read
    _, report = reports["unaided"]
    assert report.PatientID == reading.case.pseudonym
    assert report.PatientName.family_name == reading.case.pseudonym
    text = reports["unaided"][0].read_bytes()
    assert b"Doe" not in text
    assert b"P-1" not in text
    assert reading.reader.pseudonym.encode() in text
    call_command("export_sr", reading.reader.study.slug, str(tmp_path / "named"), "--as-in-archive")
    named = pydicom.dcmread(next((tmp_path / "named").iterdir()))
    assert (named.PatientID, str(named.PatientName)) == ("P-1", "Doe^Jane")


def test_a_report_is_the_same_at_every_export_and_tracks_its_marks(read, reports, tmp_path):
    again = tmp_path / "again"
    call_command("export_sr", read[0].reader.study.slug, str(again))
    for file, report in reports.values():
        assert pydicom.dcmread(again / file.name).SOPInstanceUID == report.SOPInstanceUID
    one, other = (
        sr.MeasurementReport.from_sequence([report]).get_planar_roi_measurement_groups()
        for _, report in reports.values()
    )
    assert {g.tracking_uid for g in other} & {g.tracking_uid for g in one}


def test_what_was_measured_in_a_prior_is_reported_in_the_study_that_was_read(tmp_path, settings):
    settings.ARCHIVE_DIR = tmp_path / "archive"
    reading = a_reading(stage=Stage.UNAIDED, study=a_study(**free_response()))
    (current,) = Series.objects.all()
    prior = Series.objects.create(
        case=reading.case, study_uid="1.2.3", series_uid="1.2.3.4", slices=12, prior=True
    )
    Series.objects.update(geometry=GEOMETRY, frame_of_reference_uid=FRAME_OF_REFERENCE)
    Series.objects.filter(pk=prior.pk).update(frame_of_reference_uid="1.2.3.9")
    for series in (current, prior):
        folder = tmp_path / series.series_uid
        files = a_series(folder, study=series.study_uid, series=series.series_uid)
        site_archive().store(series.study_uid, series.series_uid, files)
    lock_unaided(
        reader=reading.reader.user,
        reading_id=reading.pk,
        now=NOW,
        answers={"no_finding": True, "measurements": [measured(prior, None, "length", CROSS[:2])]},
    )

    call_command("export_sr", reading.reader.study.slug, str(tmp_path / "sr"))

    (file,) = (tmp_path / "sr").iterdir()
    report = pydicom.dcmread(file)
    assert report.StudyInstanceUID == current.study_uid
    (other,) = report.PertinentOtherEvidenceSequence
    assert other.StudyInstanceUID == "1.2.3"
    frames = [
        item.ReferencedFrameOfReferenceUID
        for item in walk(report.ContentSequence)
        if item.ValueType == "SCOORD3D"
    ]
    assert set(frames) == {"1.2.3.9"}


def walk(items):
    """Every content item of a report, depth first."""
    for item in items:
        yield item
        yield from walk(item.get("ContentSequence", []))
