"""Of reading times."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from reader_study.statistics import time
from reader_study.statistics.documents import Because
from reader_study.statistics.study import pair_name, reasoned
from reader_study.statistics.tables import InputError, ordered, read_table


def of_time(
    path: Path,
    *,
    longest: float | None,
    covariates: list[str],
    reader_by_modality: bool,
) -> dict[str, Any]:
    """Compare reading times between modalities, by a model and without one."""
    table = read_table(path, ["reader", "case", "modality", "seconds", *covariates])
    readers, reader = ordered(table.text("reader"))
    cases, case = ordered(table.text("case"))
    modalities, modality = ordered(table.text("modality"))
    seconds = table.numbers("seconds")
    wrong = np.flatnonzero(seconds <= 0)
    if len(wrong):
        raise table.error(int(wrong[0]), "seconds", "must be above 0")
    extra = np.column_stack([table.numbers(name) for name in covariates]) if covariates else None
    keep = np.ones(len(table), dtype=np.bool_) if longest is None else seconds <= longest
    if not keep.any():
        raise InputError(f"{path.name}: no reading is as short as {longest:g} s")
    # Numbers without gaps, whatever was left out.
    used, number = np.unique(modality[keep], return_inverse=True)
    names = [modalities[i] for i in used]
    model = time.model_times(
        seconds[keep],
        np.unique(reader[keep], return_inverse=True)[1],
        np.unique(case[keep], return_inverse=True)[1],
        number,
        covariates=None if extra is None else extra[keep],
        reader_by_modality=reader_by_modality,
    )
    result: dict[str, Any] = {
        "formula": model.formula,
        "counts": {
            "readers": len(readers),
            "cases": len(cases),
            "readings": len(table),
            "left_out": int((~keep).sum()),
        },
        "modalities": dict(zip(names, model.means, strict=True)),
        "differences": {
            pair_name(pair, names): {**reasoned(found.difference), **reasoned_ratio(found)}
            for pair, found in model.comparisons.items()
        },
        "covariates": dict(zip(covariates, model.covariates, strict=True)),
        "variances": {
            "reader": model.var_reader,
            "case": model.var_case,
            "reader_modality": Because(model.var_reader_modality, model.reason),
            "residual": model.var_residual,
        },
        "reml": model.reml,
        "readers": {},
    }
    for r, who in enumerate(readers):
        own = {}
        for a, b in combinations(used.tolist(), 2):
            first, second = (
                {
                    int(case[row]): float(seconds[row])
                    for row in np.flatnonzero(keep & (reader == r) & (modality == m))
                }
                for m in (a, b)
            )
            both = sorted(first.keys() & second.keys())
            name = f"{modalities[a]} - {modalities[b]}"
            own[name] = time.paired([first[c] for c in both], [second[c] for c in both])
        result["readers"][who] = own
    return result


def reasoned_ratio(found: time.Comparison) -> dict[str, Any]:
    """Return the ratio of times and its interval."""
    return {
        "ratio": found.ratio,
        "ratio_lower": Because(found.ratio_lower, found.reason),
        "ratio_upper": Because(found.ratio_upper, found.reason),
    }
