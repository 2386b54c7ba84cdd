"""Sensitivity and specificity at a threshold, as figures of merit of an MRMC analysis."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reader_study.statistics.auc import Floats, checked, ratio
from reader_study.statistics.covariance import difference_of_ratios, jackknife, sums_over

SENSITIVITY, SPECIFICITY = "sensitivity", "specificity"


class Decisions(NamedTuple):
    """Whether each reading was right, among the cases that the endpoint is about."""

    right: Floats  # (n_cells, n_cases_of_one_truth), 1 or 0, NaN where not read
    of_truth: NDArray[np.bool_]  # (n_cases,), the cases that count

    @property
    def share(self) -> Floats:
        """The sensitivity or specificity of each cell; NaN without a reading."""
        n = (~np.isnan(self.right)).sum(axis=1)
        return ratio(np.nansum(self.right, axis=1), n)


def decisions(
    ratings: ArrayLike, malignant: ArrayLike, threshold: float, endpoint: str
) -> Decisions:
    """Call each reading right or wrong; it is positive from the threshold on.

    Parameters
    ----------
    ratings, malignant : as in `auc.kernel`
    threshold : in units of the ratings
    endpoint : "sensitivity" or "specificity"
    """
    x, truth = checked(ratings, malignant)
    of_truth = truth if endpoint == SENSITIVITY else ~truth
    own = x[:, of_truth]
    right = (own >= threshold) == (endpoint == SENSITIVITY)
    return Decisions(np.where(np.isnan(own), np.nan, right), of_truth)


def jackknife_shares(d: Decisions, clusters: NDArray[np.intp] | None = None) -> Floats:
    """Estimate each share without one case (or cluster) after the other.

    Only the cases of one truth are the sample; a cluster without any of them is left aside.
    """
    n = (~np.isnan(d.right)).astype(np.float64)
    right = np.nan_to_num(d.right)
    if clusters is not None:
        own = np.unique(clusters[d.of_truth], return_inverse=True)[1]
        gone_n, gone_right = sums_over(own, n), sums_over(own, right)
    else:
        gone_n, gone_right = n, right
    left = n.sum(axis=1, keepdims=True) - gone_n
    sums = right.sum(axis=1, keepdims=True) - gone_right
    return ratio(sums, left)


def covariance_of_shares(d: Decisions, kind: str, clusters: NDArray[np.intp] | None) -> Floats:
    """Estimate the covariance of the shares, shape (n_cells, n_cells).

    The three kinds agree where every reader read every case. "delong" needs that they did.
    "unbiased" is A_g A_h minus the mean of products over pairs of different cases (clusters).

    Raises
    ------
    ValueError
        If "delong" is asked for and a reading is missing.
    """
    if kind == "jackknife":
        return jackknife(jackknife_shares(d, clusters))
    read = ~np.isnan(d.right)
    if kind == "delong":
        if not read.all():
            raise ValueError("DeLong covariances need every reader to read every case")
        if clusters is not None:
            return of_clusters(d, clusters)
        n = d.right.shape[1]
        if n < 2:
            return np.full((len(read), len(read)), np.nan)
        return np.asarray(np.atleast_2d(np.cov(d.right)) / n, dtype=np.float64)
    n, right = read.astype(np.float64), np.nan_to_num(d.right)
    if clusters is not None:
        own = np.unique(clusters[d.of_truth], return_inverse=True)[1]
        n, right = sums_over(own, n), sums_over(own, right)
    pairs, common = np.outer(n.sum(axis=1), n.sum(axis=1)), n @ n.T
    products, same = np.outer(right.sum(axis=1), right.sum(axis=1)), right @ right.T
    apart = pairs - common
    found = difference_of_ratios(products, pairs, products - same, apart, apart > 0)
    found[(common == 0) & (apart > 0)] = 0.0
    return found


def of_clusters(d: Decisions, clusters: NDArray[np.intp]) -> Floats:
    """Estimate the covariance of ratios whose cases come in clusters.

    References
    ----------
    Rao JNK, Scott AJ. A simple method for the analysis of clustered binary data.
    Biometrics 1992;48:577-585.
    """
    own = np.unique(clusters[d.of_truth], return_inverse=True)[1]
    rest = sums_over(own, d.right - d.share[:, None])
    m = rest.shape[1]
    if m < 2:
        return np.full((len(rest), len(rest)), np.nan)
    n_cases = d.right.shape[1]
    return np.asarray(m / (m - 1) * (rest @ rest.T) / n_cases**2, dtype=np.float64)


def as_ratings(
    ratings: ArrayLike, malignant: ArrayLike, threshold: float, endpoint: str
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return ratings whose AUC is the sensitivity (or specificity), and the truth of each.

    Cases of the other truth are rated 1/2, between a positive (1) and a negative (0) reading.
    They make no difference, but the kernel needs some: with fewer than two of them as many are
    added as there are cases that count, read by everybody.

    References
    ----------
    Gallas BD, Pennello GA, Myers KJ. J Opt Soc Am A 2007;24:B70-B80.
    """
    x, truth = checked(ratings, malignant)
    counted = truth if endpoint == SENSITIVITY else ~truth
    positive = (x >= threshold).astype(np.float64)
    found: Floats = np.where(np.isnan(x), np.nan, np.where(counted, positive, 0.5))
    if (~counted).sum() < 2:
        n = max(2, int(counted.sum()))
        found = np.concatenate([found[:, counted], np.full((len(x), n), 0.5)], axis=1)
        truth = np.concatenate([truth[counted], np.full(n, endpoint != SENSITIVITY)])
    return found, truth
