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
from scipy import stats

from reader_study.statistics.auc import Floats
from reader_study.statistics.intervals import (
    LEVEL,
    NAN,
    Mean,
    TEstimate,
    ZEstimate,
    ZMean,
    mean_of,
    t_estimate,
    z_estimate,
    z_mean_of,
)

# A mean square below this is rounding: figures of merit are of the order of 1.
MEAN_SQUARE_ZERO = 1e-24
# Differences of covariances below this part of a variance are rounding.
RELATIVE_ZERO = 1e-12

ONE_READER = "one reader is no sample of readers"
NO_READER = "no reader has an estimate in this modality"
NO_COVARIANCE = "the covariance over cases cannot be estimated from these data"
ONE_MODALITY = "one modality has nothing to be compared with"
CONFOUNDED = "readers are nested in modalities: their variance has no part of its own"

Pair = tuple[int, int]


class Components(NamedTuple):
    """Variance components, none of them raised to 0; units of the figure of merit squared."""

    var_r: float  # readers
    var_tr: float  # readers by modality
    error: float  # a figure of merit, over cases
    cov1: float  # same reader, different modality
    cov2: float  # different reader, same modality
    cov3: float  # different reader, different modality
    reason: str = ""


class FTest(NamedTuple):
    """A test of equal modalities."""

    f: float
    df1: float
    df2: float
    p: float
    reason: str = ""


class Chi2Test(NamedTuple):
    """A test of equal modalities with readers taken as fixed."""

    chi2: float
    df1: float
    p: float
    reason: str = ""


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


def rounded(value: float, scale: float) -> float:
    """Return 0 for what is rounding beside `scale`."""
    return 0.0 if abs(value) <= RELATIVE_ZERO * abs(scale) else value


def mean_square(squares: float, df: int) -> float:
    """Return a mean square; NaN without degrees of freedom, 0 in place of rounding."""
    if df < 1:
        return NAN
    return 0.0 if squares / df < MEAN_SQUARE_ZERO else squares / df


def mean_where(v: Floats, which: np.typing.NDArray[np.bool_]) -> float:
    """Average over pairs of cells; 0 where there is no such pair, so no covariance either."""
    return float(v[which].mean()) if which.any() else 0.0


