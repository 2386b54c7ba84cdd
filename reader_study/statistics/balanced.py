"""Comparison of modalities whose readers are crossed with them, or nested in them.

References
----------
Hillis SL. A marginal-mean ANOVA approach for analyzing multireader multicase radiological
imaging data. Stat Med 2014;33:330-360.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from reader_study.statistics.auc import Floats
from reader_study.statistics.intervals import NAN, TEstimate, ZEstimate, t_estimate, z_estimate
from reader_study.statistics.variances import (
    NO_COVARIANCE,
    ONE_MODALITY,
    ONE_READER,
    Chi2Test,
    FTest,
    Pair,
    mean_square,
    mean_where,
    rounded,
)


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
