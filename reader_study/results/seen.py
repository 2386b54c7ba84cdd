"""Seen or not: what became of each malignant nodule, as far as the screen can tell."""

from collections import Counter

from reader_study.domain.findings import Findings
from reader_study.domain.seen import AT_LEAST_S, Seen, verdict
from reader_study.results.datasets import Data, Modality
from reader_study.results.sections import EXPLORATORY, Column, Section, Table


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
