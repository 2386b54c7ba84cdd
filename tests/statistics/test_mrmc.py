"""Comparing modalities over readers and cases."""

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from reader_study.statistics import binary, covariance
from reader_study.statistics.auc import kernel
from reader_study.statistics.dbm import dbm
from reader_study.statistics.mrmc import obuchowski_rockette
from reader_study.statistics.power import simulate
from reader_study.statistics.single import against_standalone
from reader_study.statistics.ustat import u_statistics
from tests.statistics.laws import given

seeds = st.integers(0, 10_000)


def a_study(seed, n_modalities=2, n_readers=4, n_malignant=15, n_benign=20, levels=None):
    """Simulate ratings; with `levels` on a scale of so many steps."""
    rng = np.random.default_rng(seed)
    separation = tuple(1.2 + 0.3 * i for i in range(n_modalities))
    ratings, malignant = simulate(rng, separation, n_readers, n_malignant, n_benign)
    return (ratings if levels is None else np.round(ratings * levels / 4)), malignant


def flat(ratings):
    return ratings.reshape(-1, ratings.shape[-1])


def compared(ratings, malignant, kind="jackknife"):
    """Run Obuchowski and Rockette's analysis of AUC."""
    k = kernel(flat(ratings), malignant)
    if kind == "unbiased":
        v = covariance.unbiased(covariance.moments(flat(ratings), malignant))
    elif kind == "delong":
        v = covariance.delong(k)
    else:
        v = covariance.jackknife(covariance.jackknife_aucs(k))
    return obuchowski_rockette(k.auc.reshape(ratings.shape[:2]), v)


def test_an_analysis_worked_by_hand():
    # Two modalities, two readers; every covariance of a kind is the same.
    theta = [[0.8, 0.9], [0.7, 0.7]]
    var, cov1, cov2, cov3 = 10e-4, 5e-4, 4e-4, 2e-4
    reader = np.array([[var, cov2], [cov2, var]])
    other = np.array([[cov1, cov3], [cov3, cov1]])
    found = obuchowski_rockette(theta, np.block([[reader, other], [other, reader]]))

    # Means 0.85 and 0.7, grand mean 0.775, reader means 0.75 and 0.8, residuals 0.025.
    ms_t, ms_tr, ms_r = 2 * 2 * 0.075**2, 4 * 0.025**2, 2 * 2 * 0.025**2
    assert_allclose(found.components[:6][2:], [var, cov1, cov2, cov3])
    assert_allclose(found.components.var_tr, ms_tr - var + cov1 + cov2 - cov3)
    assert_allclose(found.components.var_r, (ms_r - ms_tr) / 2 - cov1 + cov3)
    d = ms_tr + 2 * (cov2 - cov3)
    assert_allclose([found.rrrc.test.f, found.rrrc.test.df2], [ms_t / d, d**2 / ms_tr**2])
    assert_allclose(found.rrrc.differences[0, 1].se, np.sqrt(d))
    assert_allclose(found.frrc.test.chi2, ms_t / (var - cov1 + cov2 - cov3))
    assert_allclose(found.rrfc.test.f, ms_t / ms_tr)
    assert_allclose(found.rrfc.test.p, stats.f.sf(ms_t / ms_tr, 1, 1))


def test_covariances_that_come_out_the_wrong_way_round_are_not_subtracted():
    var, cov1, cov2, cov3 = 10e-4, 5e-4, 2e-4, 4e-4
    reader = np.array([[var, cov2], [cov2, var]])
    other = np.array([[cov1, cov3], [cov3, cov1]])
    found = obuchowski_rockette(
        [[0.8, 0.9], [0.7, 0.7]], np.block([[reader, other], [other, reader]])
    )

    assert_allclose(found.rrrc.test.df2, 1)  # those of MS(TR) alone
    assert_allclose(found.frrc.test.chi2, 4 * 0.075**2 / (var - cov1))


@given(seeds)
def test_pseudovalues_give_the_tests_of_obuchowski_and_rockette(seed):
    ratings, malignant = a_study(seed, n_modalities=3, levels=6)
    k = kernel(flat(ratings), malignant)
    without = covariance.jackknife_aucs(k).reshape(*ratings.shape[:2], -1)
    first = compared(ratings, malignant)
    second = dbm(k.auc.reshape(ratings.shape[:2]), without)
    assume(first.mean_squares["tr"] > 1e-12)

    assert_allclose(second.components[:6], first.components[:6], atol=1e-12)
    for part in ("rrrc", "rrfc"):
        a, b = getattr(first, part), getattr(second, part)
        assert_allclose(b.test[:4], a.test[:4], rtol=1e-6, atol=1e-12)
        for pair, difference in a.differences.items():
            assert_allclose(b.differences[pair][:7], difference[:7], rtol=1e-6, atol=1e-12)


