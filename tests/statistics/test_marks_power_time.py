"""Marks on images, power, reading time, and what the AI does to readers."""

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from reader_study.statistics import froc, influence, power, time
from reader_study.statistics.auc import empirical_auc
from reader_study.statistics.froc import UNMARKED, Marks
from reader_study.statistics.variances import Components
from tests.statistics.laws import given

PILOT = Components(0.0015, 0.0002, 0.0008, 0.00035, 0.00034, 0.00024)


def marks_of(elsewhere, lesions, case_of_lesion, weight=None):
    """Return the marks of one reader in one modality."""
    elsewhere = np.array([elsewhere], dtype=float)
    case = np.array(case_of_lesion)
    malignant = np.isin(np.arange(elsewhere.shape[1]), case)
    n = np.bincount(case, minlength=elsewhere.shape[1])
    weight = 1 / n[case] if weight is None else np.array(weight)
    marked = np.isfinite(elsewhere).astype(float)
    return Marks(elsewhere, marked, np.array([lesions], dtype=float), case, weight, malignant)


def test_figures_of_merit_of_an_example_worked_by_hand():
    # Two benign cases, one marked at 3; a case with lesions at 4 and unmarked, one with 2.
    m = marks_of([3, UNMARKED, 1, UNMARKED], [4, UNMARKED, 2], [2, 2, 3])

    # 4 beats both; unmarked loses and ties; 2 loses and wins.
    assert_allclose(froc.MERITS["AFROC"](m).value, [(2 + 0.5 + 1) / 6])
    assert_allclose(froc.MERITS["wAFROC"](m).value, [((2 + 0.5) / 2 + 1) / 4])
    # Malignant cases count too, one marked at 1: 4 and 2 beat both, the unmarked one ties once.
    assert_allclose(froc.MERITS["AFROC1"](m).value, [(2 + 0.5 + 1 + 2 + 0.5 + 2) / 12])
    assert_allclose(froc.MERITS["HrAuc"](m).value, [(1 + 1 + 0 + 1) / 4])
    assert_allclose(froc.MERITS["MaxLLF"](m).value, [2 / 3])
    assert_allclose(froc.MERITS["MaxNLF"](m).value, [1 / 2])
    assert_allclose(froc.MERITS["HrSe"](m).value, [1])
    assert_allclose(froc.MERITS["HrSp"](m).value, [1 / 2])


@given(st.lists(st.integers(0, 4), min_size=8, max_size=8))
def test_one_lesion_a_case_and_no_other_mark_is_an_roc_study(ratings):
    malignant = np.arange(8) >= 4
    elsewhere = [*ratings[:4], *[UNMARKED] * 4]
    m = marks_of(elsewhere, ratings[4:], [4, 5, 6, 7])

    for name in ("AFROC", "wAFROC", "HrAuc"):
        assert_allclose(froc.MERITS[name](m).value, empirical_auc([ratings], malignant))


@given(st.integers(0, 10_000))
def test_leaving_a_case_out_is_estimating_without_its_marks_and_lesions(seed):
    rng = np.random.default_rng(seed)
    elsewhere = np.where(rng.random(7) < 0.5, UNMARKED, rng.integers(0, 4, 7))
    case = np.array([3, 3, 4, 5, 6, 6, 6])
    lesions = np.where(rng.random(7) < 0.3, UNMARKED, rng.integers(0, 4, 7))
    m = marks_of(elsewhere, lesions, case)
    for merit in froc.MERITS.values():
        without = merit(m).without
        for left_out in range(7):
            rest = np.arange(7) != left_out
            kept = case != left_out
            number = np.cumsum(rest) - 1
            fewer = marks_of(elsewhere[rest], lesions[kept], number[case[kept]], m.weight[kept])
            if fewer.malignant.any() and not fewer.malignant.all():
                assert_allclose(without[:, left_out], merit(fewer).value, atol=1e-12)


def test_an_unknown_figure_of_merit_is_refused():
    with pytest.raises(ValueError, match="is not one of"):
        froc.merit_and_covariance(marks_of([1, 2], [1], [1]), "JAFROC")


