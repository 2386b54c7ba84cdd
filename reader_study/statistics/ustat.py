"""U-statistics for AUC over random readers and cases, as in the FDA's iMRMC.

Nothing is assumed about the design: a reader may have read any cases under any modality.

References
----------
Gallas BD. One-shot estimate of MRMC variance: AUC. Acad Radiol 2006;13:353-362.
Gallas BD, Brown DG. Reader studies for validation of CAD systems. Neural Netw 2008;21:387-397.
Gallas BD, Bandos A, Samuelson FW, Wagner RF. A framework for random-effects ROC analysis.
Commun Stat Theory Methods 2009;38:2586-2603.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from reader_study.statistics.auc import Floats, checked, ratio
from reader_study.statistics.covariance import VARIANCE_ZERO, moments, unbiased
from reader_study.statistics.intervals import LEVEL, NAN, why_not
from reader_study.statistics.mrmc import obuchowski_rockette
from reader_study.statistics.variances import Pair

# Gallas and Brown 2008: moments (BDG) -> components of benign cases, malignant cases, readers
# and their interactions (BCK). The columns are the moments 1 to 8, the rows COMPONENTS.
COMPONENTS = ("N", "D", "ND", "R", "NR", "DR", "RND")
FROM_MOMENTS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 1, -1],
        [0, 0, 0, 0, 0, 1, 0, -1],
        [0, 0, 0, 0, 1, -1, -1, 1],
        [0, 0, 0, 1, 0, 0, 0, -1],
        [0, 0, 1, -1, 0, 0, -1, 1],
        [0, 1, 0, -1, 0, -1, 0, 1],
        [1, -1, -1, 1, -1, 1, 1, -1],
    ]
)
COEFFICIENTS = np.array(
    [
        [1, 0, 1, 0, 1, 0, 1, 0],
        [1, 1, 0, 0, 1, 1, 0, 0],
        [1, 0, 0, 0, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [1, 0, 1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
    ]
)
RANDOM = [COMPONENTS.index(name) for name in ("N", "D", "R")]
NORMAL_ABOVE = 50  # degrees of freedom above which iMRMC (R) takes the normal distribution


class Covariance(NamedTuple):
    """The covariance of the AUCs of two modalities (the variance of one), and its parts."""

    covariance: float
    moments: Floats  # (8,) M1 to M8, without bias
    coefficients: Floats  # (8,), so that covariance = moments @ coefficients
    components: Floats  # (7,), in the order of COMPONENTS
    component_coefficients: Floats  # (7,)
    biased: float
    biased_moments: Floats  # (8,), of the empirical distribution
    biased_components: Floats  # (7,)


class ModalityAuc(NamedTuple):
    """The AUC of one modality, for readers and cases like these."""

    auc: float
    variance: float
    df: float
    df_hillis: float
    lower: float
    upper: float
    lower_floor: float  # with degrees of freedom rounded down, as iMRMC does
    upper_floor: float
    variance_biased: float
    df_biased: float
    parts: Covariance
    reason: str = ""


class Difference(NamedTuple):
    """The first modality minus the second."""

    estimate: float
    variance: float
    df: float
    df_unpaired: float  # arms apart for what they do not share: readers, or cases
    df_hillis: float
    t: float
    p: float  # two-sided, on `df`
    p_floor: float  # on `df` rounded down, as iMRMC does
    p_unpaired: float
    p_hillis: float
    p_normal: float
    lower: float
    upper: float
    lower_floor: float
    upper_floor: float
    variance_biased: float
    df_biased: float
    parts: Covariance  # of the two modalities
    reason: str = ""


class UStatistics(NamedTuple):
    """The modalities and their differences, numbered as in the ratings."""

    modalities: list[ModalityAuc]
    differences: dict[Pair, Difference]
    cells: Floats  # (n_modalities, n_readers), AUC
    variances: Floats  # (n_modalities, n_readers), of the cells over cases, without bias


def u_statistics(ratings: ArrayLike, malignant: ArrayLike, level: float = LEVEL) -> UStatistics:
    """Compare the AUCs of modalities over readers and cases, whatever the design.

    Pairs of cases count equally, so a reader with more cases weighs more.

    Parameters
    ----------
    ratings : array_like, shape (n_modalities, n_readers, n_cases)
        Higher is more suspicious; NaN where there is no reading.
    malignant : array_like of bool, shape (n_cases,)
        The reference standard.

    Raises
    ------
    ValueError
        If the shapes disagree or a rating is infinite.
    """
    x = np.asarray(ratings, dtype=np.float64)
    if x.ndim != 3:
        raise ValueError("ratings have the shape (n_modalities, n_readers, n_cases)")
    n_modalities, n_readers, n_cases = x.shape
    cells, truth = checked(x.reshape(-1, n_cases), malignant)
    m = moments(cells, truth)
    u = m.unbiased()
    grid = (n_modalities, n_readers)

    def parts(a: int, b: int) -> Covariance:
        def sums(of: Floats) -> Floats:
            block = of.reshape(4, *grid, *grid)[:, a, :, b, :]
            same_reader = np.trace(block, axis1=1, axis2=2)
            return np.concatenate([same_reader, block.sum(axis=(1, 2))])

        return covariance_of(sums(u.products), sums(u.pairs), sums(m.products), sums(m.pairs))

    # The totals of the kernel and of its pairs are the roots of their squares.
    totals, pairs = (np.sqrt(np.diagonal(of[3])).reshape(grid) for of in m)
    of_cells = ratio(totals, pairs)
    v = unbiased(m)
    auc = ratio(totals.sum(axis=1), pairs.sum(axis=1))
    crossed = n_readers > 1 and not np.isnan(cells).any()

    def hillis(chosen: list[int]) -> float:
        if not crossed:
            return NAN
        rows = np.arange(n_modalities * n_readers).reshape(grid)[chosen].ravel()
        found = obuchowski_rockette(of_cells[chosen], v[np.ix_(rows, rows)]).rrrc
        return found.differences[0, 1].df if len(chosen) > 1 else found.modalities[0].df

    own = [parts(i, i) for i in range(n_modalities)]
    return UStatistics(
        [of_modality(float(auc[i]), own[i], hillis([i]), level) for i in range(n_modalities)],
        {
            (a, b): difference(
                float(auc[a] - auc[b]), own[a], own[b], parts(a, b), hillis([a, b]), level
            )
            for a, b in combinations(range(n_modalities), 2)
        },
        of_cells,
        np.diagonal(v).reshape(grid),
    )


def covariance_of(
    products: Floats, pairs: Floats, all_products: Floats, all_pairs: Floats
) -> Covariance:
    """Put a covariance together from sums over pairs of pairs of cases.

    Parameters
    ----------
    products, pairs : array, shape (8,)
        Sums in which the cases that may differ do; the first four over the same reader, the
        last four over all pairs of readers. `pairs` counts the terms.
    all_products, all_pairs : array, shape (8,)
        The same with every term.
    """
    apart = np.concatenate([products[:4], products[4:] - products[:4]])
    n = np.concatenate([pairs[:4], pairs[4:] - pairs[:4]])
    moments_ = np.divide(apart, n, out=np.zeros(8), where=n > 0)
    wide = np.divide(apart.astype(np.longdouble), n, out=np.zeros(8, np.longdouble), where=n > 0)
    biased = np.divide(all_products, all_pairs, out=np.zeros(8), where=all_pairs > 0)
    total = all_pairs[7]
    if not total > 0 or not n[7] > 0:
        # Without two readers, or two cases of a truth, nothing estimates the squared mean.
        blank, seven = np.full(8, np.nan), np.full(7, np.nan)
        return Covariance(NAN, blank, blank, seven, seven, NAN, blank, seven)
    c = n / total
    component_coefficients = COEFFICIENTS @ c
    used = component_coefficients > 0
    c[7] -= 1
    # A small difference of large parts: with more digits, where the machine has them.
    weights = n.astype(np.longdouble) / total
    weights[7] -= 1
    covariance = float((weights * wide).sum())
    return Covariance(
        # The parts are of the order of the squared AUC, so this much is rounding.
        0.0 if abs(covariance) < VARIANCE_ZERO else covariance,
        moments_,
        c,
        np.where(used, FROM_MOMENTS @ moments_, 0.0),
        component_coefficients,
        float(c @ biased),
        biased,
        np.where(used, FROM_MOMENTS @ biased, 0.0),
    )


def sample_sizes(parts: Covariance) -> Floats:
    """Return the degrees of freedom of benign cases, malignant cases and readers."""
    coefficients = parts.component_coefficients[RANDOM]
    return np.asarray(np.round(1 / coefficients - 1), dtype=np.float64)


def over_cubes(squares: Floats, n: Floats) -> Floats:
    """Divide by the third power of degrees of freedom; NaN where there are none."""
    return ratio(squares, n**3)


def satterthwaite(variance: float, squares: Floats, least: float) -> float:
    """Return the degrees of freedom of a variance; NaN where it is not above 0."""
    if not variance > 0 or not least > 0:
        return NAN
    total = float(squares.sum())
    return max(variance**2 / total, least) if total > 0 else float("inf")


def p_value(t: float, df: float, *, floor: bool = False) -> float:
    """Return the two-sided p of t; with `floor`, by the rule of iMRMC's R program."""
    if np.isnan(df):
        return NAN
    if floor:
        df = float("inf") if df > NORMAL_ABOVE else float(np.floor(df))
    return float(2 * special.stdtr(df, -abs(t)))


