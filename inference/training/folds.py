"""Folds that keep a patient's nodules together and the classes in balance."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def grouped_folds(
    classes: ArrayLike, patients: ArrayLike, count: int, seed: int
) -> NDArray[np.int64]:
    """Return which fold each nodule is in, (n,) from 0 to count - 1.

    All nodules of a patient are in one fold. Patients are dealt out in a shuffled order, those
    whose nodules differ most in class first, each to the fold that leaves the share of every
    class most even: stratified grouped k-fold, as the published models were trained.

    Parameters
    ----------
    classes : array_like of bool, shape (n,)
    patients : array_like of str, shape (n,)

    Raises
    ------
    ValueError
        If there are fewer patients of a class than folds.
    """
    truth = np.asarray(classes, dtype=np.int64)
    names, group = np.unique(np.asarray(patients), return_inverse=True)
    counts = np.zeros((len(names), 2))
    np.add.at(counts, (group, truth), 1)
    fewest = int((counts > 0).sum(axis=0).min())
    if fewest < count:
        raise ValueError(
            f"{count} folds need as many patients with, and as many without malignant nodules; "
            f"there are {fewest}"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].std(axis=1), kind="stable")]
    total, held = counts.sum(axis=0), np.zeros((count, 2))
    fold_of = np.empty(len(names), dtype=np.int64)
    for patient in order:
        unevenness = []
        for fold in range(count):
            held[fold] += counts[patient]
            unevenness.append((held / total).std(axis=0).mean())
            held[fold] -= counts[patient]
        # Of folds as good as each other the one with the fewest nodules.
        best = min(range(count), key=lambda fold: (round(unevenness[fold], 12), held[fold].sum()))
        held[best] += counts[patient]
        fold_of[patient] = best
    chosen: NDArray[np.int64] = fold_of[group]
    return chosen
