"""ROC curves and what is read off them; nodules of one patient may vary together."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from reader_study.statistics import covariance
from reader_study.statistics.auc import Floats, kernel
from reader_study.statistics.intervals import LEVEL, NAN, Proportion, proportion


class Curve(NamedTuple):
    """A curve from (0, 0) to (1, 1), one point for each distinct rating."""

    fpr: Floats  # (n_points,), share of benign cases that are rated positive
    tpr: Floats  # (n_points,), share of malignant cases
    threshold: Floats  # (n_points,), positive from here on; infinite at (0, 0)


class AucEstimate(NamedTuple):
    """An AUC with its interval over cases, cut at 0 and 1."""

    auc: float
    variance: float
    se: float
    lower: float
    upper: float
    n_malignant: int
    n_benign: int
    reason: str = ""


class OperatingPoint(NamedTuple):
    """What a threshold does."""

    threshold: float
    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int
    sensitivity: Proportion
    specificity: Proportion
    ppv: Proportion  # among these cases, whose prevalence is the study's
    npv: Proportion


def roc_curve(ratings: ArrayLike, malignant: ArrayLike) -> Curve:
    """Draw the empirical ROC curve of one reading of each case.

    Parameters
    ----------
    ratings : array_like, shape (n_cases,), higher is more suspicious; NaN is left out
    malignant : array_like of bool, shape (n_cases,)

    Raises
    ------
    ValueError
        If there is no malignant or no benign case, or the shapes disagree.
    """
    x, truth = one_reading(ratings, malignant)
    values = np.unique(x)[::-1]
    positives, negatives = np.sort(x[truth]), np.sort(x[~truth])
    tpr = 1 - np.searchsorted(positives, values, "left") / len(positives)
    fpr = 1 - np.searchsorted(negatives, values, "left") / len(negatives)
    return Curve(
        np.concatenate([[0.0], fpr]),
        np.concatenate([[0.0], tpr]),
        np.concatenate([[np.inf], values]),
    )


def one_reading(ratings: ArrayLike, malignant: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the ratings that are there, and their truth."""
    x = np.asarray(ratings, dtype=np.float64)
    truth = np.asarray(malignant, dtype=np.bool_)
    if x.ndim != 1 or x.shape != truth.shape:
        raise ValueError(f"ratings {x.shape} and malignant {truth.shape} do not match")
    there = ~np.isnan(x)
    x, truth = x[there], truth[there]
    if truth.all() or not truth.any():
        raise ValueError("a curve needs a malignant and a benign case")
    return x, truth


def auc_estimate(
    ratings: ArrayLike,
    malignant: ArrayLike,
    clusters: NDArray[np.intp] | None = None,
    level: float = LEVEL,
) -> AucEstimate:
    """Estimate the AUC with DeLong's interval, or Obuchowski's for cases in clusters.

    Parameters
    ----------
    ratings, malignant : as in `roc_curve`
    clusters : array of int, shape (n_cases,), what a case belongs to, optional
    """
    x, truth = one_reading(ratings, malignant)
    if clusters is not None:
        there = ~np.isnan(np.asarray(ratings, dtype=np.float64))
        clusters = np.unique(clusters[there], return_inverse=True)[1]
    k = kernel(x[None], truth)
    auc, variance = float(k.auc[0]), float(covariance.delong(k, clusters)[0, 0])
    counts = int(truth.sum()), int((~truth).sum())
    if not variance > 0:
        reason = (
            "two malignant and two benign cases are needed"
            if np.isnan(variance)
            else "the cases do not vary: the curve is perfect, or of one point"
        )
        return AucEstimate(auc, variance, float(np.sqrt(variance)), NAN, NAN, *counts, reason)
    se = float(np.sqrt(variance))
    half = float(stats.norm.ppf((1 + level) / 2)) * se
    return AucEstimate(auc, variance, se, max(0.0, auc - half), min(1.0, auc + half), *counts)


