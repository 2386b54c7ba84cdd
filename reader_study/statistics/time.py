"""Reading time: a mixed model of the logarithm of seconds, and a robust comparison.

References
----------
Bates D, Maechler M, Bolker B, Walker S. Fitting linear mixed-effects models using lme4.
J Stat Softw 2015;67(1).
Kuznetsova A, Brockhoff PB, Christensen RHB. lmerTest package: tests in linear mixed effects
models. J Stat Softw 2017;82(13).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from reader_study.statistics.auc import Floats
from reader_study.statistics.intervals import LEVEL, NAN, TEstimate, t_estimate

Index = NDArray[np.intp]


class Data(NamedTuple):
    """Readings in long form. Numbers of readers, cases and groups count from 0."""

    y: Floats  # (n,)
    design: Floats  # (n, p), fixed effects
    case: Index  # (n,)
    groups: list[Index]  # each (n,), further random effects: reader, reader by modality


class Fit(NamedTuple):
    """A linear mixed model with independent random intercepts, by REML."""

    coefficients: Floats  # (p,)
    covariance: Floats  # (p, p), of the coefficients
    var_case: float
    var_groups: list[float]
    var_residual: float
    deviance: float  # minus twice the restricted log-likelihood
    information: Floats  # (n_parameters,) twice: half the second derivative of the deviance


class MixedModel:
    """The restricted likelihood of crossed random intercepts.

    Cases are many and each has few readings, so they are eliminated first; what is left has
    the size of readers and fixed effects only, and a step costs the same for any number of
    cases.
    """

    def __init__(self, data: Data) -> None:
        self.n, self.p = data.design.shape
        self.sizes = [int(g.max()) + 1 for g in data.groups]
        n_cases = int(data.case.max()) + 1
        width = sum(self.sizes)
        # Indicators of groups, then fixed effects, then the outcome: sums by case are all
        # that the likelihood needs.
        columns = np.zeros((n_cases, width + self.p + 1))
        offset, places = 0, []
        for group, size in zip(data.groups, self.sizes, strict=True):
            places.append(group + offset)
            np.add.at(columns, (data.case, group + offset), 1.0)
            offset += size
        dense = np.column_stack([data.design, data.y])
        for column in range(self.p + 1):
            columns[:, width + column] = np.bincount(data.case, dense[:, column], n_cases)
        cross = np.zeros((width + self.p + 1, width + self.p + 1))
        for a in places:
            for b in places:
                np.add.at(cross, (a, b), 1.0)
            for column in range(self.p + 1):
                sums = np.bincount(a, dense[:, column], width)
                cross[:width, width + column] += sums
                cross[width + column, :width] += sums
        cross[width:, width:] = dense.T @ dense
        self.cross, self.width = cross, width
        # Cases with as many readings have the same weight, whatever the variances.
        readings = np.bincount(data.case, minlength=n_cases)
        self.readings, self.n_cases = np.unique(readings, return_counts=True)
        self.of_cases = np.stack(
            [columns[readings == n].T @ columns[readings == n] for n in self.readings]
        )

    @property
    def no_squares(self) -> float:
        """A residual sum of squares that is rounding."""
        return 1e-13 * max(float(self.cross[-1, -1]), 1e-100)

    def fits_exactly(self) -> bool:
        """Whether effects of cases, readers and modalities leave no residual."""
        huge = np.full(1 + len(self.sizes), 1e6)
        squares = self.solve(huge)[2]
        return bool(squares <= 1e-8 * self.cross[-1, -1])

    def solve(self, ratios: Floats) -> tuple[float, Floats, float, Floats]:
        """Profile the likelihood at variances relative to the residual's.

        Parameters
        ----------
        ratios : array, shape (1 + n_groups,), of cases first; at least 0

        Returns
        -------
        log determinant, coefficients, residual sum of squares, X' V^-1 X
        """
        case, groups = float(ratios[0]), ratios[1:]
        scale = np.concatenate([np.repeat(np.sqrt(groups), self.sizes), np.ones(self.p + 1)])
        pivot = 1 + case * self.readings
        reduced = self.cross - np.tensordot(case / pivot, self.of_cases, axes=1)
        reduced = reduced * np.outer(scale, scale)
        w = self.width
        random = reduced[:w, :w] + np.eye(w)
        lower = np.linalg.cholesky(random)
        half = np.linalg.solve(lower, reduced[:w, w:])
        rest = reduced[w:, w:] - half.T @ half
        xx, xy, yy = rest[: self.p, : self.p], rest[: self.p, self.p], rest[self.p, self.p]
        beta = np.linalg.solve(xx, xy)
        determinant = float((self.n_cases * np.log(pivot)).sum() + 2 * np.log(np.diag(lower)).sum())
        return determinant, beta, float(yy - xy @ beta), xx

    def profiled(self, ratios: Floats) -> float:
        """Return the REML criterion with the residual variance at its best."""
        determinant, _, squares, xx = self.solve(ratios)
        df = self.n - self.p
        squares = max(squares, self.no_squares)
        return float(
            determinant + np.linalg.slogdet(xx)[1] + df * (1 + np.log(2 * np.pi * squares / df))
        )

    def deviance(self, variances: Floats) -> float:
        """Return the REML criterion; `variances` of cases, groups and residual."""
        residual = float(variances[-1])
        determinant, _, squares, xx = self.solve(variances[:-1] / residual)
        df = self.n - self.p
        return float(
            determinant
            + np.linalg.slogdet(xx)[1]
            + df * np.log(2 * np.pi * residual)
            + squares / residual
        )

    def covariance(self, variances: Floats) -> Floats:
        """Return the covariance of the coefficients."""
        xx = self.solve(variances[:-1] / variances[-1])[3]
        return np.asarray(variances[-1] * np.linalg.inv(xx))

    def fit(self) -> Fit:
        """Maximize the restricted likelihood."""
        n_random = 1 + len(self.sizes)
        found = optimize.minimize(
            # Standard deviations: smooth down to a variance of 0.
            lambda root: self.profiled(root**2),
            np.full(n_random, 0.5),
            method="L-BFGS-B",
            bounds=[(0, None)] * n_random,
        )
        # Without derivatives, to the digits that rounding leaves of the criterion.
        found = optimize.minimize(
            lambda root: self.profiled(root**2),
            found.x,
            method="Nelder-Mead",
            options={
                "xatol": 1e-8,
                "fatol": 1e-13 * max(1.0, abs(found.fun)),
                "maxfev": 400,
                "initial_simplex": found.x
                + 1e-3 * np.vstack([np.zeros(n_random), np.eye(n_random)]),
            },
        )
        ratios = np.asarray(found.x) ** 2
        ratios[ratios < 1e-9] = 0.0
        _, beta, squares, _ = self.solve(ratios)
        residual = squares / (self.n - self.p)
        variances = np.concatenate([ratios * residual, [residual]])
        return Fit(
            beta,
            self.covariance(variances),
            float(variances[0]),
            [float(v) for v in variances[1:-1]],
            float(residual),
            self.profiled(ratios),
            second_derivative(self.deviance, variances),
        )

    def degrees_of_freedom(self, fit: Fit, contrast: Floats) -> float:
        """Approximate the degrees of freedom of a contrast after Satterthwaite."""
        variances = np.array([fit.var_case, *fit.var_groups, fit.var_residual])
        free = variances > 0
        variance = float(contrast @ fit.covariance @ contrast)
        gradient = np.zeros(len(variances))
        for i in np.flatnonzero(free):
            step = variances[i] * 1e-4
            high, low = variances.copy(), variances.copy()
            high[i] += step
            low[i] -= step
            change = self.covariance(high) - self.covariance(low)
            gradient[i] = float(contrast @ change @ contrast) / (2 * step)
        information = fit.information[np.ix_(free, free)]
        spread = float(gradient[free] @ np.linalg.solve(information, gradient[free]))
        return 2 * variance**2 / spread if spread > 0 else NAN


def second_derivative(f: Callable[[Floats], float], at: Floats) -> Floats:
    """Return half the second derivative of `f`, by central differences."""
    n = len(at)
    step = np.where(at > 0, at, 1.0) * 1e-3
    found = np.full((n, n), np.nan)

    def value(i: int, a: float, j: int, b: float) -> float:
        place = at.copy()
        place[i] += a * step[i]
        place[j] += b * step[j]
        return float(f(place))

    free = [i for i in range(n) if at[i] > 0]
    for i in free:
        for j in free:
            if i == j:
                # Fourth order: the deviance is far from quadratic in a variance.
                terms = [value(i, k, i, 0) for k in (-2.0, -1.0, 0.0, 1.0, 2.0)]
                second = float(np.dot([-1, 16, -30, 16, -1], terms)) / (12 * step[i] ** 2)
            else:
                second = (
                    value(i, 1, j, 1)
                    - value(i, 1, j, -1)
                    - value(i, -1, j, 1)
                    + value(i, -1, j, -1)
                ) / (4 * step[i] * step[j])
            found[i, j] = second / 2
    return found


class Comparison(NamedTuple):
    """One modality against another on the logarithm of seconds, and as a ratio of times."""

    difference: TEstimate  # of mean log seconds
    ratio: float  # geometric mean time under the first for 1 second under the second
    ratio_lower: float
    ratio_upper: float
    reason: str = ""


class TimeModel(NamedTuple):
    """The mixed model of reading time; modalities are numbered as in the data."""

    formula: str
    means: list[TEstimate]  # of log seconds under each modality, over readers and cases
    comparisons: dict[tuple[int, int], Comparison]
    covariates: list[TEstimate]  # log seconds for each unit of a covariate
    var_reader: float
    var_case: float
    var_reader_modality: float
    var_residual: float
    reml: float  # minus twice the restricted log-likelihood
    reason: str = ""


def model_times(
    seconds: ArrayLike,
    reader: Index,
    case: Index,
    modality: Index,
    *,
    covariates: ArrayLike | None = None,
    reader_by_modality: bool = True,
    level: float = LEVEL,
) -> TimeModel:
    """Compare reading times between modalities.

    log seconds ~ modality (+ covariates) + (1 | reader) + (1 | case) [+ (1 | reader:modality)]

    Parameters
    ----------
    seconds : array_like, shape (n,), above 0
    reader, case, modality : arrays of int, shape (n,), numbered from 0
    covariates : array_like, shape (n, n_covariates), such as the position on the worklist,
        centred here
    reader_by_modality : whether readers differ in how a modality changes their time
    level : of the intervals

    Raises
    ------
    ValueError
        If a time is not above 0, the shapes disagree, or there are fewer than two readers or
        cases, or too few readings for the model.
    """
    y = np.asarray(seconds, dtype=np.float64)
    if not (np.isfinite(y) & (y > 0)).all():
        raise ValueError("seconds are numbers above 0")
    if not y.shape == reader.shape == case.shape == modality.shape or y.ndim != 1:
        raise ValueError("seconds, readers, cases and modalities do not match")
    n_modalities = int(modality.max()) + 1
    n_readers, n_cases = int(reader.max()) + 1, int(case.max()) + 1
    if min(n_readers, n_cases) < 2:
        raise ValueError("the model needs two readers and two cases")
    extra = np.zeros((len(y), 0)) if covariates is None else np.asarray(covariates, np.float64)
    design = np.column_stack(
        [modality[:, None] == np.arange(n_modalities), extra - extra.mean(axis=0)]
    ).astype(np.float64)
    groups = [reader]
    if reader_by_modality and n_modalities > 1:
        groups.append(reader * n_modalities + modality)
    if len(y) <= design.shape[1] + 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError("too few readings for the model, or a covariate that does not vary")
    model = MixedModel(Data(np.log(y), design, case, groups))
    try:
        fit = None if model.fits_exactly() else model.fit()
    except np.linalg.LinAlgError:
        fit = None
    if fit is None or not fit.var_residual > model.no_squares:
        raise ValueError("the reading times do not vary beyond readers and cases")

    def estimate(contrast: Floats) -> TEstimate:
        variance = float(contrast @ fit.covariance @ contrast)
        df = model.degrees_of_freedom(fit, contrast)
        return t_estimate(float(contrast @ fit.coefficients), variance, df, level)

    unit = np.eye(design.shape[1])
    compared = {}
    for a in range(n_modalities):
        for b in range(a + 1, n_modalities):
            d = estimate(unit[a] - unit[b])
            with np.errstate(over="ignore"):
                ratio, lower, upper = (float(np.exp(v)) for v in (d.estimate, d.lower, d.upper))
            compared[a, b] = Comparison(d, ratio, lower, upper, d.reason)
    return TimeModel(
        "log(seconds) ~ modality"
        + (" + covariates" if extra.shape[1] else "")
        + " + (1 | reader) + (1 | case)"
        + (" + (1 | reader:modality)" if len(groups) > 1 else ""),
        [estimate(unit[i]) for i in range(n_modalities)],
        compared,
        [estimate(unit[i]) for i in range(n_modalities, design.shape[1])],
        fit.var_groups[0],
        fit.var_case,
        fit.var_groups[1] if len(groups) > 1 else NAN,
        fit.var_residual,
        fit.deviance,
        "not part of the model",
    )


class Paired(NamedTuple):
    """Times of the same cases under two modalities, without a model."""

    n_pairs: int
    median_first: float  # seconds
    median_second: float
    median_ratio: float  # of the pairs
    p: float  # two-sided, of signed ranks of the log ratios
    reason: str = ""


def paired(first: ArrayLike, second: ArrayLike) -> Paired:
    """Compare paired times of one reader by Wilcoxon's signed ranks.

    Parameters
    ----------
    first, second : array_like, shape (n,), seconds above 0 of the same cases

    References
    ----------
    Wilcoxon F. Biometrics Bulletin 1945;1:80-83.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not len(a):
        return Paired(0, NAN, NAN, NAN, NAN, "no case was read under both modalities")
    logs = np.log(a / b)
    medians = len(a), float(np.median(a)), float(np.median(b)), float(np.exp(np.median(logs)))
    if not logs.any():
        return Paired(*medians, NAN, "all times are the same")
    return Paired(*medians, float(stats.wilcoxon(logs).pvalue))
