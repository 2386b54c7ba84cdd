"""Seen or not: what became of each malignant nodule, as far as the screen can tell."""

from collections import Counter
from typing import Any

from reader_study.domain.findings import Findings, Lesion, match
from reader_study.domain.questionnaire import Question
from reader_study.domain.seen import AT_LEAST_S, AXES, Seen, verdict
from reader_study.results.datasets import Data, Modality
from reader_study.results.locked import DwellMap, MarkMade, Place
from reader_study.results.sections import EXPLORATORY, Column, Figure, Section, Table

# Drawn in a figure; the archive has the maps of all.
MOST_CASES = 6


def seen_or_not(data: Data) -> Section | None:
    """Tell of each malignant nodule and reader whether it was displayed, found and rated as such.

    Where readers mark what they find, a nodule is found if a mark is on it, by `findings.match`.
    None where the archive does not tell what was on screen.
    """
    locked = data.locked
    if not locked.displayed:
        return None
    if locked.protocol.findings == Findings.GIVEN:
        rows = [row for modality in data.modalities for row in _rows(data, modality)]
        if data.unit != "nodule":
            return None
        positive = f"{data.threshold:g} or higher"
        how = f"and whether it was rated as positive ({positive})."
    else:
        question = _of_marks(data)
        if question is None or question.scale is None:
            return None
        near = locked.protocol.truth.acceptance_mm  # as for a truth that is imported
        middle = (question.scale.min + question.scale.max) / 2
        rows = [row for m in data.modalities for row in _marked_rows(data, m, question, middle)]
        how = (
            "whether a mark was on it, and whether that was rated as positive "
            f"({question.name} {middle:g} or higher). A mark is on a nodule within the nodule's "
            f"radius, or {near:g} mm where that is more; the nearest pair of all is "
            "matched first, one nodule a mark and one mark a nodule. What was marked has been on "
            "screen."
        )
    if not rows:
        return None
    counts: Counter[tuple[str, str, str]] = Counter()
    for modality, reader, _, _, _, became in rows:
        counts[modality, reader, became] += 1
    readers = sorted({(row[0], row[1]) for row in rows})
    # Of what is pointed out to readers, nothing is displayed and not found.
    given = locked.protocol.findings == Findings.GIVEN
    kinds = [each for each in Seen if not (given and each is Seen.DISPLAYED)]
    return Section(
        "seen",
        "Seen or not",
        EXPLORATORY,
        [
            "Of each malignant nodule: whether a slice through it was on the reader's screen for "
            f"{AT_LEAST_S:g} s or longer, {how} That something was on screen does not mean that "
            "it was looked at."
        ],
        [],
        [
            Table(
                "seen-readers",
                "Malignant nodules by what became of them",
                [
                    *(Column("Condition"), Column("Reader")),
                    *(Column(each.value, "count") for each in kinds),
                ],
                [[*of, *(counts[*of, each] for each in kinds)] for of in readers],
            ),
            Table(
                "seen-nodules",
                "Each malignant nodule and reader",
                [
                    *(Column("Condition"), Column("Reader"), Column("Nodule")),
                    *(Column("On screen, s", "seconds"), Column("Rating", "count")),
                    Column("What became of it"),
                ],
                [list(row) for row in rows],
            ),
        ],
    )


def _rows(data: Data, modality: Modality) -> list[tuple[str, str, str, float, float | None, str]]:
    ratings = data.ratings(modality.name)
    found = []
    for (place, stage, name), seconds in sorted(data.locked.displayed.items()):
        unit = data.locked.nodules.get(name)
        if unit is None or not unit.malignant or place.repeat:
            continue
        if (place.arm, stage) != (modality.arm, modality.stage):
            continue
        rating = ratings.get((place.reader, name))
        positive = rating is not None and rating >= data.threshold
        became = verdict(seconds, marked=None, rated_positive=positive)
        found.append((modality.name, place.reader, name, seconds, rating, became.value))
    return found


def _of_marks(data: Data) -> Question | None:
    """Return the question that ranks the marks: the first on a scale, likeliest malignancy."""
    every = [*data.locked.protocol.questionnaire.mark, *data.locked.protocol.questionnaire.nodule]
    rated = [each for each in every if each.kind == "scale"]
    return rated[0] if rated else None


