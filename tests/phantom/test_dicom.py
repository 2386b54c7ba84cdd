"""Cases as files: what other programs read."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from phantom import FEATURES, demo_cases, volume, write_case, write_nodules_csv

ROWS = 128
REQUIRED = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
    *("PatientBirthDate", "PatientSex", "SeriesNumber", "InstanceNumber", "AcquisitionNumber"),
    *("KVP", "Manufacturer", "ImageType", "PositionReferenceIndicator", "PatientPosition"),
    *("SliceThickness", "RescaleIntercept", "RescaleSlope", "FrameOfReferenceUID"),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    case = demo_cases(1, rows=ROWS)[0]
    return write_case(case, tmp_path_factory.mktemp("phantom") / case.patient_id)


def test_a_series_reads_back_as_the_volume_it_was_made_from(files: list[Path]) -> None:
    case = demo_cases(1, rows=ROWS)[0]
    hu, grid = volume(case)
    images = sorted(map(pydicom.dcmread, files), key=lambda i: float(i.ImagePositionPatient[2]))

    assert len(images) == case.slices >= 60
    for index, image in enumerate(images):
        position = [float(value) for value in image.ImagePositionPatient]
        z = grid.origin[0] + index * grid.spacing[0]
        assert position == pytest.approx([grid.origin[2], grid.origin[1], z], abs=1e-6)
        assert list(image.PixelSpacing) == pytest.approx([case.spacing_mm] * 2)
        read = image.pixel_array.astype(int) * int(image.RescaleSlope) + int(image.RescaleIntercept)
        assert np.array_equal(read, hu[index])
    assert len({image.SOPInstanceUID for image in images}) == case.slices
    assert {image.FrameOfReferenceUID for image in images} == {case.frame_of_reference_uid}
    assert {image.SeriesInstanceUID for image in images} == {case.series_uid}


def test_writing_a_case_again_gives_the_same_bytes(files: list[Path], tmp_path: Path) -> None:
    again = write_case(demo_cases(1, rows=ROWS)[0], tmp_path)

    assert [path.name for path in again] == [path.name for path in files]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(again, files, strict=True))


def test_images_have_what_the_ct_image_definition_asks_for(files: list[Path]) -> None:
    image = pydicom.dcmread(files[0])

    assert image.PatientName == "PHANTOM^01"
    for keyword in REQUIRED:
        assert keyword in image
    assert image.RescaleIntercept == -1024


def test_the_table_of_nodules_has_the_columns_of_an_import(tmp_path: Path) -> None:
    cases = demo_cases(2, rows=ROWS)
    write_nodules_csv(cases, tmp_path / "nodules.csv")

    with (tmp_path / "nodules.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(case.nodules) for case in cases)
    first, placed = rows[0], cases[0].nodules[0]
    assert (first["study"], first["series"]) == (cases[0].study_uid, cases[0].series_uid)
    assert [float(first[axis]) for axis in "xyz"] == list(placed.centre_mm)
    assert float(first["diameter"]) == placed.nodule.diameter_mm
    assert first["reference"] == ("malignant" if placed.nodule.malignant else "benign")
    assert first["reference_source"] == "generated"
    assert {feature: first[feature] for feature in FEATURES} == placed.nodule.features


def test_the_command_refuses_a_place_it_cannot_write_to_in_one_sentence(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")

    done = subprocess.run(
        [sys.executable, "-m", "phantom", str(occupied), "--cases", "1", "--jobs", "1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Cannot write the cases to ")
    assert "Traceback" not in done.stderr