def interval(
    estimate: float, variance: float, df: float, level: float, *, floor: bool = False
) -> tuple[float, float]:
    """Return the limits; with `floor`, by the rule of iMRMC's R program."""
    if np.isnan(df):
        return NAN, NAN
    if floor:
        df = float("inf") if df > NORMAL_ABOVE else float(np.floor(df))
    half = float(special.stdtrit(df, (1 + level) / 2) * np.sqrt(variance))
    return estimate - half, estimate + half


def of_modality(auc: float, own: Covariance, df_hillis: float, level: float) -> ModalityAuc:
    """Estimate the AUC of one modality with its interval."""
    n = sample_sizes(own)
    df, df_biased = (
        satterthwaite(v, over_cubes(own.biased_components[RANDOM] ** 2, n), float(n.min()))
        for v in (own.covariance, own.biased)
    )
    return ModalityAuc(
        auc,
        own.covariance,
        df,
        df_hillis if own.covariance > 0 else NAN,
        *interval(auc, own.covariance, df, level),
        *interval(auc, own.covariance, df, level, floor=True),
        own.biased,
        df_biased,
        own,
        why_not_u(own.covariance),
    )


def difference(
    estimate: float,
    a: Covariance,
    b: Covariance,
    ab: Covariance,
    df_hillis: float,
    level: float,
) -> Difference:
    """Estimate the difference of two modalities with its test."""
    variance = a.covariance + b.covariance - 2 * ab.covariance
    variance = 0.0 if abs(variance) < VARIANCE_ZERO else variance
    biased = a.biased + b.biased - 2 * ab.biased
    of_a, of_b, of_ab = (x.biased_components[RANDOM] for x in (a, b, ab))
    n_a, n_b = sample_sizes(a), sample_sizes(b)
    n = np.minimum(n_a, n_b)
    together = over_cubes((of_a + of_b - 2 * of_ab) ** 2, n)
    arms = over_cubes(of_a**2, n_a) + over_cubes(of_b**2, n_b)
    shared = ab.component_coefficients[RANDOM] > 0
    least = float(n.min())
    df = satterthwaite(variance, together, least)
    df_unpaired = satterthwaite(variance, np.where(shared, together, arms), least)
    df_hillis = df_hillis if variance > 0 else NAN
    t = estimate / float(np.sqrt(variance)) if variance > 0 else NAN
    return Difference(
        estimate,
        variance,
        df,
        df_unpaired,
        df_hillis,
        t,
        p_value(t, df),
        p_value(t, df, floor=True),
        p_value(t, df_unpaired),
        p_value(t, df_hillis),
        p_value(t, float("inf")) if variance > 0 else NAN,
        *interval(estimate, variance, df, level),
        *interval(estimate, variance, df, level, floor=True),
        biased,
        satterthwaite(biased, together, least),
        ab,
        why_not_u(variance),
    )


def why_not_u(variance: float) -> str:
    """Say why a variance over readers and cases gives no test."""
    if np.isnan(variance):
        return "needs two readers, two malignant and two benign cases that differ"
    return why_not(variance) or "defined for crossed designs only"
