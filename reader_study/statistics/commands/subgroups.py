"""The same analysis of every subgroup of the cases."""

from pathlib import Path
from typing import Any

import numpy as np

from reader_study.statistics.intervals import holm
from reader_study.statistics.study import Analysis, analyse
from reader_study.statistics.tables import ordered, read_study, read_table


def of_subgroups(
    path: Path, column: str, cluster: str | None, analysis: Analysis
) -> dict[str, Any]:
    """Run one analysis of each subgroup of the cases; p values after Holm over subgroups.

    A subgroup that cannot be analysed says why in place of a result.

    Raises
    ------
    InputError
        If a case belongs to two subgroups.
    """
    study = read_study(path, cluster)
    of_case = read_study(path, column).clusters
    names, _ = ordered(read_table(path, [column]).text(column))
    found: dict[str, Any] = {}
    for number, name in enumerate(names):
        inside = np.flatnonzero(of_case == number)
        clusters = study.clusters
        if clusters is not None:
            clusters = np.unique(clusters[inside], return_inverse=True)[1]
        part = study._replace(
            cases=[study.cases[i] for i in inside],
            ratings=study.ratings[:, :, inside],
            malignant=study.malignant[inside],
            clusters=clusters,
        )
        try:
            found[name] = analyse(part, analysis)
        except ValueError as error:
            found[name] = {"notes": {"subgroup": str(error)}}
    p_values: dict[str, dict[str, float]] = {}
    for name, result in found.items():
        tests = result.get("differences") or result.get("rrrc", {}).get("differences", {})
        for pair, test in tests.items():
            p = test["p"].value if isinstance(test, dict) else test.p
            if np.isfinite(p):
                p_values.setdefault(pair, {})[name] = p
    return {
        "subgroups": found,
        "holm": {
            pair: dict(zip(values, holm(list(values.values())).tolist(), strict=True))
            for pair, values in p_values.items()
        },
    }