@given(seeds)
def test_u_statistics_have_the_variance_of_the_unbiased_covariances(seed):
    ratings, malignant = a_study(seed, levels=8)
    found = compared(ratings, malignant, "unbiased")
    u = u_statistics(ratings, malignant)
    assume(found.components.cov2 > found.components.cov3)

    difference = found.rrrc.differences[0, 1]
    assert_allclose(u.differences[0, 1].variance, difference.se**2, rtol=1e-9, atol=1e-15)
    assert_allclose(u.differences[0, 1].estimate, difference.estimate, atol=1e-12)
    if u.differences[0, 1].variance > 0:
        assert_allclose(u.differences[0, 1].df_hillis, difference.df)


@given(seeds)
def test_readers_nested_in_modalities_have_the_variance_of_u_statistics(seed):
    ratings, malignant = a_study(seed, n_readers=6)
    ratings[0, 3:], ratings[1, :3] = np.nan, np.nan
    found = compared(ratings, malignant, "unbiased")
    u = u_statistics(ratings, malignant)
    assume(found.components.cov2 > found.components.cov3)

    assert found.design == "nested"
    se = found.rrrc.differences[0, 1].se
    assert_allclose(u.differences[0, 1].variance, se**2, rtol=1e-9, atol=1e-15)


@given(seeds)
def test_with_readers_fixed_the_variance_is_that_of_the_mean_over_readers(seed):
    for nested in (False, True):
        ratings, malignant = a_study(seed, n_readers=6)
        if nested:
            ratings[0, 3:], ratings[1, :3] = np.nan, np.nan
        k = kernel(flat(ratings), malignant)
        v = covariance.unbiased(covariance.moments(flat(ratings), malignant))
        present = np.isfinite(k.auc).reshape(2, 6)
        weights = np.where(present, [[1.0], [-1.0]] / present.sum(axis=1, keepdims=True), 0).ravel()
        exact = weights @ np.nan_to_num(v) @ weights
        found = obuchowski_rockette(k.auc.reshape(2, 6), v)
        if found.components.cov2 > found.components.cov3:
            assert_allclose(found.frrc.differences[0, 1].se ** 2, exact, rtol=1e-9)


@given(seeds)
def test_the_order_of_readers_and_cases_does_not_matter(seed):
    ratings, malignant = a_study(seed)
    rng = np.random.default_rng(seed)
    readers, cases = rng.permutation(ratings.shape[1]), rng.permutation(ratings.shape[2])
    shuffled = ratings[:, readers][:, :, cases]

    one, other = compared(ratings, malignant), compared(shuffled, malignant[cases])
    assert_allclose(other.rrrc.test[:4], one.rrrc.test[:4], rtol=1e-8)
    first, second = u_statistics(ratings, malignant), u_statistics(shuffled, malignant[cases])
    assert_allclose(second.differences[0, 1].variance, first.differences[0, 1].variance, rtol=1e-8)


@given(seeds)
def test_swapping_modalities_turns_a_difference_round(seed):
    ratings, malignant = a_study(seed)
    one, other = compared(ratings, malignant), compared(ratings[::-1], malignant)
    d, e = one.rrrc.differences[0, 1], other.rrrc.differences[0, 1]

    assert_allclose([e.estimate, e.se, e.t, e.lower], [-d.estimate, d.se, -d.t, -d.upper])


def test_a_test_is_on_the_chosen_pair_when_there_are_three_modalities():
    ratings, malignant = a_study(5, n_modalities=3)
    found = compared(ratings, malignant)

    assert list(found.rrrc.differences) == [(0, 1), (0, 2), (1, 2)]
    assert found.rrrc.test.df1 == 2
    assert_allclose(found.rrrc.differences[0, 2].df, found.rrrc.test.df2)


def test_one_reader_gives_conclusions_for_this_reader_only():
    ratings, malignant = a_study(3, n_readers=1)
    found = compared(ratings, malignant)

    assert "one reader" in found.rrrc.test.reason
    assert "one reader" in found.rrfc.differences[0, 1].reason
    assert np.isfinite(found.frrc.test.p)
    assert_allclose(found.frrc.test.chi2, found.frrc.differences[0, 1].z ** 2)


def test_one_modality_has_means_and_no_test():
    ratings, malignant = a_study(3, n_modalities=1)
    found = compared(ratings, malignant)

    assert "one modality" in found.rrrc.test.reason
    assert np.isfinite(found.rrrc.modalities[0].lower)
    assert np.isfinite(found.components.var_r)


