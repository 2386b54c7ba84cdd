"""Hounsfield units of a region, from the frames of a series."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reader_study.dicomweb.archive import Archive
from reader_study.dicomweb.geometry import GAP_FROM
from reader_study.dicomweb.metadata import SOP_UID, value_of

Json = dict[str, Any]


class Grid(NamedTuple):
    """Where voxels lie: of voxel (i, j, k) at `first + i * steps[0] * axes[0] + ...`, LPS mm.

    The third axis need not be at right angles to the others, and `places_mm` says where along
    it slices lie whose distances differ.
    """

    first: ArrayLike  # (3,)
    axes: ArrayLike  # (3, 3), a unit vector a row
    steps_mm: ArrayLike  # (3,)
    counts: ArrayLike  # (3,)
    places_mm: ArrayLike | None = None  # (counts[2],)


class HuStatistics(NamedTuple):
    """Of the voxels whose centres lie in an ellipse; `sd` is that of a sample."""

    mean: float
    sd: float
    min: float
    max: float
    voxels: int


def hu_in_ellipse(
    archive: Archive,
    study: str,
    series: str,
    headers: Sequence[Json],
    grid: Grid,
    points_mm: ArrayLike,
) -> HuStatistics | None:
    """Return the statistics of an ellipse in the slice nearest to it.

    None if it holds no voxel, or reaches over slices that are missing.

    Parameters
    ----------
    headers : of the series, in the order of `grid`'s third axis
    points_mm : (4, 3), the ends of one axis and of the other
    """
    points = np.asarray(points_mm, dtype=np.float64)
    first, axes = np.asarray(grid.first, np.float64), np.asarray(grid.axes, np.float64)
    steps, counts = np.asarray(grid.steps_mm, np.float64), np.asarray(grid.counts)
    middle = points[:2].mean(axis=0)
    half = np.stack([points[1] - middle, points[3] - middle])
    to_axes = np.linalg.inv(axes.T)  # from patient space to mm along the axes
    at, reach = to_axes @ (middle - first), np.linalg.norm(to_axes @ half.T, axis=1)
    places = [np.arange(count) * step for count, step in zip(counts, steps, strict=True)]
    if grid.places_mm is not None:
        places[2] = np.asarray(grid.places_mm, np.float64)
    ranges = []
    for axis in range(3):
        apart = np.abs(places[axis] - at[axis])
        if reach[axis] < 1e-3 * steps[axis]:  # the slice in which it lies is one index thick
            ranges.append(np.flatnonzero(apart == apart.min())[:1])
            if apart.min() > steps[axis] / 2:
                return None
        else:
            ranges.append(np.flatnonzero(apart <= reach[axis]))
    if (np.diff(places[2][ranges[2]]) > GAP_FROM * steps[2]).any():
        return None
    i, j, k = np.meshgrid(*ranges, indexing="ij")
    index = np.stack([i.ravel(), j.ravel(), k.ravel()], axis=1)
    off = first + np.stack([places[n][index[:, n]] for n in range(3)], axis=1) @ axes - middle
    inside = ((off @ half.T / (half**2).sum(axis=1)) ** 2).sum(axis=1) <= 1
    index = index[inside]
    if not len(index):
        return None
    found = np.concatenate(
        [
            _hounsfield(archive, study, series, headers[number])[own[:, 1], own[:, 0]]
            for number in np.unique(index[:, 2])
            if len(own := index[index[:, 2] == number])
        ]
    )
    return HuStatistics(
        float(found.mean()),
        float(found.std(ddof=1)) if len(found) > 1 else 0.0,
        float(found.min()),
        float(found.max()),
        len(found),
    )


def _hounsfield(archive: Archive, study: str, series: str, header: Json) -> NDArray[np.float64]:
    frame = archive.frame(study, series, str(value_of(header, SOP_UID)))
    rows, columns = (int(value_of(header, tag)) for tag in ("00280010", "00280011"))
    signed = int(value_of(header, "00280103") or 0)
    kind = np.dtype("<i2" if signed else "<u2")
    pixels = np.frombuffer(frame.decoded(), dtype=kind).reshape(rows, columns)
    slope = float(value_of(header, "00281053") or 1)
    return pixels * slope + float(value_of(header, "00281052") or 0)
