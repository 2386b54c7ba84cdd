"""Where voxels lie in the patient, and how tubes (vessels, airways, spicules) fill them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """A box of voxels; every triple is (z, y, x) in LPS millimetres, indices ascend with them.

    Attributes:
        origin: centre of the first voxel.
        spacing: distance between voxel centres; slices are as thick as they are apart.
        shape: number of voxels.
    """

    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]

    def axis(self, axis: int, oversampling: int = 1) -> Floats:
        """Return the coordinates along one axis, each voxel divided into `oversampling` parts."""
        index = (np.arange(self.shape[axis] * oversampling) + 0.5) / oversampling - 0.5
        return (self.origin[axis] + index * self.spacing[axis]).astype(np.float32)

    def box(self, low: Iterable[float], high: Iterable[float]) -> tuple[slice, slice, slice] | None:
        """Return the voxels between two corners, or None when there are none."""
        found = []
        for axis, (first, last) in enumerate(zip(low, high, strict=True)):
            origin, spacing = self.origin[axis], self.spacing[axis]
            start = max(0, int(np.ceil((first - origin) / spacing)))
            stop = min(self.shape[axis], int(np.floor((last - origin) / spacing)) + 1)
            if start >= stop:
                return None
            found.append(slice(start, stop))
        return found[0], found[1], found[2]

    def within(self, box: tuple[slice, slice, slice]) -> "Grid":
        """Return the grid of a box of this grid."""
        begin = [part.start for part in box]
        origin = [o + i * s for o, i, s in zip(self.origin, begin, self.spacing, strict=True)]
        shape = [part.stop - part.start for part in box]
        return Grid((origin[0], origin[1], origin[2]), self.spacing, (shape[0], shape[1], shape[2]))


class Tubes(NamedTuple):
    """Straight pieces with round ends that taper from one radius to another, in millimetres."""

    start: Floats  # (n, 3), zyx
    end: Floats  # (n, 3), zyx
    radius_start: Floats  # (n,)
    radius_end: Floats  # (n,)


def join(parts: list[Tubes]) -> Tubes:
    """Put several sets of tubes into one."""
    return Tubes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def draw_tubes(hu: Floats, grid: Grid, tubes: Tubes, value: float) -> None:
    """Fill tubes with `value` in place, with the partial volume of thick slices.

    Tubes whose boxes are equally large are drawn together, which is what makes thousands of
    vessels affordable.
    """
    if len(tubes.start) == 0:
        return
    spacing = np.array(grid.spacing, np.float32)
    origin = np.array(grid.origin, np.float32)
    blur = 0.9 * max(grid.spacing[1], 0.7)
    reach = (np.maximum(tubes.radius_start, tubes.radius_end) + blur / 2)[:, None] + spacing / 2
    low = np.ceil((np.minimum(tubes.start, tubes.end) - reach - origin) / spacing).astype(int)
    high = np.floor((np.maximum(tubes.start, tubes.end) + reach - origin) / spacing).astype(int)
    size = np.maximum(high - low + 1, 1)
    size = np.where(size <= 6, size + size % 2, -(-size // 4) * 4)  # few different sizes
    visible = ((low + size > 0) & (low < np.array(grid.shape))).all(axis=1)
    coverage = np.zeros(grid.shape, np.float32)
    code = (size[:, 0] * 4096 + size[:, 1]) * 4096 + size[:, 2]
    for kind in np.unique(code[visible]):
        chosen = np.flatnonzero(visible & (code == kind))
        voxels = int(np.prod(size[chosen[0]]))
        for part in np.array_split(chosen, -(-len(chosen) * voxels // 400_000)):
            _cover(coverage, low[part], size[part[0]], tubes, part, grid, blur)
    for plane, covered in zip(hu, coverage, strict=True):
        if covered.any():
            plane += covered * (np.float32(value) - plane)


def _cover(
    coverage: Floats,
    low: NDArray[np.int_],
    size: NDArray[np.int_],
    tubes: Tubes,
    part: NDArray[np.int_],
    grid: Grid,
    blur: float,
) -> None:
    """Raise the covered fraction of every voxel in the boxes of some tubes."""
    start = tubes.start[part]
    along = tubes.end[part] - start
    length2 = np.maximum((along**2).sum(axis=1), 1e-6)
    offsets: list[Floats] = []
    oversampling = 2  # along z only, where a slice is thick
    for axis in range(3):
        n = int(size[axis])
        times = oversampling if axis == 0 else 1
        part_index = (np.arange(n * times) + 0.5) / times - 0.5
        place = grid.origin[axis] + (low[:, axis, None] + part_index) * grid.spacing[axis]
        shape = [len(part), 1, 1, 1]
        shape[axis + 1] = n * times
        offsets.append((place - start[:, axis, None]).astype(np.float32).reshape(shape))
    a = along.reshape(-1, 3, 1, 1, 1)
    dot = offsets[0] * a[:, 0] + offsets[1] * a[:, 1] + offsets[2] * a[:, 2]
    t = np.clip(dot / length2.reshape(-1, 1, 1, 1), 0, 1)
    distance2 = offsets[0] ** 2 + offsets[1] ** 2 + offsets[2] ** 2
    distance2 = distance2 - 2 * t * dot + t * t * length2.reshape(-1, 1, 1, 1)
    first = tubes.radius_start[part].reshape(-1, 1, 1, 1)
    radius = first + t * (tubes.radius_end[part].reshape(-1, 1, 1, 1) - first)
    filled = np.clip((radius - np.sqrt(np.maximum(distance2, 0))) / blur + 0.5, 0, 1)
    filled *= np.minimum(2 * radius / blur, 1)
    filled = filled.reshape(len(part), size[0], oversampling, size[1], size[2]).mean(axis=2)

    places: list[NDArray[np.int_]] = [
        (low[:, axis, None] + np.arange(size[axis])).reshape(
            [len(part)] + [-1 if a == axis else 1 for a in range(3)]
        )
        for axis in range(3)
    ]
    inside = filled > 0
    for voxel, limit in zip(places, grid.shape, strict=True):
        inside &= (voxel >= 0) & (voxel < limit)
    flat = (places[0] * grid.shape[1] + places[1]) * grid.shape[2] + places[2]
    np.maximum.at(coverage.reshape(-1), flat[inside], filled[inside])