def test_power_without_an_effect_is_the_level():
    for analysis in power.ANALYSES:
        found = power.power(PILOT, 100, effect=0, readers=5, cases=100, analysis=analysis)
        assert_allclose(found.power, 0.05)


def test_more_readers_or_cases_give_more_power():
    at = [
        power.power(PILOT, 100, effect=0.04, readers=j, cases=k).power
        for j, k in ((5, 100), (8, 100), (8, 300))
    ]

    assert at == sorted(at)
    assert at[0] < at[-1]


def test_too_few_readers_say_so_in_place_of_a_number_of_cases():
    found = power.cases_needed(PILOT, 100, effect=0.01, readers=2)

    assert np.isnan(found.cases)
    assert "2 readers" in found.reason
    with pytest.raises(ValueError, match="too few"):
        power.power(PILOT, 100, effect=0.01, readers=1, cases=100)
    with pytest.raises(ValueError, match="not one of"):
        power.power(PILOT, 100, effect=0.01, readers=3, cases=100, analysis="x")
    with pytest.raises(ValueError, match="between 0 and 1"):
        power.plan(
            endpoint="auc", readers=1, effect=0.1, accuracy=0.8, range_between=0.1, range_within=0
        )


@pytest.mark.parametrize(("n", "published"), [(2, 1.128), (5, 2.326), (10, 3.078)])
def test_the_expected_range_is_the_constant_of_quality_control(n, published):
    assert_allclose(power.range_constant(n), published, rtol=0, atol=0.0006)


def test_simulated_readers_have_the_auc_they_were_given():
    ratings, malignant = power.simulate(np.random.default_rng(4), (1.5,), 40, 4000, 4000)
    found = empirical_auc(ratings.reshape(40, -1), malignant).mean()

    # The latent variances of case and reading sum to 1, those of readers add 0.011.
    assert_allclose(found, stats.norm.cdf(1.5 / np.sqrt(2 * 1.011)), atol=0.02)


def timed(seed=0, n_readers=5, n_cases=12, effect=-0.2, reader_effect=0.1):
    rng = np.random.default_rng(seed)
    reader, case, modality = (x.ravel() for x in np.indices((n_readers, n_cases, 2)))
    logs = (
        3.5
        + rng.normal(0, 0.3, n_readers)[reader]
        + rng.normal(0, 0.3, n_cases)[case]
        + effect * (modality == 0)
        + rng.normal(0, reader_effect, (n_readers, 2))[reader, modality]
        + rng.normal(0, 0.2, len(reader))
    )
    return np.exp(logs), reader, case, modality


@given(st.integers(0, 1000), examples=20)
def test_a_balanced_study_is_a_paired_t_test_of_the_readers(seed):
    seconds, reader, case, modality = timed(seed, reader_effect=0.3)
    found = time.model_times(seconds, reader, case, modality)
    means = np.log(seconds).reshape(5, 12, 2).mean(axis=1)
    expected = stats.ttest_rel(means[:, 0], means[:, 1])
    d = found.comparisons[0, 1]

    assert_allclose(d.difference.estimate, (means[:, 0] - means[:, 1]).mean())
    assert_allclose(d.ratio, np.exp(d.difference.estimate))
    # A variance of 0 is pooled with others; only then the two differ.
    if min(found.var_reader, found.var_reader_modality) > 0.005:
        assert_allclose(d.difference.t, expected.statistic, rtol=1e-4)
        assert_allclose(d.difference.df, 4, rtol=1e-2)


def test_tiredness_is_told_from_the_effect_of_the_ai():
    seconds, reader, case, modality = timed(3, n_readers=8, n_cases=40)
    position = np.random.default_rng(1).permutation(40)[case].astype(float)
    seconds = seconds * np.exp(-0.01 * position)
    found = time.model_times(seconds, reader, case, modality, covariates=position[:, None])

    [slope] = found.covariates
    assert "covariates" in found.formula
    assert abs(slope.estimate + 0.01) < 4 * slope.se


