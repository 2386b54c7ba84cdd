import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import ndimage

from inference.archive import Volume
from inference.errors import PredictionImpossible
from inference.preprocess import SLICINGS, nine_planes, nodule_input, places_of_planes
from inference.resampling import CENTRE, OFFSETS_MM, cube_around
from tests.inference.examples import a_volume

NAMES = [slicing.name for slicing in SLICINGS]


def planes_the_slow_way(hu: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn the whole cube, as the reference does, and take the slices."""
    v = (hu.astype(np.float64).clip(-1000, 500) + 1000) / 1500
    c = 50
    planes = [v[c, :, :], v[:, c, :], v[:, :, c]]
    for axes in ((0, 2), (0, 1), (1, 2)):
        turned = ndimage.rotate(v, 45, axes=axes, reshape=False, order=3, cval=0)
        for axis in axes:
            planes.append(turned.take(c, axis=axis))
    return np.stack([plane[25:75, 25:75] for plane in planes]).clip(0, 1)


def test_nine_planes_are_those_of_the_reference() -> None:
    rng = np.random.default_rng(0)
    cube = ndimage.gaussian_filter(rng.normal(-300, 3000, (100, 100, 100)), 1.5)
    assert_allclose(nine_planes(cube), planes_the_slow_way(cube), atol=2e-5)


def test_outside_the_volume_is_air() -> None:
    volume = a_volume(np.full((40, 40, 40), 100, dtype=np.int16), first_mm=(0, 0, 0))
    cube = cube_around(volume, np.array([0.0, 20.0, 20.0]))
    assert (cube[:, :, : CENTRE - 1] == -1000).all()
    assert (cube[40:60, 40:60, CENTRE:60] == 100).all()
    assert nodule_input(volume, (0, 20, 20)).planes.min() == 0


def field(x: Any, y: Any, z: Any) -> Any:
    """Something smooth that differs in every direction of the patient."""
    return -400 + 4 * x + 150 * np.sin(y / 9) + 100 * np.cos(z / 7 + x / 15)


def sampled(lps_from_index: NDArray[np.float64], shape: tuple[int, int, int]) -> Volume:
    k, j, i = np.indices(shape, dtype=np.float64)
    x, y, z = np.einsum("ab,b...->a...", lps_from_index, np.stack([i, j, k, np.ones(shape)]))[:3]
    return Volume(np.rint(field(x, y, z)).astype(np.int16), lps_from_index, "1", "2", "3")


ORIENTATIONS = {
    "head first": np.diag([0.7, 0.7, 1.2]),
    "rows from left to right": np.diag([-0.7, 0.7, 1.2]),
    "prone, feet first": np.diag([-0.7, -0.7, -1.2]),
    "coronal": np.array([[0.7, 0, 0], [0, 0, 1.2], [0, 0.7, 0]]),
    "oblique": np.array([[0.8, -0.2, 0.1], [0.2, 0.8, 0.2], [-0.1, -0.1, 1.1]]),
    "tilted gantry": np.array([[0.8, 0, 0], [0, 0.8, 0.4], [0, 0, 1.1]]),
    "tilted gantry, slices along the table": np.array([[0.8, 0, 0], [0, 0.7, 0], [0, -0.3, 1.1]]),
    "tilted gantry, sagittal": np.array([[0, 0, 1.2], [0.8, 0, 0], [0.3, -0.7, 0]]),
    "tilted two ways": np.array([[0.8, 0, 0.1], [0, 0.8, 0.3], [0, 0, 1.1]]),
    "a shear in a shear": np.array([[-0.7, 0, 0], [0.1, 0.8, 0], [0.2, 0.3, -1.1]]),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_cube_is_the_same_however_the_series_was_acquired(orientation: str) -> None:
    shape = (90, 130, 130)
    lps_from_index = np.eye(4)
    lps_from_index[:3, :3] = ORIENTATIONS[orientation]
    middle = np.array([65.0, 65.0, 45.0])
    lps_from_index[:3, 3] = [3.0, -8.0, 20.0] - ORIENTATIONS[orientation] @ middle
    cube = cube_around(sampled(lps_from_index, shape), np.array([3.0, -8.0, 20.0]))

    offsets = np.arange(-20, 21)
    z, y, x = np.meshgrid(20 + offsets, -8 + offsets, 3 + offsets, indexing="ij")
    inner = cube[30:71, 30:71, 30:71]
    assert np.abs(inner - field(x, y, z)).max() < 8  # linear interpolation of curved HU


def cube_the_slow_way(volume: Volume, point_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Weigh the eight voxels around every place, one by one."""
    z, y, x = np.meshgrid(*(of + OFFSETS_MM for of in reversed(point_mm)), indexing="ij")
    lps = np.stack([x, y, z, np.ones(x.shape)]).reshape(4, -1)
    places = (np.linalg.inv(volume.lps_from_index) @ lps)[2::-1]
    last = np.array(volume.hu.shape)[:, None] - 1
    inside = ((places > -1e-6) & (places < last + 1e-6)).all(axis=0)
    places = places.clip(0, last)
    below = np.floor(places).astype(int)
    found = np.zeros(places.shape[1])
    for corner in np.ndindex(2, 2, 2):
        at = below + np.array(corner)[:, None]
        weight = (1 - np.abs(places - at)).prod(axis=0)
        found += weight * volume.hu[tuple(at.clip(0, last))]
    cube: NDArray[np.float64] = np.where(inside, found, -1000.0).reshape(z.shape)
    return cube


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("shape", [(90, 130, 130), (30, 90, 150), (2, 40, 40)], ids=str)
def test_the_cube_is_that_of_eight_voxels_around_every_place(
    orientation: str, shape: tuple[int, int, int]
) -> None:
    hu = np.random.default_rng(0).integers(-1000, 32767, shape, dtype=np.int16, endpoint=True)
    lps_from_index = np.eye(4)
    lps_from_index[:3, :3] = ORIENTATIONS[orientation]
    lps_from_index[:3, 3] = [3.1, -8.2, 20.3]
    volume = Volume(hu, lps_from_index, "1", "2", "3")
    for index in (np.array(shape[::-1]) / 2, np.array([0.1, 0.2, 0.3])):
        x, y, z = (float(v) for v in (lps_from_index @ [*index, 1])[:3])
        cube = cube_around(volume, np.array([x, y, z]))
        assert cube.dtype == np.float32
        assert_allclose(cube, cube_the_slow_way(volume, (x, y, z)), atol=0.03)  # of 33,767


def test_left_and_posterior_of_the_patient_are_not_mistaken() -> None:
    hu = np.full((128, 128, 128), -850, dtype=np.int16)
    hu[64, 64, 64 + 12] = 400  # 12 mm to the patient's left
    hu[64, 64 + 6, 64] = 300  # 6 mm posterior
    plane = nodule_input(a_volume(hu), (0, 0, 0)).planes[NAMES.index("axial")]
    assert plane[25, 25 + 12] > 0.9
    assert plane[25 + 6, 25] > 0.8
    assert (plane > 0.5).sum() == 2


def test_a_place_in_ras_is_caught_as_another_place() -> None:
    hu = np.full((128, 128, 128), -850, dtype=np.int16)
    hu[64 + 8, 64 + 6, 64 + 12] = 400
    volume = a_volume(hu)
    there = nodule_input(volume, (12, 6, 8)).planes
    mirrored = nodule_input(volume, (-12, -6, 8)).planes
    assert all(plane[25, 25] > 0.9 for plane in there[:3])
    assert all(plane[25, 25] < 0.2 for plane in mirrored[:3])


@pytest.mark.parametrize("number", range(9), ids=NAMES)
def test_a_bright_spot_lies_in_each_plane_where_its_place_says(number: int) -> None:
    nodule = np.array([4.0, -3.0, 2.0])
    place = places_of_planes(nodule)[number]
    spot = place.centre_mm + 11.0 * place.row - 7.0 * place.column
    grid = np.indices((128, 128, 128))[::-1] - 64.0  # x, y, z in mm
    square = ((grid - spot[:, None, None, None]) ** 2).sum(axis=0)
    hu = np.rint(-850 + 1300 * np.exp(-square / (2 * 2.0**2))).astype(np.int16)
    plane = nodule_input(a_volume(hu), tuple(nodule)).planes[number]

    row, column = np.unravel_index(plane.argmax(), plane.shape)
    # Pixels of 1 mm around the middle of the plane, at 24.5.
    assert abs(column - (24.5 + 11)) <= 0.75
    assert abs(row - (24.5 - 7)) <= 0.75


def test_planes_have_unit_directions_at_right_angles_and_names_of_their_own() -> None:
    places = places_of_planes(np.zeros(3))
    assert [place.name for place in places[:3]] == ["axial", "coronal", "sagittal"]
    assert len({place.name for place in places}) == 9
    for place in places:
        assert_allclose([place.row @ place.row, place.column @ place.column], 1)
        assert_allclose(place.row @ place.column, 0, atol=1e-12)
    normals = np.array([np.cross(place.row, place.column) for place in places])
    assert_allclose(np.abs(normals @ normals.T)[~np.eye(9, dtype=bool)].max(), 0.5**0.5)


def test_a_nodule_near_missing_slices_is_refused_and_one_far_away_is_not() -> None:
    volume = a_volume()
    to_index = np.linalg.inv(volume.lps_from_index)
    centre = volume.lps_from_index @ [*(np.array(volume.hu.shape[::-1]) // 2), 1]
    index, per_mm = (to_index @ centre)[2], np.linalg.norm(to_index[2, :3])
    for apart, refused in ((0, True), (30, True), (36, False)):
        gap = (index + apart * per_mm, index + (apart + 5) * per_mm)
        spoiled = dataclasses.replace(volume, gaps=(gap,))
        x, y, z = centre[:3]
        if not refused:
            nodule_input(spoiled, (x, y, z))
            continue
        with pytest.raises(PredictionImpossible, match=f"missing {apart:.1f} mm from") as refusal:
            nodule_input(spoiled, (x, y, z))
        assert refusal.value.code == "slices_missing"


@pytest.mark.parametrize("point", [(200, 0, 0), (0, 0, -65), (float("nan"), 0, 0)])
def test_a_nodule_outside_the_volume_is_refused(point: tuple[float, float, float]) -> None:
    with pytest.raises(PredictionImpossible, match="lies outside") as refusal:
        nodule_input(a_volume(), point)
    assert refusal.value.code == "nodule_outside_volume"