class Balanced(NamedTuple):
    """What the comparison of modalities rests on, for crossed and for nested readers."""

    means: Floats  # (n_modalities,)
    n_readers: Floats  # (n_modalities,), in each modality
    nested: bool
    var: float
    cov1: float
    cov2: float
    cov3: float
    ms_t: float
    ms_r: float  # nested: of readers within modalities
    ms_tr: float  # nested: NaN

    @classmethod
    def of_crossed(cls, theta: Floats, v: Floats) -> "Balanced":
        """Every reader has an estimate under every modality."""
        t, r = theta.shape
        grand, of_modality, of_reader = theta.mean(), theta.mean(axis=1), theta.mean(axis=0)
        residual = theta - of_modality[:, None] - of_reader + grand
        return cls(
            of_modality,
            np.full(t, float(r)),
            False,
            *mean_covariances(v, np.ones(theta.shape, dtype=np.bool_)),
            ms_t=mean_square(r * float(((of_modality - grand) ** 2).sum()), t - 1),
            ms_r=mean_square(t * float(((of_reader - grand) ** 2).sum()), r - 1),
            ms_tr=mean_square(float((residual**2).sum()), (t - 1) * (r - 1)),
        )

    @classmethod
    def of_nested(cls, theta: Floats, v: Floats) -> "Balanced":
        """Every reader has an estimate under one modality."""
        present = np.isfinite(theta)
        r = present.sum(axis=1).astype(np.float64)
        means = np.nansum(theta, axis=1) / r
        grand = float(np.nansum(theta) / r.sum())
        within = np.where(present, theta - means[:, None], 0.0)
        return cls(
            means,
            r,
            True,
            *mean_covariances(v, present),
            ms_t=mean_square(float((r * (means - grand) ** 2).sum()), len(r) - 1),
            ms_r=mean_square(float((within**2).sum()), int(r.sum()) - len(r)),
            ms_tr=NAN,
        )

    def refused(self, reason: str) -> "Balanced":
        """Keep nothing that would be of use for a comparison."""
        if reason == ONE_MODALITY:
            return self
        return self._replace(var=NAN, cov1=NAN, cov2=NAN, cov3=NAN, ms_t=NAN, ms_r=NAN, ms_tr=NAN)

    @property
    def ms_error(self) -> float:
        """The mean square that modalities are held against when readers are random."""
        return self.ms_r if self.nested else self.ms_tr

    @property
    def df_error(self) -> float:
        """Degrees of freedom of `ms_error`."""
        total, t = float(self.n_readers.sum()), len(self.n_readers)
        return total - t if self.nested else (t - 1) * (self.n_readers[0] - 1)

    @property
    def shared(self) -> float:
        """Cov2 - Cov3, at least 0."""
        return max(rounded(self.cov2 - self.cov3, self.var), 0.0)

    def weight(self, pair: Pair | None = None) -> float:
        """Readers in a modality: of a pair the harmonic mean, of all that of the F test."""
        r = self.n_readers
        if pair is not None:
            a, b = r[list(pair)]
            return float(2 * a * b / (a + b))
        if len(r) == 1:
            return NAN
        return float((r.sum() ** 2 - (r**2).sum()) / (r.sum() * (len(r) - 1)))

    def rrrc_denominator(self, pair: Pair | None = None) -> tuple[float, float]:
        """Return the denominator and its degrees of freedom."""
        d = self.ms_error + self.weight(pair) * self.shared
        own = self.ms_error**2 / self.df_error if self.df_error > 0 else NAN
        if own == 0:
            return d, float("inf") if d > 0 else NAN
        return d, d**2 / own

    def rrrc_test(self, reason: str) -> FTest:
        """Test equal modalities, readers and cases random."""
        d, df2 = self.rrrc_denominator()
        return self.f_test(d, df2, reason)

    def rrfc_test(self, reason: str) -> FTest:
        """Test equal modalities, readers random and cases fixed."""
        return self.f_test(self.ms_error, self.df_error, reason)

    def f_test(self, denominator: float, df2: float, reason: str) -> FTest:
        """Return MS(T) over a denominator."""
        df1 = float(len(self.means) - 1)
        reason = reason or self.not_testable(denominator)
        if reason:
            return FTest(NAN, df1 if df1 else NAN, NAN, NAN, reason)
        f = self.ms_t / denominator
        # scipy has no F distribution with infinite df2: it is chi2 / df1.
        p = stats.f.sf(f, df1, df2) if np.isfinite(df2) else stats.chi2.sf(f * df1, df1)
        return FTest(f, df1, df2, float(p))

    def not_testable(self, denominator: float) -> str:
        """Say why readers as a random sample give no test; empty where they do."""
        if not self.df_error > 0:
            return ONE_READER
        if np.isnan(denominator):
            return NO_COVARIANCE
        if denominator == 0:
            return "no variation between readers and modalities is left to test against"
        return ""

    def rrrc_difference(self, pair: Pair, level: float, reason: str) -> TEstimate:
        """Compare two modalities, readers and cases random."""
        d, df = self.rrrc_denominator(pair)
        return self.t_difference(pair, d, df, level, reason)

    def rrfc_difference(self, pair: Pair, level: float, reason: str) -> TEstimate:
        """Compare two modalities, readers random and cases fixed."""
        return self.t_difference(pair, self.ms_error, self.df_error, level, reason)

    def t_difference(
        self, pair: Pair, denominator: float, df: float, level: float, reason: str
    ) -> TEstimate:
        """Return the difference of two modalities, its variance from a denominator."""
        estimate = self.difference(pair)
        if not reason and not self.df_error > 0:
            reason = ONE_READER
        if reason:
            return TEstimate(estimate, NAN, NAN, NAN, NAN, NAN, NAN, reason)
        return t_estimate(estimate, 2 * denominator / self.weight(pair), df, level)

    def difference(self, pair: Pair) -> float:
        """Return the first minus the second; rounding becomes 0."""
        a, b = (float(self.means[i]) for i in pair)
        return rounded(a - b, 1.0)

    def frrc_denominator(self, pair: Pair | None = None) -> float:
        """Return the variance over cases that a modality mean is held against."""
        r = self.weight(pair)
        if self.nested:
            # No reader has two modalities: what they share is Cov3 only.
            own = self.var - self.cov3 + (r - 1) * self.shared
            return rounded(own, self.var)
        return rounded(self.var - self.cov1 + (r - 1) * self.shared, self.var)

    def frrc_test(self, reason: str) -> Chi2Test:
        """Test equal modalities, readers fixed and cases random."""
        df1 = float(len(self.means) - 1)
        d = self.frrc_denominator()
        if not reason and not d > 0:
            reason = (
                NO_COVARIANCE
                if np.isnan(d)
                else f"the estimated variance over cases is not above 0 ({d:.3g})"
            )
        if reason:
            return Chi2Test(NAN, df1 if df1 else NAN, NAN, reason)
        chi2 = df1 * self.ms_t / d
        return Chi2Test(chi2, df1, float(stats.chi2.sf(chi2, df1)))

    def frrc_difference(self, pair: Pair, level: float, reason: str) -> ZEstimate:
        """Compare two modalities, readers fixed and cases random."""
        if reason:
            return ZEstimate(self.difference(pair), NAN, NAN, NAN, NAN, NAN, reason)
        variance = 2 * self.frrc_denominator(pair) / self.weight(pair)
        return z_estimate(self.difference(pair), variance, level)


