from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from inference.data.images import DicomFolder, Images, content_hash, read_nifti
from inference.errors import DataUnusable, PredictionImpossible
from tests.inference.data.tables import a_nodule
from tests.inference.examples import a_series, a_volume, write_series
from tests.inference.server import Server

RNG = np.random.default_rng(0)
HU = RNG.integers(-900, 300, (5, 9, 8)).astype(np.int16)


def test_one_folder_may_hold_many_series_and_each_is_found_by_its_uid(tmp_path: Path) -> None:
    for number in range(2):
        series = a_series(HU + number, SeriesInstanceUID=f"1.2.{number}")
        write_series(series, tmp_path / str(number))
    (tmp_path / "notes.txt").write_text("not DICOM")
    images = Images(tmp_path, dicom=tmp_path)
    assert_array_equal(images.volume(a_nodule(series="1.2.1")).hu, HU + 1)
    with pytest.raises(PredictionImpossible, match=r"has no CT series 1\.2\.9"):
        images.volume(a_nodule(series="1.2.9"))
    folder = DicomFolder(tmp_path)
    before = folder.fingerprint("1.2.0")
    write_series(a_series(HU + 7, SeriesInstanceUID="1.2.0"), tmp_path / "0")
    assert folder.fingerprint("1.2.0") != before


def test_a_series_comes_from_a_dicomweb_server_and_is_fetched_once(
    server: Server, tmp_path: Path
) -> None:
    server.serve(a_series(HU))
    images = Images(tmp_path, dicomweb=server.url, token="word")
    first = images.volume(a_nodule(1, study="1.9", series="1.2.3"))
    assert_array_equal(first.hu, HU)
    assert images.volume(a_nodule(2, study="1.9", series="1.2.3")) is first
    assert server.requests == [("/dicomweb/studies/1.9/series/1.2.3", "Bearer word")]


def test_where_series_are_to_be_found_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match="say where they are"):
        Images(tmp_path).volume(a_nodule())


def test_nifti_is_ras_and_the_volume_lps(tmp_path: Path) -> None:
    volume = a_volume(HU, (0.7, 0.8, 2.5), (-20.0, -30.0, -40.0))
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.lps_from_index
    nibabel.save(nibabel.Nifti1Image(HU.transpose(2, 1, 0), ras), tmp_path / "ct.nii.gz")
    found = read_nifti(tmp_path / "ct.nii.gz")
    assert_array_equal(found.hu, HU)
    assert_allclose(found.lps_from_index, volume.lps_from_index, atol=1e-5)
    # The same voxel in the same place of the patient, by way of nibabel's own affine.
    index = np.array([3, 4, 2, 1])
    assert_allclose((found.lps_from_index @ index)[:2], -(ras @ index)[:2], atol=1e-5)

    for text, said in ((b"no volume", "is no NIfTI"), (None, "There is no file")):
        path = tmp_path / f"{said[:5]}.nii"
        if text:
            path.write_bytes(text)
        with pytest.raises(PredictionImpossible, match=said):
            read_nifti(path)


def test_a_volume_is_known_by_its_values_and_its_place() -> None:
    known = content_hash(a_volume(HU))
    assert content_hash(a_volume(HU.copy())) == known
    changed = HU.copy()
    changed[2, 3, 4] += 1
    assert content_hash(a_volume(changed)) != known
    assert content_hash(a_volume(HU, first_mm=(-64, -64, -63))) != known