def area_between(along: Floats, height: Floats, low: float, high: float) -> float:
    """Return the area under a polygon between two places; `along` ascends."""
    inside = (along > low) & (along < high)
    # At a vertical step the curve is the upper end: it is what can be reached.
    x = np.concatenate([[low], along[inside], [high]])
    y = np.concatenate(
        [
            [height_at(along, height, low, last=True)],
            height[inside],
            [height_at(along, height, high, last=False)],
        ]
    )
    return float(np.trapezoid(y, x))


def height_at(along: Floats, height: Floats, place: float, *, last: bool) -> float:
    """Return the height of a polygon; of a vertical step its last or its first point."""
    same = np.flatnonzero(along == place)
    if len(same):
        return float(height[same[-1 if last else 0]])
    after = int(np.searchsorted(along, place))
    share = (place - along[after - 1]) / (along[after] - along[after - 1])
    return float(height[after - 1] + share * (height[after] - height[after - 1]))


class PartialAuc(NamedTuple):
    """The part of the area where one of the two rates lies in a range."""

    area: float
    corrected: float  # 1 for perfect, 1/2 for chance (McClish)


def partial_auc(curve: Curve, focus: str, low: float, high: float) -> PartialAuc:
    """Return the area where specificity (or sensitivity) lies in [low, high].

    References
    ----------
    McClish DK. Analyzing a portion of the ROC curve. Med Decis Making 1989;9:190-195.
    """
    if not 0 <= low < high <= 1:
        raise ValueError("a range is two numbers from 0 to 1, the lower one first")
    if focus == "specificity":
        area = area_between(curve.fpr, curve.tpr, 1 - high, 1 - low)
    else:
        area = area_between(1 - curve.tpr[::-1], 1 - curve.fpr[::-1], 1 - high, 1 - low)
    least, most = ((1 - low) ** 2 - (1 - high) ** 2) / 2, high - low
    return PartialAuc(area, (1 + (area - least) / (most - least)) / 2)


def operating_point(
    ratings: ArrayLike, malignant: ArrayLike, threshold: float, level: float = LEVEL
) -> OperatingPoint:
    """Count decisions that are positive from a threshold on."""
    x, truth = one_reading(ratings, malignant)
    positive = x >= threshold
    tp, fp = int((positive & truth).sum()), int((positive & ~truth).sum())
    fn, tn = int((~positive & truth).sum()), int((~positive & ~truth).sum())
    return OperatingPoint(
        threshold,
        tp,
        fn,
        fp,
        tn,
        proportion(tp, tp + fn, level),
        proportion(tn, tn + fp, level),
        proportion(tp, tp + fp, level),
        proportion(tn, tn + fn, level),
    )


class Youden(NamedTuple):
    """The point where sensitivity + specificity is largest."""

    threshold: float  # midway to the next lower rating, so that it is none of the ratings
    sensitivity: float
    specificity: float


def youden(curve: Curve) -> Youden:
    """Find the point farthest above the diagonal; of several the one most specific."""
    best = int(np.argmax(curve.tpr - curve.fpr))
    at = float(curve.threshold[best])
    if best + 1 < len(curve.threshold) and np.isfinite(at):
        at = (at + float(curve.threshold[best + 1])) / 2
    return Youden(at, float(curve.tpr[best]), 1 - float(curve.fpr[best]))


def mean_curve(curves: Sequence[Curve], n_points: int = 101) -> tuple[Floats, Floats]:
    """Average curves along the diagonals of constant sensitivity + specificity.

    Parameters
    ----------
    curves : of the readers
    n_points : of the mean

    Returns
    -------
    fpr, tpr : arrays, shape (n_points,)

    References
    ----------
    Chen W, Samuelson FW. The average receiver operating characteristic curve in multireader
    multicase imaging studies. Br J Radiol 2014;87:20140016.
    """
    along = np.linspace(0, 2, n_points)
    fpr = np.mean([np.interp(along, c.fpr + c.tpr, c.fpr) for c in curves], axis=0)
    tpr = np.mean([np.interp(along, c.fpr + c.tpr, c.tpr) for c in curves], axis=0)
    return np.asarray(fpr), np.asarray(tpr)