def test_readers_who_changed_modality_halfway_are_not_compared():
    ratings, malignant = a_study(3)
    ratings[1, 0] = np.nan
    found = compared(ratings, malignant)

    assert found.design == "partial"
    assert "neither crossed nor nested" in found.rrrc.differences[0, 1].reason
    assert np.isfinite(found.rrrc.modalities[1].se)
    assert np.isfinite(u_statistics(ratings, malignant).differences[0, 1].p)


def test_perfect_readings_have_no_variance_to_test_against():
    malignant = np.arange(10) < 5
    ratings = np.broadcast_to(malignant * 1.0, (2, 3, 10))
    found = compared(ratings, malignant)
    u = u_statistics(ratings, malignant).differences[0, 1]

    assert np.isnan([found.rrrc.test.f, found.frrc.test.chi2, found.rrfc.test.f]).all()
    assert u.variance == 0
    assert np.isnan([u.df, u.p, u.p_floor]).all()
    assert "0" in u.reason


def test_the_ai_beside_one_reader_is_a_paired_comparison():
    ratings, malignant = a_study(3, n_modalities=1, n_readers=2)
    k = kernel(flat(ratings), malignant)
    v = covariance.delong(k)
    found = against_standalone(k.auc, v, 1)

    assert_allclose(found.estimate, k.auc[1])
    assert_allclose(found.frrc.estimate, k.auc[0] - k.auc[1])
    assert_allclose(found.frrc.se**2, v[0, 0] + v[1, 1] - 2 * v[0, 1])


def test_readers_as_good_as_the_ai_in_every_case_differ_by_nothing():
    ratings, malignant = a_study(3, n_modalities=1, n_readers=1)
    same = np.repeat(ratings, 4, axis=1)
    k = kernel(flat(same), malignant)
    found = against_standalone(k.auc, covariance.delong(k), 0)

    assert found.rrrc.estimate == 0
    assert "0" in found.rrrc.reason


@given(seeds, st.sampled_from(["sensitivity", "specificity"]))
def test_sensitivity_and_specificity_have_one_covariance_where_all_was_read(seed, endpoint):
    ratings, malignant = a_study(seed)
    decided = binary.decisions(flat(ratings), malignant, 0.7, endpoint)
    kinds = [
        binary.covariance_of_shares(decided, kind, None)
        for kind in ("jackknife", "delong", "unbiased")
    ]

    assert_allclose(kinds[1], kinds[0], atol=1e-14)
    assert_allclose(kinds[2], kinds[0], atol=1e-14)


@given(seeds, st.sampled_from(["sensitivity", "specificity"]))
def test_a_share_is_the_auc_of_decisions(seed, endpoint):
    ratings, malignant = a_study(seed)
    decided = binary.decisions(flat(ratings), malignant, 0.7, endpoint)
    as_ratings, _ = binary.as_ratings(flat(ratings), malignant, 0.7, endpoint)
    k = kernel(as_ratings, malignant)

    assert_allclose(k.auc, decided.share)
    assert_allclose(covariance.delong(k), binary.covariance_of_shares(decided, "delong", None))


def test_cases_of_one_patient_widen_the_interval_of_sensitivity():
    ratings = np.array([[1.0, 1, 1, 0, 0, 0, 1, 1]])
    malignant = np.ones(8, dtype=bool)
    decided = binary.decisions(ratings, malignant, 1, "sensitivity")
    patients = np.array([0, 0, 0, 1, 1, 1, 2, 2])

    alone = binary.covariance_of_shares(decided, "delong", None)
    together = binary.covariance_of_shares(decided, "delong", patients)
    assert together[0, 0] > alone[0, 0]
    each = binary.covariance_of_shares(decided, "delong", np.arange(8))
    assert_allclose(each, alone)


def test_the_test_keeps_its_level_when_nothing_differs():
    rejected = 0
    for seed in range(200):
        ratings, malignant = simulate(np.random.default_rng(seed), (1.5, 1.5), 5, 25, 25)
        rejected += compared(ratings, malignant).rrrc.test.p < 0.05

    # Two-sided 99.9 % limits of 200 draws at 5 %.
    assert stats.binom.ppf(0.0005, 200, 0.05) <= rejected <= stats.binom.ppf(0.9995, 200, 0.05)


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="do not match"):
        obuchowski_rockette([[0.8, 0.9]], np.eye(3))
    with pytest.raises(ValueError, match="no reader"):
        obuchowski_rockette([[np.nan, np.nan]], np.eye(2))
    with pytest.raises(ValueError, match="shape"):
        u_statistics([[1.0, 2.0]], [True, False])
    with pytest.raises(ValueError, match="do not match"):
        dbm([[0.5]], np.zeros((2, 1, 3)))
