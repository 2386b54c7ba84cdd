"""Agreement between raters, against published examples."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from reader_study.statistics import agreement

# Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428: six subjects, four judges.
JUDGES = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
# Krippendorff K. Computing Krippendorff's alpha-reliability. 2011: four observers, 12 units.
NA = np.nan
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NA, NA, NA],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NA, 3],
        [NA, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NA],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NA],
    ]
).T


def test_intraclass_correlations_of_six_subjects_and_four_judges():
    found = agreement.icc(JUDGES)

    published = {
        "oneway_single": 0.17,
        "agreement_single": 0.29,
        "consistency_single": 0.71,
        "oneway_average": 0.44,
        "agreement_average": 0.62,
        "consistency_average": 0.91,
    }
    for form, value in published.items():
        assert_allclose(found[form].estimate, value, rtol=0, atol=0.006)


@pytest.mark.parametrize(
    ("metric", "published"),
    [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)],
)
def test_alpha_of_four_observers_and_twelve_units(metric, published):
    assert_allclose(agreement.krippendorff(OBSERVERS, metric), published, rtol=0, atol=0.0006)


def test_kappa_of_an_example_worked_by_hand():
    # Both yes 20, both no 15, and 5 and 10 apart: observed 0.7, chance 0.5.
    pairs = [[1, 1]] * 20 + [[1, 0]] * 5 + [[0, 1]] * 10 + [[0, 0]] * 15
    found = agreement.cohen(pairs, "unweighted")

    assert_allclose(found.estimate, 0.4)
    for weights in ("linear", "quadratic", "ordinal"):  # two categories have no middle
        assert_allclose(agreement.cohen(pairs, weights).estimate, 0.4)


def test_ac1_of_an_example_worked_by_hand():
    # The shares are 50 % and 50 %, so chance is 2 * 1/2 * 1/2; observed 0.7.
    pairs = [[1, 1]] * 35 + [[1, 0]] * 15 + [[0, 1]] * 15 + [[0, 0]] * 35
    found = agreement.gwet(agreement.table(pairs, "unweighted"))

    assert_allclose([found.observed, found.chance, found.estimate], [0.7, 0.5, 0.4])


def test_ac1_stays_high_where_nearly_all_ratings_are_alike_and_kappa_does_not():
    pairs = [[0, 0]] * 96 + [[1, 0]] * 2 + [[0, 1]] * 2
    table = agreement.table(pairs, "unweighted")

    assert agreement.gwet(table).estimate > 0.95
    assert agreement.cohen(pairs, "unweighted").estimate < 0


def test_raters_who_always_agree_have_full_agreement_and_no_interval():
    same = [[1, 1], [2, 2], [3, 3], [1, 1]]
    for coefficient in agreement.COEFFICIENTS.values():
        found = coefficient(agreement.table(same, "unweighted"))
        assert_allclose(found.estimate, 1)
        assert found.reason or found.lower <= 1


def test_one_category_leaves_nothing_to_chance_so_nothing_is_estimated():
    same = np.ones((5, 3))
    for name, coefficient in agreement.COEFFICIENTS.items():
        found = coefficient(agreement.table(same, "unweighted"))
        if name != "percent_agreement":
            assert np.isnan(found.estimate)
        assert found.reason
    assert np.isnan(agreement.krippendorff(same, "nominal"))
    assert "category" in agreement.cohen(same[:, :2], "unweighted").reason
    assert all("vary" in form.reason for form in agreement.icc(same).values())
    assert np.isnan(agreement.kendall_w(same))


def test_the_order_of_raters_does_not_matter():
    swapped = np.array(JUDGES)[:, ::-1]
    for coefficient in agreement.COEFFICIENTS.values():
        one = coefficient(agreement.table(JUDGES, "linear"))
        other = coefficient(agreement.table(swapped, "linear"))
        assert_allclose(other[:6], one[:6], atol=1e-12)


def test_ratings_that_nobody_shares_are_refused():
    with pytest.raises(ValueError, match="two raters"):
        agreement.table([[1], [2]], "unweighted")
    with pytest.raises(ValueError, match="two raters have rated"):
        agreement.table([[1, NA], [NA, 2]], "unweighted")
    with pytest.raises(ValueError, match="categories"):
        agreement.table([[1, 3]], "unweighted", categories=[1, 2])


def test_a_rater_who_always_gives_the_same_answer_does_not_stop_the_others():
    ratings = [[1, 2, 1], [2, 2, 2], [1, 2, 2], [2, 2, 1]]
    found = agreement.cohen(np.array(ratings)[:, :2], "unweighted")

    assert found.estimate == 0
    with_nobody = np.column_stack([ratings, np.full(4, NA)])
    for coefficient in agreement.COEFFICIENTS.values():
        one = coefficient(agreement.table(ratings, "unweighted"))
        other = coefficient(agreement.table(with_nobody, "unweighted"))
        assert_allclose(other[:6], one[:6])
