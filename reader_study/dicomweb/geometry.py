"""Where the slices of a series lie in the patient: LPS millimetres."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]

# Of the slice distance: a volume drawn with equal distances is off by no more than this.
REGULAR_WITHIN = 0.1


# Slices further apart than so many usual distances have others missing between them.
GAP_FROM = 1.5


class Geometry(NamedTuple):
    """A stack of parallel slices: mostly a grid, with equal distances along their normal.

    The centre of the voxel in column c, row r and slice s lies at
    `first + c * column_mm * along_row + r * row_mm * along_column + place(s) * onward`, where
    `place(s)` is `s * slice_mm`, or `places_mm[s]` where distances are not equal. `onward` is
    the normal but where the gantry was tilted.
    """

    rows: int
    columns: int
    slices: int
    row_mm: float  # distance between rows
    column_mm: float  # distance between columns
    slice_mm: float  # distance between slices, along `onward`; the usual one if they differ
    first: Vector  # (3,) centre of the first voxel
    along_row: Vector  # (3,) unit vector of increasing column index
    along_column: Vector  # (3,) unit vector of increasing row index
    normal: Vector  # (3,) unit vector across the slices, towards the next
    onward: Vector  # (3,) unit vector from the first voxel of a slice to that of the next
    places_mm: tuple[float, ...] | None = None  # of the slices along `onward`, from 0

    @property
    def length_mm(self) -> float:
        """From the first to the last slice, along `onward`."""
        return self.places_mm[-1] if self.places_mm else self.slice_mm * (self.slices - 1)

    @property
    def covers_mm(self) -> float:
        """How much of the patient the slices span, along their normal."""
        return self.length_mm * float(self.onward @ self.normal)

    @property
    def last(self) -> Vector:
        """Place of the first voxel of the last slice."""
        return self.first + self.length_mm * self.onward

    def volume(self) -> dict[str, list[Any]]:
        """Return it as numbers: the first voxel, and axes, steps and counts of voxels.

        The third axis goes from slice to slice; `places_mm` is there where distances differ.
        """
        numbers: dict[str, list[Any]] = {
            "first": self.first.tolist(),
            "axes": [
                self.along_row.tolist(),
                self.along_column.tolist(),
                self.onward.tolist(),
            ],
            "steps_mm": [self.column_mm, self.row_mm, self.slice_mm],
            "counts": [self.columns, self.rows, self.slices],
        }
        if self.places_mm is not None:
            numbers["places_mm"] = list(self.places_mm)
        return numbers

    def place_mm(self, point: ArrayLike) -> float:
        """Return where the plane through `point`, parallel to the slices, lies along `onward`."""
        offset = np.asarray(point, dtype=np.float64) - self.first
        return float(offset @ self.normal) / float(self.onward @ self.normal)

    def depth_mm(self, point: ArrayLike) -> float:
        """Return how far inside the volume a point lies; negative outside of it.

        The volume ends half a voxel beyond the centres of its outermost voxels.
        """
        place = self.place_mm(point)
        within = np.asarray(point, dtype=np.float64) - self.first - place * self.onward
        upright = float(self.onward @ self.normal)
        half = self.slice_mm / 2
        depths = [(place + half) * upright, (self.length_mm + half - place) * upright]
        for axis, step, count in (
            (self.along_row, self.column_mm, self.columns),
            (self.along_column, self.row_mm, self.rows),
        ):
            along = float(within @ axis)
            depths += [along + step / 2, (count - 0.5) * step - along]
        return min(depths)

    def gap_at(self, point: ArrayLike) -> float:
        """Return how far apart the slices are between which a point lies, if some are missing.

        In mm along `onward`; 0 where none is missing.
        """
        if self.places_mm is None:
            return 0.0
        after = int(np.searchsorted(self.places_mm, self.place_mm(point)))
        if not 0 < after < self.slices:
            return 0.0
        apart = self.places_mm[after] - self.places_mm[after - 1]
        return apart if apart > GAP_FROM * self.slice_mm else 0.0


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


def is_regular(positions_mm: Vector) -> bool:
    """Tell whether sorted positions, shape (n,), lie near enough to equal distances."""
    if len(positions_mm) < 3:
        return True
    even = np.linspace(positions_mm[0], positions_mm[-1], len(positions_mm))
    step = even[1] - even[0]
    return bool(np.abs(positions_mm - even).max() <= REGULAR_WITHIN * step)


def slots(positions_mm: Vector) -> list[int] | None:
    """Return the place of each slice in an even row in which some may be missing.

    `positions_mm`, shape (n,), sorted and all different. None where no even row fits.
    """
    distances = np.diff(positions_mm)
    usual = float(np.median(distances))
    found = [0, *np.cumsum(np.rint(distances / usual).astype(int)).tolist()]
    step = float(positions_mm[-1] - positions_mm[0]) / found[-1] if found[-1] else 0.0
    off = np.abs(positions_mm - positions_mm[0] - step * np.array(found))
    even = step > 0 and len(set(found)) == len(found) and off.max() <= REGULAR_WITHIN * step
    return found if even else None


def tilt_degrees(onward: Vector, normal: Vector) -> float:
    """Return the angle between the direction from slice to slice and their normal."""
    return float(np.degrees(np.arccos(np.clip(abs(onward @ normal), -1, 1))))
