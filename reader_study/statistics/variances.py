"""Variance components and tests of the analysis of variance of readers and modalities."""

from typing import NamedTuple

import numpy as np

from reader_study.statistics.auc import Floats
from reader_study.statistics.intervals import NAN

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
