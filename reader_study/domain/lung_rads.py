"""The Lung-RADS v2022 category of a nodule, from its type, size and change.

American College of Radiology, Lung-RADS v2022. Diameters are means of the long and the short
axis in millimetres, rounded to one decimal as the standard has it. What takes judgement is
left to the reader: benign calcification or fat (1), juxtapleural nodules, cysts and airway
nodules, and features that raise suspicion (4X).
"""

import math
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a nodule consists of."""

    SOLID = "solid"
    PART_SOLID = "part_solid"
    NON_SOLID = "ground_glass"


class Change(StrEnum):
    """How a nodule compares with the examination before.

    `GROWING` is more than 1.5 mm within 12 months; `SLOWLY_GROWING` is less than that in
    each of several examinations, and sets only non-solid nodules apart.
    """

    BASELINE = "baseline"  # there is no earlier examination
    STABLE = "stable"
    SLOWLY_GROWING = "slowly_growing"
    GROWING = "growing"
    NEW = "new"


class Category(StrEnum):
    """What follows: 12 months (2), 6 months (3), 3 months (4A), work-up (4B)."""

    TWO = "2"
    THREE = "3"
    FOUR_A = "4a"
    FOUR_B = "4b"


class Band(NamedTuple):
    """The category of nodules of these kinds and changes from a size on, until the next band.

    `solid_mm` is of the solid part, and 0 for nodules of other kinds.
    """

    kinds: tuple[Kind, ...]
    changes: tuple[Change, ...]
    size_mm: float
    solid_mm: float
    category: Category


_UNCHANGED = (Change.BASELINE, Change.STABLE, Change.SLOWLY_GROWING)
_MORE = (Change.GROWING, Change.NEW)
_SOLID, _PART, _NON = (Kind.SOLID,), (Kind.PART_SOLID,), (Kind.NON_SOLID,)

# Of the bands that a nodule reaches, the last one counts. The reading room is sent this table with
# the form, so that what it shows is looked up in the same one.
TABLE = (
    Band(_SOLID, _UNCHANGED, 0, 0, Category.TWO),
    Band(_SOLID, _UNCHANGED, 6, 0, Category.THREE),
    Band(_SOLID, _UNCHANGED, 8, 0, Category.FOUR_A),
    Band(_SOLID, _UNCHANGED, 15, 0, Category.FOUR_B),
    Band(_SOLID, (Change.NEW,), 0, 0, Category.TWO),
    Band(_SOLID, (Change.NEW,), 4, 0, Category.THREE),
    Band(_SOLID, (Change.NEW,), 6, 0, Category.FOUR_A),
    Band(_SOLID, (Change.GROWING,), 0, 0, Category.FOUR_A),
    Band(_SOLID, _MORE, 8, 0, Category.FOUR_B),
    Band(_PART, _UNCHANGED, 0, 0, Category.TWO),
    Band(_PART, _UNCHANGED, 6, 0, Category.THREE),
    Band(_PART, _UNCHANGED, 6, 6, Category.FOUR_A),
    Band(_PART, _UNCHANGED, 6, 8, Category.FOUR_B),
    Band(_PART, (Change.GROWING,), 0, 0, Category.FOUR_A),
    Band(_PART, (Change.GROWING,), 0, 4, Category.FOUR_B),
    Band(_PART, (Change.NEW,), 0, 0, Category.THREE),
    Band(_PART, (Change.NEW,), 6, 0, Category.FOUR_A),
    Band(_PART, (Change.NEW,), 6, 4, Category.FOUR_B),
    # Growing faster at 30 mm or more is named nowhere; it is no better than new.
    Band(_NON, tuple(Change), 0, 0, Category.TWO),
    Band(_NON, (Change.BASELINE, *_MORE), 30, 0, Category.THREE),
)


def tenth(millimetres: float) -> float:
    """Round to one decimal, a half upwards: as the reading room does, to the last bit."""
    return math.floor(millimetres * 10 + 0.5) / 10


def lung_rads(
    kind: Kind, diameter_mm: float, change: Change, solid_mm: float | None = None
) -> Category:
    """Return the category of a nodule of `diameter_mm`; part-solid ones need `solid_mm`.

    Raises:
        ValueError: a size is not positive, or the solid part is missing or the larger one.
    """
    if not 0 < diameter_mm < math.inf or not (size := tenth(diameter_mm)) > 0:
        raise ValueError("a diameter is more than 0 mm")
    solid = 0.0
    if kind is Kind.PART_SOLID:
        if solid_mm is None:
            raise ValueError("a part-solid nodule needs the diameter of its solid part")
        solid = tenth(solid_mm)
        if not 0 < solid <= size:
            raise ValueError("the solid part is more than 0 mm, and no larger than the nodule")
    return [
        band.category
        for band in TABLE
        if kind in band.kinds
        and change in band.changes
        and size >= band.size_mm
        and solid >= band.solid_mm
    ][-1]
