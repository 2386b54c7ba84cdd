"""The demonstration cases: who, which nodules, where, and the images."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phantom.anatomy import AIR, BELOW_MM, BLOOD, Chest, Person
from phantom.grid import Floats, Grid, Tubes, draw_tubes
from phantom.lungs import Lungs
from phantom.nodule import (
    FEATURES,
    Nodule,
    draw_nodule,
    possible,
    random_nodule,
    with_truth,
)
from phantom.noise import grain

MATRIX = 512
SLICE_MM = 2.5
VERSION = "1"  # part of every UID: change it when the images change


@dataclass(frozen=True)
class PlacedNodule:
    """A nodule of a case.

    Attributes:
        label: unique in the case.
        centre_mm: (x, y, z), LPS millimetres in the case's frame of reference.
        nodule: its features, size and truth.
    """

    label: str
    centre_mm: tuple[float, float, float]
    nodule: Nodule


@dataclass(frozen=True)
class Case:
    """One CT examination that does not exist, before it is drawn.

    Attributes:
        number: from 1.
        patient_id: for example PHANTOM-01.
        rows: pixels along each side of a slice.
        spacing_mm: between the centres of pixels.
        offset_mm: (x, y, z) of the body's axis in the frame of reference, LPS.
        slices: how many, `slice_mm` apart.
        noise_hu: standard deviation of the grain in soft tissue.
        slice_mm: between the centres of slices.
        days_before: how long before the examination with the study UID `prior_of` it was made.
    """

    number: int
    patient_id: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    person: Person
    age: int
    rows: int
    spacing_mm: float
    slices: int
    offset_mm: tuple[float, float, float]
    noise_hu: float
    nodules: tuple[PlacedNodule, ...]
    slice_mm: float = SLICE_MM
    days_before: int = 0
    prior_of: str = ""

    @property
    def body_grid(self) -> Grid:
        """Where the voxels lie in body coordinates."""
        first = -(self.rows - 1) / 2 * self.spacing_mm
        middle = 8.0 * self.person.width / 166.0  # the trunk reaches farther back than forward
        return Grid(
            (-BELOW_MM, first + middle, first),
            (self.slice_mm, self.spacing_mm, self.spacing_mm),
            (self.slices, self.rows, self.rows),
        )

    @property
    def grid(self) -> Grid:
        """Where the voxels lie in the frame of reference, triples (z, y, x)."""
        body = self.body_grid
        x, y, z = self.offset_mm
        z0, y0, x0 = body.origin
        # Rounded to what a decimal string in a DICOM header holds exactly.
        origin = (round(z0 + z, 6), round(y0 + y, 6), round(x0 + x, 6))
        return Grid(origin, body.spacing, body.shape)


class Volume(NamedTuple):
    """A drawn series: `hu` is int16 (z, y, x), index ascending with each LPS coordinate."""

    hu: NDArray[np.int16]
    grid: Grid


class _Wanted(NamedTuple):
    """A nodule of the demonstration set, in words."""

    diameter_mm: float
    words: str  # margin, shape, consistency, conspicuity, then what is present
    side: int  # -1 right, 1 left
    height: float  # 0 at the base of the lungs, 1 at the apex
    seed: int


class _Setting(NamedTuple):
    """A person of the demonstration set, and their nodules."""

    spacing_mm: float
    height: float
    fat: float
    heart: float
    emphysema: float
    female: bool
    age: int
    noise_hu: float
    nodules: tuple[_Wanted, ...]


SETTINGS = (
    _Setting(0.70, 216, 12, 1.0, 0.25, False, 66, 16, (
        _Wanted(17.0, "spiculated irregular solid well_marginated", -1, 0.72, 11),)),
    _Setting(0.66, 204, 16, 0.95, 0.0, True, 58, 14, (
        _Wanted(9.0, "smooth round solid well_marginated", 1, 0.35, 12),
        _Wanted(14.0, "smooth ovoid ground_glass poorly_marginated", -1, 0.62, 13))),
    _Setting(0.76, 220, 20, 1.05, 0.6, False, 71, 19, (
        _Wanted(23.0, "lobulated round part_solid well_marginated", 1, 0.66, 14),)),
    _Setting(0.72, 212, 14, 1.0, 0.0, False, 63, 17, (
        _Wanted(8.0, "smooth polygonal solid well_marginated attached", -1, 0.4, 15),
        _Wanted(12.0, "lobulated ovoid solid well_marginated calcified", 1, 0.55, 16))),
    _Setting(0.68, 206, 18, 0.9, 0.1, True, 69, 15, (
        _Wanted(20.0, "spiculated irregular part_solid poorly_marginated retraction",
                -1, 0.58, 17),)),
    _Setting(0.80, 218, 24, 1.1, 0.3, False, 74, 21, (
        _Wanted(28.0, "lobulated irregular solid well_marginated cavity", -1, 0.38, 31),)),
    _Setting(0.64, 200, 10, 0.95, 0.0, True, 55, 14, (
        _Wanted(6.0, "smooth round solid well_marginated", -1, 0.5, 19),
        _Wanted(10.0, "smooth polygonal ground_glass well_marginated", 1, 0.68, 20))),
    _Setting(0.74, 214, 16, 1.08, 0.9, False, 70, 18, (
        _Wanted(15.0, "spiculated polygonal solid poorly_marginated dimpling", 1, 0.74, 10),)),
    _Setting(0.71, 210, 13, 1.0, 0.15, True, 61, 16, (
        _Wanted(18.0, "lobulated round ground_glass poorly_marginated attached", 1, 0.44, 22),
        _Wanted(5.0, "smooth ovoid solid well_marginated", -1, 0.64, 23))),
    _Setting(0.78, 222, 19, 1.0, 0.45, False, 67, 20, (
        _Wanted(25.0, "spiculated ovoid solid poorly_marginated attached", -1, 0.66, 24),)),
)  # fmt: skip
"""Ten people; more are drawn at random. The truth of a nodule follows from its seed, by chance."""


def demo_cases(count: int = 10, rows: int = MATRIX) -> list[Case]:
    """Return the demonstration cases, always the same ones.

    The first ten are chosen so that every feature occurs; further ones are drawn at random. No
    image is made yet. `rows` other than 512 gives the same bodies on coarser images.
    """
    return [_case(number, rows) for number in range(1, count + 1)]


# Of which case there is an earlier examination, and how long before it was made.
PRIORS = {5: 425}
# The nodule was so much smaller then, and breath was held less deep.
GROWN_FROM = 0.6
SHALLOWER = 0.965
PRIOR_SLICE_MM = 5.0


def earlier_examination(case: Case) -> Case | None:
    """Return the examination of the same person some time before, where there is one.

    Its slices are thicker, the person lies elsewhere on the table and holds less breath, and the
    nodules are smaller; those that would be hard to see then were not there.
    """
    days = PRIORS.get(case.number)
    if days is None:
        return None
    rng = np.random.default_rng([0x7072696F, case.number])
    offset = np.round(np.add(case.offset_mm, [*rng.uniform(-8, 8, 2), rng.uniform(60, 90)]), 1)
    person = replace(case.person, height=case.person.height * SHALLOWER)
    smaller = []
    for placed in case.nodules:
        diameter = round(placed.nodule.diameter_mm * GROWN_FROM, 1)
        z, y, x = _to_body(case, placed.centre_mm)
        centre = np.round(np.add((x, y, z * SHALLOWER), offset), 2)
        if diameter >= 4:
            nodule = with_truth(
                diameter, possible(diameter, dict(placed.nodule.features)), placed.nodule.seed
            )
            place = (float(centre[0]), float(centre[1]), float(centre[2]))
            smaller.append(PlacedNodule(placed.label, place, nodule))
    name = (case.patient_id, case.rows, "prior")
    return replace(
        case,
        study_uid=_uid(*name, "study"),
        series_uid=_uid(*name, "series"),
        frame_of_reference_uid=_uid(*name, "frame"),
        person=person,
        age=case.age - 1,
        slices=int(np.ceil((person.height + BELOW_MM + 8) / PRIOR_SLICE_MM)),
        offset_mm=(float(offset[0]), float(offset[1]), float(offset[2])),
        nodules=tuple(smaller),
        slice_mm=PRIOR_SLICE_MM,
        days_before=days,
        prior_of=case.study_uid,
    )


def volume(case: Case) -> Volume:
    """Draw the images of a case. Takes a few seconds and some 300 MB at 512 rows."""
    grid = case.body_grid
    rng = np.random.default_rng([0x6E6F6973, case.person.seed])
    chest = Chest(case.person, grid)
    hu = np.empty(grid.shape, np.float32)
    lung = np.empty(grid.shape, np.float16)
    depth = np.empty(grid.shape, np.float16)
    for index in range(case.slices):
        drawn = chest.slice(index)
        hu[index], lung[index] = drawn.hu, drawn.lung
        depth[index] = drawn.depth_mm
    _draw_tree(hu, grid, case)
    for placed in case.nodules:
        centre = _to_body(case, placed.centre_mm)
        pleura = _pleura(lung, grid, centre)
        reach = placed.nodule.reach_mm + 30
        box = grid.box(centre - reach, centre + reach)
        if box is not None:
            part, share = hu[box], lung[box].astype(np.float32)
            draw_nodule(part, share, grid.within(box), placed.nodule, centre, pleura)
    out = np.empty(grid.shape, np.int16)
    for index in range(case.slices):
        noise = grain(rng, grid.shape[1:], case.spacing_mm, case.noise_hu)
        # More quanta reach the detector near the skin.
        noise *= 0.72 + np.clip(depth[index].astype(np.float32), 0, 110) / np.float32(330)
        out[index] = np.clip(np.rint(hu[index] + noise), -1024, 3071)
    return Volume(out, case.grid)


def _draw_tree(hu: Floats, grid: Grid, case: Case) -> None:
    """Draw emphysema, vessels, airways and the bones of the shoulder."""
    obstacles = [
        (_to_body(case, placed.centre_mm), 0.42 * placed.nodule.diameter_mm + 1.5)
        for placed in case.nodules
    ]
    tree = Lungs(case.person).tree(obstacles)
    draw_tubes(hu, grid, tree.spots, -950.0)
    draw_tubes(hu, grid, tree.gullet, 36.0)
    inner = tree.bones._replace(
        radius_start=tree.bones.radius_start - 2, radius_end=tree.bones.radius_end - 2
    )
    draw_tubes(hu, grid, tree.bones, 620.0)
    draw_tubes(hu, grid, inner, 210.0)
    draw_tubes(hu, grid, tree.blood, BLOOD)
    airways = tree.airways
    thick = tree.wall_mm
    walls = Tubes(
        airways.start, airways.end, airways.radius_start + thick, airways.radius_end + thick
    )
    draw_tubes(hu, grid, walls, 20.0)
    draw_tubes(hu, grid, airways, AIR + 15)


def _to_body(case: Case, centre_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return a point of the frame of reference in body coordinates, zyx."""
    return np.subtract(centre_mm[::-1], case.offset_mm[::-1], dtype=np.float64)


