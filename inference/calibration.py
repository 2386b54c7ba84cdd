"""Beta calibration: from a network's score to a probability.

Kull M, Silva Filho T, Flach P. Beta calibration: a well-founded and easily implemented
improvement on logistic calibration for binary classifiers. AISTATS 2017.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict
from scipy import optimize, special

SMALLEST = 1e-7  # scores are kept this far from 0 and 1


class BetaCalibration(BaseModel):
    """logit p' = a ln p - b ln(1 - p) + c; (1, 1, 0) changes nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0

    def __call__(self, probability: float) -> float:
        p = min(max(probability, SMALLEST), 1 - SMALLEST)
        logit = self.a * math.log(p) - self.b * math.log1p(-p) + self.c
        return float(special.expit(logit))


def fit_beta(scores: ArrayLike, malignant: ArrayLike) -> BetaCalibration:
    """Fit by maximum likelihood, with a and b not negative so that no order changes.

    Parameters
    ----------
    scores : array_like, shape (n,)
        From 0 to 1.
    malignant : array_like of bool, shape (n,)
    """
    p = np.clip(np.asarray(scores, dtype=np.float64), SMALLEST, 1 - SMALLEST)
    truth = np.asarray(malignant, dtype=np.float64)
    terms = np.stack([np.log(p), -np.log1p(-p), np.ones_like(p)])

    def loss(abc: np.ndarray) -> tuple[float, np.ndarray]:
        logit = abc @ terms
        value = np.mean(np.logaddexp(0, logit) - truth * logit)
        return float(value), terms @ (special.expit(logit) - truth) / truth.size

    best = optimize.minimize(
        loss,
        np.array([1.0, 1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None), (0, None), (None, None)],
    )
    a, b, c = (float(value) for value in best.x)
    return BetaCalibration(a=a, b=b, c=c)
