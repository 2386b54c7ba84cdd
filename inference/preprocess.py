"""A volume and a point in the patient -> the nine planes the network sees.

The cube is 100 mm wide at 1 mm, axes (z, y, x) along LPS, and the point lies on the voxel
(50, 50, 50). Three planes go through it along the axes and six at 45 degrees. Rotations
turn the cube about its middle, which is half a voxel before the point: the published
weights were trained so, and `Plane` says where each plane really lies.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from inference.archive import AIR_HU, Volume
from inference.errors import PredictionImpossible
from inference.resampling import CENTRE, CUBE, cube_around

MIDDLE = (CUBE - 1) / 2  # the turning point of rotations, and the middle of every plane
PLANE_MM = 50
REACH_MM = PLANE_MM / 2**0.5  # of the planes from the point, whichever way slices lie
LOWEST_HU, HIGHEST_HU = AIR_HU, 500


class Slicing(NamedTuple):
    """One of the nine planes, in array axes (0 = z, 1 = y, 2 = x)."""

    name: str
    turned: tuple[int, int] | None  # the pair of axes turned by 45 degrees, if any
    fixed: int  # the axis, after turning, along which voxel CENTRE is taken


SLICINGS = (
    Slicing("axial", None, 0),
    Slicing("coronal", None, 1),
    Slicing("sagittal", None, 2),
    Slicing("axial+45y", (0, 2), 0),
    Slicing("sagittal+45y", (0, 2), 2),
    Slicing("axial+45x", (0, 1), 0),
    Slicing("coronal+45x", (0, 1), 1),
    Slicing("coronal+45z", (1, 2), 1),
    Slicing("sagittal+45z", (1, 2), 2),
)


@dataclass(frozen=True)
class Plane:
    """Where a plane lies in the patient; LPS, millimetres, unit vectors.

    `row` points to the next column and `column` to the next row, as in DICOM's
    ImageOrientationPatient.
    """

    name: str
    centre_mm: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]


@dataclass(frozen=True)
class NoduleInput:
    """What a network is given, and what explains it afterwards.

    Attributes
    ----------
    planes : float32, shape (9, PLANE_MM, PLANE_MM)
        HU from -1000 to 500 as 0 to 1, one pixel a millimetre.
    places : nine `Plane`
    parenchyma : float
        The lung around the nodule, on the scale of `planes`.
    """

    planes: NDArray[np.float32]
    places: tuple[Plane, ...]
    parenchyma: float


def nodule_input(volume: Volume, nodule_mm: tuple[float, float, float]) -> NoduleInput:
    """Prepare the nodule at `nodule_mm` (LPS millimetres).

    Raises:
        PredictionImpossible: `nodule_outside_volume` or `slices_missing`.
    """
    point = checked_point(volume, nodule_mm)
    cube = cube_around(volume, point)
    return NoduleInput(nine_planes(cube), places_of_planes(point), parenchyma_of(cube))


def checked_point(volume: Volume, nodule_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return the point, (3,) in LPS millimetres, once it is known to lie in the volume.

    Raises:
        PredictionImpossible: `nodule_outside_volume`, or `slices_missing` in what is looked at.
    """
    point = np.array(nodule_mm, dtype=np.float64)
    if not np.isfinite(point).all() or not volume.holds(point):
        where = ", ".join(f"{value:.1f}" for value in point)
        raise PredictionImpossible(
            "nodule_outside_volume",
            f"The nodule at ({where}) mm (LPS) lies outside series {volume.series_uid}.",
        )
    if (apart := volume.gap_mm(point)) <= REACH_MM:
        raise PredictionImpossible(
            "slices_missing",
            f"Slices are missing {apart:.1f} mm from the nodule, within the {PLANE_MM} mm that the "
            f"model looks at, in series {volume.series_uid}.",
        )
    return point


def nine_planes(
    cube: NDArray[np.floating | np.integer], width: int = PLANE_MM
) -> NDArray[np.float32]:
    """Cut the nine planes out of a cube in HU; (9, width, width), from 0 to 1.

    Cubic splines reach beyond the values they pass through, so values are clipped again.
    """
    shade = (cube.astype(np.float32).clip(LOWEST_HU, HIGHEST_HU) - LOWEST_HU) / (
        HIGHEST_HU - LOWEST_HU
    )
    # A coefficient depends on values 14 voxels away by less than 1e-8: no more is filtered.
    reach = min(width // 2 + 1 + 14, CENTRE)
    inner = (slice(CENTRE - reach, CENTRE + reach),) * 3
    coefficients = ndimage.spline_filter(shade[inner], order=3, output=np.float32)
    planes = np.empty((len(SLICINGS), width, width), dtype=np.float32)
    offsets = np.arange(width) - (width - 1) / 2
    for plane, slicing in zip(planes, SLICINGS, strict=True):
        origin, row, column = _in_the_cube(slicing)
        points = (
            origin[:, None, None]
            + row[:, None, None] * offsets
            + column[:, None, None] * offsets[:, None]
        )
        if slicing.turned is None:
            z, y, x = np.rint(points).astype(int)
            plane[:] = shade[z, y, x]
        else:
            ndimage.map_coordinates(
                coefficients,
                points - (CENTRE - reach),
                output=plane,
                order=3,
                mode="nearest",
                prefilter=False,
            )
    return planes.clip(0, 1)


def _in_the_cube(
    slicing: Slicing,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the middle of a plane and its row and column directions, as (z, y, x)."""
    turn = np.eye(3)
    if slicing.turned is not None:
        a, b = slicing.turned
        # As scipy.ndimage.rotate does: from a turned cube's axes to the cube's.
        turn[[a, a, b, b], [a, b, a, b]] = np.array([1, 1, -1, 1]) * np.sqrt(0.5)
    down, right = (axis for axis in range(3) if axis != slicing.fixed)
    origin = np.full(3, MIDDLE) + turn[:, slicing.fixed] * (CENTRE - MIDDLE)
    return origin, turn[:, right], turn[:, down]


def places_of_planes(point_mm: NDArray[np.float64]) -> tuple[Plane, ...]:
    """Say where the nine planes around a point lie in the patient."""
    places = []
    for slicing in SLICINGS:
        origin, row, column = _in_the_cube(slicing)
        centre_mm = point_mm + (origin - CENTRE)[::-1]
        places.append(Plane(slicing.name, centre_mm, row[::-1].copy(), column[::-1].copy()))
    return tuple(places)


def parenchyma_of(cube: NDArray[np.floating | np.integer]) -> float:
    """Return the median of what looks like aerated lung in a cube, on the 0 to 1 scale."""
    lung = cube[(cube > -950) & (cube < -700)]
    hu = float(np.median(lung)) if lung.size > cube.size // 100 else -850.0
    return (hu - LOWEST_HU) / (HIGHEST_HU - LOWEST_HU)


def network_input(
    planes: torch.Tensor, size: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> torch.Tensor:
    """Turn planes (n, h, w) from 0 to 1 into (n, 3, size, size), as the backbone expects."""
    resized = torch.nn.functional.interpolate(
        planes[:, None], (size, size), mode="bilinear", align_corners=False
    )
    return normalised(resized, mean, std)


def normalised(grey: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """Turn grey images (n, 1, h, w) from 0 to 1 into three normalised channels."""
    middle = torch.tensor(mean, device=grey.device)[:, None, None]
    spread = torch.tensor(std, device=grey.device)[:, None, None]
    return (grey - middle) / spread
