"""Figures of merit of marks on images: AFROC, weighted AFROC, highest rating, and rates.

A mark lies on a lesion (LL) or elsewhere (NL). What nobody marked is rated below any mark.

References
----------
Chakraborty DP. Observer performance methods for diagnostic imaging. CRC Press 2017, ch. 14.
Chakraborty DP, Zhai X. On the meaning of the weighted alternative free-response operating
characteristic figure of merit. Med Phys 2016;43:2548-2557.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reader_study.statistics.auc import Bools, Floats, kernel
from reader_study.statistics.covariance import jackknife, jackknife_aucs

UNMARKED = -np.inf


class Marks(NamedTuple):
    """The highest ratings of all cells; a cell is one reader in one modality."""

    elsewhere: Floats  # (n_cells, n_cases), highest rating off lesions; UNMARKED if none
    n_elsewhere: Floats  # (n_cells, n_cases), number of such marks
    lesions: Floats  # (n_cells, n_lesions), rating of the lesion; UNMARKED if none
    case_of_lesion: NDArray[np.intp]  # (n_lesions,)
    weight: Floats  # (n_lesions,), importance; the lesions of a case sum to 1
    malignant: Bools  # (n_cases,), whether the case has a lesion


class Merit(NamedTuple):
    """A figure of merit of all cells."""

    value: Floats  # (n_cells,)
    without: Floats  # (n_cells, n_cases), the same without each case


def afroc(m: Marks, *, weighted: bool, all_cases: bool) -> Merit:
    """Compare the lesions with the highest mark elsewhere in each case.

    The chance that a lesion is rated above the highest mark off lesions of a case, a tie
    counting one half: of benign cases, or of all cases (the figures that end in 1).

    Parameters
    ----------
    weighted : every malignant case counts alike, its lesions by weight; else every lesion
    all_cases : marks off lesions in malignant cases count too
    """
    weight = m.weight if weighted else np.ones(len(m.weight))
    counted = np.ones(len(m.malignant), dtype=np.bool_) if all_cases else ~m.malignant
    n_cells, n_cases = m.elsewhere.shape
    of_elsewhere, of_lesions = np.zeros((n_cells, n_cases)), np.zeros((n_cells, n_cases))
    within = np.zeros((n_cells, n_cases))
    for cell in range(n_cells):
        lesions, elsewhere = m.lesions[cell], m.elsewhere[cell, counted]
        order = np.argsort(lesions, kind="stable")
        below = np.concatenate([[0.0], np.cumsum(weight[order])])
        low, high = (np.searchsorted(lesions[order], elsewhere, side) for side in ("left", "right"))
        of_elsewhere[cell, counted] = below[-1] - (below[low] + below[high]) / 2
        ranked = np.sort(elsewhere)
        wins = sum(np.searchsorted(ranked, lesions, side) for side in ("left", "right")) / 2
        of_lesions[cell] = np.bincount(m.case_of_lesion, wins * weight, n_cases)
        if all_cases:
            own = m.elsewhere[cell, m.case_of_lesion]
            win = (lesions > own) + 0.5 * (lesions == own)
            within[cell] = np.bincount(m.case_of_lesion, win * weight, n_cases)
    total = of_elsewhere.sum(axis=1, keepdims=True)
    weight_of_case = np.bincount(m.case_of_lesion, weight, n_cases)
    left = (counted.sum() - counted) * (weight.sum() - weight_of_case)
    without = np.divide(
        total - of_elsewhere - of_lesions + within,
        left,
        out=np.full((n_cells, n_cases), np.nan),
        where=left > 0,
    )
    return Merit(total[:, 0] / (counted.sum() * weight.sum()), without)


def highest_rating(m: Marks) -> Merit:
    """Return the AUC of the highest mark of each case, wherever it lies."""
    highest = highest_of_case(m)
    marked = highest[np.isfinite(highest)]
    below = marked.min() - 1 if marked.size else 0.0
    k = kernel(np.where(np.isfinite(highest), highest, below), m.malignant)
    return Merit(k.auc, jackknife_aucs(k))


def highest_of_case(m: Marks) -> Floats:
    """Return the highest mark of each case, shape (n_cells, n_cases)."""
    highest = m.elsewhere.copy()
    for lesion, case in enumerate(m.case_of_lesion):
        highest[:, case] = np.maximum(highest[:, case], m.lesions[:, lesion])
    return highest


def share_of_cases(right: Floats, counted: Bools) -> Merit:
    """Average over the cases that count, `right` having the shape (n_cells, n_cases)."""
    own = np.where(counted, right, 0.0)
    total, n = own.sum(axis=1, keepdims=True), counted.sum()
    left = n - counted
    without = np.divide(
        total - own,
        left,
        out=np.full(own.shape, np.nan),
        where=np.broadcast_to(left > 0, own.shape),
    )
    return Merit(total[:, 0] / n, without)


def sensitivity(m: Marks) -> Merit:
    """Share of malignant cases with a mark."""
    return share_of_cases(np.isfinite(highest_of_case(m)).astype(np.float64), m.malignant)


def specificity(m: Marks) -> Merit:
    """Share of benign cases without a mark."""
    return share_of_cases((~np.isfinite(m.elsewhere)).astype(np.float64), ~m.malignant)


def marks_elsewhere(m: Marks) -> Merit:
    """Marks for each benign case: the right end of the FROC curve."""
    return share_of_cases(m.n_elsewhere, ~m.malignant)


def lesions_found(m: Marks) -> Merit:
    """Share of lesions with a mark: the upper end of the FROC curve."""
    n_cases = len(m.malignant)
    found = np.array([np.bincount(m.case_of_lesion, np.isfinite(x), n_cases) for x in m.lesions])
    n = np.bincount(m.case_of_lesion, minlength=n_cases)
    left = n.sum() - n
    without = np.divide(
        found.sum(axis=1, keepdims=True) - found,
        left,
        out=np.full(found.shape, np.nan),
        where=np.broadcast_to(left > 0, found.shape),
    )
    return Merit(found.sum(axis=1) / n.sum(), without)


MERITS: dict[str, Callable[[Marks], Merit]] = {
    "wAFROC": lambda m: afroc(m, weighted=True, all_cases=False),
    "AFROC": lambda m: afroc(m, weighted=False, all_cases=False),
    "wAFROC1": lambda m: afroc(m, weighted=True, all_cases=True),
    "AFROC1": lambda m: afroc(m, weighted=False, all_cases=True),
    "HrAuc": highest_rating,
    "HrSe": sensitivity,
    "HrSp": specificity,
    "MaxLLF": lesions_found,
    "MaxNLF": marks_elsewhere,
}


def merit_and_covariance(m: Marks, name: str) -> tuple[Floats, Floats]:
    """Return a figure of merit of all cells and its jackknife covariance over cases.

    Raises
    ------
    ValueError
        If the name is not one of MERITS.
    """
    if name not in MERITS:
        raise ValueError(f"'{name}' is not one of {', '.join(MERITS)}")
    found = MERITS[name](m)
    # A figure of one truth does not change without a case of the other, as in RJafroc.
    return found.value, jackknife(found.without)
