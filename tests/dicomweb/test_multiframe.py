"""A CT in one file: taken apart, it is the series that it was made of."""

import warnings
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import EnhancedCTImageStorage, JPEGLSLossless

from reader_study.dicomweb.deidentify import Keys
from reader_study.dicomweb.ingest import look_at
from reader_study.dicomweb.multiframe import slices_of
from reader_study.dicomweb.pixels import decode_dataset, tolerant
from reader_study.dicomweb.profile import Profile
from reader_study.dicomweb.staging import clean_folder
from tests.dicomweb.series import SERIES, STUDY, Edit, a_series, a_slice, noise, setting


def converted(sources: list[Path]) -> Dataset:
    """Let another library put single images into one file, as vendors' converters do."""
    with warnings.catch_warnings(), tolerant():
        warnings.simplefilter("ignore")
        return highdicom.legacy.LegacyConvertedEnhancedCTImage(
            [pydicom.dcmread(path) for path in sources],
            series_instance_uid=f"{STUDY}.7",
            series_number=7,
            sop_instance_uid=f"{STUDY}.7.1",
            instance_number=1,
        )


def enhanced(slices: int = 5) -> FileDataset:
    """An Enhanced CT as a scanner writes it: what all frames share is said once."""
    made = a_slice(0)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    made.NumberOfFrames = slices
    pixels = np.stack([noise(number) for number in range(slices)])
    made.PixelData = pixels.tobytes()
    shared, measures, orientation, values, kind = (Dataset() for _ in range(5))
    measures.PixelSpacing, measures.SliceThickness = made.PixelSpacing, made.SliceThickness
    orientation.ImageOrientationPatient = made.ImageOrientationPatient
    values.RescaleIntercept, values.RescaleSlope, values.RescaleType = -1024, 1, "HU"
    kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    reconstruction = Dataset()
    reconstruction.ConvolutionKernel = "STANDARD"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence, shared.CTImageFrameTypeSequence = [values], [kind]
    shared.CTReconstructionSequence = [reconstruction]
    made.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for number in range(slices):
        own, place = Dataset(), Dataset()
        place.ImagePositionPatient = [-24, -32, 2.5 * (slices - number)]  # from the head
        own.PlanePositionSequence = [place]
        frames.append(own)
    made.PerFrameFunctionalGroupsSequence = frames
    for name in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "RescaleSlope"):
        del made[name]
    del made.RescaleIntercept
    del made.ImagePositionPatient
    return made


def test_what_another_library_has_put_together_is_the_same_series_again(tmp_path: Path) -> None:
    sources = a_series(tmp_path / "single")
    (tmp_path / "one").mkdir()
    pydicom.dcmwrite(tmp_path / "one" / "ct.dcm", converted(sources), enforce_file_format=True)

    (report,) = look_at(tmp_path / "one", slices=tmp_path / "apart").series

    assert not report.refusals
    assert (report.study_uid, report.series_uid) == (STUDY, f"{STUDY}.7")
    assert len(report.files) == len(sources)
    for made, source in zip(
        map(pydicom.dcmread, report.files), map(pydicom.dcmread, sources), strict=True
    ):
        assert_array_equal(decode_dataset(made), decode_dataset(source))
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            assert_allclose(made[name].value, source[name].value)
        for name in ("RescaleSlope", "RescaleIntercept", "FrameOfReferenceUID", "Modality"):
            assert made[name].value == source[name].value


def test_an_enhanced_ct_is_a_file_a_slice_and_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    image = enhanced()
    image.compress(JPEGLSLossless, generate_instance_uid=False)
    pydicom.dcmwrite(tmp_path / "one" / "ct.dcm", image, enforce_file_format=True)

    (report,) = look_at(tmp_path / "one", slices=tmp_path / "apart").series
    (again,) = look_at(tmp_path / "one", slices=tmp_path / "again").series

    assert not report.refusals
    assert report.kernel == "STANDARD"
    assert report.geometry
    assert (report.geometry.slices, report.geometry.slice_mm) == (5, 2.5)
    slices = [pydicom.dcmread(path) for path in report.files]
    for number, one in enumerate(reversed(slices)):  # along the normal; frames were from the head
        assert_array_equal(decode_dataset(one), noise(number))
    assert [one.SOPInstanceUID for one in slices] == [
        pydicom.dcmread(path).SOPInstanceUID for path in again.files
    ]
    assert len({one.SOPInstanceUID for one in slices}) == 5
    assert list(slices[0].ImageType) == ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]


def test_a_ct_in_one_file_is_de_identified_slice_by_slice(tmp_path: Path) -> None:
    for name in ("one", "clean"):
        (tmp_path / name).mkdir()
    image = enhanced()
    image.PerFrameFunctionalGroupsSequence[2].FrameContentSequence = [Dataset()]
    image.PerFrameFunctionalGroupsSequence[2].FrameContentSequence[0].FrameComments = "Jane"
    pydicom.dcmwrite(tmp_path / "one" / "ct.dcm", image, enforce_file_format=True)

    aside = clean_folder(
        tmp_path / "one", tmp_path / "clean", Profile(), Keys(b"x" * 32), tmp_path / "no", None
    )

    assert aside == []
    files = sorted((tmp_path / "clean").iterdir())
    assert len(files) == 5
    for path in files:
        content = path.read_bytes()
        assert b"Jane" not in content
        assert SERIES.encode() not in content


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (setting(NumberOfFrames=7), "says 7 frames and describes 5"),
        (setting(PerFrameFunctionalGroupsSequence=None), "cannot be told apart"),
        (setting(PixelData=b"\0" * 64 * 48 * 2 * 3), "cannot be decoded"),
        (setting(Rows=40_000, Columns=40_000), "more than 4 GB"),
    ],
)
def test_what_cannot_be_taken_apart_is_set_aside(edit: Edit, said: str, tmp_path: Path) -> None:
    image = enhanced()
    edit(image)
    (tmp_path / "one").mkdir()
    pydicom.dcmwrite(tmp_path / "one" / "ct.dcm", image, enforce_file_format=True)

    found = look_at(tmp_path / "one", slices=tmp_path / "apart")

    assert found.series == ()
    assert [one.where for one in found.set_aside] == ["ct.dcm"]
    assert said in found.set_aside[0].detail
    assert not list((tmp_path / "apart").glob("*"))


def test_a_single_image_is_left_as_it_is(tmp_path: Path) -> None:
    (file,) = a_series(tmp_path, slices=1)
    content = file.read_bytes()

    slices = slices_of(content, "000.dcm")

    assert next(iter(slices)) is content  # type: ignore[arg-type]