def test_times_that_cannot_be_are_refused():
    seconds, reader, case, modality = timed()
    with pytest.raises(ValueError, match="above 0"):
        time.model_times(seconds * 0, reader, case, modality)
    with pytest.raises(ValueError, match="two readers"):
        time.model_times(seconds, reader * 0, case, modality)
    with pytest.raises(ValueError, match="do not match"):
        time.model_times(seconds[1:], reader, case, modality)
    with pytest.raises(ValueError, match="do not vary"):
        time.model_times(np.full(len(seconds), 30.0), reader, case, modality)
    with pytest.raises(ValueError, match="does not vary"):
        time.model_times(seconds, reader, case, modality, covariates=np.ones((len(seconds), 1)))


def test_paired_times_are_compared_by_signed_ranks():
    found = time.paired([10, 20, 30, 40, 55], [11, 22, 33, 44, 60])

    assert_allclose(found.p, 2 / 2**5)
    assert_allclose([found.median_first, found.median_second], [30, 33])
    assert time.paired([], []).reason
    assert time.paired([1, 2], [1, 2]).reason


def test_switches_are_counted_by_whether_the_ai_was_right():
    malignant = np.array([1, 1, 1, 0, 0, 0], dtype=bool)
    advice = np.array([1, 1, 0, 1, 0, 0], dtype=bool)  # wrong on the third and fourth
    before = np.array([0, 0, 1, 0, 1, 0], dtype=bool)
    after = np.array([1, 0, 0, 1, 0, 0], dtype=bool)
    found = influence.influence(before, after, advice, malignant)

    assert (found.benefit.estimate, found.benefit.n) == (2 / 3, 3)
    assert (found.harm.estimate, found.harm.n) == (1, 2)
    assert (found.commission.n, found.omission.n) == (1, 1)
    assert found.override.estimate == 0
    assert (found.agreement_before.estimate, found.agreement_after.estimate) == (1 / 6, 5 / 6)


def test_net_reclassification_is_the_change_of_sensitivity_and_specificity():
    rng = np.random.default_rng(0)
    before, after, malignant = rng.random((3, 4, 30)) < 0.5
    found = influence.reclassification(before, after, malignant)

    assert_allclose(found.net_malignant, after[malignant].mean() - before[malignant].mean())
    assert_allclose(found.net_benign, before[~malignant].mean() - after[~malignant].mean())
    assert np.isnan(influence.reclassification([1], [1], [1]).net_benign)


def test_advice_is_weighed_where_there_was_something_to_take():
    found = influence.weight_of_advice([20, 50, 40, 90], [40, 50, 80, 95], [60, 50, 80, 50])

    # Half way, nothing to move to, all the way, and away from the advice.
    assert_allclose(found.values, [0.5, 1, 0])
    assert (found.n, found.n_left_out, found.median) == (3, 1, 0.5)
    assert influence.weight_of_advice([1], [1], [1]).reason


def test_disagreement_on_a_feature_is_held_against_switches():
    switched = np.array([1] * 8 + [0] * 12, dtype=bool)
    found = influence.disagreement_and_switch(
        {"margin": switched, "shape": np.arange(20) % 2 == 0}, switched
    )

    assert found["margin"].odds_ratio > 100
    assert found["margin"].p_holm == pytest.approx(2 * found["margin"].p)
    assert found["shape"].p > 0.5


def test_readers_and_cases_are_resampled_from_the_same_seed_alike():
    values = np.random.default_rng(0).normal(1, 1, (6, 40))

    def mean(readers, cases):
        return float(values[np.ix_(readers, cases)].mean())

    one, other = (
        influence.bootstrap(mean, 6, 40, np.random.default_rng(7), repeats=300) for _ in range(2)
    )
    assert one == other
    assert one.lower < one.estimate < one.upper
    never = influence.bootstrap(lambda *_: float("nan"), 6, 40, np.random.default_rng(7), repeats=9)
    assert np.isnan(never.lower)
    with pytest.raises(ValueError, match="no reading"):
        influence.influence([], [], [], [])
