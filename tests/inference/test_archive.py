from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, RLELossless

from inference import archive as archive_module
from inference.archive import DicomWebArchive, read_folder, volume_from_slices
from inference.errors import ArchiveUnavailable, PredictionImpossible
from inference.preprocess import nodule_input
from tests.inference.examples import a_series, write_series
from tests.inference.server import Server

RNG = np.random.default_rng(0)
HU = RNG.integers(-900, 300, (6, 10, 8)).astype(np.int16)


def test_a_series_is_read_from_a_folder_in_any_order_and_placed_in_the_patient(
    tmp_path: Path,
) -> None:
    write_series(a_series(HU)[::-1], tmp_path / "ct")
    (tmp_path / "notes.txt").write_text("not DICOM")
    volume = read_folder(tmp_path)

    assert_array_equal(volume.hu, HU)
    # The corner of the last slice: 7 columns, 9 rows and 5 steps of 2.5 mm from the first voxel.
    corner = volume.lps_from_index @ [7, 9, 5, 1]
    assert_allclose(corner[:3], [-20 + 7 * 0.8, -30 + 9 * 0.8, -40 + 5 * 2.5])
    assert_allclose(volume.index_of(corner[:3]), [7, 9, 5])


def test_distance_comes_from_positions_not_from_slice_thickness() -> None:
    volume = volume_from_slices(a_series(HU, spacing_mm=(0.7, 0.7, 1.25), SliceThickness=5))
    assert volume.lps_from_index[2, 2] == 1.25


def test_hounsfield_units_are_rescaled_once_and_padding_is_air() -> None:
    series = a_series(np.where(HU < -800, -3024, HU).astype(np.int16))
    volume = volume_from_slices(series)
    assert_array_equal(volume.hu, np.where(HU < -800, -1000, HU))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless])
def test_compressed_series_are_read_pixel_for_pixel(syntax: str) -> None:
    series = a_series(HU)
    for one in series:
        one.compress(syntax, generate_instance_uid=False)
    assert_array_equal(volume_from_slices(series).hu, HU)


def test_a_tilted_gantry_is_a_shear() -> None:
    series = a_series(HU)
    for number, one in enumerate(series):
        one.ImagePositionPatient = [-20, -30 + 0.5 * number, -40 + 2.5 * number]
    assert_allclose(volume_from_slices(series).lps_from_index[:3, 2], [0, 0.5, 2.5])


def test_where_slices_are_missing_the_others_keep_their_places() -> None:
    flat = np.arange(0, 600, 50, dtype=np.int16)[:, None, None] + np.zeros((1, 10, 8), np.int16)
    series = a_series(flat)
    volume = volume_from_slices(series[:4] + series[7:])

    assert_array_equal(volume.hu, flat)  # a slope is what lies between its ends
    assert_allclose(volume.lps_from_index[:3, 2], [0, 0, 2.5])
    assert volume.gaps == ((3.0, 7.0),)
    corner = np.array([-20, -30, -40])
    for index, apart in ((0, 7.5), (2.5, 1.25), (5, 0), (9, 5)):
        assert volume.gap_mm(corner + [0, 0, 2.5 * index]) == pytest.approx(apart)  # noqa: RUF005
    assert volume_from_slices(series).gap_mm(corner) == np.inf


def test_uneven_slices_are_drawn_where_they_lie() -> None:
    places = [0, 1, 2, 3, 4, 5.2, 6.1, 8, 11]
    series = a_series((np.array(places)[:, None, None] * 100 + np.zeros((1, 10, 8))).astype("i2"))
    for z, one in zip(places, series, strict=True):
        one.ImagePositionPatient = [-20, -30 + 0.2 * z, z]

    volume = volume_from_slices(series)

    assert_allclose(volume.lps_from_index[:3, 2], [0, 0.2, 1])
    assert_allclose(volume.hu[:, 0, 0], np.arange(12) * 100, atol=0.5)
    assert_allclose(volume.gaps, [(6.1, 8), (8, 11)])


def aside(series: list[Dataset]) -> list[Dataset]:
    series[3].ImagePositionPatient = [-24, -30, -40 + 2.5 * 3]
    return series


