"""Seen or not: what became of each malignant nodule, as far as the screen can tell."""

from collections import Counter
from typing import Any

from reader_study.domain.findings import Findings
from reader_study.domain.seen import AT_LEAST_S, AXES, Seen, verdict
from reader_study.results.datasets import Data, Modality
from reader_study.results.locked import DwellMap
from reader_study.results.sections import EXPLORATORY, Column, Figure, Section, Table

# Drawn in a figure; the archive has the maps of all.
MOST_CASES = 6


def seen_or_not(data: Data) -> Section | None:
    """Tell of each malignant nodule and reader whether it was displayed, and rated as such.

    None where the archive does not tell what was on screen, or readers mark what they find.
    """
    locked = data.locked
    if not locked.displayed or data.unit != "nodule" or locked.protocol.findings != Findings.GIVEN:
        return None
    rows = [row for modality in data.modalities for row in _rows(data, modality)]
    if not rows:
        return None
    counts: Counter[tuple[str, str, str]] = Counter()
    for modality, reader, _, _, _, became in rows:
        counts[modality, reader, became] += 1
    readers = sorted({(row[0], row[1]) for row in rows})
    return Section(
        "seen",
        "Seen or not",
        EXPLORATORY,
        [
            "Of each malignant nodule: whether a slice through it was on the reader's screen for "
            f"{AT_LEAST_S:g} s or longer, and whether it was rated as positive "
            f"({data.threshold:g} or higher). That something was on screen does not mean that it "
            "was looked at."
        ],
        [],
        [
            Table(
                "seen-readers",
                "Malignant nodules by what became of them",
                [
                    *(Column("Condition"), Column("Reader")),
                    *(Column(each.value, "count") for each in Seen if each is not Seen.DISPLAYED),
                ],
                [
                    [*of, *(counts[*of, each] for each in Seen if each is not Seen.DISPLAYED)]
                    for of in readers
                ],
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
