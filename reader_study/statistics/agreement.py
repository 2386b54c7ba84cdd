"""How far raters agree: kappas, Gwet's AC1 and AC2, Krippendorff's alpha, ICC, Kendall's W.

Ratings have the shape (n_subjects, n_raters); NaN where a rater gave none.
"""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from reader_study.statistics.auc import Floats
from reader_study.statistics.intervals import LEVEL, NAN

WEIGHTS = ("unweighted", "linear", "quadratic", "ordinal")
METRICS = ("nominal", "ordinal", "interval", "ratio")
VARIANCE_ZERO = 1e-18  # below this the variance of a coefficient is rounding
NO_DISAGREEMENT_POSSIBLE = "all ratings fall in one category: chance agrees as well"


class Coefficient(NamedTuple):
    """A chance-corrected agreement with its interval over subjects, raters fixed."""

    estimate: float  # 1 for full agreement, 0 for that of chance
    observed: float  # agreement that was seen, from 0 to 1
    chance: float  # agreement to be expected by chance
    se: float
    lower: float
    upper: float
    p: float  # two-sided, against 0
    reason: str = ""


class Kappa(NamedTuple):
    """Cohen's kappa of two raters."""

    estimate: float
    se: float
    lower: float
    upper: float
    z: float  # with the variance that holds without agreement
    p: float
    reason: str = ""


class Icc(NamedTuple):
    """One form of the intraclass correlation."""

    estimate: float
    f: float
    df1: float
    df2: float
    p: float
    lower: float
    upper: float
    reason: str = ""


def as_ratings(ratings: ArrayLike) -> Floats:
    """Return ratings as an array; subjects that nobody rated are left out.

    Raises
    ------
    ValueError
        If there are fewer than two raters, or no subject has two ratings.
    """
    x = np.asarray(ratings, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] < 2:
        raise ValueError("agreement needs two raters or more")
    x = x[~np.isnan(x).all(axis=1)]
    if not ((~np.isnan(x)).sum(axis=1) >= 2).any():
        raise ValueError("agreement needs a subject that two raters have rated")
    return x


def weights_of(categories: ArrayLike, kind: str) -> Floats:
    """Return how far two categories agree, from 0 to 1, shape (n_categories,) twice.

    Parameters
    ----------
    categories : array_like, shape (n_categories,), in ascending order
    kind : "unweighted", "linear", "quadratic" (both by value) or "ordinal" (by rank)
    """
    value = np.asarray(categories, dtype=np.float64)
    if kind == "unweighted" or len(value) < 2:
        return np.eye(len(value))
    if kind == "ordinal":
        steps = np.abs(np.subtract.outer(np.arange(len(value)), np.arange(len(value))))
        pairs = steps * (steps + 1) / 2
        return np.asarray(1 - pairs / pairs.max(), dtype=np.float64)
    gap = np.abs(np.subtract.outer(value, value)) / (value[-1] - value[0])
    return np.asarray(1 - (gap if kind == "linear" else gap**2), dtype=np.float64)


class Table(NamedTuple):
    """Ratings as counts."""

    counts: Floats  # (n_subjects, n_categories), raters that chose the category
    weights: Floats  # (n_categories, n_categories)
    indicators: Floats  # (n_raters, n_subjects, n_categories)

    @property
    def n_raters(self) -> Floats:
        """Ratings of each subject, shape (n_subjects,)."""
        return np.asarray(self.counts.sum(axis=1))


def table(ratings: ArrayLike, kind: str, categories: ArrayLike | None = None) -> Table:
    """Count the ratings of each subject.

    `categories` are those that could be chosen; by default those that were.
    """
    x = as_ratings(ratings)
    found = np.unique(x[~np.isnan(x)])
    values = found if categories is None else np.unique(np.asarray(categories, dtype=np.float64))
    if not np.isin(found, values).all():
        raise ValueError("a rating is not among the categories")
    indicators = (x.T[:, :, None] == values).astype(np.float64)
    return Table(indicators.sum(axis=0), weights_of(values, kind), indicators)


def observed_agreement(t: Table) -> tuple[float, Floats]:
    """Return the agreement of pairs of raters, and that of each subject."""
    n = t.n_raters
    agreeing = (t.counts * (t.counts @ t.weights - 1)).sum(axis=1)
    of_subject = np.divide(agreeing, n * (n - 1), out=np.zeros(len(n)), where=n > 1)
    return float(of_subject.sum() / (n > 1).sum()), of_subject


