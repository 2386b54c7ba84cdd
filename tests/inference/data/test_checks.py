from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.data.__main__ import main
from inference.data.checks import check_images, check_table, errors, of_volume
from inference.data.images import Images
from tests.inference.data.tables import a_nodule, a_table, written
from tests.inference.examples import a_series, a_volume, write_series
from tests.inference.server import Server

RNG = np.random.default_rng(0)


def a_chest() -> np.ndarray:
    """Air around a body of muscle, with lung in it, (20, 80, 80) in HU."""
    y, x = np.indices((80, 80)) - 39.5
    plane = np.where(np.hypot(y, x) < 38, 40, -1000)
    plane[np.hypot(y, np.abs(x) - 17) < 14] = -860
    hu = np.broadcast_to(plane, (20, 80, 80)) + RNG.normal(0, 12, (20, 80, 80))
    return np.clip(hu, -1000, 3000).astype(np.int16)


CHEST = a_chest()


def codes(hu: np.ndarray) -> set[str]:
    volume = a_volume(np.clip(hu, -1000, 3000).astype(np.int16), (1, 1, 2))
    return {one.code for one in of_volume(volume, "series")}


def test_a_chest_in_hounsfield_units_is_plausible() -> None:
    assert codes(CHEST) == set()


def stripe(hu: np.ndarray) -> np.ndarray:
    changed = hu.copy()
    changed[7] += 1024
    return changed


RESCALED = {
    "no_air": CHEST.astype(int) + 1024,  # as stored: the intercept is missing
    "no_tissue": CHEST.astype(int) - 1024,  # rescaled twice
    "tissue_off": np.where(CHEST > -400, CHEST.astype(int) * 2 + 300, CHEST),
    "rescale_differs": stripe(CHEST.astype(int)),
    "no_lung": np.where(RNG.random(CHEST.shape) < 0.002, -1000, 40),
}


@pytest.mark.parametrize("code", RESCALED)
def test_values_that_are_no_hounsfield_units_are_an_error(code: str) -> None:
    assert code in codes(RESCALED[code])


def test_a_mirrored_series_and_coarse_voxels_are_said() -> None:
    volume = a_volume(CHEST, (1, 1, 5))
    volume.lps_from_index[0, 0] = -1
    assert {one.code for one in of_volume(volume, "series")} == {"mirrored", "coarse"}


def test_patients_in_two_splits_are_an_error_with_their_names() -> None:
    table = a_table(
        a_nodule(1, patient="A", split="train"),
        a_nodule(2, patient="B", split="train"),
        a_nodule(3, patient="A", split="test"),
        a_nodule(4, patient="B", split=""),
    )
    said = [one.text for one in errors(check_table(table))]
    assert said == [
        "patient A is in train (line 2), test (line 4): one is allowed",
        "patient B is in train (line 3), no split (line 5): one is allowed",
    ]


def test_nodules_and_series_that_are_there_twice_are_an_error() -> None:
    table = a_table(
        a_nodule(1, patient="A", series="1.2"),
        a_nodule(2, patient="A", series="1.2", x=2.0),  # half a millimetre away
        a_nodule(3, patient="A", series="1.2", x=12.0),
        a_nodule(4, patient="C", series="1.2", x=60.0),
    )
    found = errors(check_table(table))
    assert [one.code for one in found] == ["shared_series", "duplicate_nodule"]
    assert "A, C" in found[0].text
    assert "line 3 (nodule n2) is the nodule of line 2 again" in found[1].text


def test_images_are_looked_at_and_everything_wrong_is_said_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"spacing_mm": (1.0, 1.0, 2.0), "first_mm": (-40.0, -40.0, -20.0)}
    for uid in ("1.2.1", "1.2.2"):  # the same images under two names
        series = a_series(CHEST, **place, SeriesInstanceUID=uid, FrameOfReferenceUID="1.9")
        write_series(series, tmp_path / "ct" / uid)
    gap = a_series(CHEST, **place, SeriesInstanceUID="1.2.3")
    write_series(gap[:5] + gap[6:], tmp_path / "ct" / "gap")
    at = {"x": 17.0, "y": 0.0, "z": 0.0}
    table = written(
        tmp_path,
        a_nodule(1, **at, split="train", frame_of_reference="1.9"),
        a_nodule(2, **at, split="test", frame_of_reference="1.8"),
        a_nodule(3, **at),
        a_nodule(4, **at, series="1.2.7"),
        a_nodule(5, series="1.2.1", patient="P1", split="train", x=-39.0, y=0.0, z=0.0),
        a_nodule(6, series="1.2.1", patient="P1", split="train", x=45.0, y=0.0, z=0.0),
    )
    assert main(["check", str(table), "--dicom", str(tmp_path / "ct")]) == 1
    said = capsys.readouterr().out
    for sentence in (
        "patients P1 (train, line 2) and P2 (test, line 3) share one image",
        "line 3 (nodule n2): its place is in frame of reference 1.8, the series lies in 1.9",
        "line 4 (nodule n3): slices are missing 8.0 mm from it, within the 50 mm around it",
        "line 5 (nodule n4): The folder",
        "warning: nodules.csv, line 6 (nodule n5): part of the 50 mm around it",
        "line 7 (nodule n6): (45.0, 0.0, 0.0) mm lies outside 1.2.1",
        "5 errors",
    ):
        assert sentence in said


def test_a_place_in_ras_is_named_as_such(tmp_path: Path) -> None:
    series = a_series(CHEST, (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), SeriesInstanceUID="1.2.1")
    write_series(series, tmp_path)
    table = a_table(a_nodule(1, x=-30.0, y=-30.0, z=10.0))
    (found,) = errors(check_images(table, Images(tmp_path, tmp_path)))
    assert found.code == "nodule_outside_volume"
    assert "is it LPS" in found.text


def test_one_crop_under_two_patients_is_an_error(tmp_path: Path) -> None:
    grey = RNG.integers(0, 255, (128, 128)).astype(np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(grey).save(tmp_path / name)
    crop = {"series": "", "x": None, "y": None, "z": None, "spacing_mm": 0.7}
    table = a_table(
        a_nodule(1, image="a.png", **crop),
        a_nodule(2, image="b.png", **crop),
        a_nodule(3, image="gone.png", **crop),
        folder=tmp_path,
    )
    found = errors(check_images(table, Images(tmp_path)))
    assert [one.code for one in found] == ["same_image", "image_missing"]
    assert "P1" in found[0].text
    assert "P2" in found[0].text


def test_series_may_lie_on_a_dicomweb_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "word")
    server.serve(a_series(CHEST, (1.0, 1.0, 2.0), (-40.0, -40.0, -20.0)))
    table = written(tmp_path, a_nodule(1, study="1.1", x=17.0, y=0.0, z=0.0))
    assert main(["check", str(table), "--dicomweb", server.url]) == 0
    assert server.requests == [("/dicomweb/studies/1.1/series/1.2.1", "Bearer word")]
    server.status = 404
    assert main(["check", str(table), "--dicomweb", server.url]) == 1
