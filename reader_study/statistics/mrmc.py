"""The analysis of Obuchowski and Rockette, with readers, cases or both as random samples.

It starts from one figure of merit for each modality and reader, and their covariance over
cases, so the same code serves AUC, sensitivity, specificity and FROC figures of merit.

References
----------
Obuchowski NA, Rockette HE. Commun Stat Simul 1995;24:285-308.
Hillis SL. A comparison of denominator degrees of freedom methods for multiple observer ROC
analysis. Stat Med 2007;26:596-619.
Hillis SL. A marginal-mean ANOVA approach for analyzing multireader multicase radiological
imaging data. Stat Med 2014;33:330-360.
Hillis SL, Berbaum KS, Metz CE. Recent developments in the Dorfman-Berbaum-Metz procedure.
Acad Radiol 2008;15:647-661.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reader_study.statistics.auc import Floats
from reader_study.statistics.balanced import Balanced
from reader_study.statistics.intervals import (
    LEVEL,
    NAN,
    Mean,
    TEstimate,
    ZEstimate,
    ZMean,
    z_estimate,
    z_mean_of,
)
from reader_study.statistics.single import SingleModality
from reader_study.statistics.variances import (
    CONFOUNDED,
    ONE_MODALITY,
    ONE_READER,
    Chi2Test,
    Components,
    FTest,
    Pair,
    mean_where,
    rounded,
)


class RandomReaders(NamedTuple):
    """RRRC or RRFC: conclusions for readers like these."""

    test: FTest
    differences: dict[Pair, TEstimate]
    modalities: list[Mean]


class FixedReaders(NamedTuple):
    """FRRC: conclusions for these readers."""

    test: Chi2Test
    differences: dict[Pair, ZEstimate]
    modalities: list[ZMean]
    readers: list[dict[Pair, ZEstimate]]  # of each reader
    cells: list[list[ZMean]]  # of each modality and reader


class ObuchowskiRockette(NamedTuple):
    """All of the analysis. Modalities and readers are numbered as in the estimates."""

    estimates: Floats  # (n_modalities, n_readers)
    design: str
    components: Components
    mean_squares: dict[str, float]
    rrrc: RandomReaders
    frrc: FixedReaders
    rrfc: RandomReaders


def obuchowski_rockette(
    estimates: ArrayLike, covariance: ArrayLike, level: float = LEVEL
) -> ObuchowskiRockette:
    """Compare modalities over readers and cases.

    Parameters
    ----------
    estimates : array_like, shape (n_modalities, n_readers)
        A figure of merit; NaN where a reader has none. Every reader under every modality, or
        every reader under one modality (nested), can be compared; otherwise only the means
        of the modalities are estimated.
    covariance : array_like, shape (n_modalities * n_readers,) twice
        Covariance of `estimates`, flattened in its order.
    level : of the intervals, from 0 to 1

    Raises
    ------
    ValueError
        If the shapes disagree or there is no estimate at all.
    """
    theta = np.asarray(estimates, dtype=np.float64)
    v = np.asarray(covariance, dtype=np.float64)
    if theta.ndim != 2 or v.shape != (theta.size, theta.size):
        raise ValueError(f"estimates {theta.shape} and covariance {v.shape} do not match")
    present = np.isfinite(theta)
    if not present.any():
        raise ValueError("no reader has an estimate in any modality")
    v = v.reshape(theta.shape * 2)
    singles = [SingleModality(theta[i], v[i, :, i, :], level) for i in range(len(theta))]
    per_reader, cells = of_each_reader(theta, v, level)

    design, reason = design_of(present)
    balanced = (Balanced.of_nested if design == "nested" else Balanced.of_crossed)(theta, v)
    if reason:
        balanced = balanced.refused(reason)
    pairs = list(combinations(range(len(theta)), 2))
    return ObuchowskiRockette(
        estimates=theta,
        design=design,
        components=components_of(balanced, singles, design, reason),
        mean_squares={"t": balanced.ms_t, "r": balanced.ms_r, "tr": balanced.ms_tr},
        rrrc=RandomReaders(
            balanced.rrrc_test(reason),
            {pair: balanced.rrrc_difference(pair, level, reason) for pair in pairs},
            [single.rrrc() for single in singles],
        ),
        frrc=FixedReaders(
            balanced.frrc_test(reason),
            {pair: balanced.frrc_difference(pair, level, reason) for pair in pairs},
            [single.frrc() for single in singles],
            per_reader,
            cells,
        ),
        rrfc=RandomReaders(
            balanced.rrfc_test(reason),
            {pair: balanced.rrfc_difference(pair, level, reason) for pair in pairs},
            [single.rrfc() for single in singles],
        ),
    )


def design_of(present: np.typing.NDArray[np.bool_]) -> tuple[str, str]:
    """Name how readers and modalities meet, and why they cannot be compared if so."""
    n_modalities, n_readers = present.shape
    if n_modalities == 1:
        return "single modality", ONE_MODALITY
    if present.all():
        return ("single reader" if n_readers == 1 else "crossed"), ""
    if (present.sum(axis=0) == 1).all() and present.any(axis=1).all():
        return "nested", ""
    return "partial", (
        "some readers have estimates under some modalities only: neither crossed nor nested"
    )


def components_of(
    b: Balanced, singles: list[SingleModality], design: str, reason: str
) -> Components:
    """Estimate the variance components by equating mean squares to what they stand for."""
    if design == "single modality":
        one = singles[0]
        return Components(one.var_r, NAN, one.var, NAN, one.cov2, NAN, ONE_MODALITY)
    if b.nested:
        both = b.ms_r - b.var + b.cov2
        return Components(both, NAN, b.var, NAN, b.cov2, b.cov3, CONFOUNDED)
    t = len(b.means)
    var_tr = rounded(b.ms_tr - b.var + b.cov1 + (b.cov2 - b.cov3), b.var)
    var_r = rounded((b.ms_r - b.ms_tr) / t - b.cov1 + b.cov3, b.var)
    if not reason and b.n_readers[0] == 1:
        return Components(NAN, NAN, b.var, b.cov1, NAN, NAN, ONE_READER)
    return Components(var_r, var_tr, b.var, b.cov1, b.cov2, b.cov3, reason)


def of_each_reader(
    theta: Floats, v: Floats, level: float
) -> tuple[list[dict[Pair, ZEstimate]], list[list[ZMean]]]:
    """Compare modalities for each reader alone, and estimate each of the reader's cells.

    The variance of a difference is 2 (Var_j - Cov1_j), averaged over all modalities.
    """
    n_modalities, n_readers = theta.shape
    pairs = list(combinations(range(n_modalities), 2))
    differences: list[dict[Pair, ZEstimate]] = []
    for j in range(n_readers):
        of_reader = v[:, j, :, j]
        present = np.isfinite(theta[:, j])
        own = of_reader[np.ix_(present, present)]
        apart = ~np.eye(len(own), dtype=np.bool_)
        if present.sum() > 1:
            var = float(np.diag(own).mean())
            variance = 2 * rounded(var - mean_where(own, apart), var)
        found: dict[Pair, ZEstimate] = {}
        for a, b in pairs:
            estimate = float(theta[a, j] - theta[b, j])
            if present[a] and present[b]:
                found[a, b] = z_estimate(rounded(estimate, 1.0), variance, level)
            else:
                reason = "this reader has no estimate under one of the two modalities"
                found[a, b] = ZEstimate(NAN, NAN, NAN, NAN, NAN, NAN, reason)
        differences.append(found)
    cells = [
        [
            z_mean_of(z_estimate(float(theta[i, j]), float(v[i, j, i, j]), level))
            for j in range(n_readers)
        ]
        for i in range(n_modalities)
    ]
    return differences, cells
