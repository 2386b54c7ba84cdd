"""The flow of readings, and what did not go as planned."""

from typing import Any

from reader_study.results.datasets import Data
from reader_study.results.sections import Column, Table, capital, counted

TITLES = {
    "skips": "readings skipped by their readers",
    "early_openings": "readings begun before their time",
    "unlocks": "answers unlocked",
    "amendments": "amendments of the protocol",
    "waivers": "conditions that were waived",
    "deviations": "deviations from the protocol",
    "withdrawals": "withdrawals",
}


def flow(data: Data) -> Table:
    """Count readings of each reader from the allocation to what is analysed."""
    rows: list[list[object]] = []
    judged = {
        (each.reader, each.unit, each.modality)
        for each in data.judgements(data.question, data.unit)
        if each.value and not each.repeat and each.unit in data.units
    }
    places = [place for place in data.locked.places if not place.training]
    for reader in sorted({place.reader for place in places}):
        own = [place for place in places if place.reader == reader]
        rows.append(
            [
                reader,
                len(own),
                sum(place.stage != "assigned" for place in own),
                sum(place.stage == "submitted" for place in own),
                sum(place.skipped for place in own),
                sum(place.stage != "submitted" and not place.skipped for place in own),
                sum(place.repeat and place.stage == "submitted" for place in own),
                sum(who == reader for who, *_ in judged),
            ]
        )
    total = [sum(int(str(row[i])) for row in rows) for i in range(1, 8)]
    training = sum(place.training for place in data.locked.places)
    return Table(
        "flow",
        "Readings from allocation to analysis",
        [
            *(Column("Reader"), Column("Allocated", "count"), Column("Begun", "count")),
            *(Column("Submitted", "count"), Column("Skipped", "count"), Column("Open", "count")),
            *(Column("Repeats submitted", "count"), Column("Ratings analysed", "count")),
        ],
        [*rows, ["All", *total]],
        [f"Besides, {counted(training, 'training reading')}, which count for nothing."]
        if training
        else [],
    )


def cases(data: Data) -> Table:
    """Count what was read, by the reference standard and by what the AI gave."""
    nodules = data.locked.nodules
    truths = {True: "malignant", False: "benign", None: "not known"}
    rows: list[list[Any]] = []
    for truth, name in truths.items():
        own = [each for each, nodule in nodules.items() if nodule.malignant is truth]
        rows.append(
            [
                name,
                len({nodules[each].subject for each in own}),
                len({nodules[each].case for each in own}),
                len(own),
                sum(each in data.locked.predictions for each in own),
                sum(each in data.locked.failed for each in own),
            ]
        )
    everyone = list(nodules.values())
    rows.append(
        [
            "all",
            len({each.subject for each in everyone}),
            len({each.case for each in everyone}),
            *(sum(row[i] for row in rows if isinstance(row[i], int)) for i in (3, 4, 5)),
        ]
    )
    return Table(
        "cases",
        "Patients, cases and nodules by the reference standard",
        [
            *(Column("Reference standard"), Column("Patients", "count"), Column("Cases", "count")),
            *(Column("Nodules", "count"), Column("AI predicted", "count")),
            Column("AI failed", "count"),
        ],
        rows,
        ["A case with nodules of both kinds counts in both rows, and once in the last."],
    )


def deviations(data: Data) -> list[Table]:
    """Return each table of what did not go as planned that has a row."""
    found = []
    for name, rows in data.locked.deviations.items():
        if rows:
            columns = [column for column in rows[0] if column != "study"]
            found.append(
                Table(
                    f"deviations-{name}",
                    capital(TITLES[name]),
                    [Column(column.replace("_", " ")) for column in columns],
                    [[row[column] for column in columns] for row in rows],
                )
            )
    return found
