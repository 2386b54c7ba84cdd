import numpy as np
import pytest

from inference.calibration import BetaCalibration, fit_beta


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
