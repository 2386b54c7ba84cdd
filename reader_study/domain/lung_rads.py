"""The Lung-RADS v2022 category of a nodule, from its type, size and change.

American College of Radiology, Lung-RADS v2022. Diameters are means of the long and the short
axis in millimetres, rounded to one decimal as the standard has it. What takes judgement is
left to the reader: benign calcification or fat (1), juxtapleural nodules, cysts and airway
nodules, and features that raise suspicion (4X).
"""

from enum import StrEnum


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


def lung_rads(
    kind: Kind, diameter_mm: float, change: Change, solid_mm: float | None = None
) -> Category:
    """Return the category of a nodule of `diameter_mm`; part-solid ones need `solid_mm`.

    Raises:
        ValueError: a size is not positive, or the solid part is missing or the larger one.
    """
    size = round(diameter_mm, 1)
    if not size > 0:
        raise ValueError("a diameter is more than 0 mm")
    match kind:
        case Kind.SOLID:
            return _solid(size, change)
        case Kind.PART_SOLID:
            if solid_mm is None:
                raise ValueError("a part-solid nodule needs the diameter of its solid part")
            solid = round(solid_mm, 1)
            if not 0 < solid <= size:
                raise ValueError("the solid part is more than 0 mm, and no larger than the nodule")
            return _part_solid(size, solid, change)
        case Kind.NON_SOLID:
            # Growing faster at 30 mm or more is named nowhere; it is no better than new.
            calm = change in {Change.STABLE, Change.SLOWLY_GROWING}
            return Category.TWO if size < 30 or calm else Category.THREE


def _solid(size: float, change: Change) -> Category:
    if change is Change.NEW:
        return _step(size, (4, 6, 8))
    if change is Change.GROWING:
        return Category.FOUR_A if size < 8 else Category.FOUR_B
    return _step(size, (6, 8, 15))


def _part_solid(size: float, solid: float, change: Change) -> Category:
    if change is Change.NEW and size < 6:
        return Category.THREE
    if change in {Change.NEW, Change.GROWING}:
        return Category.FOUR_A if solid < 4 else Category.FOUR_B
    if size < 6:
        return Category.TWO
    if solid < 6:
        return Category.THREE
    return Category.FOUR_A if solid < 8 else Category.FOUR_B


def _step(size: float, ends: tuple[float, float, float]) -> Category:
    """Return the category between whose ends `size` lies; each begins with its lower end."""
    return list(Category)[sum(size >= end for end in ends)]
