"""A volume and a point in the patient -> a cube of 1 mm voxels along the patient's axes.

Linear interpolation in three directions is three interpolations in one, wherever the directions
can be taken one after the other. They can along the axes of the patient, and with a tilted gantry,
where only one of the three places depends on two axes. What is left, a series turned about two
axes or more, is interpolated in all three directions at once.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from inference.archive import AIR_HU, Volume

CUBE = 100  # voxels of 1 mm along each edge
CENTRE = CUBE // 2  # the voxel that holds the point
OFFSETS_MM = np.arange(CUBE) - CENTRE
NEGLIGIBLE = 1e-7  # of a step along another axis: less than 1e-5 voxels at the cube's edge
EDGE = 1e-6  # voxels beyond the outermost centres that rounding may cost
LAYERS = 5  # of the cube at once

Order = list[tuple[int, int]]  # (axis of the volume, axis of the cube)


def cube_around(volume: Volume, point_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Resample the 100 mm cube around a point, linearly; outside the volume is air.

    Returns HU, shape (100, 100, 100), axes (z, y, x) along LPS.
    """
    index_from_lps = np.linalg.inv(volume.lps_from_index).astype(np.float64)
    # Array axes are the other way round: (slice, row, column) from (z, y, x).
    start = (index_from_lps[:3, :3] @ point_mm + index_from_lps[:3, 3])[::-1]
    steps = index_from_lps[:3, :3][::-1, ::-1]
    depends = np.abs(steps) > NEGLIGIBLE * np.abs(steps).max()
    order = one_after_the_other(depends, np.abs(steps).sum(axis=1))
    if order is None:
        return _all_at_once(volume, start, steps)
    return _in_order(volume, start, np.where(depends, steps, 0), order)


def one_after_the_other(depends: NDArray[np.bool_], extent: NDArray[np.float64]) -> Order | None:
    """Find an order in which the volume's axes become the cube's.

    An axis of the volume can be resampled once all axes of the cube that its places depend on,
    but one, are there. The longest goes first, which leaves least to do for the others.

    Parameters
    ----------
    depends : bool, shape (3, 3)
        Whether places along an axis of the volume depend on an axis of the cube.
    extent : shape (3,)
        How much of each axis of the volume the cube needs.

    Returns
    -------
    None where there is no such order.
    """
    order: Order = []
    while len(order) < 3:
        there = [of_cube for _, of_cube in order]
        missing = depends.copy()
        missing[:, there] = False
        ready = [
            axis
            for axis in np.argsort(-extent, kind="stable").tolist()
            if axis not in [of_volume for of_volume, _ in order] and missing[axis].sum() == 1
        ]
        if not ready:
            return None
        order.append((ready[0], int(missing[ready[0]].argmax())))
    return order


def _in_order(
    volume: Volume, start: NDArray[np.float64], steps: NDArray[np.float64], order: Order
) -> NDArray[np.float32]:
    """Resample one axis after the other; only what the cube needs is looked at."""
    places, beyond = [], []
    low, high = np.zeros(3, dtype=int), np.zeros(3, dtype=int)
    for axis, along in order:
        at = start[axis] + sum(
            steps[axis, on] * OFFSETS_MM.reshape([-1 if a == on else 1 for a in range(3)])
            for on in range(3)
            if steps[axis, on]
        )
        last = volume.hu.shape[axis] - 1
        beyond.append((at < -EDGE) | (at > last + EDGE))
        at = at.clip(0, last)
        low[axis], high[axis] = int(at.min()), min(int(at.max()) + 1, last)
        places.append((along, at - low[axis]))
    as_in_the_cube = [axis for axis, _ in sorted(order, key=_in_the_cube)]
    part: NDArray[np.number] = volume.part(low, high).transpose(as_in_the_cube)
    for along, at in places:
        part = _along(part, along, at)
    cube: NDArray[np.float32] = np.ascontiguousarray(part, dtype=np.float32)
    for outside in beyond:
        if outside.any():
            np.copyto(cube, np.float32(AIR_HU), where=outside)
    return cube


def _in_the_cube(pair: tuple[int, int]) -> int:
    return pair[1]


