"""Agreement: of readers with each other, with the AI on each feature, and with themselves."""

from itertools import combinations
from typing import Any

import numpy as np

from reader_study.domain.questionnaire import Question
from reader_study.results.datasets import (
    AI,
    Data,
    features,
    scale_of,
    value_of,
)
from reader_study.results.files import REPEATS, question_file
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
from reader_study.statistics import agreement, documents, tables
from reader_study.statistics.auc import Floats

COEFFICIENT = "AC1"


def grid(data: Data, question: Question, modality: str) -> tuple[list[str], Floats]:
    """Return raters, the AI last, and what they answered: numbers, or the place of an option."""
    table = tables.read_table(
        data.folder / question_file(question.name), ["reader", "case", "modality", "value"]
    )
    options = [option.value for option in question.options]
    here = [i for i, name in enumerate(table.text("modality")) if name == modality]
    reader, case, value = (
        [table.columns[name][i] for i in here] for name in ("reader", "case", "value")
    )
    raters = sorted(set(reader), key=lambda name: (name == AI, name))
    cases, place = tables.ordered(case)
    found = np.full((len(cases), len(raters)), np.nan)
    for who, unit, given in zip(reader, place.tolist(), value, strict=True):
        number = options.index(given) if options else float(value_of(question, given))
        found[unit, raters.index(who)] = number
    return raters, found


def pairwise(values: Floats, question: Question) -> Floats:
    """Return the coefficient of every two raters, shape (n_raters,) twice; NaN if undefined."""
    n = values.shape[1]
    found = np.full((n, n), np.nan)
    for i, j in combinations(range(n), 2):
        two = values[:, [i, j]]
        if (~np.isnan(two)).all(axis=1).any():
            one = agreement.gwet(counted(two, question))
            found[i, j] = found[j, i] = one.estimate
    return found


def counted(values: Floats, question: Question) -> agreement.Table:
    """Count ratings without weights; options count whether they were chosen or not."""
    low, high = scale_of(question)
    categories = np.arange(low, high + 1) if question.options else None
    return agreement.table(values, "unweighted", categories)


def concordance(data: Data, named: tuple[str, ...], standing: str) -> Section | None:
    """Hold readers against each other and against the AI, on each of some features."""
    questions = [each for each in features(data) if not named or each.name in named]
    modality = next((m.name for m in data.modalities if not m.aided), data.modalities[0].name)
    panels, rows, notes, found = [], [], [], {}
    for question in questions:
        for each in data.modalities:
            raters, values = grid(data, question, each.name)
            readers = values[:, [i for i, name in enumerate(raters) if name != AI]]
            if readers.shape[1] < 2:
                continue
            try:
                among = agreement.gwet(counted(readers, question))
            except ValueError as error:
                notes.append(f"{question.label}, {each.name}: {error}.")
                continue
            matrix = pairwise(values, question)
            with_ai = matrix[raters.index(AI), : readers.shape[1]] if AI in raters else np.array([])
            mean = float(np.nanmean(with_ai)) if np.isfinite(with_ai).any() else None
            document = documents.document({"ac1": among, "pairs": matrix, "raters": raters})
            found[f"{question.name}: {each.name}"] = document
            one = document["ac1"]
            rows.append(
                [
                    *(question.label, each.name, one["observed"], one["estimate"], one["lower"]),
                    *(one["upper"], mean),
                ]
            )
            if each.name == modality:
                panels.append(
                    {"title": question.label, "raters": raters, "values": document["pairs"]}
                )
    if not rows:
        return None
    worst = min((row for row in rows if row[1] == modality and row[3] is not None),
                key=lambda row: row[3], default=None)  # fmt: skip
    text = (
        f"Readers agreed least on {worst[0].lower()} ({COEFFICIENT} {told(worst[3], 'number')}, "
        f"{modality}). "
        if worst
        else ""
    )
    return Section(
        "concordance",
        "Agreement on the semantic features",
        standing,
        [
            f"{text}Gwet's {COEFFICIENT} is 1 for full agreement and 0 for that of chance; the "
            "AI's answer is its likeliest option. The figure shows every two raters."
        ],
        [
            Figure(
                "concordance",
                f"Agreement of every two raters on each feature, {modality}",
                f"A heat map of {COEFFICIENT} for each of "
                f"{listed([panel['title'].lower() for panel in panels])}; a row and a column for "
                "each reader and for the AI.",
                "concordance",
                {"panels": panels},
            )
        ]
        if panels
        else [],
        [
            Table(
                "concordance",
                "Agreement on each feature",
                [
                    *(Column("Feature"), Column("Condition"), Column("Readers agree", "share")),
                    *(Column(COEFFICIENT, "number"), Column("95 % interval, from", "number")),
                    *(Column("to", "number"), Column(f"Mean {COEFFICIENT} with the AI", "number")),
                ],
                rows,
                notes,
            ),
            _pairs(panels),
        ],
        found,
        listed([question_file(question.name) for question in questions]),
        ["ac1"],
    )