def _pleura(
    lung: NDArray[np.float16], grid: Grid, centre: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return where the way outwards from a nodule leaves the lung, if within 40 mm."""
    outwards = np.array([0.0, centre[1], centre[2]])
    outwards /= np.sqrt((outwards**2).sum())
    for step in np.arange(0.5, 40.0, 0.25):
        place: NDArray[np.float64] = centre + step * outwards
        index = [
            round((p - o) / s) for p, o, s in zip(place, grid.origin, grid.spacing, strict=True)
        ]
        if not all(0 <= i < n for i, n in zip(index, grid.shape, strict=True)):
            return None
        if lung[index[0], index[1], index[2]] < 0.5:
            return place
    return None


def _uid(*parts: object) -> str:
    """Return a UID that depends on nothing but its parts."""
    text = "/".join(str(part) for part in ("phantom", VERSION, *parts))
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:15])}"


def instance_uid(case: Case, index: int) -> str:
    """Return the SOP Instance UID of a slice."""
    of_prior = ("prior",) if case.prior_of else ()
    return _uid(case.patient_id, case.rows, *of_prior, "instance", index)


@lru_cache(maxsize=64)
def _case(number: int, rows: int) -> Case:
    """Return one case with its nodules placed."""
    setting = SETTINGS[number - 1] if number <= len(SETTINGS) else _random_setting(number)
    rng = np.random.default_rng([0x63617365, number])
    spacing = setting.spacing_mm * MATRIX / rows
    person = Person(
        seed=number,
        width=setting.spacing_mm * MATRIX / 2 * 0.925,
        height=setting.height,
        fat=setting.fat,
        heart=setting.heart,
        emphysema=setting.emphysema,
        female=setting.female,
    )
    offset = np.round([rng.uniform(-9, 9), rng.uniform(-190, -150), rng.uniform(-420, -180)], 1)
    patient = f"PHANTOM-{number:02d}"
    case = Case(
        number=number,
        patient_id=patient,
        study_uid=_uid(patient, rows, "study"),
        series_uid=_uid(patient, rows, "series"),
        frame_of_reference_uid=_uid(patient, rows, "frame"),
        person=person,
        age=setting.age,
        rows=rows,
        spacing_mm=spacing,
        slices=int(np.ceil((setting.height + BELOW_MM + 8) / SLICE_MM)),
        offset_mm=(float(offset[0]), float(offset[1]), float(offset[2])),
        noise_hu=setting.noise_hu,
        nodules=(),
    )
    return replace(case, nodules=_place(case, setting.nodules))


def _random_setting(number: int) -> _Setting:
    """Draw a person and a nodule or two."""
    rng = np.random.default_rng([0x72616E64, number])
    wanted = []
    for n in range(int(rng.integers(1, 3))):
        nodule = random_nodule(1000 * number + n)
        side = -1 if n == 0 else 1
        words = " ".join(_words(nodule))
        height = float(rng.uniform(0.35, 0.75))
        wanted.append(_Wanted(round(nodule.diameter_mm, 1), words, side, height, nodule.seed))
    return _Setting(
        spacing_mm=float(np.round(rng.uniform(0.64, 0.8), 2)),
        height=float(np.round(rng.uniform(200, 222))),
        fat=float(rng.uniform(10, 22)),
        heart=float(rng.uniform(0.9, 1.1)),
        emphysema=float(rng.choice([0.0, 0.0, 0.2, 0.5])),
        female=bool(rng.random() < 0.45),
        age=int(rng.integers(50, 78)),
        noise_hu=float(rng.uniform(14, 21)),
        nodules=tuple(wanted),
    )


WORDS = {
    ("pleural_attachment", "present"): "attached",
    ("pleural_retraction", "present"): "retraction",
    ("pleural_retraction", "mild_dimpling"): "dimpling",
    ("cavitation", "present"): "cavity",
    ("eccentric_calcification", "present"): "calcified",
}


def _words(nodule: Nodule) -> list[str]:
    """Return the words for a nodule as they stand in `SETTINGS`."""
    words = [WORDS.get(item, item[1]) for item in nodule.features.items()]
    return [word for word in words if word != "absent"]


def _nodule(wanted: _Wanted) -> Nodule:
    """Return the nodule that some words ask for."""
    features: dict[str, str] = {}
    for word in wanted.words.split():
        for feature, categories in FEATURES.items():
            for category in categories:
                if WORDS.get((feature, category), category) == word:
                    features[feature] = category
    features = possible(wanted.diameter_mm, features)
    return with_truth(wanted.diameter_mm, features, wanted.seed)


def _place(case: Case, wanted: tuple[_Wanted, ...]) -> tuple[PlacedNodule, ...]:
    """Find a place in the lung for every nodule.

    Attached ones lie on the costal pleura, those that pull at it a little below, all others free
    in the lung and away from the hilum.
    """
    lungs = Lungs(case.person)
    placed: list[PlacedNodule] = []
    for number, one in enumerate(wanted, start=1):
        nodule = _nodule(one)
        rng = np.random.default_rng([0x706C6163, case.number, number])
        places = lungs.places(rng, 20_000, 2.0)
        places = places[np.sign(places[:, 2]) == one.side]
        off = np.abs(places[:, 0] / case.person.height - one.height)
        hilum = np.array([104.0, 8.0, 46.0 * one.side]) * lungs.scales
        far = np.sqrt(((places - hilum) ** 2).sum(axis=1))
        half = nodule.diameter_mm / 2
        index = np.rint((places - lungs.grid.origin) / lungs.grid.spacing).astype(int)
        inside = lungs.inside_mm[tuple(index.T)]
        wall = -lungs.wall_mm[tuple(index.T)]
        if nodule.features["pleural_attachment"] == "present":
            fits = np.abs(wall - 0.55 * half) < 0.6
            fits &= inside > 0.3 * half
        elif nodule.features["pleural_retraction"] != "absent":
            fits = (wall > half + 6) & (wall < half + 9) & (inside > half + 4)
        else:
            fits = inside > np.clip(1.3 * half + 5, 14, 22)
        fits &= far > 32 + half
        score = np.where(fits, off, np.inf)
        best = places[int(np.argmin(score))]
        x, y, z = (float(v) for v in np.round(best[::-1] + np.array(case.offset_mm), 2))
        placed.append(PlacedNodule(str(number), (x, y, z), nodule))
    return tuple(placed)