def _along(values: NDArray[np.number], along: int, at: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate three-dimensional values at places along one of their axes.

    `at` has the length of the cube along this axis, and along each other one that the places
    depend on, where `values` have it too; else 1.
    """
    last = values.shape[along] - 1
    below = np.minimum(at.astype(np.intp), max(last - 1, 0))
    share = (at - below).astype(np.float32)
    on = [axis for axis in range(3) if axis == along or at.shape[axis] > 1]
    if on == [along]:
        lower = values.take(below.ravel(), axis=along).astype(np.float32, copy=False)
        upper = values.take(np.minimum(below + 1, last).ravel(), axis=along)
        return _between(lower, upper.astype(np.float32, copy=False), share)
    # Rows along the other axes are taken as a whole, by their number.
    rest = [axis for axis in range(3) if axis not in on]
    ahead = values.transpose(on + rest)
    rows = np.ascontiguousarray(ahead, dtype=np.float32).reshape(
        int(np.prod(ahead.shape[: len(on)])), -1
    )
    below, share = (of.transpose(on + rest)[..., 0] if rest else of for of in (below, share))
    grid = np.indices(below.shape, sparse=True)
    place = on.index(along)
    number = np.ravel_multi_index(
        [np.broadcast_to(below if a == place else grid[a], below.shape) for a in range(len(on))],
        ahead.shape[: len(on)],
    )
    next_row = int(np.prod(ahead.shape[place + 1 : len(on)])) if last else 0
    found = _between(
        rows.take(number.ravel(), axis=0),
        rows.take(number.ravel() + next_row, axis=0),
        share.reshape(-1, 1),
    )
    return found.reshape(*below.shape, *ahead.shape[len(on) :]).transpose(np.argsort(on + rest))


def _between(
    lower: NDArray[np.float32], upper: NDArray[np.float32], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return what lies so far on the way from `lower` to `upper`, which is overwritten."""
    upper -= lower
    upper *= share
    upper += lower
    return upper


def _all_at_once(
    volume: Volume, start: NDArray[np.float64], steps: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate between the eight voxels around each place, a few layers of the cube at a time.

    Few, so that what belongs to them stays in the processor's cache.
    """
    last = np.array(volume.hu.shape) - 1
    corners = start + np.array(list(itertools.product(OFFSETS_MM[[0, -1]], repeat=3))) @ steps.T
    low = np.floor(corners.min(axis=0)).astype(int).clip(0, last)
    high = np.ceil(corners.max(axis=0)).astype(int).clip(0, last)
    part = volume.part(low, high).astype(np.float32)
    # Numbers of voxels from one to the next along each axis; none where there is no next one.
    strides = np.array(part.strides) // part.itemsize * (np.array(part.shape) > 1)
    flat = part.ravel()
    cube = np.empty((CUBE,) * 3, dtype=np.float32)
    y, x = np.ix_(OFFSETS_MM, OFFSETS_MM)
    for first in range(0, CUBE, LAYERS):
        layers = slice(first, first + LAYERS)
        z = OFFSETS_MM[layers, None, None]
        number: NDArray[np.intp] = np.zeros((1, 1, 1), dtype=np.intp)
        beyond: NDArray[np.bool_] = np.zeros((1, 1, 1), dtype=np.bool_)
        shares = []
        for axis in range(3):
            at = start[axis] + (steps[axis, 0] * z + steps[axis, 1] * y) + steps[axis, 2] * x
            beyond = beyond | (at < -EDGE) | (at > last[axis] + EDGE)
            at = at.clip(0, last[axis]) - low[axis]
            below = np.minimum(at.astype(np.intp), max(part.shape[axis] - 2, 0))
            shares.append((at - below).astype(np.float32))
            number = number + below * strides[axis]
        cube[layers] = _between_eight(flat, number, strides.tolist(), shares)
        np.copyto(cube[layers], np.float32(AIR_HU), where=beyond)
    return cube


def _between_eight(
    flat: NDArray[np.float32],
    number: NDArray[np.intp],
    strides: list[int],
    shares: list[NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Interpolate from the voxels with these numbers to the next along each of three axes."""
    if not strides:
        return flat.take(number)
    upper = _between_eight(flat, number + strides[0], strides[1:], shares[1:])
    return _between(_between_eight(flat, number, strides[1:], shares[1:]), upper, shares[0])
