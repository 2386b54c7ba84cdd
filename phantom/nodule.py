"""Nodules: their features, their truth, and how they look."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phantom.grid import Floats, Grid, Tubes, draw_tubes
from phantom.noise import unevenness

FEATURES: dict[str, tuple[str, ...]] = {
    "margin_conspicuity": ("well_marginated", "poorly_marginated"),
    "margin": ("smooth", "lobulated", "spiculated"),
    "shape": ("round", "ovoid", "polygonal", "irregular"),
    "consistency": ("solid", "part_solid", "ground_glass"),
    "pleural_attachment": ("present", "absent"),
    "pleural_retraction": ("present", "mild_dimpling", "absent"),
    "cavitation": ("present", "absent"),
    "eccentric_calcification": ("present", "absent"),
}
"""What can be drawn, in the words radiologists rate with."""

SMALLEST_MM, LARGEST_MM = 5.0, 28.0
SMALLEST_CAVITY_MM = 12.0  # below, a cavity would be lost in a 2.5 mm slice
SMALLEST_CALCIFIED_MM = 8.0

Radius = Callable[[Floats], Floats]  # unit vectors (n, 3) zyx -> relative radius (n,)


@dataclass(frozen=True)
class Nodule:
    """What is known of a nodule, whatever place it is drawn at.

    Attributes:
        diameter_mm: longest axial diameter through the centre, without spicules.
        features: a category for every key of `FEATURES`.
        malignant: the reference standard, drawn by `chance_of_malignancy`.
        seed: decides everything about its look that the features leave open.
    """

    diameter_mm: float
    features: dict[str, str] = field(hash=False)
    malignant: bool
    seed: int

    @property
    def reach_mm(self) -> float:
        """No voxel farther from the centre than this is changed, pleural tags aside."""
        blur = 5 if self.features["margin_conspicuity"] == "poorly_marginated" else 2.5
        spicules = 10 if self.features["margin"] == "spiculated" else 0
        return 0.75 * self.diameter_mm + blur + spicules


def chance_of_malignancy(diameter_mm: float, features: dict[str, str]) -> float:
    """Return the chance from which the truth of a generated nodule is drawn.

    A logistic rule made for this phantom. Its signs agree with what is known of nodules (larger,
    spiculated and part-solid are more often malignant), its size is ours: features and truth are
    associated, and no feature decides. Averaged over `random_nodule` the chance is about 0.4.

        logit = -1.7 + 0.13 (diameter - 12 mm) + 1.5 spiculated + 0.5 lobulated
                + 0.9 part-solid - 0.3 ground glass + 0.4 irregular
                + 0.6 pleural retraction + 0.3 poorly marginated
    """
    logit = -1.7 + 0.13 * (diameter_mm - 12.0)
    logit += {"smooth": 0.0, "lobulated": 0.5, "spiculated": 1.5}[features["margin"]]
    logit += {"solid": 0.0, "part_solid": 0.9, "ground_glass": -0.3}[features["consistency"]]
    logit += 0.4 * (features["shape"] == "irregular")
    logit += 0.6 * (features["pleural_retraction"] == "present")
    logit += 0.3 * (features["margin_conspicuity"] == "poorly_marginated")
    return float(1 / (1 + np.exp(-logit)))


def random_nodule(seed: int) -> Nodule:
    """Draw a nodule: features nearly independent of each other, then the truth from them.

    Args:
        seed: the same seed gives the same nodule.
    """
    rng = np.random.default_rng([0x6E6F64, seed])
    diameter = float(np.exp(rng.uniform(np.log(SMALLEST_MM), np.log(LARGEST_MM))))

    def pick(feature: str, *weights: float) -> str:
        return str(rng.choice(FEATURES[feature], p=weights))

    features = {
        "margin": pick("margin", 0.4, 0.27, 0.33),
        "shape": pick("shape", 0.28, 0.28, 0.2, 0.24),
        "consistency": pick("consistency", 0.5, 0.25, 0.25),
        "pleural_attachment": pick("pleural_attachment", 0.35, 0.65),
        "pleural_retraction": pick("pleural_retraction", 0.15, 0.12, 0.73),
        "cavitation": pick("cavitation", 0.15, 0.85),
        "eccentric_calcification": pick("eccentric_calcification", 0.12, 0.88),
    }
    vague = 0.3 + 0.1 * (features["margin"] != "smooth")
    vague += 0.2 * (features["consistency"] != "solid")
    features["margin_conspicuity"] = pick("margin_conspicuity", 1 - vague, vague)
    return with_truth(diameter, possible(diameter, features), seed)


def possible(diameter_mm: float, features: dict[str, str]) -> dict[str, str]:
    """Return the features without those that cannot go together, in the order of `FEATURES`.

    A nodule on the pleura has nothing to pull at from afar; cavities and calcifications need a
    solid nodule of some size.
    """
    made = {name: features.get(name, "absent") for name in FEATURES}
    if made["pleural_attachment"] == "present":
        made["pleural_retraction"] = "absent"
    solid = made["consistency"] == "solid"
    if not solid or diameter_mm < SMALLEST_CAVITY_MM:
        made["cavitation"] = "absent"
    if not solid or diameter_mm < SMALLEST_CALCIFIED_MM or made["cavitation"] == "present":
        made["eccentric_calcification"] = "absent"
    return made


def with_truth(diameter_mm: float, features: dict[str, str], seed: int) -> Nodule:
    """Complete a nodule by drawing its truth from `chance_of_malignancy`."""
    chance = chance_of_malignancy(diameter_mm, features)
    malignant = bool(np.random.default_rng([0x747275, seed]).random() < chance)
    return Nodule(diameter_mm, features, malignant, seed)


def draw_nodule(
    hu: Floats,
    lung: Floats,
    grid: Grid,
    nodule: Nodule,
    centre_mm: NDArray[np.float64],
    pleura_mm: NDArray[np.float64] | None,
) -> None:
    """Draw a nodule into a volume, in place.

    Args:
        hu: (z, y, x), Hounsfield units without noise.
        lung: same shape, the fraction of each voxel that is lung, vessels included.
        grid: where the voxels of both lie.
        centre_mm: (3,) zyx.
        pleura_mm: (3,) zyx, the nearest point of the pleura, which retraction pulls at; None
            when it is far away.
    """
    reach = nodule.reach_mm
    box = grid.box(centre_mm - reach, centre_mm + reach)
    if box is None:
        return
    rng = np.random.default_rng([0x647261, nodule.seed])
    solid_hu = float(rng.uniform(20, 60))
    glass_hu = float(rng.uniform(-640, -480))
    features = nodule.features
    glass = features["consistency"] == "ground_glass"
    radius = _radius(nodule, rng)
    spicules = _spicules(nodule, radius, centre_mm, rng)

    part = hu[box]
    air = _lung_share(lung[box])
    before = part.copy()
    if len(spicules.start):
        value = -350.0 if features["consistency"] != "solid" else solid_hu
        draw_tubes(part, grid.within(box), spicules, value)
    retraction = features["pleural_retraction"]
    if pleura_mm is not None and retraction != "absent":
        way = centre_mm - pleura_mm
        wide = (5.0, 1.0) if retraction == "present" else (3.0, 0.6)
        # A tent at the pleura, drawn out to a strand that ends in the nodule.
        knee = pleura_mm + (0.35 if retraction == "present" else 0.2) * way
        tag = Tubes(
            np.array([pleura_mm - 0.15 * way, knee], np.float32),
            np.array([knee, centre_mm], np.float32),
            np.array([wide[0], wide[1]], np.float32),
            np.array([wide[1], wide[1] * 1.1], np.float32),
        )
        draw_tubes(hu, grid, tag, solid_hu)

    over = 2  # parts of a slice, as for tubes
    z, y, x = (
        grid.within(box).axis(axis, over if axis == 0 else 1) - np.float32(centre_mm[axis])
        for axis in range(3)
    )
    p = np.stack(np.broadcast_arrays(z[:, None, None], y[None, :, None], x), axis=-1)
    distance = np.sqrt((p**2).sum(axis=-1))
    near = distance < reach
    place, length = p[near], distance[near]
    unit = place / np.maximum(length, 1e-3)[:, None]
    edge = _edge_mm(nodule, rng)
    surface = length - radius(unit)
    body = np.zeros_like(distance)
    body[near] = _sigmoid(-surface / edge)

    fine = np.repeat(part, over, axis=0)
    texture = unevenness(rng, fine.shape, 4)
    if glass:
        target = glass_hu + 35 * texture
    elif features["consistency"] == "part_solid":
        half = nodule.diameter_mm / 2
        core = half * rng.uniform(0.45, 0.65)
        offset = _direction(rng) * (half - core) * 0.5
        wobble = _bumps(rng, 6, 0.3, 4.0)
        away = place - offset.astype(np.float32)
        far = np.sqrt((away**2).sum(axis=-1))
        inside = np.zeros_like(distance)
        size = core * wobble(away / np.maximum(far, 1e-3)[:, None])
        inside[near] = _sigmoid((size - far) / 0.5)
        target = glass_hu + 30 * texture + inside * (solid_hu - glass_hu)
    else:
        target = solid_hu + 8 * texture
    if features["cavitation"] == "present":
        half = nodule.diameter_mm / 2
        hole = half * rng.uniform(0.38, 0.52)
        offset = _direction(rng) * half * 0.15
        away = place - offset.astype(np.float32)
        far = np.sqrt((away**2).sum(axis=-1))
        size = hole * _bumps(rng, 5, 0.2, 4.0)(away / np.maximum(far, 1e-3)[:, None])
        empty = np.zeros_like(distance)
        empty[near] = _sigmoid((size - far) / 0.45)
        target = target + empty * (-960 - target)
    if features["eccentric_calcification"] == "present":
        aside = _direction(rng)
        for _ in range(int(rng.integers(1, 4))):
            half = nodule.diameter_mm / 2
            fleck = max(1.2, half * rng.uniform(0.12, 0.24))
            offset = aside * half * rng.uniform(0.35, 0.6) + rng.normal(0, 0.08 * half, 3)
            far = np.sqrt(((place - offset.astype(np.float32)) ** 2).sum(axis=-1))
            lime = np.zeros_like(distance)
            lime[near] = _sigmoid((fleck - far) / 0.45)
            target = target + lime * (rng.uniform(350, 750) - target)
    drawn = fine + body * (target - fine)
    if features["consistency"] != "solid":
        drawn = np.maximum(drawn, fine)  # vessels stay visible in ground glass
    thick = drawn.reshape(part.shape[0], over, *part.shape[1:]).mean(axis=1)
    # The chest wall stays as it is: only lung is replaced.
    part[...] = before + air * (thick - before)


def _lung_share(lung: Floats) -> Floats:
    """Return how far a voxel may change: all of it where a quarter is lung.

    A voxel on the pleura mixes wall and lung already; replacing its whole value leaves no dark
    line between a nodule and the wall it sits on.
    """
    share: Floats = np.clip(4 * lung, 0, 1)
    return share


def _edge_mm(nodule: Nodule, rng: np.random.Generator) -> float:
    """Return the scale over which density falls at the surface."""
    if nodule.features["margin_conspicuity"] == "well_marginated":
        return float(rng.uniform(0.22, 0.34))
    return float(np.clip(nodule.diameter_mm * rng.uniform(0.06, 0.09), 0.75, 1.4))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random unit vector."""
    v = rng.normal(size=3)
    return np.asarray(v / np.sqrt((v**2).sum()))


