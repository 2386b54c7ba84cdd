"""Accuracy within groups of the cases, and over the course of a session."""

from typing import Any

import numpy as np

from reader_study.domain.analysis import Subgroup
from reader_study.results.accuracy import pair_of
from reader_study.results.datasets import Data
from reader_study.results.files import RATINGS
from reader_study.results.sections import (
    EXPLORATORY,
    Column,
    Figure,
    Section,
    Table,
    listed,
    notes_of,
    told,
)
from reader_study.statistics import documents, roc, tables
from reader_study.statistics.commands.subgroups import of_subgroups
from reader_study.statistics.study import Analysis


def subgroups(data: Data, subgroup: Subgroup, standing: str) -> Section:
    """Compare within each group of the cases."""
    document = documents.document(
        of_subgroups(data.folder / RATINGS, subgroup.name, data.cluster, Analysis())
    )
    ratings = {each.name: data.ratings(each.name) for each in data.modalities}
    names = [name for name in _in_order(data, subgroup) if name in document["subgroups"]]
    rows: list[list[Any]] = []
    panels, notes = [], []
    for name in names:
        found = document["subgroups"][name]
        inside = [unit for unit in data.units.values() if unit.groups[subgroup.name] == name]
        malignant = sum(unit.malignant for unit in inside)
        counts = [malignant, len(inside) - malignant]
        if "rrrc" not in found:
            notes.append(f"{name}: {found['notes']['subgroup']}.")
            rows.append([name, "", *counts, *[None] * 6])
            continue
        panels.append(_panel(data, name, {unit.name: unit.malignant for unit in inside}, ratings))
        for contrast in data.contrasts:
            means = found["rrrc"]["modalities"]
            pair = pair_of(found["rrrc"]["differences"], contrast) or {}
            adjusted = document["holm"].get(contrast.name) or document["holm"].get(
                f"{contrast.second} - {contrast.first}", {}
            )
            rows.append(
                [
                    *(name, contrast.told, *counts),
                    *(means.get(each, {}).get("estimate") for each in contrast),
                    *(pair.get(key) for key in ("estimate", "lower", "upper")),
                    adjusted.get(name),
                ]
            )
        notes += notes_of(found)
    by = {"diameter_mm": "diameter", "reference_source": "source of the reference standard"}
    figure = Figure(
        f"subgroups-{subgroup.name}",
        f"Mean ROC curves by {by[subgroup.by]}",
        f"One panel for each group: {listed([panel['title'] for panel in panels])}; a mean curve "
        "of the readers for each condition, and the AI.",
        "subgroups",
        {"panels": panels},
    )
    return Section(
        f"subgroups-{subgroup.name}",
        f"Subgroups by {by[subgroup.by]}",
        standing,
        [
            "The same comparison within each group. p values are adjusted after Holm over the "
            "groups; few studies have the cases to find a difference between groups."
        ],
        [figure] if panels else [],
        [
            Table(
                f"subgroups-{subgroup.name}",
                f"AUC by {by[subgroup.by]}",
                [
                    *(Column("Group"), Column("Compared"), Column("Malignant", "count")),
                    *(Column("Benign", "count"), Column("First", "number")),
                    *(Column("Second", "number"), Column("Difference", "number")),
                    *(Column("95 % interval, from", "number"), Column("to", "number")),
                    Column("p, Holm", "p"),
                ],
                rows,
                list(dict.fromkeys(notes)),
            )
        ],
        document,
        RATINGS,
        ["or", "jackknife", "holm"],
    )


def _in_order(data: Data, subgroup: Subgroup) -> list[str]:
    """Return the groups of a subgroup that have cases, diameters ascending."""
    found = {unit.groups[subgroup.name] for unit in data.units.values()}

    def place(name: str) -> tuple[int, float, str]:
        first = name.split(" ")[0]
        if first == "below":
            return 0, 0.0, name
        return (0, float(first), name) if first.replace(".", "").isdecimal() else (1, 0.0, name)

    return sorted(found, key=place)


def _panel(
    data: Data,
    title: str,
    malignant: dict[str, bool],
    ratings: dict[str, dict[tuple[str, str], float]],
) -> dict[str, Any]:
    """Return the mean curve of each condition over some of the cases."""
    lines: dict[str, Any] = {}
    for modality, of_modality in ratings.items():
        found = []
        for reader in data.readers:
            own = [
                (value, malignant[unit])
                for (who, unit), value in of_modality.items()
                if who == reader and unit in malignant
            ]
            if any(truth for _, truth in own) and not all(truth for _, truth in own):
                found.append(roc.roc_curve(*(list(part) for part in zip(*own, strict=True))))
        if found:
            fpr, tpr = roc.mean_curve(found)
            lines[modality] = {"fpr": fpr.tolist(), "tpr": tpr.tolist()}
    said = [(p, malignant[unit]) for unit, p in data.scores().items() if unit in malignant]
    if any(truth for _, truth in said) and not all(truth for _, truth in said):
        curve = roc.roc_curve(*(list(part) for part in zip(*said, strict=True)))
        lines["AI"] = {"fpr": curve.fpr.tolist(), "tpr": curve.tpr.tolist()}
    return {"title": title, "curves": lines}


def order(data: Data) -> Section | None:
    """Compare the first half of each session with its second, for tiredness and learning."""
    table = tables.read_table(data.folder / RATINGS, ["session", "position"])
    positions = table.numbers("position")
    session = table.text("session")
    last: dict[str, float] = {}
    for name, position in zip(session, positions.tolist(), strict=True):
        last[name] = max(last.get(name, 0.0), position)
    late = np.array(
        [p > last[s] / 2 for s, p in zip(session, positions.tolist(), strict=True)], dtype=np.bool_
    )
    reader, modality = table.text("reader"), table.text("modality")
    rating, truth = table.numbers("rating", missing=True), table.truths("truth")
    rows: list[list[Any]] = []
    for name in data.readers:
        for each in data.modalities:
            own = np.array(
                [r == name and m == each.name for r, m in zip(reader, modality, strict=True)]
            ) & ~np.isnan(rating)
            halves: list[float | None] = []
            for half in (own & ~late, own & late):
                known = truth[half].any() and not truth[half].all()
                found = roc.auc_estimate(rating[half], truth[half]) if known else None
                halves.append(found.auc if found else None)
            first, second = halves
            gap = None if first is None or second is None else second - first
            rows.append([name, each.name, first, second, gap])
    gaps = [row[4] for row in rows if row[4] is not None]
    if not gaps:
        return None
    return Section(
        "order",
        "Order: first and second half of the sessions",
        EXPLORATORY,
        [
            "Readers may learn, or tire. The AUC changed from the first half of a session to the "
            f"second by {told(float(np.mean(gaps)), 'number')} on average. The halves hold "
            "different cases for each reader, so that single differences are mostly chance."
        ],
        [],
        [
            Table(
                "order",
                "AUC in the first and the second half of the sessions",
                [
                    *(Column("Reader"), Column("Condition"), Column("First half", "number")),
                    *(Column("Second half", "number"), Column("Difference", "number")),
                ],
                rows,
            )
        ],
        {},
        RATINGS,
        ["empirical"],
    )
