"""Of free response: marks on lesions and elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np

from reader_study.statistics import froc
from reader_study.statistics.mrmc import obuchowski_rockette
from reader_study.statistics.study import margins, named
from reader_study.statistics.tables import InputError, Table, ordered, read_table


def of_froc(marks: Path, truth: Path | None, *, merit: str, margin: float | None) -> dict[str, Any]:
    """Compare modalities by marks; `truth` lies beside the marks if not given."""
    lesions = read_table(truth or marks.with_name("truth.csv"), ["case", "truth", "lesion_id"])
    table = read_table(marks, ["reader", "case", "modality", "mark", "lesion_id", "rating"])
    found, modalities, readers = read_marks(table, lesions)
    shape = (len(modalities), len(readers))
    estimates, v = froc.merit_and_covariance(found, merit)
    result = obuchowski_rockette(estimates.reshape(shape), v)
    return {
        "merit": merit,
        "counts": {
            "modalities": len(modalities),
            "readers": len(readers),
            "cases": len(found.malignant),
            "malignant": int(found.malignant.sum()),
            "lesions": len(found.weight),
            "marks": len(table),
        },
        "figures_of_merit": {
            name: {
                modality: dict(zip(readers, row.tolist(), strict=True))
                for modality, row in zip(
                    modalities, calculate(found).value.reshape(shape), strict=True
                )
            }
            for name, calculate in froc.MERITS.items()
        },
        **named(result, modalities, readers),
        **margins(result.rrrc.differences, modalities, margin),
    }


def read_marks(table: Table, lesions: Table) -> tuple[froc.Marks, list[str], list[str]]:
    """Put marks and lesions into arrays; also the names of modalities and readers.

    Raises
    ------
    InputError
        If a mark is on an unknown case or lesion, or is neither LL nor NL, or a weight is
        not a number from 0 to 1.
    """
    malignant = lesions.truths("truth")
    cases, case_row = ordered(lesions.text("case"))
    case_of = {name: i for i, name in enumerate(cases)}
    rows = np.flatnonzero(malignant)
    if not len(rows) or malignant.all():
        raise InputError(f"{lesions.path.name}: a case with and one without a lesion are needed")
    weight = lesions.numbers("weight") if "weight" in lesions else np.zeros(len(lesions))
    names = lesions.columns["lesion_id"]
    lesion_of: dict[tuple[int, str], int] = {}
    for lesion, row in enumerate(rows.tolist()):
        key = (int(case_row[row]), names[row])
        if key in lesion_of:
            raise lesions.error(row, "lesion_id", "this lesion of the case stands there twice")
        lesion_of[key] = lesion
    case_of_lesion = case_row[rows]
    sums = np.bincount(case_of_lesion, weight[rows], len(cases))
    n = np.bincount(case_of_lesion, minlength=len(cases))
    # Weights of 0 throughout a case stand for equal ones.
    equal = 1 / n[case_of_lesion]
    total = sums[case_of_lesion]
    weights = np.where(total > 0, weight[rows] / np.where(total > 0, total, 1), equal)

    modalities, modality = ordered(table.text("modality"))
    readers, reader = ordered(table.text("reader"))
    cell = modality * len(readers) + reader
    rating = table.numbers("rating")
    shape = (len(modalities) * len(readers), len(cases))
    elsewhere = np.full(shape, froc.UNMARKED)
    n_elsewhere = np.zeros(shape)
    of_lesions = np.full((shape[0], len(rows)), froc.UNMARKED)
    for row, (kind, case, name) in enumerate(
        zip(table.columns["mark"], table.columns["case"], table.columns["lesion_id"], strict=True)
    ):
        place = case_of.get(case)
        if place is None:
            raise table.error(row, "case", f"case '{case}' is not in {lesions.path.name}")
        at = int(cell[row])
        if kind.upper() == "NL":
            elsewhere[at, place] = max(elsewhere[at, place], rating[row])
            n_elsewhere[at, place] += 1
        elif kind.upper() == "LL":
            lesion_ = lesion_of.get((place, name))
            if lesion_ is None:
                raise table.error(row, "lesion_id", f"case '{case}' has no lesion '{name}'")
            of_lesions[at, lesion_] = max(of_lesions[at, lesion_], rating[row])
        else:
            raise table.error(row, "mark", f"holds '{kind}'; use LL (on a lesion) or NL")
    has_lesion = np.zeros(len(cases), dtype=np.bool_)
    has_lesion[case_of_lesion] = True
    found = froc.Marks(elsewhere, n_elsewhere, of_lesions, case_of_lesion, weights, has_lesion)
    return found, modalities, readers