def _directions(rng: np.random.Generator, n: int, jitter: float = 0.25) -> Floats:
    """Return n unit vectors spread over the sphere (Fibonacci's lattice, turned and shaken)."""
    i = np.arange(n) + 0.5
    polar, turn = np.arccos(1 - 2 * i / n), np.pi * (1 + 5**0.5) * i
    lattice = np.stack(
        [np.cos(polar), np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn)], axis=1
    )
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    v = np.einsum("ni,ij->nj", lattice, rotation) + rng.normal(0, jitter, (n, 3))
    return np.asarray(v / np.sqrt((v**2).sum(axis=1, keepdims=True)), np.float32)


def _cosines(a: Floats, b: Floats) -> Floats:
    """Return the scalar products of vectors (n, 3) and (k, 3), without threads."""
    products = a[:, :1] * b[:, 0] + a[:, 1:2] * b[:, 1] + a[:, 2:] * b[:, 2]
    return np.asarray(products, np.float32)


def _bumps(rng: np.random.Generator, n: int, height: float, sharpness: float) -> Radius:
    """Return a surface with n smooth hills and hollows."""
    where = _directions(rng, n)
    size = rng.uniform(-height, height, n).astype(np.float32)

    def radius(unit: Floats) -> Floats:
        hills = (np.exp(sharpness * (_cosines(unit, where) - 1)) * size).sum(axis=1)
        return np.asarray(np.exp(hills), np.float32)

    return radius


