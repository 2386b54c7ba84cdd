"""Where the slices of a series lie in the patient: LPS millimetres."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]

# Of the slice distance: a volume drawn with equal distances is off by no more than this.
REGULAR_WITHIN = 0.1
# Between the direction in which slices follow each other and their normal.
STRAIGHT_WITHIN_DEGREES = 0.5


class Geometry(NamedTuple):
    """A grid of slices with equal distances.

    The centre of the voxel in column c, row r and slice s lies at
    `first + c * column_mm * along_row + r * row_mm * along_column + s * slice_mm * normal`.
    """

    rows: int
    columns: int
    slices: int
    row_mm: float  # distance between rows
    column_mm: float  # distance between columns
    slice_mm: float  # distance between slices
    first: Vector  # (3,) centre of the first voxel
    along_row: Vector  # (3,) unit vector of increasing column index
    along_column: Vector  # (3,) unit vector of increasing row index
    normal: Vector  # (3,) unit vector of increasing slice index

    @property
    def covers_mm(self) -> float:
        """How much of the patient the slices span, along their normal."""
        return self.slice_mm * (self.slices - 1)

    @property
    def last(self) -> Vector:
        """Place of the first voxel of the last slice."""
        return self.first + self.covers_mm * self.normal

    def volume(self) -> dict[str, list[Any]]:
        """Return it as numbers: the first voxel, and axes, steps and counts of voxels."""
        return {
            "first": self.first.tolist(),
            "axes": [
                self.along_row.tolist(),
                self.along_column.tolist(),
                self.normal.tolist(),
            ],
            "steps_mm": [self.column_mm, self.row_mm, self.slice_mm],
            "counts": [self.columns, self.rows, self.slices],
        }

    def depth_mm(self, point: ArrayLike) -> float:
        """Return how far inside the volume a point lies; negative outside of it.

        The volume ends half a voxel beyond the centres of its outermost voxels.
        """
        offset = np.asarray(point, dtype=np.float64) - self.first
        depths = []
        for axis, step, count in (
            (self.along_row, self.column_mm, self.columns),
            (self.along_column, self.row_mm, self.rows),
            (self.normal, self.slice_mm, self.slices),
        ):
            along = float(offset @ axis)
            depths += [along + step / 2, (count - 0.5) * step - along]
        return min(depths)


def normal_of(orientation: Sequence[float]) -> Vector:
    """Return the unit normal of Image Orientation (Patient), right-handed.

    Raises:
        ValueError: the two vectors are not at right angles and of length 1.
    """
    row, column = np.asarray(orientation, dtype=np.float64).reshape(2, 3)
    if (
        not np.isfinite(orientation).all()
        or abs(row @ column) > 1e-3
        or abs(row @ row - 1) > 1e-2
        or abs(column @ column - 1) > 1e-2
    ):
        raise ValueError("the rows and columns of the image are not at right angles")
    normal = np.cross(row, column)
    return np.asarray(normal / np.linalg.norm(normal), dtype=np.float64)


def gaps(distances_mm: Vector) -> list[tuple[int, int]]:
    """Find where slices are missing: (index of the slice before, how many).

    `distances_mm`, shape (n,), are the distances from each slice to the next. A gap is a
    whole multiple, two or more, of the usual distance.
    """
    usual = float(np.median(distances_mm))
    found = []
    for i, distance in enumerate(distances_mm):
        times = round(distance / usual)
        if times >= 2 and abs(distance - times * usual) <= REGULAR_WITHIN * usual:
            found.append((i, times - 1))
    return found


def is_regular(positions_mm: Vector) -> bool:
    """Tell whether sorted positions, shape (n,), lie near enough to equal distances."""
    even = np.linspace(positions_mm[0], positions_mm[-1], len(positions_mm))
    step = even[1] - even[0]
    return bool(np.abs(positions_mm - even).max() <= REGULAR_WITHIN * step)


def tilt_degrees(places: Vector, normal: Vector) -> float:
    """Return the angle between a stack's direction and the normal of its slices.

    `places`, shape (n, 3), of sorted slices.
    """
    direction = places[-1] - places[0]
    length = float(np.linalg.norm(direction))
    return float(np.degrees(np.arccos(np.clip(abs(direction @ normal) / length, -1, 1))))