def coefficient(
    t: Table, chance: float, chance_of_subject: Floats, level: float = LEVEL
) -> Coefficient:
    """Correct the observed agreement for chance, with the variance over subjects.

    Parameters
    ----------
    chance : from 0 to 1
    chance_of_subject : array, shape (n_subjects,)
        The part of each subject in it; the mean is `chance`.

    References
    ----------
    Gwet KL. Computing inter-rater reliability and its variance in the presence of high
    agreement. Br J Math Stat Psychol 2008;61:29-48.
    Gwet KL. Handbook of inter-rater reliability, 4th ed. 2014.
    """
    observed, of_subject = observed_agreement(t)
    if chance >= 1:
        return refused(observed, chance)
    n, two = len(of_subject), t.n_raters > 1
    estimate = (observed - chance) / (1 - chance)
    parts = n / two.sum() * np.where(two, of_subject - chance, 0) / (1 - chance)
    parts = parts - 2 * (1 - estimate) * (chance_of_subject - chance) / (1 - chance)
    return with_interval(estimate, observed, chance, parts, level)


def refused(observed: float, chance: float) -> Coefficient:
    """Chance alone agrees always."""
    return Coefficient(NAN, observed, chance, NAN, NAN, NAN, NAN, NO_DISAGREEMENT_POSSIBLE)


def with_interval(
    estimate: float, observed: float, chance: float, parts: Floats, level: float
) -> Coefficient:
    """Return a coefficient with its interval from the parts of the subjects."""
    n = len(parts)
    if n < 2:
        reason = "one subject has no variance"
        return Coefficient(estimate, observed, chance, NAN, NAN, NAN, NAN, reason)
    se = float(np.sqrt(((parts - estimate) ** 2).sum() / (n * (n - 1))))
    if se < 1e-15:
        reason = "no variation between subjects"
        return Coefficient(estimate, observed, chance, 0.0, NAN, NAN, NAN, reason)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * se
    p = float(2 * stats.t.sf(abs(estimate) / se, n - 1))
    return Coefficient(
        estimate, observed, chance, se, estimate - half, min(1.0, estimate + half), p
    )


def shares(t: Table) -> Floats:
    """Return the share of each category, every subject counting alike."""
    return np.asarray((t.counts / t.n_raters[:, None]).mean(axis=0))


def gwet(t: Table, level: float = LEVEL) -> Coefficient:
    """Return AC1, or AC2 with weights."""
    share, q = shares(t), t.counts.shape[1]
    if q < 2:
        return refused(observed_agreement(t)[0], 1.0)
    scale = float(t.weights.sum()) / (q * (q - 1))
    chance = scale * float((share * (1 - share)).sum())
    return coefficient(t, chance, scale * (t.counts @ (1 - share)) / t.n_raters, level)


def fleiss(t: Table, level: float = LEVEL) -> Coefficient:
    """Return Fleiss' kappa, with weights if given."""
    share = shares(t)
    chance = float(share @ t.weights @ share)
    return coefficient(t, chance, t.counts @ (t.weights @ share) / t.n_raters, level)


def brennan_prediger(t: Table, level: float = LEVEL) -> Coefficient:
    """Return the coefficient whose chance takes every category alike."""
    chance = float(t.weights.mean())
    return coefficient(t, chance, np.full(len(t.counts), chance), level)


def percent_agreement(t: Table, level: float = LEVEL) -> Coefficient:
    """Return the agreement of pairs of raters, not corrected."""
    return coefficient(t, 0.0, np.zeros(len(t.counts)), level)


def conger(t: Table, level: float = LEVEL) -> Coefficient:
    """Return Conger's kappa: chance keeps the shares of each rater.

    References
    ----------
    Conger AJ. Psychol Bull 1980;88:322-328; variance as in Gwet 2014, chapter 5.
    """
    rated = t.indicators.sum(axis=2)  # (rater, subject)
    indicators, rated = t.indicators[rated.any(axis=1)], rated[rated.any(axis=1)]
    r, n, _ = indicators.shape
    of_rater = indicators.sum(axis=1) / rated.sum(axis=1)[:, None]
    weighted = of_rater @ t.weights
    pairs = of_rater @ weighted.T
    chance = float((pairs.sum() - np.trace(pairs)) / (r * (r - 1)))
    # What a subject adds to the shares of a rater; a rater who skipped it adds the mean.
    own = indicators * (n / rated.sum(axis=1))[:, None, None]
    own = own - (of_rater[:, None, :] * (rated * n / rated.sum(axis=1)[:, None] - 1)[:, :, None])
    others = weighted.sum(axis=0) - weighted
    part = np.einsum("gik,gk->i", own, others) / (r * (r - 1))
    return coefficient(t, chance, np.asarray(part), level)


