"""How well scores tell categories apart, with how sure that is."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reader_study.statistics.auc import empirical_auc

RESAMPLES = 500


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the chance that a positive scores above a negative, a tie counting one half."""
    return float(empirical_auc(scores[None], positive)[0])


def weighted_auroc(probabilities: NDArray[np.float64], category: NDArray[np.int64]) -> float:
    """Return the mean over categories of one against the rest, weighted by prevalence.

    `probabilities` is (n, categories); a category nobody has, or everybody, has no weight.
    """
    counts = np.bincount(category, minlength=probabilities.shape[1])
    usable = [k for k, count in enumerate(counts) if 0 < count < len(category)]
    values = [auroc(probabilities[:, k], category == k) for k in usable]
    return float(np.average(values, weights=counts[usable]))


def weighted_auroc_with_interval(
    probabilities: ArrayLike, category: ArrayLike, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """Return `weighted_auroc` and its 95 % interval by bootstrap over nodules.

    Where all nodules are of one category there is nothing to tell apart: 0.5 (0 to 1).
    """
    p = np.asarray(probabilities, dtype=np.float64)
    truth = np.asarray(category, dtype=np.int64)
    if len(np.unique(truth)) < 2:
        return 0.5, (0.0, 1.0)
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(truth), len(truth))
        if len(np.unique(truth[rows])) > 1:
            values.append(weighted_auroc(p[rows], truth[rows]))
    low, high = (float(value) for value in np.percentile(values, [2.5, 97.5]))
    return weighted_auroc(p, truth), (low, high)
