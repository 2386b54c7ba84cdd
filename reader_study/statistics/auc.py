"""The empirical area under the ROC curve of every reading, and what it is made of."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Kernel(NamedTuple):
    """Sums of the Wilcoxon kernel psi(malignant, benign) = 1, 1/2, 0 for >, =, <.

    A cell is one reader in one modality. A case that a cell did not read counts nothing.
    """

    ratings: Floats  # (n_cells, n_cases), NaN where the cell did not read the case
    sums: Floats  # (n_cells, n_cases), over the cases of the other truth that the cell read
    read: Bools  # (n_cells, n_cases)
    malignant: Bools  # (n_cases,)
    totals: Floats  # (n_cells,), over all pairs of the cell
    n_malignant: Floats  # (n_cells,), whole numbers
    n_benign: Floats  # (n_cells,)

    @property
    def auc(self) -> Floats:
        """The AUC of each cell, shape (n_cells,); NaN where a truth was not read."""
        return ratio(self.totals, self.n_malignant * self.n_benign)


def ratio(above: Floats, below: Floats) -> Floats:
    """Divide, with NaN where the divisor is not above 0."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    found: Floats = np.divide(above, below, out=np.full(shape, np.nan), where=below > 0)
    return found


def checked(ratings: ArrayLike, malignant: ArrayLike) -> tuple[Floats, Bools]:
    """Return both as arrays, shape (n_cells, n_cases) and (n_cases,).

    Raises
    ------
    ValueError
        If the shapes disagree or a rating is infinite. A missing reading is NaN.
    """
    x = np.asarray(ratings, dtype=np.float64)
    truth = np.asarray(malignant, dtype=np.bool_)
    if x.ndim != 2 or truth.shape != x.shape[1:]:
        raise ValueError(f"ratings {x.shape} and malignant {truth.shape} do not match")
    if np.isinf(x).any():
        raise ValueError("ratings must be finite; a missing reading is NaN")
    return x, truth


def kernel(ratings: ArrayLike, malignant: ArrayLike) -> Kernel:
    """Sum the Wilcoxon kernel over the pairs of each case, by ranks.

    Sorting makes the cost O(n log n) for each cell, in place of one step a pair of cases.

    Parameters
    ----------
    ratings : array_like, shape (n_cells, n_cases)
        Higher is more suspicious; NaN where the cell did not read the case.
    malignant : array_like of bool, shape (n_cases,)
        The reference standard.

    Raises
    ------
    ValueError
        If the shapes disagree or a rating is infinite.

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more
    correlated receiver operating characteristic curves. Biometrics 1988;44:837-845.
    """
    x, truth = checked(ratings, malignant)
    read = ~np.isnan(x)
    sums = np.zeros(x.shape)
    for cell, values in enumerate(x):
        of_malignant, of_benign = truth & read[cell], ~truth & read[cell]
        sorted_malignant = np.sort(values[of_malignant])
        sorted_benign = np.sort(values[of_benign])
        # Below and up to: their mean counts a tie one half.
        sums[cell, of_malignant] = (
            np.searchsorted(sorted_benign, values[of_malignant], "left")
            + np.searchsorted(sorted_benign, values[of_malignant], "right")
        ) / 2
        sums[cell, of_benign] = (
            len(sorted_malignant)
            - (
                np.searchsorted(sorted_malignant, values[of_benign], "left")
                + np.searchsorted(sorted_malignant, values[of_benign], "right")
            )
            / 2
        )
    return Kernel(
        ratings=x,
        sums=sums,
        read=read,
        malignant=truth,
        totals=sums[:, truth].sum(axis=1),
        n_malignant=(read & truth).sum(axis=1).astype(np.float64),
        n_benign=(read & ~truth).sum(axis=1).astype(np.float64),
    )


def empirical_auc(ratings: ArrayLike, malignant: ArrayLike) -> Floats:
    """Estimate the AUC of each cell, shape (n_cells,); NaN where a truth was not read.

    The chance that a malignant case is rated above a benign one, a tie counting one half.
    Arguments and errors are those of `kernel`.
    """
    return kernel(ratings, malignant).auc