def krippendorff_gwet(t: Table, level: float = LEVEL) -> Coefficient:
    """Return Krippendorff's alpha with weights, and its variance over subjects.

    References
    ----------
    Gwet KL. On Krippendorff's alpha coefficient. 2011.
    """
    n = t.n_raters
    counts, n = t.counts[n > 1], n[n > 1]
    mean, small = float(n.mean()), 1 / float(n.sum())
    agreeing = (counts * (counts @ t.weights - 1)).sum(axis=1) / (mean * (n - 1))
    observed = (1 - small) * float(agreeing.mean()) + small
    share = counts.mean(axis=0) / mean
    chance = float(share @ t.weights @ share)
    if chance >= 1:
        return refused(observed, chance)
    estimate = (observed - chance) / (1 - chance)
    more = (n - mean) / mean
    # The variance is that without the correction for few subjects (`small`).
    plain = (float(agreeing.mean()) - chance) / (1 - chance)
    parts = (agreeing - agreeing.mean() * more - chance) / (1 - chance)
    of_subject = counts @ (t.weights @ share) / mean - chance * more
    parts = parts - 2 * (1 - plain) * (of_subject - chance) / (1 - chance)
    return with_interval(estimate, observed, chance, np.asarray(parts + estimate - plain), level)


COEFFICIENTS: dict[str, Callable[[Table], Coefficient]] = {
    "percent_agreement": percent_agreement,
    "gwet": gwet,
    "fleiss": fleiss,
    "conger": conger,
    "krippendorff": krippendorff_gwet,
    "brennan_prediger": brennan_prediger,
}


def krippendorff(ratings: ArrayLike, metric: str) -> float:
    """Estimate Krippendorff's alpha from the coincidences of values; NaN for one value.

    Parameters
    ----------
    ratings : array_like, shape (n_subjects, n_raters), NaN where missing
    metric : "nominal", "ordinal", "interval" or "ratio"

    References
    ----------
    Krippendorff K. Computing Krippendorff's alpha-reliability. 2011.
    """
    x = as_ratings(ratings)
    value = np.unique(x[~np.isnan(x)])
    counts = (x[:, :, None] == value).sum(axis=1).astype(np.float64)
    counts = counts[counts.sum(axis=1) > 1]
    n = counts.sum(axis=1)
    coincidences = (counts / (n - 1)[:, None]).T @ counts
    coincidences -= np.diag((counts / (n - 1)[:, None]).sum(axis=0))
    totals = coincidences.sum(axis=0)
    distance = distances(value, totals, metric)
    expected = float((np.outer(totals, totals) * distance).sum() / (totals.sum() - 1))
    if expected == 0:
        return NAN
    return 1 - float((coincidences * distance).sum()) / expected


def distances(value: Floats, totals: Floats, metric: str) -> Floats:
    """Return the squared distance of every two values."""
    if metric == "nominal":
        return np.asarray(1.0 - np.eye(len(value)))
    if metric == "ordinal":
        rank = np.cumsum(totals) - totals / 2
        return np.asarray(np.subtract.outer(rank, rank) ** 2)
    gap = np.subtract.outer(value, value)
    if metric == "interval":
        return np.asarray(gap**2)
    total = np.add.outer(value, value)
    return np.asarray(np.divide(gap, total, out=np.zeros_like(gap), where=total != 0) ** 2)


def cohen(ratings: ArrayLike, kind: str, level: float = LEVEL) -> Kappa:
    """Estimate Cohen's kappa of two raters, over the subjects both have rated.

    Parameters
    ----------
    ratings : array_like, shape (n_subjects, 2)
    kind : one of WEIGHTS

    References
    ----------
    Fleiss JL, Cohen J, Everitt BS. Large sample standard errors of kappa and weighted kappa.
    Psychol Bull 1969;72:323-327.
    """
    x = as_ratings(ratings)
    x = x[~np.isnan(x).any(axis=1)]
    n = len(x)
    value = np.unique(x)
    w = weights_of(value, kind)
    p = (x[:, 0, None] == value).astype(np.float64).T @ (x[:, 1, None] == value) / n
    row, column = p.sum(axis=1), p.sum(axis=0)
    observed, chance = float((w * p).sum()), float(row @ w @ column)
    if chance >= 1:
        return Kappa(NAN, NAN, NAN, NAN, NAN, NAN, NO_DISAGREEMENT_POSSIBLE)
    estimate = (observed - chance) / (1 - chance)
    margins = np.add.outer(w @ column, row @ w)
    variance = float((p * (w - margins * (1 - estimate)) ** 2).sum())
    variance = (variance - (estimate - chance * (1 - estimate)) ** 2) / (n * (1 - chance) ** 2)
    null = float((np.outer(row, column) * (w - margins) ** 2).sum()) - chance**2
    null = null / (n * (1 - chance) ** 2)
    z = estimate / float(np.sqrt(null)) if null > VARIANCE_ZERO else NAN
    p_value = float(2 * stats.norm.sf(abs(z)))
    if not variance > VARIANCE_ZERO:
        reason = "no variation between subjects"
        return Kappa(estimate, 0.0, NAN, NAN, z, p_value, reason)
    se = float(np.sqrt(variance))
    half = float(stats.norm.ppf((1 + level) / 2)) * se
    reason = "the variance without agreement is 0"
    return Kappa(estimate, se, estimate - half, min(1.0, estimate + half), z, p_value, reason)


