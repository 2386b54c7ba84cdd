"""The commands on what the AI, and the order of reading, do to readers."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reader_study.statistics import agreement, influence
from reader_study.statistics.auc import Bools, Floats
from reader_study.statistics.documents import Because
from reader_study.statistics.intervals import mcnemar_exact, proportion
from reader_study.statistics.study import Analysis, analyse
from reader_study.statistics.tables import MISSING, Study, Table, ordered, read_study, read_table

FEW_VALUES = 5  # up to here each value of a column is a block of its own


def of_influence(
    path: Path, *, threshold: float, ai_threshold: float, ai_scale: float, repeats: int, seed: int
) -> dict[str, Any]:
    """Count switches between `before` and `after` by whether `ai` was right.

    Parameters
    ----------
    path : `reader,case,truth,before,after,ai`, a reading a row
    threshold, ai_threshold : positive from here on, for readers and for the AI
    ai_scale : what the AI's numbers are multiplied with to be in the unit of the readers'
    repeats, seed : of the bootstrap over readers and cases
    """
    table = read_table(path, ["reader", "case", "truth", "before", "after", "ai"])
    readers, reader = ordered(table.text("reader"))
    cases, case = ordered(table.text("case"))
    once(table, reader, case)
    truth = table.truths("truth")
    before, after, ai = (table.numbers(name) for name in ("before", "after", "ai"))
    first, second, advice = before >= threshold, after >= threshold, ai >= ai_threshold

    def one(rows: NDArray[Any]) -> dict[str, Any]:
        arrays = first[rows], second[rows]
        weight = influence.weight_of_advice(before[rows], after[rows], ai[rows] * ai_scale)
        only_first, only_second = (
            int(((x == truth[rows]) & (y != truth[rows])).sum()) for x, y in (arrays, arrays[::-1])
        )
        return {
            "readings": int(np.asarray(rows).sum()) if rows.dtype == np.bool_ else len(rows),
            "influence": influence.influence(*arrays, advice[rows], truth[rows]),
            "reclassification": influence.reclassification(*arrays, truth[rows]),
            "right_before_only": only_first,
            "right_after_only": only_second,
            "mcnemar_p": mcnemar_exact(only_first, only_second),
            "weight_of_advice": {
                key: value for key, value in weight._asdict().items() if key != "values"
            }
            if weight.n
            else {"n": 0, "n_left_out": weight.n_left_out},
        }

    return {
        "counts": {"readers": len(readers), "cases": len(cases), "readings": len(table)},
        **one(np.ones(len(table), dtype=np.bool_)),
        "bootstrap": resampled(
            first, second, advice, truth, (reader, case), np.random.default_rng(seed), repeats
        ),
        "readers": {name: one(reader == i) for i, name in enumerate(readers)},
    }


def once(table: Table, *keys: NDArray[np.intp]) -> None:
    """Refuse a row that stands there twice.

    Raises
    ------
    InputError
        If two rows have the same keys.
    """
    seen: dict[tuple[int, ...], int] = {}
    for row, key in enumerate(zip(*(key.tolist() for key in keys), strict=True)):
        if key in seen:
            line = table.lines[seen[key]]
            raise table.error(row, "case", f"this reading stands in line {line} already")
        seen[key] = row


def resampled(
    first: Bools,
    second: Bools,
    advice: Bools,
    truth: Bools,
    places: tuple[NDArray[np.intp], NDArray[np.intp]],
    rng: np.random.Generator,
    repeats: int,
) -> dict[str, influence.Resampled]:
    """Resample readers and cases for the shares whose readings are not independent."""
    reader, case = places
    n = int(reader.max()) + 1, int(case.max()) + 1
    right, right_then, right_ai = first == truth, second == truth, advice == truth
    shares = {
        "benefit": (right_then, ~right & right_ai),
        "harm": (~right_then, right & ~right_ai),
        "override": (right_then, ~right_ai),
    }

    def share(of: Bools, among: Bools) -> influence.Resampled:
        above, below = np.zeros((2, *n))
        np.add.at(above, (reader, case), of & among)
        np.add.at(below, (reader, case), among)

        def statistic(readers: NDArray[np.intp], cases: NDArray[np.intp]) -> float:
            weight = np.bincount(cases, minlength=n[1])
            total = float((below[readers] @ weight).sum())
            return float((above[readers] @ weight).sum()) / total if total else float("nan")

        return influence.bootstrap(statistic, *n, rng, repeats)

    return {name: share(*parts) for name, parts in shares.items()}


def of_concordance(path: Path) -> dict[str, Any]:
    """Compare readers with the AI on each semantic feature, without and with it.

    Parameters
    ----------
    path : `reader,case,feature,before,after,ai[,switched]`; categories are text, and
        `switched` says whether the reader's decision changed (1 or 0)
    """
    table = read_table(path, ["reader", "case", "feature", "before", "after", "ai"])
    features, feature = ordered(table.text("feature"))
    _, reader = ordered(table.text("reader"))
    _, case = ordered(table.text("case"))
    once(table, feature, reader, case)
    said = {name: np.array(table.columns[name], dtype=object) for name in ("before", "after", "ai")}
    there = {
        name: np.array([str(v).lower() not in MISSING for v in values])
        for name, values in said.items()
    }
    found: dict[str, Any] = {}
    for i, name in enumerate(features):
        own = feature == i
        found[name] = {}
        for when in ("before", "after"):
            both = own & there[when] & there["ai"]
            same = int((said[when][both] == said["ai"][both]).sum())
            found[name][when] = {
                "agreement": proportion(same, int(both.sum())),
                "kappa": kappa_of(said[when][both], said["ai"][both]),
            }
    result: dict[str, Any] = {"features": found}
    if "switched" in table:
        switched = table.truths("switched")
        associated = {}
        for i, name in enumerate(features):
            rows = (feature == i) & there["before"] & there["ai"]
            if rows.any():
                differs = said["before"][rows] != said["ai"][rows]
                associated[name] = (differs, switched[rows])
        result["disagreement_and_switch"] = influence.disagreements_and_switches(associated)
    return result


def kappa_of(first: NDArray[Any], second: NDArray[Any]) -> Any:
    """Return Cohen's kappa of two raters' words; none without a reading."""
    if not len(first):
        return Because(float("nan"), "no reading has both")
    _, codes = np.unique(np.concatenate([first, second]).astype(str), return_inverse=True)
    pairs: Floats = codes.reshape(2, -1).T.astype(np.float64)
    return agreement.cohen(pairs, "unweighted")


def of_order(path: Path, column: str, analysis: Analysis) -> dict[str, Any]:
    """Compare early with late readings of each modality: order, learning and fatigue.

    Parameters
    ----------
    path : readings as for `mrmc`, with a column of numbers such as the position
    column : up to FEW_VALUES different numbers are blocks; more are halved at the median of
        each reader under each modality
    """
    study = read_study(path)
    table = read_table(path, [column])
    place = table.numbers(column)
    modalities, modality = ordered(table.text("modality"))
    _, reader = ordered(table.text("reader"))
    _, case = ordered(table.text("case"))
    values = np.unique(place)
    if len(values) <= FEW_VALUES:
        block = np.searchsorted(values, place)
        names = [f"{value:g}" for value in values]
    else:
        names, block = ["early", "late"], np.zeros(len(place), dtype=np.intp)
        for m in range(len(modalities)):
            for r in range(len(study.readers)):
                rows = (modality == m) & (reader == r)
                if rows.any():
                    block[rows] = place[rows] > np.median(place[rows])
    found: dict[str, Any] = {}
    for m, name in enumerate(modalities):
        ratings = np.full((len(names), *study.ratings.shape[1:]), np.nan)
        rows = modality == m
        ratings[block[rows], reader[rows], case[rows]] = study.ratings[m, reader[rows], case[rows]]
        part: Study = study._replace(modalities=names, ratings=ratings)
        try:
            found[name] = analyse(part, analysis)
        except ValueError as error:
            found[name] = {"notes": {"order": str(error)}}
    return {"column": column, "blocks": names, "modalities": found}
