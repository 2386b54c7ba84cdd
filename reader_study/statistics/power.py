"""Power and sample size of an MRMC study, from a pilot or without; and simulated readers.

References
----------
Hillis SL, Obuchowski NA, Berbaum KS. Power estimation for multireader ROC methods: an updated
and unified approach. Acad Radiol 2011;18:129-142.
Obuchowski NA, Hillis SL. Sample size tables for computer-aided detection studies. AJR
2011;197:W821-W828.
Obuchowski NA. Computing sample size for receiver operating characteristic studies. Invest
Radiol 1994;29:238-243.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, stats

from reader_study.statistics.auc import Floats
from reader_study.statistics.intervals import NAN
from reader_study.statistics.variances import Components

ANALYSES = ("rrrc", "frrc", "rrfc")
MOST_CASES = 100_000


class Power(NamedTuple):
    """The chance that a study finds a difference that is there."""

    power: float
    noncentrality: float
    df2: float  # infinite with readers fixed
    critical: float  # of F, or of chi2 with readers fixed
    reason: str = ""


def power(
    pilot: Components,
    pilot_cases: int,
    *,
    effect: float,
    readers: int,
    cases: int,
    analysis: str = "rrrc",
    alpha: float = 0.05,
) -> Power:
    """Estimate the power of a crossed study of two modalities.

    Parameters
    ----------
    pilot : variance components of a pilot study
    pilot_cases : its cases; covariances over cases shrink in proportion
    effect : true difference of the two modalities
    readers, cases : of the study to come, with the pilot's share of malignant cases
    analysis : "rrrc", "frrc" or "rrfc"
    alpha : two-sided

    Raises
    ------
    ValueError
        If the analysis is unknown, or a number cannot be.
    """
    if analysis not in ANALYSES:
        raise ValueError(f"'{analysis}' is not one of {', '.join(ANALYSES)}")
    if readers < (1 if analysis == "frrc" else 2) or cases < 2 or pilot_cases < 2:
        raise ValueError("too few readers or cases")
    scale = pilot_cases / cases
    shared = max(pilot.cov2 - pilot.cov3, 0.0)
    own = scale * (pilot.error - pilot.cov1 - shared)
    of_readers = 0.0 if analysis == "frrc" else max(pilot.var_tr, 0.0)
    of_cases = 0.0 if analysis == "rrfc" else scale * readers * shared
    denominator = of_readers + own + of_cases
    if not denominator > 0:
        reason = f"the variance of a difference comes out as {denominator:.3g}"
        return Power(NAN, NAN, NAN, NAN, reason)
    noncentrality = effect**2 * readers / (2 * denominator)
    if analysis == "frrc":
        critical = float(stats.chi2.isf(alpha, 1))
        chance = float(stats.ncx2.sf(critical, 1, noncentrality))
        return Power(chance, noncentrality, float("inf"), critical)
    df2 = denominator**2 * (readers - 1) / (of_readers + own) ** 2
    critical = float(stats.f.isf(alpha, 1, df2))
    return Power(above(critical, df2, noncentrality), noncentrality, df2, critical)


def above(critical: float, df2: float, noncentrality: float) -> float:
    """Return the chance that a noncentral F with 1 and `df2` degrees of freedom is larger."""
    # scipy gives a negative number at 0.
    if noncentrality == 0:
        return float(stats.f.sf(critical, 1, df2))
    return float(stats.ncf.sf(critical, 1, df2, noncentrality))


class SampleSize(NamedTuple):
    """The fewest cases that give the power asked for."""

    readers: int
    cases: float  # whole; NaN if no number of cases is enough
    power: float
    reason: str = ""


def cases_needed(
    pilot: Components,
    pilot_cases: int,
    *,
    effect: float,
    readers: int,
    wanted: float = 0.8,
    analysis: str = "rrrc",
    alpha: float = 0.05,
    least: int = 2,
) -> SampleSize:
    """Find the fewest cases for a power; arguments and errors as in `power`."""

    def at(cases: int) -> float:
        return power(
            pilot,
            pilot_cases,
            effect=effect,
            readers=readers,
            cases=cases,
            analysis=analysis,
            alpha=alpha,
        ).power

    cases = fewest(at, wanted, least, MOST_CASES)
    if cases is None:
        reason = f"{readers} readers do not reach the power with {MOST_CASES:,} cases"
        return SampleSize(readers, NAN, at(MOST_CASES), reason)
    return SampleSize(readers, cases, at(cases))


def fewest(at: Callable[[int], float], wanted: float, low: int, high: int) -> int | None:
    """Return the smallest whole number at which a rising function reaches a value."""
    if not at(high) >= wanted:
        return None
    while low < high:
        middle = (low + high) // 2
        if at(middle) >= wanted:
            high = middle
        else:
            low = middle + 1
    return low


class Planned(NamedTuple):
    """Sample size without a pilot, from what is expected of readers and correlations."""

    malignant: int
    benign: int
    exact_malignant: float  # before rounding up
    var_r: float
    var_tr: float
    var_within: float
    var_cases: float  # of an accuracy, over cases, at `exact_malignant`
    reason: str = ""


def range_constant(n: int) -> float:
    """Return the expected range of `n` standard normal values (d2 of quality control)."""

    def beyond(x: float) -> float:
        low = stats.norm.cdf(x)
        return float(1 - low**n - (1 - low) ** n)

    return 2 * float(integrate.quad(beyond, 0, 12, epsabs=1e-12)[0])


def variance_of_accuracy(endpoint: str, accuracy: float, benign_for_malignant: float) -> float:
    """Return the variance of one accuracy times the number of malignant cases.

    For AUC that of a binormal curve with equal variances (Obuchowski 1994), else binomial.
    """
    if endpoint != "auc":
        return accuracy * (1 - accuracy)
    a = np.sqrt(2) * float(stats.norm.ppf(accuracy))
    return float(0.0099 * np.exp(-(a**2) / 2) * (5 * a**2 + 8 + (a**2 + 8) / benign_for_malignant))


def plan(
    *,
    endpoint: str,
    readers: int,
    effect: float,
    accuracy: float,
    range_between: float,
    range_within: float,
    benign_for_malignant: float = 1.0,
    r1: float = 0.47,
    r2: float = 0.3,
    r3: float = 0.3,
    reader_correlation: float = 0.8,
    wanted: float = 0.8,
    alpha: float = 0.05,
) -> Planned:
    """Find the cases for a study of two modalities without a pilot.

    Parameters
    ----------
    endpoint : "auc", "sensitivity" or "specificity"
    accuracy : mean over readers of the first modality
    range_between : largest minus smallest accuracy of the readers
    range_within : difference of two readings of a reader
    benign_for_malignant : benign cases for each malignant one
    r1, r2, r3 : correlation over cases: same reader, same modality, neither
    reader_correlation : of the two accuracies of a reader, over readers
    wanted : power; `alpha` is two-sided

    Raises
    ------
    ValueError
        If there are fewer than two readers, or accuracy or power is not between 0 and 1.

    References
    ----------
    Obuchowski NA, Hillis SL. AJR 2011;197:W821-W828.
    """
    if readers < 2 or not 0 < accuracy < 1 or not 0 < wanted < 1:
        raise ValueError("two readers, and an accuracy and a power between 0 and 1, are needed")
    var_r = (range_between / range_constant(readers)) ** 2
    var_within = (range_within / range_constant(2)) ** 2
    var_tr = var_r * (1 - reader_correlation)
    critical = float(stats.f.isf(alpha, 1, readers - 1))
    low, high = 0.0, 1e4
    for _ in range(200):
        middle = (low + high) / 2
        enough = above(critical, readers - 1, middle) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    spare = effect**2 * readers / (2 * high) - var_tr - var_within
    share = (1 - r1) + (readers - 1) * (r2 - r3)
    one = variance_of_accuracy(endpoint, accuracy, benign_for_malignant)
    if not spare > 0:
        reason = "readers vary too much for this effect: more readers are needed, not cases"
        return Planned(0, 0, NAN, var_r, var_tr, var_within, NAN, reason)
    exact = one * share / spare
    malignant = int(np.ceil(exact))
    benign = int(np.ceil(malignant * benign_for_malignant))
    return Planned(malignant, benign, exact, var_r, var_tr, var_within, one / exact)


class Clustered(NamedTuple):
    """Cases when each holds several units, such as nodules."""

    cases: int
    design_effect: float


def clustered(units: int, units_per_case: float, correlation: float) -> Clustered:
    """Return the cases that hold as much information as `units` that are independent."""
    effect = 1 + (units_per_case - 1) * correlation
    return Clustered(int(np.ceil(units * effect / units_per_case)), effect)


def standalone(
    *,
    endpoint: str,
    accuracy: float,
    precision: float,
    benign_for_malignant: float = 1.0,
    wanted: float = 0.8,
    alpha: float = 0.05,
) -> int:
    """Find the malignant cases that tell an algorithm's accuracy apart from a goal.

    Parameters
    ----------
    precision : distance of the accuracy from the goal
    """
    z = float(stats.norm.isf(alpha / 2) + stats.norm.ppf(wanted))
    one = variance_of_accuracy(endpoint, accuracy, benign_for_malignant)
    return int(np.ceil(z**2 * one / precision**2))


class RoeMetz(NamedTuple):
    """Variances of the latent rating; those of one case and modality sum to 1.

    References
    ----------
    Roe CA, Metz CE. Acad Radiol 1997;4:298-303.
    """

    reader: float
    reader_modality: float
    case: float
    case_modality: float
    case_reader: float
    error: float


LOW_CORRELATION_HIGH_READER = RoeMetz(0.0055, 0.0055, 0.3, 0.3, 0.2, 0.2)


def simulate(
    rng: np.random.Generator,
    separation: tuple[float, ...],
    n_readers: int,
    n_malignant: int,
    n_benign: int,
    variances: RoeMetz = LOW_CORRELATION_HIGH_READER,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Draw the ratings of readers who are a sample, of cases who are one.

    Parameters
    ----------
    separation : of the two truths in each modality, in standard deviations of the cases

    Returns
    -------
    ratings : array, shape (n_modalities, n_readers, n_cases), and malignant, shape (n_cases,)
    """
    t, r, n = len(separation), n_readers, n_malignant + n_benign
    malignant = np.arange(n) < n_malignant
    v = variances

    def draw(variance: float, *shape: int) -> Floats:
        return np.asarray(rng.normal(0, np.sqrt(variance), shape))

    # Reader effects differ between the truths, so that they move the AUC.
    readers = draw(v.reader, 2, 1, r) + draw(v.reader_modality, 2, t, r)
    ratings = (
        np.where(malignant, np.array(separation)[:, None, None], 0.0)
        + readers[malignant.astype(np.intp)].transpose(1, 2, 0)
        + draw(v.case, 1, 1, n)
        + draw(v.case_modality, t, 1, n)
        + draw(v.case_reader, 1, r, n)
        + draw(v.error, t, r, n)
    )
    return ratings, malignant
