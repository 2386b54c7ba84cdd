"""Trees of vessels that fill a space and taper towards its edge."""

import numpy as np
from numpy.typing import NDArray

from phantom.grid import Tubes

LEAF_RADIUS_MM = 0.54
MURRAY = 3.0  # the cube of a radius is the sum of the cubes of its branches


def grow(
    root: NDArray[np.float64],
    points: NDArray[np.float64],
    rng: np.random.Generator,
    leaf_radius_mm: float = LEAF_RADIUS_MM,
) -> Tubes:
    """Grow a tree from `root` that ends near every point.

    A branch runs part of the way to the centre of the points it supplies; they are then divided
    across their longest extent, and each half gets a branch of its own.

    Args:
        root: (3,) zyx in millimetres.
        points: (n, 3) zyx in millimetres, spread over the space to supply.

    Returns:
        The branches, each as two pieces so that they bend.
    """
    start: list[NDArray[np.float64]] = []
    end: list[NDArray[np.float64]] = []
    radius: list[tuple[float, float]] = []
    waiting = [(root, np.zeros(3), points)]
    while waiting:
        origin, before, supplied = waiting.pop()
        n = len(supplied)
        centre = supplied.mean(axis=0)
        way = centre - origin
        share = 1.0 if n == 1 else rng.uniform(0.38, 0.55)
        tip = origin + share * way
        length = float(np.sqrt(((tip - origin) ** 2).sum()))
        bend = 0.5 * (origin + tip) + rng.normal(0, 0.06 * length, 3)
        bend += 0.18 * length * (before - way / (np.sqrt((way**2).sum()) + 1e-9))
        if not before.any():
            bend = 0.5 * (origin + tip)
        r = leaf_radius_mm * n ** (1 / MURRAY)
        tip_r = r * (0.9 if n > 1 else 0.6)
        start += [origin, bend]
        end += [bend, tip]
        radius += [(r, (r + tip_r) / 2), ((r + tip_r) / 2, tip_r)]
        if n == 1:
            continue
        spread = supplied - centre
        extent = np.linalg.eigh(spread.T @ spread)[1][:, -1] if n > 4 else spread[0]
        side = spread @ extent
        order = np.argsort(side)
        cut = int(np.clip(round(n * rng.uniform(0.32, 0.68)), 1, n - 1))
        direction = tip - bend
        direction = direction / (np.sqrt((direction**2).sum()) + 1e-9)
        waiting.append((tip, direction, supplied[order[:cut]]))
        waiting.append((tip, direction, supplied[order[cut:]]))
    radii = np.array(radius, np.float32)
    return Tubes(np.array(start, np.float32), np.array(end, np.float32), radii[:, 0], radii[:, 1])
