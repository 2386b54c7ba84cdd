import numpy as np
import pytest

from inference.training.folds import grouped_folds

RNG = np.random.default_rng(0)
PATIENT = np.array([f"P{n}" for n in RNG.integers(0, 120, 400)])
MALIGNANT = RNG.random(400) < 0.2


def test_every_patient_is_in_one_fold_and_classes_are_in_balance() -> None:
    fold = grouped_folds(MALIGNANT, PATIENT, 5, seed=1)
    for patient in np.unique(PATIENT):
        assert len(np.unique(fold[patient == PATIENT])) == 1
    sizes = np.bincount(fold, minlength=5)
    assert abs(sizes - 80).max() <= 4
    shares = [MALIGNANT[fold == number].mean() for number in range(5)]
    assert max(shares) - min(shares) < 0.03
    assert (grouped_folds(MALIGNANT, PATIENT, 5, seed=1) == fold).all()
    assert (grouped_folds(MALIGNANT, PATIENT, 5, seed=2) != fold).any()


def test_an_example_worked_by_hand() -> None:
    # Two patients with two malignant nodules each, and four with one benign: each fold gets
    # one of the first and two of the others.
    patient = np.array(["a", "a", "b", "b", "c", "d", "e", "f"])
    malignant = np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    fold = grouped_folds(malignant, patient, 2, seed=0)
    assert fold[0] != fold[2]
    for number in (0, 1):
        assert malignant[fold == number].tolist() == [True, True, False, False]


def test_more_folds_than_patients_of_a_class_are_refused() -> None:
    with pytest.raises(ValueError, match="there are 2"):
        grouped_folds([1, 1, 1, 0, 0, 0, 0], ["a", "a", "b", "c", "d", "e", "f"], 3, seed=0)
