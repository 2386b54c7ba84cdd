"""From a network's score to a probability: beta, Platt and isotonic calibration.

What is fitted is plain numbers, kept as JSON. Labels may be anything from 0 to 1, so that the
readers' mean suspicion can stand for malignancy.

Kull M, Silva Filho T, Flach P. Beta calibration: a well-founded and easily implemented
improvement on logistic calibration for binary classifiers. AISTATS 2017.
Platt J. Probabilistic outputs for support vector machines and comparisons to regularized
likelihood methods. In: Advances in large margin classifiers. MIT Press 1999.
Zadrozny B, Elkan C. Transforming classifier scores into accurate multiclass probability
estimates. KDD 2002 (isotonic regression).
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, model_validator
from scipy import optimize, special

SMALLEST = 1e-7  # scores are kept this far from 0 and 1


class BetaCalibration(BaseModel):
    """logit p' = a ln p - b ln(1 - p) + c; (1, 1, 0) changes nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["beta"] = "beta"
    a: float = 1.0
    b: float = 1.0
    c: float = 0.0

    def __call__(self, probability: float) -> float:
        p = _inside(probability)
        logit = self.a * math.log(p) - self.b * math.log1p(-p) + self.c
        return float(special.expit(logit))


class PlattCalibration(BaseModel):
    """logit p' = slope logit p + intercept; (1, 0) changes nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["platt"]
    slope: float
    intercept: float

    def __call__(self, probability: float) -> float:
        p = _inside(probability)
        return float(special.expit(self.slope * (math.log(p) - math.log1p(-p)) + self.intercept))


class IsotonicCalibration(BaseModel):
    """Straight lines between points, level before the first and after the last.

    Scores between two ends of a step become one probability: they are told apart no longer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["isotonic"]
    scores: tuple[float, ...]  # ascending
    probabilities: tuple[float, ...]  # never falling

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not self.scores or len(self.scores) != len(self.probabilities):
            raise ValueError("as many probabilities as scores, and at least one")
        if np.any(np.diff(self.scores) <= 0) or np.any(np.diff(self.probabilities) < 0):
            raise ValueError("scores rise, and probabilities do not fall")
        if self.probabilities[0] < 0 or self.probabilities[-1] > 1:
            raise ValueError("probabilities are from 0 to 1")
        return self

    def __call__(self, probability: float) -> float:
        return float(np.interp(probability, self.scores, self.probabilities))


Calibration = BetaCalibration | PlattCalibration | IsotonicCalibration


def _inside(probability: float) -> float:
    return min(max(probability, SMALLEST), 1 - SMALLEST)


def fit_beta(scores: ArrayLike, malignant: ArrayLike) -> BetaCalibration:
    """Fit by maximum likelihood, with a and b not negative so that no order changes.

    Parameters
    ----------
    scores : array_like, shape (n,)
        From 0 to 1.
    malignant : array_like, shape (n,)
        Bool, or a chance from 0 to 1.
    """
    p, truth = _arrays(scores, malignant)
    a, b, c = _likeliest(np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)]), truth)
    return BetaCalibration(a=a, b=b, c=c)


def fit_platt(scores: ArrayLike, malignant: ArrayLike) -> PlattCalibration:
    """Fit a logistic curve to the scores' logits, with Platt's targets and a slope not negative.

    The targets lie a little inside 0 and 1, (n1 + 1) / (n1 + 2) and 1 / (n0 + 2), so that
    scores that part the classes entirely do not become certainties.
    """
    p, truth = _arrays(scores, malignant)
    n1 = truth.sum()
    n0 = truth.size - n1
    targets = truth * (n1 + 1) / (n1 + 2) + (1 - truth) / (n0 + 2)
    slope, intercept = _likeliest(np.stack([special.logit(p), np.ones_like(p)]), targets)
    return PlattCalibration(method="platt", slope=slope, intercept=intercept)


def fit_isotonic(scores: ArrayLike, malignant: ArrayLike) -> IsotonicCalibration:
    """Fit the curve that never falls and is closest in squares; equal scores count as one."""
    p, truth = _arrays(scores, malignant)
    x, place, counts = np.unique(p, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=truth) / counts
    y = optimize.isotonic_regression(mean, weights=counts).x.clip(0, 1)
    # Of every step its ends say all.
    first = np.append(True, np.diff(y) > 1e-12)
    ends = first | np.append(first[1:], True)
    return IsotonicCalibration(
        method="isotonic",
        scores=tuple(float(v) for v in x[ends]),
        probabilities=tuple(float(v) for v in np.maximum.accumulate(y[ends])),
    )


FITS: Mapping[str, Callable[[ArrayLike, ArrayLike], Calibration]] = {
    "beta": fit_beta,
    "platt": fit_platt,
    "isotonic": fit_isotonic,
}


def _arrays(
    scores: ArrayLike, malignant: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p = np.clip(np.asarray(scores, dtype=np.float64), SMALLEST, 1 - SMALLEST)
    truth = np.asarray(malignant, dtype=np.float64)
    if p.ndim != 1 or p.shape != truth.shape or not p.size:
        raise ValueError(f"scores {p.shape} and truth {truth.shape} do not match")
    return p, truth


def _likeliest(terms: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the weights of `terms` (k, n) that make `truth` likeliest, all but the last >= 0."""

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit = weights @ terms
        value = np.mean(np.logaddexp(0, logit) - truth * logit)
        return float(value), terms @ (special.expit(logit) - truth) / truth.size

    rising = len(terms) - 1
    best = optimize.minimize(
        loss,
        np.array([1.0] * rising + [0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * rising + [(None, None)],
    )
    return tuple(float(value) for value in best.x)
