"""Findings: nodules that readers are told about, and marks of those that nobody told them of.

A mark is `{"id", "series", "point_mm", "answers"}`: a point of the patient, LPS millimetres, and
the answers to the questions about a mark, which are those about a nodule and a rating.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from reader_study.domain.measuring import Volume, is_point, is_uuid, outside

# The scale by which marks are ranked, and the explicit answer of a reader who has none.
RATING = "rating"
NO_FINDING = "no_finding"
MOST_MARKS = 100


class Findings(StrEnum):
    """What readers rate: nodules they are given, what they find themselves, or both."""

    GIVEN = "given"
    FREE_RESPONSE = "free_response"
    BOTH = "both"

    @property
    def has_given(self) -> bool:
        """Whether readers are told of nodules before they have looked."""
        return self is not Findings.FREE_RESPONSE

    @property
    def has_marks(self) -> bool:
        """Whether readers mark what they find."""
        return self is not Findings.GIVEN


def marks_of(answers: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the marks in `answers`, which may be of any form; those that are none are left out."""
    marks = answers.get("marks", [])
    if not isinstance(marks, list):
        return []
    return [mark for mark in marks if isinstance(mark, Mapping)]


def problem_of(
    mark: object, volumes: Mapping[int, Volume | None], priors: Collection[int] = ()
) -> str | None:
    """Return what is wrong with a mark besides its answers, or None."""
    if not isinstance(mark, Mapping) or set(mark) != {"id", "series", "point_mm", "answers"}:
        return "a mark has an id, a series, a point and answers"
    if not is_uuid(mark["id"]):
        return "the id of a mark is a UUID"
    if not is_point(mark["point_mm"]):
        return "a mark has a point in millimetres"
    if detail := outside(mark["series"], [mark["point_mm"]], volumes):
        return detail
    if mark["series"] in priors:
        return "a mark lies in the current examination, not in an earlier one"
    return None


def moved(marks: Sequence[Mapping[str, Any]], locked: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which marks of a locked answer are not where they were."""

    def places(of: Sequence[Mapping[str, Any]]) -> dict[Any, tuple[Any, Any]]:
        return {mark.get("id"): (mark.get("series"), mark.get("point_mm")) for mark in of}

    now = places(marks)
    return [key for key, place in places(locked).items() if now.get(key) != place]


class Lesion(NamedTuple):
    """Something that is there: LPS millimetres."""

    name: str
    centre_mm: tuple[float, float, float]
    diameter_mm: float | None


class Hit(NamedTuple):
    """What a mark is on: a lesion, or None; `again` if another mark is nearer to that lesion."""

    lesion: str | None
    again: bool = False


def match(
    marks: Sequence[tuple[float, float, float]],
    lesions: Sequence[Lesion],
    *,
    acceptance_mm: float,
) -> list[Hit]:
    """Return for each mark what it is on, one lesion a mark and one mark a lesion.

    A mark hits a lesion within its acceptance radius: the radius of the lesion, or
    `acceptance_mm` where that is more. The nearest pair of all is matched first, then the nearest
    of what is left. A further mark on a lesion that is matched is on it `again`: it is no
    false positive, and counts for nothing, whatever its rating. Equal distances go to the mark
    that was made first, and to the lesion that is named first.
    """
    pairs = sorted(
        (distance, number, at)
        for number, mark in enumerate(marks)
        for at, lesion in enumerate(lesions)
        if (distance := _distance(mark, lesion.centre_mm))
        <= max((lesion.diameter_mm or 0) / 2, acceptance_mm)
    )
    found: dict[int, Hit] = {}
    taken: set[int] = set()
    for _, number, at in pairs:
        if number not in found and at not in taken:
            found[number] = Hit(lesions[at].name)
            taken.add(at)
    for _, number, at in pairs:
        found.setdefault(number, Hit(lesions[at].name, again=True))
    return [found.get(number, Hit(None)) for number in range(len(marks))]


class Marked(NamedTuple):
    """One mark of one reader under one condition; `rating` ranks it."""

    reader: str
    case: str
    modality: str
    point_mm: tuple[float, float, float]
    rating: float


def froc_tables(
    marks: Sequence[Marked],
    lesions: Mapping[str, Sequence[Lesion]],
    *,
    acceptance_mm: float,
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Return the rows of the marks and of the truth, as `froc` of the statistics reads them.

    Parameters
    ----------
    lesions : what there is to find in every case that was read; none in a case without
    acceptance_mm : as in `match`

    Returns
    -------
    (reader, case, modality, LL or NL, lesion, rating) of each mark that counts, and
    (case, 1 or 0, lesion) of each lesion, or of each case without one.
    """
    of_reading: dict[tuple[str, str, str], list[Marked]] = {}
    for mark in marks:
        of_reading.setdefault((mark.reader, mark.case, mark.modality), []).append(mark)
    rows: list[tuple[str, ...]] = []
    for (reader, case, modality), own in of_reading.items():
        hits = match([m.point_mm for m in own], lesions[case], acceptance_mm=acceptance_mm)
        for mark, hit in zip(own, hits, strict=True):
            if hit.again:
                continue
            kind = "NL" if hit.lesion is None else "LL"
            rows.append((reader, case, modality, kind, hit.lesion or "", repr(mark.rating)))
    truth: list[tuple[str, ...]] = [
        row
        for case, own in lesions.items()
        for row in ([(case, "1", each.name) for each in own] or [(case, "0", "")])
    ]
    return rows, truth


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    return float(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5)
