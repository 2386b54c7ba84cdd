"""Of agreement between raters."""

from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reader_study.statistics import agreement
from reader_study.statistics.auc import Floats
from reader_study.statistics.documents import Because
from reader_study.statistics.tables import MISSING, Table, column_of, ordered, read_table


class Scale(NamedTuple):
    """What the numbers of a rating stand for."""

    words: list[str] | None  # 0, 1, ... stand for; None for numbers
    ordered: bool


def of_agreement(path: Path, *, categories: list[str] | None) -> dict[str, Any]:
    """Measure agreement between raters: one column a rater, or one row a rating."""
    table = read_table(path, ["case"])
    if "reader" not in table:
        raters = [name for name in table.columns if name and name != "case"]
        values, scale = codes(table, raters, categories)
        return {"raters": raters, **agreement_of(values, raters, scale)}
    score = column_of(table, None, ("rating", "value", "answer"))
    raters, reader = ordered(table.text("reader"))
    cases, case = ordered(table.text("case"))
    values, scale = codes(table, [score], categories)
    names = table.text("modality") if "modality" in table else ["all"] * len(table)
    modalities, modality = ordered(names)
    found: dict[str, Any] = {"raters": raters, "modalities": {}}
    for m, name in enumerate(modalities):
        grid = np.full((len(cases), len(raters)), np.nan)
        taken: dict[tuple[int, int], int] = {}
        for row in np.flatnonzero(modality == m).tolist():
            place = (int(case[row]), int(reader[row]))
            if place in taken:
                line = table.lines[taken[place]]
                raise table.error(row, score, f"the reader rated this case in line {line} already")
            taken[place] = row
            grid[place] = values[row, 0]
        found["modalities"][name] = agreement_of(grid, raters, scale)
    return found


def codes(table: Table, columns: list[str], categories: list[str] | None) -> tuple[Floats, Scale]:
    """Return ratings as numbers, shape (n_rows, n_columns), and their scale.

    Words are ordered by `categories`, and without it not at all.
    """
    texts = [table.columns[name] for name in columns]
    given = {v for column in texts for v in column if v.lower() not in MISSING}
    if categories is None and all(is_number(v) for v in given):
        values = [table.numbers(name, missing=True) for name in columns]
        return np.column_stack(values), Scale(None, True)
    known = categories or sorted(given)
    place = {name: float(i) for i, name in enumerate(known)}
    found = np.full((len(table), len(columns)), np.nan)
    for j, (name, column) in enumerate(zip(columns, texts, strict=True)):
        for row, value in enumerate(column):
            if value.lower() in MISSING:
                continue
            if value not in place:
                raise table.error(row, name, f"holds '{value}', which is not among the categories")
            found[row, j] = place[value]
    return found, Scale(known, categories is not None)


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def agreement_of(values: Floats, raters: list[str], scale: Scale) -> dict[str, Any]:
    """Compute the coefficients of one table of ratings that its scale allows.

    Raises
    ------
    ValueError
        If there are fewer than two raters, or no case that two have rated.
    """
    used = None if scale.words is None else np.arange(float(len(scale.words)))
    all_weights = agreement.WEIGHTS if scale.ordered else agreement.WEIGHTS[:1]
    metrics: tuple[str, ...] = agreement.METRICS
    if scale.words is not None:
        metrics = metrics[:2] if scale.ordered else metrics[:1]
    no_value = agreement.NO_DISAGREEMENT_POSSIBLE
    found: dict[str, Any] = {
        "n_cases": int((~np.isnan(values)).any(axis=1).sum()),
        **({} if scale.words is None else {"categories": scale.words}),
        "coefficients": {
            weights: {
                name: coefficient(agreement.table(values, weights, used))
                for name, coefficient in agreement.COEFFICIENTS.items()
            }
            for weights in all_weights
        },
        "krippendorff_alpha": {
            metric: Because(agreement.krippendorff(values, metric), no_value) for metric in metrics
        },
        "cohen": {
            f"{raters[a]} - {raters[b]}": {
                weights: agreement.cohen(values[:, [a, b]], weights) for weights in all_weights
            }
            for a, b in combinations(range(len(raters)), 2)
            if (~np.isnan(values[:, [a, b]])).all(axis=1).any()
        },
    }
    complete = values[~np.isnan(values).any(axis=1)]
    if len(complete) > 1:
        found["n_complete"] = len(complete)
        found["light"] = Because(agreement.light(complete), no_value)
        if scale.ordered:
            found["kendall_w"] = Because(agreement.kendall_w(complete), "all ratings tie")
        if scale.words is None:
            found["icc"] = agreement.icc(complete)
    return found