def _marked_rows(
    data: Data, modality: Modality, question: Question, at_least: float
) -> list[tuple[str, str, str, float, float | None, str]]:
    locked = data.locked
    marks: dict[Place, list[MarkMade]] = {}
    for mark in locked.marks:
        if (mark.place.arm, mark.stage) == (modality.arm, modality.stage):
            marks.setdefault(mark.place, []).append(mark)
    lesions: dict[str, list[Lesion]] = {}
    for nodule in locked.nodules.values():
        if nodule.malignant is not None and nodule.centre_mm is not None:
            lesion = Lesion(nodule.name, nodule.centre_mm, nodule.diameter_mm)
            lesions.setdefault(nodule.case, []).append(lesion)
    found = []
    for (place, stage, name), seconds in sorted(locked.displayed.items()):
        unit = locked.nodules.get(name)
        if unit is None or not unit.malignant or unit.centre_mm is None or place.repeat:
            continue
        if (place.arm, stage) != (modality.arm, modality.stage):
            continue
        own = marks.get(place, [])
        places = [mark.point_mm for mark in own]
        hits = match(places, lesions[unit.case], acceptance_mm=locked.protocol.truth.acceptance_mm)
        by_lesion = {hit.lesion: m for m, hit in zip(own, hits, strict=True) if not hit.again}
        on_it = by_lesion.get(name)
        said = on_it.answers.get(question.name) if on_it else None
        rating = float(said) if said else None
        positive = rating is not None and rating >= at_least
        became = verdict(seconds, marked=on_it is not None, rated_positive=positive)
        found.append((modality.name, place.reader, name, seconds, rating, became.value))
    return found


def dwell_maps(data: Data) -> Section | None:
    """Draw where the readers' screens dwelt in some of the cases, from three sides.

    Cases with malignant nodules come first, and among them those that were longest on screen.
    None where the archive does not tell what was on screen.
    """
    figures = [
        figure
        for number, modality in enumerate(data.modalities, start=1)
        if (figure := _dwelt(data, modality, number))
    ]
    if not figures:
        return None
    return Section(
        "dwell",
        "Where the screens dwelt",
        EXPLORATORY,
        [
            "For how long what lies in each place was on a reader's screen: the mean over the "
            "readings of a case, and over the depth seen through. Frames are the outlines of the "
            "CT volume; rings are malignant nodules. That something was on screen does not mean "
            f"that it was looked at. At most {MOST_CASES} cases are drawn, those with malignant "
            "nodules first; the maps of all are in dwell_maps.csv of the study's archive."
        ],
        figures,
    )


def _dwelt(data: Data, modality: Modality, number: int) -> Figure | None:
    locked = data.locked
    malignant = {
        case: [n.centre_mm for n in locked.nodules.values() if n.case == case and n.malignant]
        for case in {nodule.case for nodule in locked.nodules.values()}
    }
    of_cases: dict[str, dict[str, DwellMap]] = {}
    for each in locked.dwell:
        if (each.arm, each.stage) == (modality.arm, modality.stage):
            of_cases.setdefault(each.case, {})[each.projection] = each
    if not of_cases:
        return None

    def order(case: str) -> tuple[bool, float, str]:
        seconds = sum(sum(each.seconds) for each in of_cases[case].values())
        return (not malignant.get(case), -seconds, case)

    drawn: list[dict[str, Any]] = []
    for case in sorted(of_cases, key=order)[:MOST_CASES]:
        places = [centre for centre in malignant.get(case, []) if centre is not None]
        drawn.append(
            {
                "case": case,
                "maps": [
                    {
                        "projection": plane,
                        "extent_mm": list(one.extent_mm),
                        "seconds": [round(value / one.readings, 3) for value in one.seconds],
                        "nodules": [[p[AXES[plane][0]], p[AXES[plane][1]]] for p in places],
                    }
                    for plane in ("coronal", "sagittal", "axial")
                    if (one := of_cases[case].get(plane))
                ],
            }
        )
    return Figure(
        f"dwell-{number}",
        f"Where the screens dwelt: {modality.name}",
        f"Heat maps of seconds on screen of {len(drawn)} cases from the front, the side and the "
        "feet, with a ring at each malignant nodule.",
        "dwell",
        {"cases": drawn},
    )
