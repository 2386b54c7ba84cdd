"""One modality by itself, and its readers against a standalone reading."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

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
from reader_study.statistics.variances import (
    NO_READER,
    ONE_READER,
    mean_square,
    mean_where,
    rounded,
)


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
