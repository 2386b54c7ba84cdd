"""Nodules of one patient: covariances and U-statistics with patients as the sample."""

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from reader_study.statistics import clustered, covariance
from reader_study.statistics.study import Analysis, analyse, merits
from reader_study.statistics.tables import Study
from reader_study.statistics.ustat import u_statistics
from tests.statistics.laws import given

seeds = st.integers(0, 10_000)


def ratings_of(seed, n_cells=3, most_cases=8):
    """Draw a few ratings with ties and gaps, of cases in up to four clusters."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, most_cases + 1))
    x = rng.integers(0, 4, (n_cells, n)).astype(float)
    x[rng.random(x.shape) < rng.choice([0, 0.2])] = np.nan
    clusters = np.unique(rng.integers(0, 4, n), return_inverse=True)[1]
    return x, np.arange(n) < max(1, n // 2), clusters


def kernel_of(x, i, j):
    return (x[i] > x[j]) + 0.5 * (x[i] == x[j])


@given(seeds, examples=25)
def test_sums_over_pairs_apart_are_those_of_counting_them_all(seed):
    x, malignant, clusters = ratings_of(seed)
    there = ~np.isnan(x)
    products, pairs = np.zeros((2, 4, len(x), len(x)))
    places = [
        (i, j, a, b)
        for i in np.flatnonzero(malignant)
        for j in np.flatnonzero(~malignant)
        for a in np.flatnonzero(malignant)
        for b in np.flatnonzero(~malignant)
        if not {clusters[i], clusters[j]} & {clusters[a], clusters[b]}
    ]
    for g in range(len(x)):
        for h in range(len(x)):
            for i, j, a, b in places:
                kind = 2 * (clusters[i] == clusters[j]) + (clusters[a] == clusters[b])
                products[kind, g, h] += kernel_of(x[g], i, j) * kernel_of(x[h], a, b)
                pairs[kind, g, h] += there[g, [i, j]].all() and there[h, [a, b]].all()
    found = clustered.sums(x, malignant, clusters)

    assert_allclose(found.products_apart, products, atol=1e-9)
    assert_allclose(found.pairs_apart, pairs, atol=1e-9)


def test_slices_of_clusters_make_no_difference(monkeypatch):
    x, malignant, clusters = ratings_of(3, most_cases=60)
    whole = clustered.sums(x, malignant, clusters)
    monkeypatch.setattr(clustered, "CHUNK_PAIRS", 1)

    assert_allclose(clustered.sums(x, malignant, clusters).products_apart, whole.products_apart)


@given(seeds, examples=25)
def test_patients_with_one_nodule_each_are_cases(seed):
    x, malignant, _ = ratings_of(seed, n_cells=6, most_cases=20)
    alone = np.arange(len(malignant))
    found = clustered.unbiased(clustered.sums(x, malignant, alone))
    assert_allclose(
        found, covariance.unbiased(covariance.moments(x, malignant)), rtol=1e-9, atol=1e-12
    )
    ours = clustered.u_statistics(x.reshape(2, 3, -1), malignant, alone).differences[0, 1]
    theirs = u_statistics(x.reshape(2, 3, -1), malignant).differences[0, 1]
    assert_allclose([ours.estimate, ours.variance], [theirs.estimate, theirs.variance], atol=1e-12)


def twins(seed=0, n_patients=40):
    """Return a study in which every patient has the same nodule twice."""
    rng = np.random.default_rng(seed)
    malignant = np.arange(n_patients) % 2 == 0
    shared = rng.normal(0, 1, n_patients) + malignant
    x = shared + rng.normal(0, 0.7, (2, 4, n_patients)) + rng.normal(0, 0.2, (2, 4, 1))
    names = ["A", "B"], [*"1234"], [str(i) for i in range(n_patients)]
    one = Study(*names, x, malignant)
    double = np.repeat(np.arange(n_patients), 2)
    two = Study(
        names[0],
        names[1],
        [f"{i}" for i in range(2 * n_patients)],
        x[:, :, double],
        malignant[double],
        double,
    )
    return one, two


@pytest.mark.parametrize("endpoint", ["auc", "sensitivity", "specificity"])
@pytest.mark.parametrize("kind", ["jackknife", "delong", "unbiased"])
def test_a_nodule_that_stands_twice_in_its_patient_adds_nothing(kind, endpoint):
    one, two = twins()
    asked = Analysis(covariance=kind, endpoint=endpoint)
    threshold = None if endpoint == "auc" else 0.5

    for ours, theirs in zip(
        merits(two, asked, threshold), merits(one, asked, threshold), strict=True
    ):
        # Within a patient the twins tie, so that a patient is no worse for having both.
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_u_statistics_of_patients_are_those_of_their_only_nodules():
    one, two = twins()
    ours, theirs = (analyse(s, Analysis(method="ustat")) for s in (two, one))

    ours, theirs = (found["differences"]["A - B"] for found in (ours, theirs))
    assert ours["variance"].value == pytest.approx(theirs["variance"].value, rel=1e-9)
    assert ours["df_hillis"].value == pytest.approx(theirs["df_hillis"].value, rel=1e-9)
    assert ours["p"].value == pytest.approx(theirs["p"].value, abs=0.02)


def test_the_variance_over_patients_is_right_on_average():
    # The estimate has no bias, so its mean is the variance of the AUC between studies.
    rng = np.random.default_rng(1)
    aucs, variances = [], []
    for _ in range(400):
        patient = np.repeat(np.arange(20), 3)
        malignant = (patient % 2 == 0) ^ (np.tile([0, 0, 1], 20) == 1)
        x = rng.normal(0, 1, 20)[patient] + rng.normal(0, 0.7, 60) + malignant
        s = clustered.sums(x[None], malignant, patient)
        aucs.append(np.sqrt(s.products[0, 0] / s.pairs.sum()))
        variances.append(clustered.unbiased(s)[0, 0])
    # A variance of 400 draws is known to 7 % (one standard error).
    assert np.mean(variances) == pytest.approx(np.var(aucs, ddof=1), rel=0.2)
