"""Estimates with their intervals and tests, and the same for proportions and for many tests."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

# Tests of every reader and modality are many: the functions of scipy.special, which are those
# behind scipy.stats, take a hundredth of the time.
LEVEL = 0.95
NAN = float("nan")


class TEstimate(NamedTuple):
    """An estimate with its t test against 0. What cannot be estimated is NaN, with a reason."""

    estimate: float
    se: float
    df: float
    t: float
    lower: float
    upper: float
    p: float  # two-sided
    reason: str = ""


class ZEstimate(NamedTuple):
    """An estimate with its normal test against 0. What cannot be estimated is NaN."""

    estimate: float
    se: float
    z: float
    lower: float
    upper: float
    p: float  # two-sided
    reason: str = ""


class Mean(NamedTuple):
    """An estimate with its t interval."""

    estimate: float
    se: float
    df: float
    lower: float
    upper: float
    reason: str = ""


class ZMean(NamedTuple):
    """An estimate with its normal interval."""

    estimate: float
    se: float
    lower: float
    upper: float
    reason: str = ""


def why_not(variance: float) -> str:
    """Say why a variance gives no test; empty where it does."""
    if np.isnan(variance):
        return "the variance over cases cannot be estimated from these data"
    if variance < 0:
        return f"the estimated variance is negative ({variance:.3g})"
    if variance == 0:
        return "the estimated variance is 0: there is no variation to test against"
    return ""


def t_estimate(estimate: float, variance: float, df: float, level: float = LEVEL) -> TEstimate:
    """Return `estimate` with its t test and interval on `df` degrees of freedom."""
    reason = why_not(variance)
    if reason or not df > 0:
        se = float(np.sqrt(variance)) if variance >= 0 else NAN
        reason = reason or "the degrees of freedom cannot be estimated"
        return TEstimate(estimate, se, NAN, NAN, NAN, NAN, NAN, reason)
    se = float(np.sqrt(variance))
    t = estimate / se
    half = float(special.stdtrit(df, (1 + level) / 2)) * se
    p = float(2 * special.stdtr(df, -abs(t)))
    return TEstimate(estimate, se, df, t, estimate - half, estimate + half, p)


def z_estimate(estimate: float, variance: float, level: float = LEVEL) -> ZEstimate:
    """Return `estimate` with its normal test and interval."""
    reason = why_not(variance)
    if reason:
        se = float(np.sqrt(variance)) if variance >= 0 else NAN
        return ZEstimate(estimate, se, NAN, NAN, NAN, NAN, reason)
    se = float(np.sqrt(variance))
    half = float(special.ndtri((1 + level) / 2)) * se
    p = float(2 * special.ndtr(-abs(estimate / se)))
    return ZEstimate(estimate, se, estimate / se, estimate - half, estimate + half, p)


def mean_of(found: TEstimate) -> Mean:
    """Keep what makes sense without a hypothesis."""
    return Mean(found.estimate, found.se, found.df, found.lower, found.upper, found.reason)


def z_mean_of(found: ZEstimate) -> ZMean:
    """Keep what makes sense without a hypothesis."""
    return ZMean(found.estimate, found.se, found.lower, found.upper, found.reason)


class Proportion(NamedTuple):
    """A share with two intervals; bounds from 0 to 1."""

    estimate: float
    n: int
    wilson_lower: float
    wilson_upper: float
    exact_lower: float  # Clopper and Pearson
    exact_upper: float
    reason: str = ""


def proportion(successes: int, n: int, level: float = LEVEL) -> Proportion:
    """Estimate a proportion with the intervals of Wilson and of Clopper and Pearson.

    Raises
    ------
    ValueError
        If `successes` is not from 0 to `n`.

    References
    ----------
    Newcombe RG. Two-sided confidence intervals for the single proportion. Stat Med
    1998;17:857-872 (methods 3 and 5).
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} cannot be")
    if n == 0:
        return Proportion(NAN, 0, NAN, NAN, NAN, NAN, "there is no case to count")
    z = float(stats.norm.ppf((1 + level) / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, successes, n - successes + 1)) if successes else 0.0
    high = float(stats.beta.isf(tail, successes + 1, n - successes)) if successes < n else 1.0
    return Proportion(share, n, max(0.0, centre - half), min(1.0, centre + half), low, high)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Return the two-sided p of discordant pairs against equal shares.

    References
    ----------
    McNemar Q. Psychometrika 1947;12:153-157, with the binomial distribution.
    """
    n = only_first + only_second
    if n == 0:
        return 1.0
    return min(1.0, 2 * float(stats.binom.cdf(min(only_first, only_second), n, 0.5)))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p values so that the chance of any false positive stays at the level.

    Parameters
    ----------
    p_values : array_like, shape (n,), from 0 to 1

    References
    ----------
    Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 1979;6:65-70.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p values are numbers from 0 to 1")
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted


class MarginTest(NamedTuple):
    """One direction of a comparison against a margin fixed beforehand."""

    better: str  # the modality whose estimate is tested
    worse: str
    estimate: float  # better minus worse
    lower: float  # two-sided limits of 95 %, so one-sided of 97.5 %
    upper: float
    t: float  # (estimate + margin) / se
    df: float
    p: float  # one-sided, of "worse by the margin or more"
    noninferior: bool | None
    p_superior: float  # one-sided, of "not better"
    superior: bool | None
    p_equivalent: float  # the larger one of two one-sided tests
    equivalent: bool | None
    reason: str = ""


def against_margin(
    better: str, worse: str, difference: TEstimate | ZEstimate, margin: float, alpha: float = 0.025
) -> MarginTest:
    """Test non-inferiority, superiority and equivalence of one modality to another.

    Parameters
    ----------
    better, worse : names of the two modalities
    difference : better minus worse
    margin : above 0, in units of the estimate
    alpha : of each one-sided test

    Raises
    ------
    ValueError
        If the margin is not above 0.

    References
    ----------
    Chen W, Petrick NA, Sahiner B. Hypothesis testing in noninferiority and equivalence MRMC
    ROC studies. Acad Radiol 2012;19:1158-1165.
    """
    if not margin > 0:
        raise ValueError("a margin is a number above 0")
    d, se = difference.estimate, difference.se
    if difference.reason:
        return MarginTest(
            better, worse, d, NAN, NAN, NAN, NAN, NAN, None, NAN, None, NAN, None, difference.reason
        )
    df = difference.df if isinstance(difference, TEstimate) else float("inf")
    p_noninferior = float(stats.t.sf((d + margin) / se, df))
    p_superior = float(stats.t.sf(d / se, df))
    p_equivalent = max(p_noninferior, float(stats.t.cdf((d - margin) / se, df)))
    return MarginTest(
        better,
        worse,
        estimate=d,
        lower=difference.lower,
        upper=difference.upper,
        t=(d + margin) / se,
        df=df,
        p=p_noninferior,
        noninferior=p_noninferior < alpha,
        p_superior=p_superior,
        superior=p_superior < alpha,
        p_equivalent=p_equivalent,
        equivalent=p_equivalent < alpha,
    )


def reverse(difference: TEstimate | ZEstimate) -> TEstimate | ZEstimate:
    """Return the second minus the first."""
    estimate, lower, upper = -difference.estimate, -difference.upper, -difference.lower
    if isinstance(difference, TEstimate):
        return difference._replace(estimate=estimate, lower=lower, upper=upper, t=-difference.t)
    return difference._replace(estimate=estimate, lower=lower, upper=upper, z=-difference.z)
