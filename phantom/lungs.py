"""What fills the lungs of a person who does not exist: vessels, airways, emphysema.

Coordinates are those of `phantom.anatomy`: (z, y, x) in body millimetres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phantom.anatomy import Chest, Person
from phantom.grid import Floats, Grid, Tubes, join
from phantom.vessels import grow

COARSE = 128  # rows of the grid on which space is shared out


def _path(points: Sequence[tuple[float, float, float, float]]) -> Tubes:
    """Return tubes along (z, y, x, radius)."""
    table = np.array(points, np.float32)
    return Tubes(table[:-1, :3], table[1:, :3], table[:-1, 3], table[1:, 3])


LARGE_VESSELS: list[list[tuple[float, float, float, float]]] = [
    # aorta with its arch
    [(70, -20, -4, 15), (95, -25, -14, 15.5), (122, -24, -20, 15.5), (143, -14, -16, 14.5),
     (156, 2, -4, 13.5), (158, 18, 10, 13), (152, 32, 22, 12.5), (132, 38, 26, 12),
     (95, 38, 25, 11.5), (50, 38, 20, 11), (10, 37, 11, 10.5), (-20, 36, 8, 10)],
    [(154, 0, -6, 6), (178, -4, -14, 6), (200, -2, -19, 5), (230, 2, -22, 4)],
    [(158, 10, 4, 4), (185, 2, 14, 3.6), (230, 2, 24, 3.4)],
    [(158, 20, 12, 5), (180, 20, 19, 4.5), (205, 16, 22, 4.5), (230, 8, 30, 4)],
    # superior vena cava and the veins that form it
    [(84, -10, -27, 10), (120, -14, -27, 9), (162, -20, -22, 8.5), (200, -18, -21, 6.0),
     (230, -14, -24, 5.5)],
    [(160, -22, -24, 6.5), (170, -34, 0, 6.5), (184, -28, 18, 6), (205, -20, 20, 5.5),
     (230, -14, 22, 5)],
    [(-20, 2, -20, 11), (24, -2, -22, 11), (44, -8, -20, 11)],
    [(-20, 38, -9, 3.5), (100, 37, -8, 4), (128, 28, -14, 4), (132, 6, -25, 4)],
    # pulmonary trunk and its two branches
    [(84, -44, 10, 13), (104, -36, 16, 13), (118, -18, 24, 12), (117, 4, 38, 10), (110, 12, 48, 8)],
    [(108, -26, 14, 11), (107, -12, -4, 10.5), (105, -4, -28, 9.5), (103, 2, -44, 8)],
    # pulmonary veins at the left atrium
    [(88, 10, -26, 7), (92, -4, -44, 5.5)], [(82, 16, -26, 7), (78, 18, -44, 5.5)],
    [(92, 8, 30, 7), (97, -8, 46, 5.5)], [(84, 16, 30, 7), (80, 18, 46, 5.5)],
]  # fmt: skip
SHOULDER_BONES: list[list[tuple[float, float, float, float]]] = [
    # clavicles, and the heads of the humeri with the arms raised
    [(198, -58, -14, 8), (205, -63, -40, 5.5), (215, -50, -80, 5.5), (222, -28, -112, 6)],
    [(198, -58, 14, 8), (205, -63, 40, 5.5), (215, -50, 80, 5.5), (222, -28, 112, 6)],
    [(214, 22, -122, 21), (232, 14, -124, 20)],
    [(214, 22, 122, 21), (232, 14, 124, 20)],
]
GULLET = [
    (230, 20, 3, 6.5),
    (160, 24, 4, 6.5),
    (110, 30, 6, 6.5),
    (60, 28, 8, 7),
    (16, 18, 14, 7.5),
]
WINDPIPE: list[list[tuple[float, float, float, float]]] = [
    [(230, 4, 0, 8.8), (180, 8, 0, 8.8), (150, 12, -1, 8.8), (136, 13, -1, 9)],
    [(137, 13, -3, 7), (122, 12, -20, 6.8), (112, 11, -34, 6)],
    [(137, 13, 1, 6.2), (120, 14, 22, 6), (108, 15, 42, 5.4)],
]
ARTERY_ROOT = {-1: (103.0, 2.0, -44.0), 1: (110.0, 12.0, 48.0)}
VEIN_ROOTS = {
    -1: ((92.0, -4.0, -44.0), (78.0, 18.0, -44.0)),
    1: ((97.0, -8.0, 46.0), (80.0, 18.0, 46.0)),
}
BRONCHUS_ROOT = {-1: (112.0, 11.0, -34.0), 1: (108.0, 15.0, 42.0)}


@dataclass(frozen=True)
class Tree:
    """Everything tubular, in body millimetres."""

    blood: Tubes
    gullet: Tubes
    bones: Tubes
    airways: Tubes
    wall_mm: Floats  # thickness of each airway's wall
    spots: Tubes  # emphysema


class Lungs:
    """The space of the lungs on a coarse grid, the same whatever a series' matrix is."""

    def __init__(self, person: Person) -> None:
        self.person = person
        step = 2 * person.width * 1.02 / COARSE
        slices = int((person.height + 12) / 3)
        first = (-(COARSE - 1) / 2) * step
        self.grid = Grid((0.0, first, first), (3.0, step, step), (slices, COARSE, COARSE))
        self.chest = Chest(person, self.grid)
        planes = [self.chest.lung_slice(k) for k in range(slices)]
        self.lung = np.stack([plane[0] for plane in planes]) > 0.5
        self.wall_mm = np.stack([plane[1] for plane in planes]) * self.chest.scale
        self.scales = np.array([self.chest.stretch, self.chest.scale, self.chest.scale])

    @cached_property
    def inside_mm(self) -> Floats:
        """Distance of every voxel of lung from what is not lung."""
        distance = ndimage.distance_transform_edt(self.lung, sampling=self.grid.spacing)
        return np.asarray(distance, np.float32)

    def places(self, rng: np.random.Generator, n: int, margin_mm: float) -> NDArray[np.float64]:
        """Return n points (zyx) spread evenly over the lungs, away from their surface."""
        voxels = np.argwhere(self.inside_mm > margin_mm)
        chosen = voxels[rng.permutation(len(voxels))[:n]]
        shaken = chosen + rng.uniform(-0.5, 0.5, chosen.shape)
        return np.asarray(shaken * self.grid.spacing + self.grid.origin, np.float64)

    def lobe(self, points: NDArray[np.float64]) -> NDArray[np.int_]:
        """Return the lobe of points: 0 upper, 1 middle or lingula, 2 lower."""
        h = self.person.height
        scaled = points / np.array([1.0, self.chest.scale, self.chest.scale])
        lower = scaled[:, 1] > self.chest.fissure(scaled[:, 0], scaled[:, 2])
        middle = ~lower & (scaled[:, 0] < 0.46 * h)
        return np.where(lower, 2, np.where(middle, 1, 0))

    def tree(self, obstacles: list[tuple[NDArray[np.float64], float]]) -> Tree:
        """Grow vessels and airways, leading them around nodules.

        Args:
            obstacles: centres (zyx) and radii of the nodules.
        """
        rng = np.random.default_rng([0x74726565, self.person.seed])
        blood = [_path(points) for points in LARGE_VESSELS]
        blood = [self._sized(part) for part in blood]
        airways = [self._sized(_path(points)) for points in WINDPIPE]
        walls = [np.full(len(part.start), 1.3, np.float32) for part in airways]
        for side in (-1, 1):
            for kind in ("artery", "vein"):
                points = self.places(rng, 4400, 2.0)
                points = points[np.sign(points[:, 2]) == side][:1500]
                lobe = self.lobe(points)
                for number in range(3):
                    supplied = points[lobe == number]
                    if len(supplied) < 5:
                        continue
                    if kind == "artery":
                        root = ARTERY_ROOT[side]
                    else:
                        root = VEIN_ROOTS[side][1 if number == 2 else 0]
                    start = np.array(root) * self.scales
                    part = grow(start, supplied, rng)
                    blood.append(part)
                    if kind == "artery":
                        beside, wall = self._bronchi(part, side)
                        airways.append(beside)
                        walls.append(wall)
        spots = self._emphysema(rng)
        vessels, tubes = join(blood), join(airways)
        for centre, radius in obstacles:
            vessels, tubes = (_around(part, centre, radius) for part in (vessels, tubes))
        gullet = self._sized(_path(GULLET))
        bones = self._sized(join([_path(points) for points in SHOULDER_BONES]))
        return Tree(vessels, gullet, bones, tubes, np.concatenate(walls), spots)

    def _sized(self, tubes: Tubes) -> Tubes:
        scales = self.scales.astype(np.float32)
        size = np.float32(self.chest.scale)
        return Tubes(
            tubes.start * scales,
            tubes.end * scales,
            tubes.radius_start * size,
            tubes.radius_end * size,
        )

    def _bronchi(self, arteries: Tubes, side: int) -> tuple[Tubes, Floats]:
        """Return the airways that run beside the larger arteries of a lobe, and their walls."""
        root = (np.array(BRONCHUS_ROOT[side]) * self.scales).astype(np.float32)
        large = np.minimum(arteries.radius_start, arteries.radius_end) > 1.12
        start, end, first, last = (np.asarray(column[large], np.float32) for column in arteries)
        beside = np.array([0.25, 0.8, -0.55 * side], np.float32)
        ratio = np.float32(0.8)
        start = start + beside * (first * (1 + ratio) + 0.6)[:, None]
        end = end + beside * (last * (1 + ratio) + 0.6)[:, None]
        start = np.concatenate([root[None], start])
        end = np.concatenate([start[1:2], end])
        first = np.concatenate([first[:1], first]) * ratio
        last = np.concatenate([first[:1], last * ratio])
        tubes = Tubes(*(np.asarray(column, np.float32) for column in (start, end, first, last)))
        return tubes, np.asarray(0.35 + 0.12 * first, np.float32)

    def _emphysema(self, rng: np.random.Generator) -> Tubes:
        """Return low-attenuation spots, most of them in the upper lobes."""
        n = int(1500 * self.person.emphysema)
        anywhere = self.places(rng, 3 * n, 7.0)
        high = anywhere[:, 0] / self.person.height
        chosen = anywhere[rng.random(len(anywhere)) < high**1.5][:n]
        places: Floats = chosen.astype(np.float32)
        ends = places + rng.normal(0, 2.5, places.shape).astype(np.float32)
        size = 0.8 + np.minimum(rng.gamma(2.5, 0.7, len(places)), 4.0)
        radius = np.asarray(size, np.float32)
        return Tubes(places, ends, radius, radius * np.float32(0.8))


def _around(tubes: Tubes, centre: NDArray[np.float64], radius: float) -> Tubes:
    """Push tubes aside as a nodule does, keeping them connected."""

    def push(points: Floats) -> Floats:
        away = points - centre
        distance = np.sqrt((away**2).sum(axis=1))
        target = (distance**3 + radius**3) ** (1 / 3)
        scale = np.where(distance < 3 * radius, target / np.maximum(distance, 1e-3), 1.0)
        return np.asarray(centre + away * scale[:, None], np.float32)

    return Tubes(push(tubes.start), push(tubes.end), tubes.radius_start, tubes.radius_end)
