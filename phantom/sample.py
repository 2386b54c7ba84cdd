"""Cubes around nodules, to train a model on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phantom.grid import Floats, Grid, Tubes, draw_tubes, join
from phantom.nodule import Nodule, draw_nodule, random_nodule
from phantom.noise import grain, unevenness
from phantom.vessels import grow

CUBE_MM = 100
BLOOD_HU = 40.0


@dataclass(frozen=True)
class NoduleSample:
    """A nodule in the middle of a cube, as it looks when a series is resampled to 1 mm.

    Attributes:
        hu: (100, 100, 100) int16, axes (z, y, x) in LPS, 1 mm; the nodule's centre is at index
            (50, 50, 50).
        features: a category for every key of `phantom.FEATURES`.
        diameter_mm: longest axial diameter, without spicules.
        malignant: the truth, drawn from the features by `phantom.chance_of_malignancy`.
    """

    hu: NDArray[np.int16]
    features: dict[str, str]
    diameter_mm: float
    malignant: bool


def nodule_cube(seed: int) -> NoduleSample:
    """Draw a random nodule in a random place of a lung.

    The cube is made as a series is: slices 2 to 3 mm thick at a random offset from the nodule,
    with vessels, chest wall and grain, then interpolated to 1 mm. Takes some 40 ms.

    Args:
        seed: the same seed gives the same cube.
    """
    nodule = random_nodule(seed)
    return NoduleSample(_cube(nodule, seed), nodule.features, nodule.diameter_mm, nodule.malignant)


def _cube(nodule: Nodule, seed: int) -> NDArray[np.int16]:
    """Draw the surroundings, the nodule and the grain."""
    rng = np.random.default_rng([0x637562, seed])
    thick = float(rng.choice([2.0, 2.5, 2.5, 2.5, 3.0]))
    slices = int(CUBE_MM / thick) + 3
    bottom = -CUBE_MM / 2 - thick * float(rng.uniform(0.0, 1.0)) - 0.01
    half = CUBE_MM / 2
    grid = Grid((bottom, -half, -half), (thick, 1.0, 1.0), (slices, CUBE_MM, CUBE_MM))
    centre = np.zeros(3)

    hu = np.full(grid.shape, rng.uniform(-885, -820), np.float32)
    hu += grid.axis(1)[:, None] * np.float32(rng.uniform(0.2, 0.5))
    hu += 12 * unevenness(rng, grid.shape, 9)
    outside, depth, toward = _wall(rng, grid, nodule)
    points = rng.uniform(-42, 42, (150, 3))
    root = np.array([rng.uniform(-50, 50), *(-toward[1:] * 62 + rng.normal(0, 12, 2))])
    draw_tubes(hu, grid, _vessels(rng, points, root, nodule), BLOOD_HU)
    lung = np.float32(1) - outside
    if depth is not None:
        hu += outside * (_wall_hu(rng, grid, depth) - hu)
    pleura = None
    if nodule.features["pleural_retraction"] != "absent":
        pleura = toward * _distance_to_wall(grid, outside, toward)
    draw_nodule(hu, lung, grid, nodule, centre, pleura)
    hu += grain(rng, hu.shape, 1.0, float(rng.uniform(12, 26)))
    return _to_millimetres(hu, grid)


def _wall(
    rng: np.random.Generator, grid: Grid, nodule: Nodule
) -> tuple[Floats, Floats | None, NDArray[np.float64]]:
    """Place a curved pleura beside the nodule.

    Returns:
        The fraction of each voxel outside the lung, the depth beyond the pleura in mm (None
        when no pleura is in the cube), and the unit vector (zyx) from the nodule towards it.
    """
    attached = nodule.features["pleural_attachment"] == "present"
    pulled = nodule.features["pleural_retraction"] != "absent"
    turn = rng.uniform(0, 2 * np.pi)
    rise = rng.uniform(-0.35, 0.35) if rng.random() < 0.75 else rng.uniform(-1.2, 1.2)
    toward = np.array([np.sin(rise), np.cos(rise) * np.sin(turn), np.cos(rise) * np.cos(turn)])
    half = nodule.diameter_mm / 2
    if attached:
        away = half * rng.uniform(0.35, 0.7)
    elif pulled:
        away = half + rng.uniform(5, 11)
    else:
        away = nodule.diameter_mm * 0.7 + rng.uniform(4, 70)
    if away > 62:
        return np.zeros(grid.shape, np.float32), None, toward
    bend = float(rng.uniform(75, 150))
    middle = (away - bend) * toward
    z, y, x = (grid.axis(axis) - np.float32(middle[axis]) for axis in range(3))
    square = (z**2)[:, None, None] + (y**2)[None, :, None] + x**2
    depth = np.sqrt(square) - np.float32(bend)
    depth += np.float32(0.5) * unevenness(rng, grid.shape, 14)
    # A slanting pleura is blurred by the thickness of the slice.
    blur = 1.1 + abs(toward[0]) * grid.spacing[0]
    outside = np.clip(depth / np.float32(blur) + np.float32(0.5), 0, 1)
    return outside, depth, toward


def _distance_to_wall(grid: Grid, outside: Floats, toward: NDArray[np.float64]) -> float:
    """Return how far from the centre the pleura is met."""
    for step in np.arange(1.0, 48.0, 0.5):
        place = toward * step
        index = tuple(round((place[a] - grid.origin[a]) / grid.spacing[a]) for a in range(3))
        if outside[index] >= 0.5:
            return float(step)
    return 48.0


def _wall_hu(rng: np.random.Generator, grid: Grid, depth: Floats) -> Floats:
    """Return what lies beyond the pleura: a chest wall with ribs, or soft tissue."""
    value = np.float32(45) + 6 * unevenness(rng, grid.shape, 6)
    if rng.random() < 0.3:  # heart, mediastinum or liver
        return value
    fat = unevenness(rng, grid.shape, 11) > np.float32(0.3)
    value[fat & (depth > 1.5)] = -95
    value[depth > np.float32(rng.uniform(18, 32))] = -100
    along = rng.uniform(-0.6, 0.6, 2)
    height = (
        grid.axis(0)[:, None, None]
        + np.float32(along[0]) * grid.axis(1)[None, :, None]
        + np.float32(along[1]) * grid.axis(2)
    )
    pitch = np.float32(rng.uniform(20, 27))
    height = height / pitch + np.float32(rng.random())
    height = (height - np.round(height)) * pitch
    inside = np.sqrt((height / np.float32(6.0)) ** 2 + ((depth - 7) / np.float32(4.2)) ** 2)
    bone = np.clip((np.float32(1.08) - inside) * 5, 0, 1)
    marrow = np.clip((np.float32(0.72) - inside) * 5, 0, 1)
    value += bone * (np.float32(rng.uniform(450, 750)) - value)
    value += marrow * (np.float32(rng.uniform(120, 260)) - value)
    return value


def _vessels(
    rng: np.random.Generator,
    points: NDArray[np.float64],
    root: NDArray[np.float64],
    nodule: Nodule,
) -> Tubes:
    """Return the arteries and veins around a nodule, leaving the large ones away from it."""
    halves = points[:75], points[75:]
    trees = join([grow(root + rng.normal(0, 8, 3), half, rng, 0.45) for half in halves])
    middle = (trees.start + trees.end) / 2
    clear = np.sqrt((middle**2).sum(axis=1)) - nodule.diameter_mm / 2
    keep = (trees.radius_start < 0.9) | (clear > 2 + trees.radius_start)
    return Tubes(*(column[keep] for column in trees))


def _to_millimetres(hu: Floats, grid: Grid) -> NDArray[np.int16]:
    """Interpolate slices linearly to 1 mm."""
    place = (np.arange(CUBE_MM) - CUBE_MM / 2 - grid.origin[0]) / grid.spacing[0]
    low = np.floor(place).astype(int)
    share = (place - low).astype(np.float32)[:, None, None]
    fine = hu[low] * (1 - share) + hu[low + 1] * share
    return np.asarray(np.clip(np.rint(fine), -1024, 3071), np.int16)