def twice(series: list[Dataset]) -> list[Dataset]:
    series[3].ImagePositionPatient = series[2].ImagePositionPatient
    return series


def with_a_scout(series: list[Dataset]) -> list[Dataset]:
    series[0].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    return series


def broken(series: list[Dataset]) -> list[Dataset]:
    series[2].compress(JPEGLSLossless, generate_instance_uid=False)
    series[2].PixelData = series[2].PixelData[:40]
    return series


PROBLEMS = {
    "4.0 mm aside of the others": lambda: aside(a_series(HU)),
    "lie at the same place": lambda: twice(a_series(HU)),
    "differ in ImageOrientationPatient": lambda: with_a_scout(a_series(HU)),
    "is of modality PT": lambda: a_series(HU, Modality="PT"),
    "lacks ImagePositionPatient": lambda: a_series(HU, ImagePositionPatient=None),
    "several frames": lambda: a_series(HU, NumberOfFrames=3),
    "has 1 slice": lambda: a_series(HU)[:1],
    "cannot be decoded": lambda: broken(a_series(HU)),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's words on the broken pixels
@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_series_that_is_no_volume_is_refused_in_a_sentence(problem: str) -> None:
    with pytest.raises(PredictionImpossible, match=problem) as refusal:
        volume_from_slices(PROBLEMS[problem]())
    assert refusal.value.code == "series_unreadable"
    assert refusal.value.detail.endswith(".")


def test_a_series_is_fetched_once_for_several_nodules_with_the_service_token(
    server: Server,
) -> None:
    server.serve(a_series(HU))
    archive = DicomWebArchive(server.url, "word")
    first = archive.read_series("1.2", "3.4")

    assert_array_equal(first.hu, HU)
    assert archive.read_series("1.2", "3.4") is first
    assert server.requests == [("/dicomweb/studies/1.2/series/3.4", "Bearer word")]
    archive.read_series("1.2", "3.5")
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "archive_refused"), (403, "archive_refused"), (404, "series_not_found")],
)
def test_what_the_archive_will_never_give_is_impossible(
    server: Server, status: int, code: str
) -> None:
    server.status = status
    with pytest.raises(PredictionImpossible) as refusal:
        DicomWebArchive(server.url, None).read_series("1.2", "3.4")
    assert refusal.value.code == code


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_archive_in_trouble_may_be_asked_again(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(ArchiveUnavailable):
        DicomWebArchive(server.url, None).read_series("1.2", "3.4")
    assert len(server.requests) == 1


def test_an_archive_that_is_not_there_may_be_asked_again(server: Server) -> None:
    server.http.server_close()
    with pytest.raises(ArchiveUnavailable, match="does not answer"):
        DicomWebArchive(server.url, None).read_series("1.2", "3.4")


def test_slices_that_nobody_looks_at_are_never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def noted(one: Dataset) -> Any:
        decoded.append(float(one.ImagePositionPatient[2]))
        return hounsfield(one)

    hounsfield = archive_module._hounsfield
    monkeypatch.setattr(archive_module, "_hounsfield", noted)
    hu = np.random.default_rng(0).integers(-1000, 400, (300, 20, 20)).astype(np.int16)
    series = a_series(hu, spacing_mm=(5, 5, 1), first_mm=(-50, -50, 0))
    whole = volume_from_slices(series)
    assert len(decoded) == 300
    decoded.clear()
    volume = volume_from_slices(series[::-1], whole=False)
    assert not decoded
    for z, new in ((100.0, 100), (140.0, 40), (120.0, 0)):
        found = nodule_input(volume, (1.0, 2.0, z))
        assert_array_equal(found.planes, nodule_input(whole, (1.0, 2.0, z)).planes)
        assert abs(len(decoded) - new) <= 2
        decoded.clear()
    series[250].PixelData = b"\0"
    nodule_input(volume, (1.0, 2.0, 100.0))
    broken = volume_from_slices(series, whole=False)
    nodule_input(broken, (1.0, 2.0, 100.0))
    with pytest.raises(PredictionImpossible, match="cannot be decoded"):
        nodule_input(broken, (1.0, 2.0, 230.0))