def mean_covariances(
    v: Floats, present: np.typing.NDArray[np.bool_]
) -> tuple[float, float, float, float]:
    """Average the covariance of estimates by what two cells share.

    Parameters
    ----------
    v : array, shape (n_modalities, n_readers) twice
    present : array of bool, shape (n_modalities, n_readers), the cells with an estimate

    Returns
    -------
    Var, Cov1 (same reader), Cov2 (same modality), Cov3 (neither)
    """
    t, r = present.shape
    both = present[:, :, None, None] & present
    same_modality = np.eye(t, dtype=np.bool_)[:, None, :, None] & both
    same_reader = np.eye(r, dtype=np.bool_)[None, :, None, :] & both
    return (
        mean_where(v, same_modality & same_reader),
        mean_where(v, same_reader & ~same_modality),
        mean_where(v, same_modality & ~same_reader),
        mean_where(v, both & ~same_modality & ~same_reader),
    )


def components_of(
    b: Balanced, singles: "list[SingleModality]", design: str, reason: str
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


class SingleModality:
    """The mean over the readers of one modality, from the data of this modality alone.

    References
    ----------
    Hillis SL, Schartz KM. Multireader sample size program for diagnostic studies:
    demonstration and methodology. J Med Imaging 2018;5:045503.
    """

    def __init__(self, theta: Floats, v: Floats, level: float) -> None:
        present = np.isfinite(theta)
        values, v = theta[present], v[np.ix_(present, present)]
        self.level = level
        self.r = len(values)
        self.mean = float(values.mean()) if self.r else NAN
        squares = float(((values - self.mean) ** 2).sum())
        self.ms_r = mean_square(squares, self.r - 1)
        apart = ~np.eye(self.r, dtype=np.bool_)
        self.var = float(np.diag(v).mean()) if self.r else NAN
        self.cov2 = mean_where(v, apart)
        self.shared = max(rounded(self.cov2, self.var), 0.0)

    @property
    def var_r(self) -> float:
        """The variance between readers, beyond what cases make of it."""
        return self.ms_r - self.var + self.cov2

    def rrrc_test(self) -> TEstimate:
        """Test the mean against 0, readers and cases random."""
        d = self.ms_r + self.r * self.shared
        df = d**2 / (self.ms_r**2 / (self.r - 1)) if self.ms_r > 0 else float("inf")
        return self.t_test(d, df)

    def rrfc_test(self) -> TEstimate:
        """Test the mean against 0, readers random and cases fixed."""
        return self.t_test(self.ms_r, self.r - 1)

    def frrc_test(self) -> ZEstimate:
        """Test the mean against 0, readers fixed and cases random."""
        if self.r < 1:
            return ZEstimate(NAN, NAN, NAN, NAN, NAN, NAN, NO_READER)
        d = rounded(self.var + (self.r - 1) * self.shared, self.var)
        return z_estimate(self.mean, d / self.r, self.level)

    def t_test(self, denominator: float, df: float) -> TEstimate:
        """Test the mean against 0, unless there are too few readers."""
        if self.r < 2:
            reason = ONE_READER if self.r else NO_READER
            return TEstimate(self.mean, NAN, NAN, NAN, NAN, NAN, NAN, reason)
        return t_estimate(self.mean, denominator / self.r, df, self.level)

    def rrrc(self) -> Mean:
        """Readers and cases random."""
        return mean_of(self.rrrc_test())

    def frrc(self) -> ZMean:
        """Readers fixed, cases random."""
        return z_mean_of(self.frrc_test())

    def rrfc(self) -> Mean:
        """Readers random, cases fixed."""
        return mean_of(self.rrfc_test())


class Standalone(NamedTuple):
    """The readers of one modality against a standalone reading, such as an AI's."""

    estimate: float  # figure of merit of the standalone reading
    rrrc: TEstimate  # mean of the readers minus it
    frrc: ZEstimate
    rrfc: TEstimate
    readers: list[ZEstimate]  # each reader minus it


def against_standalone(
    estimates: ArrayLike, covariance: ArrayLike, standalone: int, level: float = LEVEL
) -> Standalone:
    """Compare readers with one reading that is no sample of readers.

    The analysis of a single modality, made on the differences.

    Parameters
    ----------
    estimates : array_like, shape (n,)
        Figures of merit of the readers and of the standalone reading; NaN is left out.
    covariance : array_like, shape (n, n), of `estimates`
    standalone : place of the standalone reading

    References
    ----------
    Hillis SL, Schartz KM. J Med Imaging 2018;5:045503.
    """
    theta, v = np.asarray(estimates, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    minus = np.eye(len(theta))
    minus[:, standalone] -= 1
    readers = [i for i in range(len(theta)) if i != standalone]
    # A missing estimate must not spread by 0 * NaN.
    difference = theta - theta[standalone]
    v_difference = minus @ np.nan_to_num(v) @ minus.T
    v_difference[np.isnan(v) | np.isnan(v[:, [standalone]]) | np.isnan(v[[standalone]])] = np.nan
    one = SingleModality(difference[readers], v_difference[np.ix_(readers, readers)], level)
    return Standalone(
        float(theta[standalone]),
        one.rrrc_test(),
        one.frrc_test(),
        one.rrfc_test(),
        [
            z_estimate(float(difference[i]), rounded(float(v_difference[i, i]), one.var), level)
            for i in readers
        ],
    )


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