def _radius(nodule: Nodule, rng: np.random.Generator) -> Radius:
    """Return the surface of a nodule in millimetres from its centre, as its features say."""
    shape, margin = nodule.features["shape"], nodule.features["margin"]
    parts: list[Radius] = []
    if shape == "round":
        parts.append(_bumps(rng, 8, 0.03, 3.0))
    elif shape == "ovoid":
        parts += [_ellipsoid(rng), _bumps(rng, 8, 0.03, 3.0)]
    elif shape == "polygonal":
        parts.append(_polyhedron(rng))
    else:
        parts += [_bumps(rng, 7, 0.5, 4.5), _bumps(rng, 16, 0.22, 12.0)]
    if margin == "lobulated":
        parts.append(_lobes(rng))
    elif margin == "spiculated":
        parts.append(_bumps(rng, 40, 0.14, 30.0))

    def relative(unit: Floats) -> Floats:
        r = parts[0](unit)
        for part in parts[1:]:
            r = r * part(unit)
        return r

    angle = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    ring = np.stack([np.zeros(128), np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)
    around = relative(ring)
    scale = np.float32(nodule.diameter_mm / (around + np.roll(around, 64)).max())
    limit = np.float32(0.75 * nodule.diameter_mm)
    return lambda unit: np.minimum(relative(unit) * scale, limit)


def _ellipsoid(rng: np.random.Generator) -> Radius:
    """Return an egg twice or so as long as wide, lying so that an axial slice shows it."""
    turn = rng.uniform(0, 2 * np.pi)
    long = np.array([rng.uniform(-0.35, 0.35), np.sin(turn), np.cos(turn)])
    long = (long / np.sqrt((long**2).sum())).astype(np.float32)
    ratio = rng.uniform(0.5, 0.66)

    def radius(unit: Floats) -> Floats:
        along = _cosines(unit, long[None])[:, 0] ** 2
        return np.asarray(1 / np.sqrt(along + (1 - along) / ratio**2), np.float32)

    return radius


def _polyhedron(rng: np.random.Generator) -> Radius:
    """Return a body of few flat faces with slightly rounded edges.

    Four or five faces stand upright, so that axial slices show a polygon.
    """
    n = int(rng.integers(4, 6))
    turn = rng.uniform(0, 2 * np.pi) + (np.arange(n) + rng.uniform(-0.17, 0.17, n)) * 2 * np.pi / n
    tilt = rng.uniform(-0.25, 0.25, n)
    upright = np.stack([np.sin(tilt), np.cos(tilt) * np.sin(turn), np.cos(tilt) * np.cos(turn)], 1)
    faces = np.concatenate([upright, [[1, 0.1, 0.1], [-1, -0.1, 0.1]]])
    faces /= np.sqrt((faces**2).sum(axis=1, keepdims=True))
    away = np.concatenate([rng.uniform(0.85, 1.15, n), rng.uniform(0.8, 1.1, 2)])
    normals = (faces / away[:, None]).astype(np.float32)

    def radius(unit: Floats) -> Floats:
        reach = np.maximum(_cosines(unit, normals), 0) ** 18
        return np.asarray(1 / np.maximum(reach.sum(axis=1), 1e-9) ** (1 / 18), np.float32)

    return radius


def _lobes(rng: np.random.Generator) -> Radius:
    """Return the outline of overlapping spheres: scallops with notches between them."""
    n = int(rng.integers(8, 13))
    centres = _directions(rng, n, 0.12) * rng.uniform(0.5, 0.62, (n, 1)).astype(np.float32)
    size2 = rng.uniform(0.3, 0.42, n).astype(np.float32) ** 2
    core2 = np.float32(0.7)
    outside = (centres**2).sum(axis=1) - size2

    def radius(unit: Floats) -> Floats:
        b = _cosines(unit, centres)
        under = b**2 - outside
        far = np.where((under > 0) & (b > 0), b + np.sqrt(np.maximum(under, 0)), 0)
        return np.asarray(np.maximum(far.max(axis=1), core2), np.float32)

    return radius


def _spicules(
    nodule: Nodule, radius: Radius, centre_mm: NDArray[np.float64], rng: np.random.Generator
) -> Tubes:
    """Return the strands that radiate from a spiculated nodule."""
    if nodule.features["margin"] != "spiculated":
        none = np.zeros((0, 3), np.float32)
        return Tubes(none, none, none[:, 0], none[:, 0])
    half = nodule.diameter_mm / 2
    n = int(np.clip(14 + 1.6 * half + rng.integers(0, 6), 14, 44))
    unit = _directions(rng, n, 0.3)
    surface = radius(unit)[:, None]
    length = rng.uniform(0.35, 0.95, (n, 1)) * np.clip(half, 3.5, 9.0)
    tip = unit * np.minimum(surface + length, nodule.reach_mm - 1.5)
    tip = tip + rng.normal(0, 0.08, (n, 3)) * length
    centre = centre_mm.astype(np.float32)
    wide = rng.uniform(0.6, 1.1, n).astype(np.float32) * np.float32(min(1.0, 0.55 + half / 14))
    return Tubes(
        (centre + unit * surface * 0.7).astype(np.float32),
        (centre + tip).astype(np.float32),
        wide,
        np.full(n, 0.25, np.float32),
    )