def _pairs(panels: list[dict[str, Any]]) -> Table:
    """Return what the heat maps show, a row for every two raters."""
    rows = [
        [panel["title"], panel["raters"][i], panel["raters"][j], panel["values"][i][j]]
        for panel in panels
        for i, j in combinations(range(len(panel["raters"])), 2)
    ]
    return Table(
        "concordance-pairs",
        f"{COEFFICIENT} of every two raters",
        [Column("Feature"), Column("Rater"), Column("Rater"), Column(COEFFICIENT, "number")],
        rows,
    )


def of_ratings(data: Data, names: tuple[str, ...], standing: str) -> Section | None:
    """Measure how far readers agree on ratings, without and with the AI."""
    form = data.locked.protocol.questionnaire
    questions = [each for each in (*form.nodule, *form.case) if each.name in names]
    rows, notes, found = [], [], {}
    for question in questions:
        if question.name not in data.rated or question.kind == "multiple_choice":
            continue
        for modality in data.modalities:
            try:
                raters, values = grid(data, question, modality.name)
                keep = [i for i, name in enumerate(raters) if name != AI]
                document = _agreement(values[:, keep], question)
            except (ValueError, FileNotFoundError) as error:
                notes.append(f"{question.label}, {modality.name}: {error}.")
                continue
            found[f"{question.name}: {modality.name}"] = document
            icc, alpha = document["icc"], document["krippendorff"]
            rows.append(
                [
                    *(question.label, modality.name, document["n"], alpha, icc.get("estimate")),
                    *(icc.get("lower"), icc.get("upper")),
                ]
            )
            notes += notes_of(document)
    if not rows:
        return None
    return Section(
        "agreement",
        "Agreement of the readers on ratings",
        standing,
        [
            "Krippendorff's alpha (interval scale for numbers, ordinal for options) takes every "
            "rating; the intraclass correlation (absolute agreement of single ratings) those cases "
            "that every reader rated."
        ],
        [],
        [
            Table(
                "agreement",
                "Agreement of the readers on ratings",
                [
                    *(Column("Question"), Column("Condition"), Column("Rated", "count")),
                    *(Column("Alpha", "number"), Column("ICC", "number")),
                    *(Column("95 % interval, from", "number"), Column("to", "number")),
                ],
                rows,
                list(dict.fromkeys(notes)),
            )
        ],
        found,
        listed([question_file(question.name) for question in questions]),
        ["alpha", "icc"],
    )


def _agreement(values: Floats, question: Question) -> dict[str, Any]:
    metric = "ordinal" if question.options else "interval"
    complete = values[~np.isnan(values).any(axis=1)]
    icc: Any = {}
    if len(complete) > 1 and values.shape[1] > 1:
        icc = agreement.icc(complete)["agreement_single"]
    return documents.document(
        {
            "n": len(values),
            "krippendorff": documents.Because(
                agreement.krippendorff(values, metric), agreement.NO_DISAGREEMENT_POSSIBLE
            ),
            "icc": icc,
        }
    )


def with_themselves(data: Data) -> Section | None:
    """Hold the hidden repeats against the first readings."""
    try:
        table = tables.read_table(data.folder / REPEATS)
    except ValueError:
        return None  # the design has no repeats, or none was read
    first, second = table.numbers("first"), table.numbers("second")
    reader = np.array(table.text("reader"))
    rows = []
    found = {}
    for name in [*sorted(set(reader.tolist())), "All"]:
        own = np.ones(len(reader), dtype=np.bool_) if name == "All" else reader == name
        gap = second[own] - first[own]
        icc: Any = {}
        if own.sum() > 1:
            both = np.column_stack([first[own], second[own]])
            icc = documents.document({"icc": agreement.icc(both)["agreement_single"]})["icc"]
        found[name] = icc
        flips = (first[own] >= data.threshold) != (second[own] >= data.threshold)
        rows.append(
            [
                *(name, int(own.sum()), float(gap.mean()), float(np.abs(gap).mean())),
                *(float(flips.mean()), icc.get("estimate"), icc.get("lower"), icc.get("upper")),
            ]
        )
    return Section(
        "repeats",
        "Readers with themselves: hidden repeats",
        EXPLORATORY,
        ["Cases read again without the reader being told. They count nowhere else."],
        [],
        [
            Table(
                "repeats",
                "First and repeated ratings",
                [
                    *(Column("Reader"), Column("Pairs", "count"), Column("Mean change", "number")),
                    *(Column("Mean distance", "number"), Column("Decisions changed", "share")),
                    *(Column("ICC", "number"), Column("95 % interval, from", "number")),
                    Column("to", "number"),
                ],
                rows,
            )
        ],
        found,
        REPEATS,
        ["icc"],
    )
