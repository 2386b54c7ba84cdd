"""Covariance over cases of the figures of merit of all cells: jackknife, DeLong, unbiased.

A cell is one reader in one modality. Every function returns shape (n_cells, n_cells), with
NaN where a covariance cannot be estimated.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reader_study.statistics.auc import Bools, Floats, Kernel, kernel, ratio

Ranks = NDArray[np.integer[Any]]
CHUNK_PAIRS = 1 << 22  # of cases compared at once, over all cells: a few MB
# Variances without bias are differences of numbers near 1: below this they are rounding.
VARIANCE_ZERO = 1e-15


def jackknife_aucs(k: Kernel, clusters: NDArray[np.intp] | None = None) -> Floats:
    """Estimate each AUC without one case (or one cluster of cases) after the other.

    Parameters
    ----------
    k : Kernel
    clusters : array of int, shape (n_cases,), optional
        Cases with one number are left out together, such as the nodules of a patient.

    Returns
    -------
    array, shape (n_cells, n_cases or n_clusters)
        A cell that read nothing of what is left out keeps its AUC. NaN where no malignant
        or no benign case would be left.
    """
    gone_benign = (k.read & ~k.malignant).astype(np.float64)
    gone_malignant = (k.read & k.malignant).astype(np.float64)
    gone_sums = k.sums.copy()
    if clusters is not None:
        gone_benign, gone_malignant = (
            sums_over(clusters, gone) for gone in (gone_benign, gone_malignant)
        )
        # A pair within the cluster stands in the sums of both of its cases.
        gone_sums = sums_over(clusters, gone_sums) - within_clusters(k, clusters)
    left = (k.n_benign[:, None] - gone_benign) * (k.n_malignant[:, None] - gone_malignant)
    sums = k.totals[:, None] - gone_sums
    return ratio(sums, left)


def sums_over(clusters: NDArray[np.intp], of_cases: Floats) -> Floats:
    """Add the columns of each cluster: (n_rows, n_cases) -> (n_rows, n_clusters)."""
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
    return np.asarray(np.add.reduceat(of_cases[:, order], starts, axis=1), dtype=np.float64)


def within_clusters(k: Kernel, clusters: NDArray[np.intp]) -> Floats:
    """Sum the kernel over the pairs within each cluster, shape (n_cells, n_clusters)."""
    # Ranks among the cases of one cluster are all that is needed: the same sums again.
    totals = np.zeros((len(k.sums), int(clusters.max()) + 1))
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.diff(clusters[order], prepend=-1))
    for cases in np.split(order, starts[1:]):
        truth = k.malignant[cases]
        if truth.all() or not truth.any():
            continue
        totals[:, clusters[cases[0]]] = kernel(k.ratings[:, cases], truth).totals
    return totals


def jackknife(without: Floats) -> Floats:
    """Estimate the covariance from estimates that each leave one case out.

    V = (K-1)/K sum_k (theta(-k) - mean)(theta(-k) - mean)', K the number of what was left
    out in turn, readings that are missing included.

    Parameters
    ----------
    without : array, shape (n_cells, K)
        Estimates without the first, the second, ... case.

    References
    ----------
    Efron B, Tibshirani RJ. An introduction to the bootstrap. Chapman & Hall 1993, ch. 11.
    """
    n = without.shape[1]
    deviation = without - without.mean(axis=1, keepdims=True)
    return np.asarray((n - 1) / n * (deviation @ deviation.T), dtype=np.float64)


def delong(k: Kernel, clusters: NDArray[np.intp] | None = None) -> Floats:
    """Estimate the covariance from the placement values of the cases.

    V = cov(V10)/n1 + cov(V01)/n0. With clusters, sums of placements over the cases of a
    cluster vary together: V = S10/n1 + S01/n0 + (S11 + S11')/(n1 n0).

    Raises
    ------
    ValueError
        If a reading is missing: the method needs every reader to read every case.

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845.
    Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics
    1997;53:567-578.
    """
    if not k.read.all():
        raise ValueError("DeLong covariances need every reader to read every case")
    n_malignant, n_benign = int(k.malignant.sum()), int((~k.malignant).sum())
    n_cells = len(k.sums)
    if min(n_malignant, n_benign) < 2:
        return np.full((n_cells, n_cells), np.nan)
    of_malignant = k.sums[:, k.malignant] / n_benign - k.auc[:, None]
    of_benign = k.sums[:, ~k.malignant] / n_malignant - k.auc[:, None]
    if clusters is None:
        return np.asarray(
            of_malignant @ of_malignant.T / (n_malignant - 1) / n_malignant
            + of_benign @ of_benign.T / (n_benign - 1) / n_benign,
            dtype=np.float64,
        )
    placements = np.zeros((2, *k.sums.shape))
    placements[0][:, k.malignant] = of_malignant
    placements[1][:, ~k.malignant] = of_benign
    s10, s01 = (sums_over(clusters, values) for values in placements)
    n_clusters = s10.shape[1]
    n_with_malignant = len(np.unique(clusters[k.malignant]))
    n_with_benign = len(np.unique(clusters[~k.malignant]))
    if min(n_with_malignant, n_with_benign) < 2:
        return np.full((n_cells, n_cells), np.nan)
    both = s10 @ s01.T * (n_clusters / (n_clusters - 1)) / (n_malignant * n_benign)
    return np.asarray(
        s10 @ s10.T * (n_with_malignant / (n_with_malignant - 1)) / n_malignant**2
        + s01 @ s01.T * (n_with_benign / (n_with_benign - 1)) / n_benign**2
        + both
        + both.T,
        dtype=np.float64,
    )


class Moments(NamedTuple):
    """Sums of products of two cells' kernels over pairs of pairs of cases.

    `products[m]` and `pairs[m]` have shape (n_cells, n_cells) and belong to: 0 the same
    malignant and the same benign case, 1 the same malignant case, 2 the same benign case,
    3 any cases. `pairs` is the same for kernels that are 1 wherever the cell read.
    """

    products: Floats  # (4, n_cells, n_cells)
    pairs: Floats  # (4, n_cells, n_cells)

    def unbiased(self) -> "Moments":
        """Return sums over pairs of pairs in which what may differ does differ."""
        return Moments(without_equals(self.products), without_equals(self.pairs))


def without_equals(sums: Floats) -> Floats:
    """Take from each sum the terms in which cases that may differ are the same."""
    n1, n2, n3, n4 = sums
    return np.stack([n1, n2 - n1, n3 - n1, n4 - n3 - n2 + n1])


def moments(ratings: ArrayLike, malignant: ArrayLike) -> Moments:
    """Sum the products of the kernels of every two cells.

    The first sum needs every pair of cases, taken in slices; the others follow from the sums
    of each case. All of them are whole multiples of 1/4, and exact up to 2**53.

    Parameters are those of `auc.kernel`.

    References
    ----------
    Gallas BD. One-shot estimate of MRMC variance: AUC. Acad Radiol 2006;13:353-362.
    """
    k = kernel(ratings, malignant)
    benign_sums, malignant_sums = k.sums[:, ~k.malignant], k.sums[:, k.malignant]
    common_malignant = common(k.read[:, k.malignant])
    common_benign = common(k.read[:, ~k.malignant])
    every_benign = np.outer(k.n_benign, k.n_benign)
    every_malignant = np.outer(k.n_malignant, k.n_malignant)
    return Moments(
        products=np.stack(
            [
                gram(k),
                malignant_sums @ malignant_sums.T,
                benign_sums @ benign_sums.T,
                np.outer(k.totals, k.totals),
            ]
        ),
        pairs=np.stack(
            [
                common_benign * common_malignant,
                every_benign * common_malignant,
                common_benign * every_malignant,
                every_benign * every_malignant,
            ]
        ),
    )


def common(read: Bools) -> Floats:
    """Count the cases that every two cells both read, shape (n_cells, n_cells)."""
    n = read.astype(np.float64)
    return np.asarray(n @ n.T, dtype=np.float64)


def gram(k: Kernel) -> Floats:
    """Sum psi_g psi_h over all pairs of cases, for every two cells g and h.

    psi is half the sum of two comparisons, "above" and "not below". As bits, 64 pairs of
    cases are compared by one `and`, and counted.
    """
    n_cells = len(k.ratings)
    malignant, benign = ranks(k)
    pairs_of_row = n_cells * benign.shape[1]
    rows = max(1, CHUNK_PAIRS // pairs_of_row)
    counts = np.zeros((2 * n_cells, 2 * n_cells))
    for start in range(0, malignant.shape[1], rows):
        above = malignant[:, start : start + rows, None]
        words = np.concatenate(
            [as_words(above > benign[:, None, :]), as_words(above >= benign[:, None, :])]
        )
        for cell, own in enumerate(words):
            both = np.bitwise_count(own & words[cell:])
            counts[cell, cell:] += both.sum(axis=1, dtype=np.uint32)
    counts = np.triu(counts) + np.triu(counts, 1).T
    by_comparison = counts.reshape(2, n_cells, 2, n_cells)
    return np.asarray(by_comparison.sum(axis=(0, 2)) / 4, dtype=np.float64)


def ranks(k: Kernel) -> tuple[Ranks, Ranks]:
    """Return ratings as small whole numbers in their order, of malignant and of benign cases.

    Where there is no reading a malignant case is below, and a benign one above, all others;
    so are benign cases added to make their number a multiple of 64.
    """
    n_cells, n_cases = k.ratings.shape
    # NaN sorts last, above all ratings.
    found = np.stack([np.unique(x, return_inverse=True)[1] for x in k.ratings])
    # Half the width, where it is enough, is compared in half the time.
    width: type[Any] = np.int16 if n_cases < np.iinfo(np.int16).max else np.int32
    found = np.where(k.read, found, n_cases).astype(width)
    malignant: Ranks = np.where(k.read, found, -1).astype(width)[:, k.malignant]
    benign: Ranks = found[:, ~k.malignant]
    more = -benign.shape[1] % 64
    padding = np.full((n_cells, more), n_cases, dtype=width)
    benign = np.concatenate([benign, padding], axis=1)
    return malignant, benign


def as_words(bits: Bools) -> NDArray[np.uint64]:
    """Pack bits into words: (n_cells, n_rows, a multiple of 64) -> (n_cells, n_words)."""
    return np.packbits(bits, axis=2).reshape(len(bits), -1).view(np.uint64)


def unbiased(m: Moments) -> Floats:
    """Estimate the covariance without bias, from the moments of every two cells.

    cov(A_g, A_h) = A_g A_h - U4, where U4 averages psi_g psi_h over pairs of pairs that
    have no case in common.

    References
    ----------
    Gallas BD, Pennello GA, Myers KJ. Multireader multicase variance analysis for binary
    data. J Opt Soc Am A 2007;24:B70-B80.
    """
    u = m.unbiased()
    estimable = (u.pairs[3] > 0) & (m.pairs[3] > 0)
    covariance = difference_of_ratios(
        m.products[3], m.pairs[3], u.products[3], u.pairs[3], estimable
    )
    # Two cells without a common case are independent, exactly.
    covariance[estimable & (m.pairs[1] == 0) & (m.pairs[2] == 0)] = 0.0
    return covariance


def difference_of_ratios(a: Floats, b: Floats, c: Floats, d: Floats, where: Bools) -> Floats:
    """Return a/b - c/d, NaN but `where`; the two are close, so with more digits (on x86)."""
    wide = np.full(a.shape, np.nan, dtype=np.longdouble)
    first = np.divide(a.astype(np.longdouble), b, out=wide.copy(), where=where)
    second = np.divide(c.astype(np.longdouble), d, out=wide.copy(), where=where)
    found = (first - second).astype(np.float64)
    found[np.abs(found) < VARIANCE_ZERO] = 0.0
    return np.asarray(found, dtype=np.float64)
