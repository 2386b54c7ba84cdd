"""ROC curves, thresholds, calibration, net benefit and intervals of shares."""

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from reader_study.statistics import calibration, intervals, roc
from reader_study.statistics.auc import empirical_auc
from tests.statistics.laws import given

TRUTH = [True, True, False, False]


def test_the_curve_of_an_example_worked_by_hand():
    curve = roc.roc_curve([3, 2, 1, 2], TRUTH)

    assert_allclose(curve.fpr, [0, 0, 0.5, 1])
    assert_allclose(curve.tpr, [0, 0.5, 1, 1])
    assert_allclose(curve.threshold, [np.inf, 3, 2, 1])
    best = roc.youden(curve)
    assert_allclose([best.threshold, best.sensitivity, best.specificity], [2.5, 0.5, 1])


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_the_area_under_the_curve_is_the_auc(cases):
    ratings, truth = (np.array(x) for x in zip(*cases, strict=True))
    if truth.all() or not truth.any():
        return
    curve = roc.roc_curve(ratings, truth)

    assert_allclose(np.trapezoid(curve.tpr, curve.fpr), empirical_auc([ratings], truth)[0])
    for focus in ("specificity", "sensitivity"):
        whole = roc.partial_auc(curve, focus, 0, 1)
        assert_allclose(whole.area, empirical_auc([ratings], truth)[0])
        halves = [roc.partial_auc(curve, focus, *half).area for half in ((0, 0.3), (0.3, 1))]
        assert_allclose(sum(halves), whole.area)


def test_the_mean_of_one_curve_is_the_curve():
    curve = roc.roc_curve([5, 4, 3, 2, 1, 0], [1, 0, 1, 1, 0, 0])
    fpr, tpr = roc.mean_curve([curve, curve], n_points=2001)

    assert_allclose(np.trapezoid(tpr, fpr), np.trapezoid(curve.tpr, curve.fpr), atol=1e-3)


def test_a_threshold_counts_a_rating_that_equals_it_as_positive():
    at = roc.operating_point([3, 2, 1, 2], TRUTH, 2)

    counts = (at.true_positive, at.false_negative, at.false_positive, at.true_negative)
    assert counts == (2, 0, 1, 1)
    assert roc.operating_point([3, 2, 1, 2], TRUTH, 9).ppv.reason


def test_a_perfect_curve_has_no_interval():
    found = roc.auc_estimate([2, 2, 1, 1], TRUTH)

    assert (found.auc, found.variance) == (1, 0)
    assert "perfect" in found.reason


def test_curves_need_both_truths():
    with pytest.raises(ValueError, match="malignant and a benign"):
        roc.roc_curve([1, 2], [True, True])
    with pytest.raises(ValueError, match="do not match"):
        roc.roc_curve([1, 2], [True])
    with pytest.raises(ValueError, match="range"):
        roc.partial_auc(roc.roc_curve([3, 2, 1, 2], TRUTH), "specificity", 0.5, 0.4)


def test_calibration_of_an_example_worked_by_hand():
    p, truth = [0.1, 0.3, 0.8, 0.8], [False, False, True, False]
    errors = calibration.calibration_errors(p, truth)

    assert_allclose(calibration.brier(p, truth), (0.01 + 0.09 + 0.04 + 0.64) / 4)
    assert_allclose(errors.expected, (0.1 + 0.3 + 2 * 0.3) / 4)
    assert_allclose(errors.largest, 0.3)
    assert [b.n for b in errors.bins] == [1, 0, 1, 0, 0, 0, 0, 2, 0, 0]


def test_probabilities_drawn_from_themselves_are_calibrated():
    rng = np.random.default_rng(2)
    p = rng.uniform(0.05, 0.95, 20_000)
    found = calibration.recalibration(p, rng.random(20_000) < p)

    assert abs(found.slope.estimate - 1) < 4 * found.slope.se
    assert abs(found.in_the_large.estimate) < 4 * found.in_the_large.se


@pytest.mark.parametrize(
    ("p", "truth", "why"),
    [
        ([0.0, 0.5, 0.5], [0, 1, 0], "infinite"),
        ([0.1, 0.5, 0.4], [1, 1, 1], "same truth"),
        ([0.5, 0.5, 0.5], [1, 0, 1], "the same"),
        ([0.1, 0.2, 0.8], [0, 0, 1], "separate"),
    ],
)
def test_a_slope_that_does_not_exist_is_not_given(p, truth, why):
    found = calibration.recalibration(p, truth)

    assert why in found.slope.reason
    assert np.isnan(found.slope.estimate)


def test_net_benefit_of_an_example_worked_by_hand():
    [at] = calibration.net_benefit([0.1, 0.3, 0.8, 0.8], [0, 0, 1, 0], [0.25])

    # One true and two false positives of four cases, a false one weighing 1/3.
    assert_allclose(at.model, 1 / 4 - 2 / 4 / 3)
    assert_allclose(at.act_on_all, 1 / 4 - 3 / 4 / 3, atol=1e-15)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="from 0 to 1"):
        calibration.brier([1.2], [True])
    with pytest.raises(ValueError, match="do not match"):
        calibration.brier([0.2], [True, False])
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibration.net_benefit([0.2], [True], [1.0])


@pytest.mark.parametrize(
    ("successes", "n", "wilson", "exact"),
    # Newcombe 1998, table I, methods 3 and 5.
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_intervals_of_shares_are_those_published(successes, n, wilson, exact):
    found = intervals.proportion(successes, n)

    assert_allclose([found.wilson_lower, found.wilson_upper], wilson, rtol=0, atol=0.6e-4)
    assert_allclose([found.exact_lower, found.exact_upper], exact, rtol=0, atol=0.6e-4)


def test_a_share_of_nothing_says_so():
    assert intervals.proportion(0, 0).reason
    with pytest.raises(ValueError, match="cannot be"):
        intervals.proportion(3, 2)


def test_paired_decisions_of_an_example_worked_by_hand():
    # Of 6 pairs that differ 1 favours the first: 2 (1 + 6) / 64.
    assert_allclose(intervals.mcnemar_exact(1, 5), 14 / 64)
    assert intervals.mcnemar_exact(0, 0) == 1
    assert intervals.mcnemar_exact(3, 3) == 1


def test_holm_steps_down_from_the_smallest_p():
    assert_allclose(intervals.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert_allclose(intervals.holm([0.6, 0.7]), [1, 1])
    with pytest.raises(ValueError, match="from 0 to 1"):
        intervals.holm([1.2])


def test_a_margin_is_above_zero():
    difference = intervals.t_estimate(0.01, 1e-4, 10)
    with pytest.raises(ValueError, match="above 0"):
        intervals.against_margin("a", "b", difference, 0)


def test_a_difference_that_is_not_estimated_is_not_judged():
    found = intervals.against_margin("a", "b", intervals.t_estimate(0.0, 0.0, 10), 0.05)

    assert found.noninferior is None
    assert found.reason