def light(ratings: ArrayLike) -> float:
    """Average Cohen's kappa over all pairs of raters.

    References
    ----------
    Light RJ. Psychol Bull 1971;76:365-377.
    """
    x = as_ratings(ratings)
    pairs = combinations(range(x.shape[1]), 2)
    return float(np.mean([cohen(x[:, list(pair)], "unweighted").estimate for pair in pairs]))


def kendall_w(ratings: ArrayLike) -> float:
    """Estimate the concordance of complete rankings, corrected for ties; NaN if all tie.

    References
    ----------
    Kendall MG. Rank correlation methods. 1948, chapter 6.
    """
    x = as_ratings(ratings)
    x = x[~np.isnan(x).any(axis=1)]
    n, m = x.shape
    ranks = stats.rankdata(x, axis=0)
    spread = float(((ranks.sum(axis=1) - m * (n + 1) / 2) ** 2).sum())
    ties = sum(
        float((counts**3 - counts).sum())
        for counts in (np.unique(column, return_counts=True)[1] for column in x.T)
    )
    below = m**2 * (n**3 - n) - m * ties
    return 12 * spread / below if below > 0 else NAN


def icc(ratings: ArrayLike, level: float = LEVEL) -> dict[str, Icc]:
    """Estimate the intraclass correlations, over the subjects that all raters have rated.

    Parameters
    ----------
    ratings : array_like, shape (n_subjects, n_raters), numbers on a scale

    Returns
    -------
    dict
        "oneway", "consistency" and "agreement", each "_single" and "_average" over raters.

    Raises
    ------
    ValueError
        If fewer than two subjects have all ratings.

    References
    ----------
    McGraw KO, Wong SP. Forming inferences about some intraclass correlation coefficients.
    Psychol Methods 1996;1:30-46.
    """
    x = as_ratings(ratings)
    x = x[~np.isnan(x).any(axis=1)]
    n, k = x.shape
    if n < 2:
        raise ValueError("intraclass correlation needs two subjects that all raters have rated")
    grand = x.mean()
    rows = k * float(((x.mean(axis=1) - grand) ** 2).sum())
    columns = n * float(((x.mean(axis=0) - grand) ** 2).sum())
    total = float(((x - grand) ** 2).sum())
    forms, units = ("oneway", "consistency", "agreement"), ("single", "average")
    names = [f"{form}_{unit}" for form in forms for unit in units]
    msr, msw = rows / (n - 1), (total - rows) / (n * (k - 1))
    msc, mse = columns / (k - 1), max(total - rows - columns, 0.0) / ((n - 1) * (k - 1))
    if not msr > 0 or not mse > 1e-15 * msr:
        reason = "the ratings of a subject, or of all subjects, do not vary"
        return {name: Icc(NAN, NAN, NAN, NAN, NAN, NAN, NAN, reason) for name in names}

    def of_f(f: float, df2: float, single: bool) -> Icc:
        low = f / float(stats.f.ppf((1 + level) / 2, n - 1, df2))
        high = f * float(stats.f.ppf((1 + level) / 2, df2, n - 1))
        values = [((v - 1) / (v + k - 1)) if single else (1 - 1 / v) for v in (f, low, high)]
        p = float(stats.f.sf(f, n - 1, df2))
        return Icc(values[0], f, n - 1, df2, p, values[1], values[2])

    def agreement(single: bool) -> Icc:
        unit = k if single else 1
        r = (msr - mse) / (msr + (unit - 1) * mse + unit * (msc - mse) / n)
        # Satterthwaite's degrees of freedom of the mixture below the ratio.
        a, b = unit * r / (n * (1 - r)), 1 + unit * r * (n - 1) / (n * (1 - r))
        v = (a * msc + b * mse) ** 2
        v = v / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
        below = unit * msc + (unit * n - unit - n) * mse
        up, down = (float(stats.f.ppf((1 + level) / 2, *df)) for df in ((n - 1, v), (v, n - 1)))
        lower = n * (msr - up * mse) / (up * below + n * msr)
        upper = n * (down * msr - mse) / (below + n * down * msr)
        f = msr / mse
        return Icc(r, f, n - 1, v, float(stats.f.sf(f, n - 1, v)), lower, upper)

    found = [
        of_f(msr / msw, n * (k - 1), True),
        of_f(msr / msw, n * (k - 1), False),
        of_f(msr / mse, (n - 1) * (k - 1), True),
        of_f(msr / mse, (n - 1) * (k - 1), False),
        agreement(True),
        agreement(False),
    ]
    return dict(zip(names, found, strict=True))
