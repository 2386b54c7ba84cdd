import numpy as np
import pytest

from inference.validity import auroc, weighted_auroc, weighted_auroc_with_interval


def test_auroc_of_an_example_worked_by_hand() -> None:
    scores = np.array([3.0, 2.0, 1.0, 2.0])
    assert auroc(scores, np.array([True, True, False, False])) == 3.5 / 4


def test_categories_count_by_their_prevalence() -> None:
    category = np.array([0, 0, 0, 1])
    found = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    # Both categories tell the same two of three pairs right.
    assert weighted_auroc(found, category) == pytest.approx(2 / 3)


def test_an_interval_holds_the_estimate_and_chance_is_not_excluded_for_noise() -> None:
    rng = np.random.default_rng(0)
    category = rng.integers(0, 3, 200)
    value, (low, high) = weighted_auroc_with_interval(rng.random((200, 3)), category)
    assert low < value < high
    assert low < 0.5 < high


def test_where_all_are_alike_there_is_nothing_to_tell_apart() -> None:
    assert weighted_auroc_with_interval(np.ones((5, 2)), np.zeros(5)) == (0.5, (0.0, 1.0))
