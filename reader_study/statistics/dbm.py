"""The analysis of Dorfman, Berbaum and Metz: analysis of variance of jackknife pseudovalues.

References
----------
Dorfman DD, Berbaum KS, Metz CE. Invest Radiol 1992;27:723-731.
Hillis SL, Berbaum KS, Metz CE. Recent developments in the Dorfman-Berbaum-Metz procedure for
multireader ROC study analysis. Acad Radiol 2008;15:647-661.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from reader_study.statistics.auc import Floats
from reader_study.statistics.intervals import LEVEL, NAN, Mean, TEstimate, mean_of, t_estimate
from reader_study.statistics.mrmc import RandomReaders
from reader_study.statistics.variances import (
    NO_COVARIANCE,
    ONE_MODALITY,
    ONE_READER,
    Components,
    FTest,
    Pair,
    rounded,
)

# A mean square below this part of the largest one is rounding.
RELATIVE_ZERO = 1e-20


class FixedTest(NamedTuple):
    """A test of equal modalities with readers fixed; `chi2` is (t-1) f, `p` that of f."""

    chi2: float
    f: float
    df1: float
    df2: float
    p: float
    reason: str = ""


class FixedEstimate(NamedTuple):
    """A t test of a difference with readers fixed; `z` is the ratio that is also t."""

    estimate: float
    se: float
    df: float
    z: float
    lower: float
    upper: float
    p: float
    reason: str = ""


class FixedReaders(NamedTuple):
    """FRRC: conclusions for these readers."""

    test: FixedTest
    differences: dict[Pair, FixedEstimate]
    modalities: list[Mean]
    readers: list[dict[Pair, FixedEstimate]]  # of each reader
    cells: list[list[Mean]]  # of each modality and reader


class PseudovalueComponents(NamedTuple):
    """Variance components of pseudovalues, none of them raised to 0."""

    var_r: float
    var_c: float
    var_tr: float
    var_tc: float
    var_rc: float
    var_error: float  # with the interaction of all three
    reason: str = ""


class MeanSquares(NamedTuple):
    """Mean squares of pseudovalues: modalities (t), readers (r), cases (c); NaN without df."""

    t: float
    r: float
    c: float
    tr: float
    tc: float
    rc: float
    trc: float
    reason: str = "there are no degrees of freedom"


class Dbm(NamedTuple):
    """All of the analysis. Modalities and readers are numbered as in the estimates."""

    estimates: Floats  # (n_modalities, n_readers)
    components: Components
    pseudovalue_components: PseudovalueComponents
    mean_squares: MeanSquares
    rrrc: RandomReaders
    frrc: FixedReaders
    rrfc: RandomReaders


def mean_squares(y: Floats) -> MeanSquares:
    """Take the variance of `y`, shape (n_modalities, n_readers, n_cases), apart."""
    if not np.isfinite(y).all():
        return MeanSquares(NAN, NAN, NAN, NAN, NAN, NAN, NAN, NO_COVARIANCE)
    sizes = y.shape
    effects: dict[tuple[int, ...], Floats] = {(): y.mean(axis=(0, 1, 2), keepdims=True)}
    found: dict[tuple[int, ...], float] = {}
    for order in (1, 2, 3):
        for axes in combinations(range(3), order):
            rest = tuple(axis for axis in range(3) if axis not in axes)
            effect = y.mean(axis=rest, keepdims=True) if rest else y.copy()
            for lower, known in effects.items():
                if set(lower) < set(axes):
                    effect = effect - known
            effects[axes] = effect
            df = int(np.prod([sizes[axis] - 1 for axis in axes]))
            repeats = int(np.prod([sizes[axis] for axis in rest])) if rest else 1
            found[axes] = repeats * float((effect**2).sum()) / df if df else NAN
    largest = np.nanmax(list(found.values()))
    t, r, c, tr, tc, rc, trc = (
        0.0 if value <= RELATIVE_ZERO * largest else value for value in found.values()
    )
    return MeanSquares(t, r, c, tr, tc, rc, trc)


def dbm(estimates: ArrayLike, without: ArrayLike, level: float = LEVEL) -> Dbm:
    """Compare modalities over readers and cases.

    Parameters
    ----------
    estimates : array_like, shape (n_modalities, n_readers)
        A figure of merit of each reader under each modality.
    without : array_like, shape (n_modalities, n_readers, n_cases)
        The same without the first, the second, ... case.
    level : of the intervals, from 0 to 1

    Raises
    ------
    ValueError
        If the shapes disagree.
    """
    theta = np.asarray(estimates, dtype=np.float64)
    theta_without = np.asarray(without, dtype=np.float64)
    if theta.ndim != 2 or theta_without.shape[:2] != theta.shape:
        raise ValueError(f"estimates {theta.shape} and without {theta_without.shape} do not match")
    t, r, n = theta_without.shape
    y = n * theta[:, :, None] - (n - 1) * theta_without
    y += theta[:, :, None] - y.mean(axis=2, keepdims=True)
    ms = mean_squares(y)
    pairs = list(combinations(range(t), 2))
    means = theta.mean(axis=1)
    reason = ONE_MODALITY if t < 2 else ""
    random_reason = reason or (ONE_READER if r < 2 else "")
    df_tr = float((t - 1) * (r - 1))

    def difference(pair: Pair, denominator: float, df: float) -> TEstimate:
        estimate = rounded(float(means[pair[0]] - means[pair[1]]), 1.0)
        if random_reason:
            return TEstimate(estimate, NAN, NAN, NAN, NAN, NAN, NAN, random_reason)
        return t_estimate(estimate, 2 * denominator / (n * r), df, level)

    d = ms.tr + max(ms.tc - ms.trc, 0.0)
    df = satterthwaite(d, ms.tr, df_tr)
    single = [of_modality(theta[i], y[i], level) for i in range(t)]
    return Dbm(
        estimates=theta,
        components=or_components(ms, t, r, n),
        pseudovalue_components=pseudovalue_components(ms, t, r, n),
        mean_squares=ms,
        rrrc=RandomReaders(
            f_test(ms.t, d, t - 1, df, random_reason),
            {pair: difference(pair, d, df) for pair in pairs},
            [found[0] for found in single],
        ),
        frrc=FixedReaders(
            fixed_test(ms, t, n, reason),
            {
                pair: fixed(
                    t_estimate(
                        rounded(float(means[pair[0]] - means[pair[1]]), 1.0),
                        2 * ms.tc / (n * r),
                        (t - 1) * (n - 1),
                        level,
                    )
                )
                for pair in pairs
            },
            [found[1] for found in single],
            [of_reader(theta[:, j], y[:, j], pairs, level) for j in range(r)],
            [[of_cell(float(theta[i, j]), y[i, j], level) for j in range(r)] for i in range(t)],
        ),
        rrfc=RandomReaders(
            f_test(ms.t, ms.tr, t - 1, df_tr, random_reason),
            {pair: difference(pair, ms.tr, df_tr) for pair in pairs},
            [found[2] for found in single],
        ),
    )


def satterthwaite(denominator: float, own: float, df: float) -> float:
    """Return the degrees of freedom of a denominator of which `own` has `df`."""
    if np.isnan(denominator):
        return NAN
    if own == 0:
        return float("inf") if denominator > 0 else NAN
    return denominator**2 / (own**2 / df) if df > 0 else NAN


def f_test(numerator: float, denominator: float, df1: float, df2: float, reason: str) -> FTest:
    """Return the F test of two mean squares."""
    if not reason and np.isnan(denominator):
        reason = NO_COVARIANCE
    if not reason and not denominator > 0:
        reason = "no variation between readers and modalities is left to test against"
    if reason:
        return FTest(NAN, df1 if df1 else NAN, NAN, NAN, reason)
    f = numerator / denominator
    p = stats.f.sf(f, df1, df2) if np.isfinite(df2) else stats.chi2.sf(f * df1, df1)
    return FTest(f, df1, df2, float(p))


def fixed_test(ms: MeanSquares, t: int, n: int, reason: str) -> FixedTest:
    """Test equal modalities for these readers."""
    found = f_test(ms.t, ms.tc, t - 1, (t - 1) * (n - 1), reason)
    return FixedTest((t - 1) * found.f, *found)


def fixed(found: TEstimate) -> FixedEstimate:
    """Name the ratio of a test with readers fixed."""
    return FixedEstimate(*found)


def of_modality(theta: Floats, y: Floats, level: float) -> tuple[Mean, Mean, Mean]:
    """Estimate the mean of one modality from its own data: RRRC, FRRC and RRFC."""
    r, n = y.shape
    ms = mean_squares(y[None])
    mean = float(theta.mean())
    cases = mean_of(t_estimate(mean, ms.c / (n * r), n - 1, level))
    if r < 2:
        refused = Mean(mean, NAN, NAN, NAN, NAN, ONE_READER)
        return refused, cases, refused
    d = ms.r + max(ms.c - ms.rc, 0.0)
    df = satterthwaite(d, ms.r, r - 1)
    return (
        mean_of(t_estimate(mean, d / (n * r), df, level)),
        cases,
        mean_of(t_estimate(mean, ms.r / (n * r), r - 1, level)),
    )


def of_cell(theta: float, y: Floats, level: float) -> Mean:
    """Estimate the figure of merit of one reader under one modality."""
    n = len(y)
    variance = float(y.var(ddof=1)) / n if n > 1 else NAN
    return mean_of(t_estimate(theta, variance, n - 1, level))


def of_reader(
    theta: Floats, y: Floats, pairs: list[Pair], level: float
) -> dict[Pair, FixedEstimate]:
    """Compare modalities for one reader; `y` has the shape (n_modalities, n_cases)."""
    t, n = y.shape
    ms = mean_squares(y[:, None])
    return {
        (a, b): fixed(
            t_estimate(
                rounded(float(theta[a] - theta[b]), 1.0),
                2 * ms.tc / n,
                (t - 1) * (n - 1),
                level,
            )
        )
        for a, b in pairs
    }


def pseudovalue_components(ms: MeanSquares, t: int, r: int, n: int) -> PseudovalueComponents:
    """Equate mean squares to what they stand for."""
    return PseudovalueComponents(
        var_r=(ms.r - ms.tr - ms.rc + ms.trc) / (t * n),
        var_c=(ms.c - ms.tc - ms.rc + ms.trc) / (t * r),
        var_tr=(ms.tr - ms.trc) / n,
        var_tc=(ms.tc - ms.trc) / r,
        var_rc=(ms.rc - ms.trc) / t,
        var_error=ms.trc,
        reason=ONE_MODALITY if t < 2 else ONE_READER if r < 2 else NO_COVARIANCE,
    )


def or_components(ms: MeanSquares, t: int, r: int, n: int) -> Components:
    """Express the components in those of Obuchowski and Rockette.

    References
    ----------
    Hillis SL, Obuchowski NA, Schartz KM, Berbaum KS. A comparison of the DBM and
    Obuchowski-Rockette methods for ROC data. Stat Med 2005;24:1579-1607.
    """
    if t < 2 and r < 2:
        return Components(NAN, NAN, ms.c / n, NAN, NAN, NAN, f"{ONE_MODALITY}; {ONE_READER}")
    if t < 2:
        cov2 = (ms.c - ms.rc) / (r * n)
        error = ms.rc / n + cov2
        return Components(ms.r / n - error + cov2, NAN, error, NAN, cov2, NAN, ONE_MODALITY)
    if r < 2:
        cov1 = (ms.c - ms.tc) / (t * n)
        return Components(NAN, NAN, ms.tc / n + cov1, cov1, NAN, NAN, ONE_READER)
    p = pseudovalue_components(ms, t, r, n)
    cov3 = p.var_c / n
    cov1, cov2 = cov3 + p.var_rc / n, cov3 + p.var_tc / n
    return Components(p.var_r, p.var_tr, p.var_error / n + cov1 + cov2 - cov3, cov1, cov2, cov3)
