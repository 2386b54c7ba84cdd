"""Whether probabilities mean what they say, and what acting on them is worth."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from reader_study.statistics.auc import Floats
from reader_study.statistics.intervals import LEVEL, NAN, ZEstimate, z_estimate


class Bin(NamedTuple):
    """Cases with probabilities in one range."""

    low: float
    high: float
    n: int
    mean_probability: float
    share_malignant: float
    reason: str = "no case falls in this range"


class Errors(NamedTuple):
    """Distances between probability and share, over bins."""

    expected: float  # mean over cases (ECE)
    largest: float  # over bins (MCE)
    bins: list[Bin]


class Recalibration(NamedTuple):
    """How probabilities would have to be changed on the logit scale; 1, 0 and 0 are perfect."""

    slope: ZEstimate  # tested against 0 as any coefficient
    intercept: ZEstimate  # beside the slope
    in_the_large: ZEstimate  # intercept with the slope held at 1
    reason: str = ""


class NetBenefit(NamedTuple):
    """What acting on a probability from a threshold on gives, in true positives a case."""

    threshold: float
    model: float
    act_on_all: float
    act_on_none: float


def probabilities(p: ArrayLike, malignant: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as arrays, the truth as 1 and 0.

    Raises
    ------
    ValueError
        If the shapes disagree, there is no case, or a probability is not from 0 to 1.
    """
    x = np.asarray(p, dtype=np.float64)
    y = np.asarray(malignant, dtype=np.bool_).astype(np.float64)
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise ValueError(f"probabilities {x.shape} and malignant {y.shape} do not match")
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("probabilities are numbers from 0 to 1")
    return x, y


def brier(p: ArrayLike, malignant: ArrayLike) -> float:
    """Return the mean squared distance of probability and truth; 0 is best.

    References
    ----------
    Brier GW. Monthly Weather Rev 1950;78:1-3.
    """
    x, y = probabilities(p, malignant)
    return float(((x - y) ** 2).mean())


def calibration_errors(p: ArrayLike, malignant: ArrayLike, n_bins: int = 10) -> Errors:
    """Compare probability and share in bins of equal width, each with its upper end.

    References
    ----------
    Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural networks. ICML 2017.
    """
    x, y = probabilities(p, malignant)
    if n_bins < 1:
        raise ValueError("calibration needs one bin or more")
    which = np.clip(np.ceil(x * n_bins - 1e-12).astype(np.intp) - 1, 0, n_bins - 1)
    n = np.bincount(which, minlength=n_bins)
    means, shares = (
        np.divide(np.bincount(which, values, n_bins), n, out=np.full(n_bins, np.nan), where=n > 0)
        for values in (x, y)
    )
    gaps = np.abs(means - shares)[n > 0]
    bins = [
        Bin(i / n_bins, (i + 1) / n_bins, int(n[i]), float(means[i]), float(shares[i]))
        for i in range(n_bins)
    ]
    return Errors(float((gaps * n[n > 0]).sum() / n.sum()), float(gaps.max()), bins)


def recalibration(p: ArrayLike, malignant: ArrayLike, level: float = LEVEL) -> Recalibration:
    """Fit a logistic regression of the truth on the logit of the probability.

    References
    ----------
    Cox DR. Two further applications of a model for binary regression. Biometrika
    1958;45:562-565.
    """
    x, y = probabilities(p, malignant)
    blank = ZEstimate(NAN, NAN, NAN, NAN, NAN, NAN)
    reason = ""
    if ((x == 0) | (x == 1)).any():
        reason = "a probability is 0 or 1, so its logit is infinite"
    elif y.all() or not y.any():
        reason = "all cases have the same truth"
    elif np.ptp(x) == 0:
        reason = "all probabilities are the same"
    elif separated(x, y):
        reason = "the probabilities separate the truths without error: the slope is infinite"
    if reason:
        blank = blank._replace(reason=reason)
        return Recalibration(blank, blank, blank, reason)
    logit = special.logit(x)
    joint, joint_variance = logistic(np.column_stack([np.ones(len(x)), logit]), y, np.zeros(len(x)))
    alone, alone_variance = logistic(np.ones((len(x), 1)), y, logit)
    return Recalibration(
        z_estimate(float(joint[1]), float(joint_variance[1]), level),
        z_estimate(float(joint[0]), float(joint_variance[0]), level),
        z_estimate(float(alone[0]), float(alone_variance[0]), level),
    )


def separated(x: Floats, y: Floats) -> bool:
    """Whether a threshold tells the truths apart, or nearly (one shared value)."""
    high, low = x[y == 1], x[y == 0]
    return bool(high.min() >= low.max() or low.min() >= high.max())


def logistic(design: Floats, y: Floats, offset: Floats) -> tuple[Floats, Floats]:
    """Fit a logistic regression by Newton's method: coefficients and their variances."""
    beta = np.zeros(design.shape[1])
    for _ in range(100):
        mean = special.expit(design @ beta + offset)
        information = design.T @ (design * (mean * (1 - mean))[:, None])
        step = np.linalg.solve(information, design.T @ (y - mean))
        beta = beta + step
        if np.abs(step).max() < 1e-13 * (1 + np.abs(beta).max()):
            break
    mean = special.expit(design @ beta + offset)
    information = design.T @ (design * (mean * (1 - mean))[:, None])
    return beta, np.asarray(np.diag(np.linalg.inv(information)))


def net_benefit(p: ArrayLike, malignant: ArrayLike, thresholds: ArrayLike) -> list[NetBenefit]:
    """Weigh true positives against false ones, a threshold being the odds one accepts.

    References
    ----------
    Vickers AJ, Elkin EB. Decision curve analysis. Med Decis Making 2006;26:565-574.
    """
    x, y = probabilities(p, malignant)
    found = []
    for at in np.asarray(thresholds, dtype=np.float64).tolist():
        if not 0 < at < 1:
            raise ValueError("a threshold probability lies between 0 and 1")
        odds = at / (1 - at)
        positive = x >= at
        model = float((positive * (y - (1 - y) * odds)).mean())
        found.append(NetBenefit(at, model, float((y - (1 - y) * odds).mean()), 0.0))
    return found
