"""Clinical models to hold a network against: from what is known of a patient to a score.

McWilliams A et al. Probability of cancer in pulmonary nodules detected on first screening
CT. N Engl J Med 2013;369:910-919 (Brock or PanCan, full model with spiculation).
Swensen SJ et al. The probability of malignancy in solitary pulmonary nodules. Arch Intern
Med 1997;157:849-855 (Mayo).
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from reader_study.domain.lung_rads import Category, Change, Kind, lung_rads

Consistency = Literal["solid", "part_solid", "ground_glass"]
Value = bool | float | str

_BROCK_CONSISTENCY = {"solid": 0.0, "part_solid": 0.377, "ground_glass": -0.1276}
MAYO_MM = (4.0, 30.0)  # the diameters the model was made from
# A diameter becomes a score from 0 to 1 by dividing it by this: its order is all that counts.
GREATEST_MM = 200.0
# Lung-RADS has an order and no probability: its categories as even steps from 0 to 1.
_BENIGN = "1"
_CATEGORIES = (_BENIGN, *Category)


class NoScore(ValueError):
    """A nodule that a clinical model cannot be applied to; the text says why."""


def brock(
    *,
    age: float,
    female: bool,
    family_history: bool,
    emphysema: bool,
    diameter_mm: float,
    consistency: Consistency,
    upper_lobe: bool,
    nodules: int,
    spiculated: bool,
) -> float:
    """Return the risk that a nodule is cancer within two to four years, from 0 to 1.

    `family_history` is of lung cancer, `diameter_mm` the longest one, `nodules` how many
    the examination shows.

    Raises:
        NoScore: the diameter is not positive, there is no nodule, or the consistency is
            none of the three.
    """
    _positive(diameter_mm)
    if nodules < 1:
        raise NoScore(f"an examination with this nodule cannot show {nodules}")
    if consistency not in _BROCK_CONSISTENCY:
        raise NoScore(f"{consistency} is none of {', '.join(_BROCK_CONSISTENCY)}")
    return _logistic(
        -6.7892
        + 0.0287 * (age - 62)
        + 0.6011 * female
        + 0.2961 * family_history
        + 0.2953 * emphysema
        - 5.3854 * ((diameter_mm / 10) ** -0.5 - 1.58113883)
        + _BROCK_CONSISTENCY[consistency]
        + 0.6581 * upper_lobe
        - 0.0824 * (nodules - 4)
        + 0.7729 * spiculated
    )


def mayo(
    *,
    age: float,
    ever_smoked: bool,
    extrathoracic_cancer: bool,
    diameter_mm: float,
    spiculated: bool,
    upper_lobe: bool,
) -> float:
    """Return the risk that a nodule is malignant, from 0 to 1.

    `extrathoracic_cancer` is one diagnosed more than five years ago; with a later one the
    model does not apply.

    Raises:
        NoScore: the diameter is not one of 4 to 30 mm.
    """
    smallest, greatest = MAYO_MM
    if not smallest <= diameter_mm <= greatest:
        raise NoScore(f"the Mayo model holds from 4 to 30 mm, not for {diameter_mm:g} mm")
    return _logistic(
        -6.8272
        + 0.0391 * age
        + 0.7917 * ever_smoked
        + 1.3388 * extrathoracic_cancer
        + 0.1274 * diameter_mm
        + 1.0407 * spiculated
        + 0.7838 * upper_lobe
    )


def diameter_score(diameter_mm: float) -> float:
    """Return a diameter as a score: the larger the more suspicious, and no probability.

    Raises:
        NoScore: it is not positive, or larger than any nodule.
    """
    _positive(diameter_mm)
    if diameter_mm > GREATEST_MM:
        raise NoScore(f"no nodule has a diameter of {diameter_mm:g} mm")
    return diameter_mm / GREATEST_MM


def lung_rads_score(category: str) -> float:
    """Return a category from 1 to 4B as one of even steps from 0 to 1: an order only."""
    return _CATEGORIES.index(category) / (len(_CATEGORIES) - 1)


def _positive(diameter_mm: float) -> None:
    if not 0 < diameter_mm < math.inf:
        raise NoScore(f"a diameter of {diameter_mm:g} mm is not positive")


def _logistic(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _number(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(text)
    return value


def _count(text: str) -> float:
    value = _number(text)
    if value != round(value):
        raise ValueError(text)
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(text)
        return text.lower()

    return read


def _whether(text: str) -> bool:
    return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}[
        text.lower()
    ]


class Field(NamedTuple):
    """A clinical variable: how its text is read, and what it may say."""

    read: Callable[[str], Value]
    says: str


_YES_NO = Field(_whether, "yes or no")
_MM = Field(_number, "a number of millimetres")
FIELDS: Mapping[str, Field] = {
    "age": Field(_number, "a number of years"),
    "sex": Field(_one_of("female", "male"), "female or male"),
    "ever_smoked": _YES_NO,
    "family_history": _YES_NO,
    "emphysema": _YES_NO,
    "extrathoracic_cancer": _YES_NO,
    "upper_lobe": _YES_NO,
    "spiculated": _YES_NO,
    "benign_pattern": _YES_NO,  # benign calcification or fat
    "nodules": Field(_count, "a whole number"),
    "consistency": Field(_one_of(*Kind), ", ".join(Kind)),
    "change": Field(_one_of(*Change), ", ".join(Change)),
    "diameter_mm": _MM,  # the longest
    "mean_mm": _MM,  # mean of long and short axis
    "solid_mm": _MM,  # the same of the solid part
}


def _brock_of(known: Mapping[str, Value]) -> float:
    given = {**known, "female": known["sex"] == "female", "nodules": int(known["nodules"])}
    del given["sex"]
    return brock(**given)  # type: ignore[arg-type]  # read by FIELDS


def _mayo_of(known: Mapping[str, Value]) -> float:
    return mayo(**known)  # type: ignore[arg-type]  # read by FIELDS


def _lung_rads_of(known: Mapping[str, Value]) -> float:
    if known.get("benign_pattern"):
        return lung_rads_score(_BENIGN)
    solid = known.get("solid_mm")
    try:
        category = lung_rads(
            Kind(str(known["consistency"])),
            float(known["mean_mm"]),
            Change(str(known["change"])),
            None if solid is None else float(solid),
        )
    except ValueError as error:
        raise NoScore(str(error)) from error
    return lung_rads_score(category)


def _diameter_of(known: Mapping[str, Value]) -> float:
    return diameter_score(float(known["diameter_mm"]))


class Comparator(NamedTuple):
    """A clinical model as a model of a study.

    `notice` stands beside its score wherever a model's does.
    """

    title: str
    version: str
    notice: str
    needs: tuple[str, ...]
    may_use: tuple[str, ...]
    score: Callable[[Mapping[str, Value]], float]


COMPARATORS: Mapping[str, Comparator] = {
    "brock": Comparator(
        "Brock (PanCan)",
        "2013, full with spiculation",
        "Risk of cancer within two to four years, made for nodules found at screening.",
        ("age", "sex", "family_history", "emphysema", "diameter_mm", "consistency", "upper_lobe",
         "nodules", "spiculated"),
        (),
        _brock_of,
    ),
    "mayo": Comparator(
        "Mayo (Swensen)",
        "1997",
        "Risk that a solitary nodule of 4 to 30 mm is malignant.",
        ("age", "ever_smoked", "extrathoracic_cancer", "diameter_mm", "spiculated", "upper_lobe"),
        (),
        _mayo_of,
    ),
    "lung-rads": Comparator(
        "Lung-RADS",
        "v2022",
        "Categories 1, 2, 3, 4A, 4B as 0, 0.25, 0.5, 0.75, 1: an order, no probability.",
        ("consistency", "mean_mm", "change"),
        ("solid_mm", "benign_pattern"),
        _lung_rads_of,
    ),
    "diameter": Comparator(
        "Diameter",
        "1",
        f"Longest diameter divided by {GREATEST_MM:g} mm: an order, no probability.",
        ("diameter_mm",),
        (),
        _diameter_of,
    ),
}  # fmt: skip


def read_values(comparator: Comparator, texts: Mapping[str, str]) -> dict[str, Value]:
    """Read what a clinical model looks at from texts by name; empty ones are missing.

    Raises:
        NoScore: something it needs is missing, or says what it cannot.
    """
    known: dict[str, Value] = {}
    missing = []
    for name in (*comparator.needs, *comparator.may_use):
        text = texts.get(name, "").strip()
        if not text:
            missing += [name] if name in comparator.needs else []
            continue
        try:
            known[name] = FIELDS[name].read(text)
        except (ValueError, KeyError) as error:
            raise NoScore(f"{name} says {text!r}, not {FIELDS[name].says}") from error
    if missing:
        raise NoScore(f"not known: {', '.join(missing)}")
    return known
