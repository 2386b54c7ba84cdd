"""AUC, its covariance over cases, and what both are made of."""

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from reader_study.statistics import covariance
from reader_study.statistics.auc import empirical_auc, kernel
from tests.statistics.laws import given

TRUTH = np.array([True, True, False, False])
N_CASES = 9
MALIGNANT = np.arange(N_CASES) < 4

# Few values, so that many are tied; some readings are missing.
tied_ratings = arrays(
    np.float64, (3, N_CASES), elements=st.sampled_from([1.0, 2.0, 2.5, 3.0, np.nan])
)
complete_ratings = arrays(np.float64, (3, N_CASES), elements=st.sampled_from([1.0, 2.0, 2.5, 3.0]))


def pairwise(ratings, malignant):
    """Return psi for every pair of cases, 0 where one was not read."""
    gap = ratings[:, malignant, None] - ratings[:, None, ~malignant]
    return (gap > 0) + 0.5 * (gap == 0)


def test_auc_and_variance_of_an_example_worked_by_hand():
    k = kernel([[3, 2, 1, 2]], TRUTH)

    # Of four pairs, 3 beats 1 and 2, 2 beats 1 and ties with 2.
    assert_allclose(k.auc, [3.5 / 4])
    # Each class wins 1 and 3/4 per case: variance 1/32, over two cases, twice.
    assert_allclose(covariance.delong(k), [[1 / 32]])


def test_the_jackknife_of_an_example_worked_by_hand():
    without = covariance.jackknife_aucs(kernel([[3, 2, 1, 2]], TRUTH))

    # Without 3: 2 beats 1, ties with 2. Without 2: 3 beats both. And so on.
    assert_allclose(without, [[0.75, 1, 0.75, 1]])
    # (K-1)/K times the sum of four deviations of 1/8.
    assert_allclose(covariance.jackknife(without), [[3 / 4 * 4 / 64]])


def test_without_bias_an_example_worked_by_hand():
    found = covariance.unbiased(covariance.moments([[3, 2, 1, 2]], TRUTH))

    # psi is 1, 1; 1, 1/2. Two pairs without a common case, each in two orders: 1 * 1/2, 1 * 1.
    assert_allclose(found, [[(3.5 / 4) ** 2 - (0.5 + 1) / 2]])


@given(tied_ratings)
def test_ranks_give_the_sums_over_all_pairs(ratings):
    psi = pairwise(ratings, MALIGNANT)
    k = kernel(ratings, MALIGNANT)

    assert_allclose(k.sums[:, MALIGNANT], psi.sum(axis=2))
    assert_allclose(k.sums[:, ~MALIGNANT], psi.sum(axis=1))


@given(tied_ratings)
def test_moments_are_sums_over_pairs_of_pairs(ratings):
    psi = pairwise(ratings, MALIGNANT)
    read = ~np.isnan(ratings)
    there = (read[:, MALIGNANT, None] & read[:, None, ~MALIGNANT]).astype(float)
    m = covariance.moments(ratings, MALIGNANT)

    for values, found in ((psi, m.products), (there, m.pairs)):
        assert_allclose(found[0], np.einsum("gij,hij->gh", values, values))
        assert_allclose(found[1], np.einsum("gij,hik->gh", values, values))
        assert_allclose(found[2], np.einsum("gij,hkj->gh", values, values))
        assert_allclose(found[3], np.einsum("gij,hkl->gh", values, values))


@given(tied_ratings)
def test_leaving_a_case_out_is_estimating_without_it(ratings):
    without = covariance.jackknife_aucs(kernel(ratings, MALIGNANT))

    for case in range(N_CASES):
        rest = np.arange(N_CASES) != case
        assert_allclose(without[:, case], empirical_auc(ratings[:, rest], MALIGNANT[rest]))


@given(complete_ratings, st.lists(st.integers(0, 3), min_size=N_CASES, max_size=N_CASES))
def test_leaving_a_patient_out_is_estimating_without_all_of_the_nodules(ratings, patients):
    names, patient = np.unique(patients, return_inverse=True)
    without = covariance.jackknife_aucs(kernel(ratings, MALIGNANT), patient)

    for number in range(len(names)):
        rest = patient != number
        assert_allclose(without[:, number], empirical_auc(ratings[:, rest], MALIGNANT[rest]))


@given(complete_ratings)
def test_patients_with_one_nodule_each_are_cases(ratings):
    k, alone = kernel(ratings, MALIGNANT), np.arange(N_CASES)

    assert_allclose(covariance.delong(k, alone), covariance.delong(k), atol=1e-15)
    assert_allclose(covariance.jackknife_aucs(k, alone), covariance.jackknife_aucs(k))


@given(complete_ratings)
def test_only_the_order_of_ratings_matters(ratings):
    assert_allclose(
        empirical_auc(np.exp(3 * ratings) - 7, MALIGNANT), empirical_auc(ratings, MALIGNANT)
    )


@given(complete_ratings)
def test_turning_scale_and_truth_round_changes_nothing(ratings):
    assert_allclose(empirical_auc(-ratings, ~MALIGNANT), empirical_auc(ratings, MALIGNANT))


def test_slices_add_up_whatever_their_size(monkeypatch):
    rng = np.random.default_rng(1)
    ratings, malignant = rng.integers(0, 5, (4, 150)).astype(float), rng.random(150) < 0.4
    whole = covariance.moments(ratings, malignant).products
    monkeypatch.setattr(covariance, "CHUNK_PAIRS", 1000)

    assert_allclose(covariance.moments(ratings, malignant).products, whole)


def test_readers_without_a_common_case_are_independent():
    ratings = np.array([[1, 2, 3, np.nan, np.nan, np.nan], [np.nan, np.nan, np.nan, 1, 3, 2]])
    malignant = np.array([False, True, True, False, True, False])
    found = covariance.unbiased(covariance.moments(ratings, malignant))

    assert found[0, 1] == 0


def test_one_malignant_case_has_an_auc_and_no_variance():
    k = kernel([[3, 2, 1, 2]], [True, False, False, False])

    assert_allclose(k.auc, [1])
    assert np.isnan(covariance.delong(k)).all()
    assert np.isnan(covariance.jackknife(covariance.jackknife_aucs(k))).all()
    assert np.isnan(covariance.unbiased(covariance.moments([[3, 2, 1, 2]], k.malignant))).all()


def test_delong_refuses_missing_readings():
    with pytest.raises(ValueError, match="every reader"):
        covariance.delong(kernel([[3, np.nan, 1, 2]], TRUTH))


@pytest.mark.parametrize(
    ("ratings", "malignant"), [([[1, 2]], [True]), ([1, 2], [True, False]), ([[1, np.inf]], [1, 0])]
)
def test_ratings_that_cannot_be_used_are_refused(ratings, malignant):
    with pytest.raises(ValueError, match=r"match|finite"):
        kernel(ratings, malignant)
