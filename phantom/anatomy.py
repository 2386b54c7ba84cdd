"""The chest of a person who does not exist.

Coordinates are those of the body, (z, y, x) in millimetres along the LPS axes: x from right to
left, y from front to back, z from the deepest costophrenic recess upwards; x = y = 0 lies in front
of the spine. Most contours are stars around that axis: a radius for every direction, so that a
slice is drawn from a few tables. Sizes are those of an average adult, scaled for each person.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phantom.grid import Floats, Grid
from phantom.noise import SmoothField

AIR, FAT, MUSCLE, BLOOD, LIVER = -1000.0, -102.0, 52.0, 40.0, 58.0
_MIDDLE_ROWS = [-95, -82, -66, -50, -28, 0, 25, 40, 50, 60, 68, 76, 84, 92]
_ALONG_SPINE = [18.5, 17.5, 20, 27, 41, 62]
_MIDDLE = {
    ("right", "low"): np.array([14, 9, 14, 20, 26, 23, 13, 14, *_ALONG_SPINE]),
    ("left", "low"): np.array([20, 22, 26, 28, 24, 21, 19, 18, *_ALONG_SPINE]),
    ("right", "middle"): np.array([12, 5, 4, 8, 19, 23, 13, 14, *_ALONG_SPINE]),
    ("left", "middle"): np.array([13, 8, 9, 15, 22, 26, 19, 17, *_ALONG_SPINE]),
    ("right", "high"): np.array([18, 11, 14, 20, 25, 21, 15, 14, *_ALONG_SPINE]),
    ("left", "high"): np.array([18, 9, 11, 18, 22, 22, 20, 17, *_ALONG_SPINE]),
}
"""Half the width of the mediastinum, in mm, at each row y, by side and height."""
BELOW_MM = 14.0  # how far a series reaches below the lungs
DIRECTIONS = 2880


@dataclass(frozen=True)
class Person:
    """What differs between bodies.

    Attributes:
        seed: decides everything that is not stated here.
        width: half the width of the trunk in mm.
        height: of the lungs in mm.
        fat: thickness of subcutaneous fat in mm.
        heart: size relative to the average.
        emphysema: 0 (none) to 1 (severe).
        female: with breasts.
    """

    seed: int
    width: float
    height: float
    fat: float
    heart: float
    emphysema: float
    female: bool


@dataclass(frozen=True)
class Slice:
    """One axial slice: Hounsfield units without noise, and which fraction of a pixel is lung."""

    hu: Floats
    lung: Floats
    wall_mm: Floats  # signed distance from the inner chest wall, negative within
    depth_mm: Floats  # below the skin


def _smooth(x: Floats, low: float, high: float) -> Floats:
    """Return 0 below `low`, 1 above `high`, and a smooth step between."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _step(x: float, low: float, high: float) -> float:
    """Return the same for one number."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


class Chest:
    """Draws the slices of one person on a grid in body coordinates."""

    def __init__(self, person: Person, grid: Grid) -> None:
        self.person = person
        self.grid = grid
        self.scale = person.width / 166.0
        y, x = grid.axis(1)[:, None], grid.axis(2)[None, :]
        # In units of the average body, where all the numbers below hold.
        self.x, self.y = x / self.scale, y / self.scale
        self.pixel = grid.spacing[1] / self.scale
        self.thick = grid.spacing[0]
        self.stretch = person.height / 215.0
        radius = np.hypot(*np.broadcast_arrays(self.x, self.y)).astype(np.float32)
        self.radius = np.maximum(radius, np.float32(1e-3))
        turn = np.arctan2(*np.broadcast_arrays(self.x, self.y))  # 0 at the back, +-pi in front
        self.direction = np.rint((turn / (2 * np.pi) + 0.5) * (DIRECTIONS - 1)).astype(np.int32)
        self.around = np.abs(turn).astype(np.float32)
        self.angle = ((np.arange(DIRECTIONS) / (DIRECTIONS - 1) - 0.5) * 2 * np.pi).astype(
            np.float32
        )
        rng = np.random.default_rng([0x63686573, person.seed])
        mm = [person_mm / step for person_mm, step in zip((9, 7, 7), grid.spacing, strict=True)]
        self.streaks = SmoothField(rng, grid.shape, tuple(max(v, 1.0) for v in mm))
        mm = [person_mm / step for person_mm, step in zip((16, 12, 12), grid.spacing, strict=True)]
        self.clouds = SmoothField(rng, grid.shape, tuple(max(v, 1.0) for v in mm))
        mm = [person_mm / step for person_mm, step in zip((4, 3, 3), grid.spacing, strict=True)]
        self.mottle = SmoothField(rng, grid.shape, tuple(max(v, 1.0) for v in mm))
        self.lung_hu = float(rng.uniform(-868, -838)) - 22 * person.emphysema
        self.gravity = float(rng.uniform(0.25, 0.42))
        self.bone = float(rng.uniform(0.82, 1.1))
        self.wobble = rng.normal(0, 1, (6, 2)).astype(np.float32)
        self.domes = (float(rng.uniform(50, 60)), float(rng.uniform(38, 47)))
        self.rib_phase = float(rng.uniform(-4, 4))

    # contours ------------------------------------------------------------------------------

    def _star(self, half_x: float, front: float, back: float, power: float) -> Floats:
        """Return the radius of a superellipse in every direction."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        half_y = np.where(cos > 0, np.float32(back), np.float32(front))
        sum_ = np.abs(sin / half_x) ** power + np.abs(cos / half_y) ** power
        return np.asarray(sum_ ** (-1 / power), np.float32)

    def _cavity(self, z: float) -> Floats:
        """Return the inside of the rib cage in every direction, at height z."""
        t = float(np.clip(z / (215 * self.stretch), -0.1, 1.05))
        dome = max(0.0, 1 - (max(0.0, t - 0.22) / 0.815) ** 2.7) ** 0.55
        half_x = 127 * dome * (1 - 0.05 * max(0.0, 0.2 - t) / 0.2)
        front = 80 * max(0.0, 1 - (max(0.0, t - 0.2) / 0.83) ** 3.2) ** 0.6
        back = 84 * max(0.0, 1 - (max(0.0, t - 0.3) / 0.735) ** 4) ** 0.5
        star = self._star(max(half_x, 4.0), max(front, 3.0), max(back, 4.0), 2.35)
        for n, (a, b) in enumerate(self.wobble[:4], start=2):
            star *= 1 + np.float32(0.006) * (
                a * np.cos(n * self.angle) + b * np.sin(n * self.angle)
            )
        return np.asarray(star, np.float32)

    def _skin(self, z: float, cavity: Floats) -> Floats:
        """Return the surface of the trunk in every direction, at height z."""
        t = z / (215 * self.stretch)
        top = _step(t, 0.72, 1.1)
        star = self._star(166 - 14 * top, 106 - 26 * top, 121 - 18 * top, 2.35 - 0.2 * top)
        if self.person.female:
            apart = (np.abs(self.angle) - np.float32(2.42)) / np.float32(0.36)
            star += np.float32(26 * np.exp(-(((t - 0.42) / 0.2) ** 2))) * np.exp(-(apart**2))
        groove = np.abs(self.angle)
        star -= np.float32(5) * np.exp(-((groove / 0.16) ** 2))  # along the spine
        star -= np.float32(4) * np.exp(-(((np.pi - groove) / 0.2) ** 2))  # over the sternum
        least = cavity + np.float32(15 + 0.6 * self.person.fat)
        return np.asarray(np.maximum(star, least), np.float32)

    def _diaphragm(self) -> Floats:
        """Return the height of the diaphragm, (rows, columns)."""
        right, left = self.domes
        height = np.zeros(self.radius.shape, np.float32)
        for side, peak in ((-1, right), (1, left)):
            rho2 = ((self.x - side * 60) / 74) ** 2 + ((self.y + 8) / 92) ** 2
            height = np.maximum(height, peak * np.maximum(1 - rho2, 0) ** np.float32(0.8))
        centre = 27 * np.maximum(1 - (self.x / 58) ** 2 - ((self.y + 24) / 62) ** 2, 0)
        height = np.maximum(height, centre)
        tilt = 11 - np.float32(0.17) * self.y
        return np.asarray((height + tilt) * np.float32(self.stretch), np.float32)

    @cached_property
    def _diaphragm_mm(self) -> Floats:
        return self._diaphragm()

    @cached_property
    def _diaphragm_blur(self) -> Floats:
        """Return over what height the diaphragm is blurred within a pixel and a slice."""
        gy, gx = np.gradient(self._diaphragm_mm)
        return np.asarray(np.maximum(self.thick, np.hypot(gy, gx) * 1.2 + 0.5), np.float32)

    def _middle(self, z: float) -> Floats:
        """Return the signed distance from the mediastinum without vessels, negative within."""
        t = z / (215 * self.stretch)
        rows = self.y[:, 0]
        low, high = 1 - _step(t, 0.08, 0.36), _step(t, 0.56, 0.78)
        edges = []
        for side in ("right", "left"):
            table = (1 - low - high) * _MIDDLE[side, "middle"]
            table = table + low * _MIDDLE[side, "low"] + high * _MIDDLE[side, "high"]
            width = np.interp(rows, _MIDDLE_ROWS, table)
            a, b = self.wobble[4 if side == "right" else 5]
            calm = np.clip((45 - rows) / 30, 0, 1)  # no waves along the spine
            width += calm * (2.0 * np.sin(z / 14 + rows / 19 + a) + 1.3 * np.sin(rows / 8 + 3 * b))
            width = ndimage.gaussian_filter1d(width, 3.0 / self.pixel)
            edges.append(width[:, None])
        return np.asarray(np.maximum(-self.x - edges[0], self.x - edges[1]), np.float32)

    def _heart(self, z: float) -> tuple[Floats, Floats]:
        """Return the signed distances from the pericardium and from the left atrium."""
        size = self.person.heart
        if abs(z / self.stretch - 65) > 75:  # far above or below: any large distance will do
            nowhere = np.full(self.radius.shape, 99, np.float32)
            return nowhere, nowhere
        turn = np.deg2rad(38)
        x, y = self.x - 20, self.y + 24
        long = np.cos(turn) * x - np.sin(turn) * y
        short = np.sin(turn) * x + np.cos(turn) * y
        up = (z / self.stretch - 60) / (48 * size)
        rho = np.sqrt((long / (60 * size)) ** 2 + (short / (43 * size)) ** 2 + np.float32(up**2))
        atrium = np.sqrt(
            ((self.x - 3) / 32) ** 2
            + ((self.y - 12) / 19) ** 2
            + np.float32(((z / self.stretch - 88) / 20) ** 2)
        )
        right = np.sqrt(
            ((self.x + 20) / (24 * size)) ** 2
            + ((self.y + 18) / (30 * size)) ** 2
            + np.float32(((z / self.stretch - 60) / (36 * size)) ** 2)
        )
        chambers = np.minimum((rho - 1) * 48 * size, (right - 1) * 28 * size)
        return (
            np.asarray(chambers, np.float32),
            np.asarray((atrium - 1) * 20, np.float32),
        )

    # slices --------------------------------------------------------------------------------

    def _share(self, distance: NDArray[np.floating], blur: float = 1.15) -> Floats:
        """Return the fraction of a pixel on the negative side of a surface."""
        share = np.clip(np.float32(0.5) - distance / np.float32(blur * self.pixel), 0, 1)
        return np.asarray(share, np.float32)

    def lung_slice(self, index: int) -> tuple[Floats, Floats]:
        """Return the fraction of lung and the distance from the chest wall, without the rest."""
        z = float(self.grid.axis(0)[index])
        wall = self.radius - self._cavity(z)[self.direction]
        heart, atrium = self._heart(z)
        middle = np.minimum(np.minimum(self._middle(z), heart), atrium)
        above = np.clip((z - self._diaphragm_mm) / self._diaphragm_blur + np.float32(0.5), 0, 1)
        lung = np.minimum(self._share(np.maximum(wall, -middle)), above)
        return np.asarray(lung, np.float32), wall

    def slice(self, index: int) -> Slice:
        """Draw one slice, all but vessels and airways."""
        z = float(self.grid.axis(0)[index])
        h = 215 * self.stretch
        streaks = self.streaks.slice(index)
        clouds = self.clouds.slice(index)
        cavity = self._cavity(z)
        skin = self._skin(z, cavity)
        wall = self.radius - cavity[self.direction]
        depth = skin[self.direction] - self.radius
        lung, _ = self.lung_slice(index)

        hu = FAT + 7 * streaks + 4 * clouds
        if self.person.female:
            self._add_gland(hu, z, wall, depth, streaks)
        self._add_muscle(hu, z, wall, depth, streaks, clouds)
        self._add_middle(hu, z, wall, streaks, clouds)
        self._add_belly(hu, z, wall, streaks, clouds)
        self._add_bones(hu, z, h, wall, streaks)
        self._add(hu, self._share(depth - np.float32(1.6)), 10.0)

        tissue = self.lung_hu + np.float32(self.gravity) * self.y + 9 * clouds
        tissue += 13 * self.mottle.slice(index)
        behind = _smooth(self.y, 15, 70)
        tissue += 75 * behind * np.exp(np.minimum(wall, 0) / np.float32(4.5))
        self._add_fissures(tissue, z, h)
        hu += lung * (tissue - hu)
        outside = self._share(depth)
        hu += outside * (AIR - hu)
        self._add_table(hu)
        return Slice(hu, lung, wall, depth)

    def _add(self, hu: Floats, share: Floats, value: float | Floats) -> None:
        hu += share * (value - hu)

    def _add_gland(
        self, hu: Floats, z: float, wall: Floats, depth: Floats, streaks: Floats
    ) -> None:
        t = z / (215 * self.stretch)
        front = np.exp(-(((self.around - 2.42) / 0.3) ** 2)) * np.exp(-(((t - 0.42) / 0.16) ** 2))
        gland = _smooth(front + 0.22 * streaks, 0.55, 0.8)
        gland *= _smooth(depth, 5, 9) * _smooth(wall, 22, 27)
        self._add(hu, gland * np.float32(0.85), 35.0)

    def _add_muscle(
        self, hu: Floats, z: float, wall: Floats, depth: Floats, streaks: Floats, clouds: Floats
    ) -> None:
        t = z / (215 * self.stretch)
        high = _step(t, 0.3, 0.75)
        thick = np.interp(
            np.abs(self.angle),
            [0.0, 0.25, 0.5, 0.9, 1.3, 1.8, 2.2, 2.7, 3.0, np.pi],
            np.array([60, 42, 24, 22, 19, 16, 15, 15, 13, 12])
            + high * np.array([0, 0, 8, 18, 10, 0, 6, 10, 0, 0])
            + _step(t, 0.68, 0.98) * np.array([0, 20, 40, 65, 80, 75, 55, 14, 4, 0]),
        ).astype(np.float32)
        fat = self.person.fat
        cover = np.interp(np.abs(self.angle), [0, 1, 2, np.pi], [fat * 0.6, fat, fat, fat * 0.8])
        edge = np.maximum(
            wall - thick[self.direction],
            cover.astype(np.float32)[self.direction] - depth,
        )
        muscle = self._share(edge + 1.3 * clouds, 1.6)
        self._add(hu, muscle, MUSCLE + 5 * streaks)
        # Fat planes between the layers of muscle.
        outer = np.float32(1) - np.float32(0.55) * _smooth(wall, 24, 40) - 0.25 * (streaks > 0.6)
        planes = (
            (13.5, 0.8, 1.2),
            (21.5, 0.7, -2.0),
            (31.0, 0.9, 2.5),
            (44.0, 1.0, -4),
            (58.0, 1.1, 4),
        )
        for at, width, wave in planes:
            plane = np.abs(wall - at - wave * clouds) - (width + 0.4 * streaks)
            self._add(hu, self._share(plane, 1.6) * outer * muscle, FAT)

    def _add_middle(
        self, hu: Floats, z: float, wall: Floats, streaks: Floats, clouds: Floats
    ) -> None:
        """Draw mediastinal fat, the heart in its pericardial fat, and small nodes."""
        inside = self._share(wall + 1)
        self._add(hu, inside, FAT + 8 * streaks)
        t = z / (215 * self.stretch)
        if t > 0.3:
            nodes = _smooth(streaks, 1.5, 1.9) * inside * np.float32(0.8)
            self._add(hu, nodes, 35.0)
        heart, atrium = self._heart(z)
        pericardium = np.abs(heart + np.float32(1.0)) - np.float32(0.6)
        self._add(hu, self._share(pericardium) * inside * np.float32(0.6), 25.0)
        chamber = heart + np.float32(4.5) + 1.8 * clouds
        self._add(hu, self._share(chamber) * inside, 43 + 3 * streaks)
        groove = np.abs(self.x * 0.8 + self.y + 22 + 3 * clouds) - np.float32(1.3)
        rim = _smooth(chamber, -13, -3)
        self._add(hu, self._share(groove) * rim * self._share(chamber) * np.float32(0.9), -60.0)
        self._add(hu, self._share(atrium + 1.0) * inside, 41 + 3 * streaks)

    def _add_belly(
        self, hu: Floats, z: float, wall: Floats, streaks: Floats, clouds: Floats
    ) -> None:
        """Draw what lies below the diaphragm: liver, stomach, spleen, fat."""
        below = np.clip((self._diaphragm_mm - z) / self._diaphragm_blur + np.float32(0.5), 0, 1)
        if not below.any():
            return
        below = below * self._share(wall + np.float32(0.5))
        # The spine and what runs along it stay as they are.
        below = below * _smooth(np.hypot(self.x, self.y - 48), 24, 26)
        self._add(hu, below, FAT + 9 * streaks)
        deep = self._diaphragm_mm - z
        muscle = np.maximum(np.abs(deep - 1.5) - 1.7, wall) * np.ones_like(wall)
        self._add(hu, below * self._share(muscle), 45.0)
        rim = np.maximum(wall + 3, 3 - deep)
        liver = np.maximum(rim, self.x - 26 + 0.45 * (self.y + 30) + 2.5 * clouds)
        self._add(hu, below * self._share(liver, 1.6), LIVER + 3 * streaks)
        up = z / self.stretch
        stomach = np.sqrt(
            ((self.x - 54) / 32) ** 2 + ((self.y + 16) / 36) ** 2 + np.float32(((up - 8) / 32) ** 2)
        )
        stomach = np.maximum((stomach - 1) * 30 + 1.5 * clouds, rim)
        self._add(hu, below * self._share(stomach), 42.0)
        lumen = stomach + np.float32(4)
        self._add(hu, below * self._share(lumen), 12.0)
        gas = np.maximum(lumen, self.y + 24)  # the patient lies on the back
        self._add(hu, below * self._share(gas), -980.0)
        spleen = np.sqrt(
            ((self.x - 84) / 27) ** 2 + ((self.y - 36) / 36) ** 2 + np.float32(((up - 8) / 34) ** 2)
        )
        spleen = np.maximum((spleen - 1) * 28 + 2 * clouds, rim)
        self._add(hu, below * self._share(spleen), 50 + 3 * streaks)

    def _add_bones(self, hu: Floats, z: float, h: float, wall: Floats, streaks: Floats) -> None:
        cortex, marrow = 720 * self.bone, 170 * self.bone
        t = z / h
        # ribs: they leave the spine, run down and forward, and end in cartilage
        drop = 74 * _smooth(self.angle_abs, 0.15, 2.35) - 30 * _smooth(self.angle_abs, 2.35, 3.0)
        pitch = 22.5 * self.stretch
        level = (z + drop[self.direction] - 0.985 * h - self.rib_phase) / np.float32(pitch)
        which = np.rint(level)
        off = (level - which) * np.float32(pitch)
        slope = np.gradient(drop, self.angle[1] - self.angle[0]) / 105
        off = off / np.sqrt(1 + slope**2).astype(np.float32)[self.direction]
        # Near the apex the cage closes and ribs lie flatter.
        across = (wall - np.float32(6.2)) / np.float32(4.1)
        rho = np.sqrt(across**2 + (off / np.float32(6.4)) ** 2)
        real = (which <= 0) & (which >= -11) & (self.around > 0.3)
        bony = real & (self.around < 2.42 + 0.02 * which)
        body = self._share((rho - 1) * 4.2)
        self._add(hu, body * bony, cortex)
        self._add(hu, self._share((rho - np.float32(0.68)) * 4.2) * bony, marrow + 25 * streaks)
        soft = real & ~bony & (which >= -9) & (self.around < 3.02)
        self._add(hu, body * soft, 88 + 12 * streaks)
        # sternum
        if 0.22 < t < 0.86:
            width = 13 + 12 * _step(t, 0.62, 0.76)
            corner = (
                np.maximum(np.abs(self.x) - width + 4, 0),
                np.maximum(np.abs(wall - 8.5) - 1.2, 0),
            )
            plate = np.hypot(*corner) - 4
            plate = np.where(self.y < 0, plate, np.float32(50))
            self._add(hu, self._share(plate), 420 * self.bone)
            self._add(hu, self._share(plate + np.float32(1.7)), 110 + 25 * streaks)
        # scapulae
        if t > 0.42:
            reach = 0.1 + 0.4 * _step(t, 0.42, 0.78) - 0.15 * _step(t, 0.85, 1.0)
            blade = np.abs(wall - 24 - 5 * (self.around - 0.85)) - (
                1.7 + 1.2 * _smooth(self.around, 0.95, 1.3)
            )
            blade = np.maximum(blade, (np.abs(self.around - 0.86) - np.float32(reach)) * 105)
            self._add(hu, self._share(blade), cortex * 0.7)
            self._add(hu, self._share(blade + np.float32(1.4)), marrow * 1.3)
            if t > 0.72:
                ridge = np.maximum(
                    np.abs(self.around - 0.8 + 0.012 * (wall - 30)) * 105 - 2.2,
                    np.abs(wall - 32) - 8,
                )
                self._add(hu, self._share(ridge), cortex * 0.7)
        self._add_spine(hu, z, streaks, cortex, marrow)

    @cached_property
    def angle_abs(self) -> Floats:
        """Every direction of the tables, from 0 at the back to pi in front."""
        return np.abs(self.angle)

    def _add_spine(
        self, hu: Floats, z: float, streaks: Floats, cortex: float, marrow: float
    ) -> None:
        pitch = 22.5 * self.stretch
        phase = (z / pitch + 0.3) % 1.0  # 0 to 0.22 is disc
        disc = 1 - _step(abs(phase - 0.11), 0.09, 0.15)
        plate = float(np.exp(-(((abs(phase - 0.11) - 0.17) / 0.05) ** 2)))
        x, y = self.x, self.y
        waist = 1 - 0.06 * np.cos(2 * np.pi * (phase - 0.11) + np.pi)
        vertebra = np.sqrt((x / (18 * waist)) ** 2 + ((y - 50) / (15.5 * waist)) ** 2)
        vertebra = (vertebra - 1) * 16
        vertebra = np.maximum(vertebra, 44 - 0.05 * x**2 + 18 - y - 26)  # rounded front
        canal = (np.sqrt((x / 9.5) ** 2 + ((y - 73) / 8) ** 2) - 1) * 8.5
        vertebra = np.maximum(vertebra, -canal - 1.5)
        body = self._share(vertebra)
        self._add(hu, body, (1 - disc) * cortex * 0.85 + disc * 95)
        inner = self._share(vertebra + np.float32(1.8))
        self._add(hu, inner, (1 - disc) * (marrow + 260 * plate + 30 * streaks) + disc * 85)
        # the arch, with processes to the sides and to the back
        arch = np.abs(canal - 2.5) - 2.6
        slope = ((z + 0.75 * (y - 82)) / pitch + 0.3) % 1.0  # spinous processes point down
        level = np.abs(slope - 0.5) * np.float32(pitch) - 6.5
        back = np.maximum(np.maximum(np.abs(x) - 3.2, np.abs(y - 93) - 11), level)
        processes = _step(abs(phase - 0.75), 0.22, 0.3)
        bar = np.abs(y - 76 - 0.18 * np.abs(x)) - 4.6
        side = np.maximum(bar, np.abs(np.abs(x) - 21) - 13) + 12 * processes
        gap = _step(abs(phase - 0.2), 0.05, 0.16)
        arch = arch + np.where(y < 71, 30 * (1 - gap), 0)  # foramina between the pedicles
        lamina = _step(abs(phase - 0.12), 0.03, 0.1)
        arch = arch + np.where(y >= 71, 12 * (1 - lamina), 0)
        bone = np.minimum(np.minimum(arch, back), side)
        self._add(hu, self._share(bone), cortex * 0.8)
        self._add(hu, self._share(bone + np.float32(2.0)), marrow * 1.2)
        self._add(hu, self._share(canal), 18.0)
        cord = (np.sqrt((x / 5) ** 2 + ((y - 73) / 4) ** 2) - 1) * 4.5
        self._add(hu, self._share(cord), 38.0)

    def fissure(self, z: float | NDArray[np.float64], x: Floats | NDArray[np.float64]) -> Floats:
        """Return where the oblique fissure lies, y in body millimetres of the average body."""
        t = np.asarray(z) / (215 * self.stretch)
        return np.asarray(-64 + 205 * (t - 0.1) - 0.0032 * (np.abs(x) - 70) ** 2, np.float32)

    def _add_fissures(self, tissue: Floats, z: float, h: float) -> None:
        line = self.y - self.fissure(z, self.x)
        # A slanting sheet half a millimetre thick, blurred by the slice.
        tissue += 105 * np.exp(-((line / np.float32(1.5)) ** 2))
        level = z - 0.47 * h + 0.05 * (self.x + 60) + 0.0016 * (self.x + 70) ** 2 - 0.06 * self.y
        sheet = np.exp(-((level / np.float32(1.3)) ** 2))
        tissue += 90 * sheet * ((self.x < 0) & (line < 0))

    def _add_table(self, hu: Floats) -> None:
        y = self.y - 124 + np.float32(0.00045) * self.x**2
        for at, half, value in ((2.5, 1.2, -150.0), (27.0, 0.9, -350.0)):
            self._add(hu, self._share(np.abs(y - at) - half) * (hu < -700), value)
