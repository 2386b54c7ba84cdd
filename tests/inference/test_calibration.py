import math

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from inference.calibration import (
    FITS,
    BetaCalibration,
    Calibration,
    IsotonicCalibration,
    PlattCalibration,
    fit_beta,
    fit_isotonic,
    fit_platt,
)

READ: TypeAdapter[Calibration] = TypeAdapter(Calibration)


def logistic_regression(
    columns: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Newton's method as the textbook has it; `columns` is (n, k), `targets` from 0 to 1."""
    weights = np.zeros(columns.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-columns @ weights))
        hessian = columns.T @ (columns * (p * (1 - p))[:, None])
        weights += np.linalg.solve(hessian, columns.T @ (targets - p))
    return weights


def some_scores(n: int = 300) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(3)
    raw = rng.uniform(0.02, 0.98, n)
    return raw, rng.random(n) < raw**2


@pytest.mark.parametrize(
    ("kept", "p", "expected"),
    [
        # By hand: logit p' = 2 ln .5 - ln(1 - .5) + .3 = ln .5 + .3
        ({"a": 2.0, "b": 1.0, "c": 0.3}, 0.5, 1 / (1 + 2 * math.exp(-0.3))),
        # logit p' = 2 ln(.8 / .2) - 1 = ln 16 - 1
        ({"method": "platt", "slope": 2, "intercept": -1}, 0.8, 1 / (1 + math.e / 16)),
        # A third of the way from (.2, .1) to (.5, .4).
        ({"method": "isotonic", "scores": [0.2, 0.5], "probabilities": [0.1, 0.4]}, 0.3, 0.2),
        ({"method": "isotonic", "scores": [0.2, 0.5], "probabilities": [0.1, 0.4]}, 0.9, 0.4),
    ],
)
def test_what_is_kept_as_json_is_computed_as_written(kept, p, expected) -> None:
    calibration = READ.validate_python(kept)
    assert calibration(p) == pytest.approx(expected, abs=1e-12)
    assert READ.validate_json(calibration.model_dump_json()) == calibration


def test_beta_is_a_logistic_regression_on_two_logarithms() -> None:
    raw, truth = some_scores()
    columns = np.stack([np.log(raw), -np.log1p(-raw), np.ones_like(raw)], axis=1)
    a, b, c = logistic_regression(columns, truth.astype(float))
    assert min(a, b) > 0  # so that its bounds play no part here
    found = fit_beta(raw, truth)
    assert (found.a, found.b, found.c) == pytest.approx((a, b, c), abs=1e-3)


def test_platt_is_a_logistic_regression_on_logits_with_platts_targets() -> None:
    raw, truth = some_scores()
    n1, n0 = truth.sum(), (~truth).sum()
    targets = np.where(truth, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    columns = np.stack([np.log(raw / (1 - raw)), np.ones_like(raw)], axis=1)
    slope, intercept = logistic_regression(columns, targets)
    found = fit_platt(raw, truth)
    assert (found.slope, found.intercept) == pytest.approx((slope, intercept), abs=1e-3)


def test_isotonic_is_the_greatest_of_the_least_means() -> None:
    """g_i = max over j <= i of min over k >= i of the mean of y_j to y_k."""
    raw, truth = some_scores(60)
    raw = np.round(raw, 1)  # many are equal
    found = fit_isotonic(raw, truth)
    levels = np.unique(raw)
    for place, score in enumerate(levels):
        direct = max(
            min(
                truth[(raw >= levels[j]) & (raw <= levels[k])].mean()
                for k in range(place, len(levels))
            )
            for j in range(place + 1)
        )
        assert found(float(score)) == pytest.approx(direct, abs=1e-9)
    assert len(found.scores) <= len(levels)


@pytest.mark.parametrize("method", FITS)
def test_every_method_takes_chances_for_truth_and_never_turns_an_order_round(method) -> None:
    raw, _ = some_scores()
    found = FITS[method](raw, raw**2)
    values = [found(p) for p in np.linspace(0, 1, 101)]
    assert (np.diff(values) >= -1e-12).all()
    assert all(0 <= value <= 1 for value in values)
    middle = [found(p) for p in (0.3, 0.6, 0.9)]
    assert middle == pytest.approx([0.09, 0.36, 0.81], abs=0.06)
    wrong = FITS[method](raw, 1 - raw)  # a score that is wrong throughout
    assert (np.diff([wrong(p) for p in np.linspace(0, 1, 101)]) >= -1e-12).all()


@pytest.mark.parametrize(
    "kept",
    [
        {"method": "isotonic", "scores": [0.5, 0.2], "probabilities": [0.1, 0.4]},
        {"method": "isotonic", "scores": [0.2, 0.5], "probabilities": [0.4, 0.1]},
        {"method": "isotonic", "scores": [0.2], "probabilities": [1.4]},
        {"method": "isotonic", "scores": [], "probabilities": []},
        {"method": "platt", "slope": 1},
        {"method": "temperature", "a": 1},
    ],
)
def test_parameters_that_are_no_calibration_are_refused(kept) -> None:
    with pytest.raises(ValidationError):
        READ.validate_python(kept)


def test_the_kinds_are_told_apart() -> None:
    assert isinstance(READ.validate_python({"a": 1, "b": 1, "c": 0}), BetaCalibration)
    assert isinstance(
        READ.validate_python({"method": "platt", "slope": 1, "intercept": 0}), PlattCalibration
    )
    assert isinstance(fit_isotonic([0.1, 0.9], [0, 1]), IsotonicCalibration)


def test_one_one_zero_changes_nothing() -> None:
    for p in (0.0, 0.02, 0.5, 0.9, 1.0):
        assert BetaCalibration()(p) == pytest.approx(p, abs=1e-6)


def test_a_known_distortion_is_undone() -> None:
    rng = np.random.default_rng(0)
    raw = rng.uniform(0.01, 0.99, 40_000)
    known = BetaCalibration(a=0.5, b=2.0, c=-0.7)
    malignant = rng.random(raw.size) < [known(p) for p in raw]
    fitted = fit_beta(raw, malignant)
    for p in (0.05, 0.3, 0.6, 0.9):
        assert fitted(p) == pytest.approx(known(p), abs=0.015)


def test_no_calibration_turns_the_order_of_scores_round() -> None:
    raw = np.linspace(0.05, 0.95, 200)
    fitted = fit_beta(raw, raw < 0.5)  # a score that is wrong throughout
    values = [fitted(p) for p in raw]
    assert (np.diff(values) >= -1e-12).all()
