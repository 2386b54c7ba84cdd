"""Simulated readers, and the variance components that they have."""

import json

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from reader_study.statistics import covariance
from reader_study.statistics.__main__ import main
from reader_study.statistics.auc import kernel
from reader_study.statistics.mrmc import obuchowski_rockette
from reader_study.statistics.power import RoeMetz, simulate
from reader_study.statistics.roe_metz import to_obuchowski_rockette, to_roe_metz
from reader_study.statistics.variances import Components
from tests.statistics.laws import given
from tests.statistics.test_command_line import readings, write

shares = st.floats(0.05, 1)


@given(st.floats(0.3, 3), st.lists(shares, min_size=4, max_size=4), shares, shares, examples=50)
def test_readers_made_from_their_components_are_the_same_readers(separation, cases, r, tr):
    part = np.array(cases) / sum(cases)
    given_ = RoeMetz(r / 20, tr / 20, *part)
    mean, components = to_obuchowski_rockette(separation, given_, 40, 60)
    back = to_roe_metz(mean, components, 40, 60)

    assert back.separation == pytest.approx(separation, rel=1e-6)
    assert_allclose(back.variances, given_, rtol=1e-4, atol=1e-6)
    assert back.error == pytest.approx(components.error, rel=1e-6)


def test_components_are_the_means_of_simulated_studies():
    v = RoeMetz(0.03, 0.03, 0.3, 0.2, 0.2, 0.3)
    mean, expected = to_obuchowski_rockette(1.5, v, 20, 20)
    rng = np.random.default_rng(1)
    found, aucs = [], []
    for _ in range(1000):
        ratings, malignant = simulate(rng, (1.5, 1.5), 4, 20, 20, v)
        cells = ratings.reshape(8, -1)
        k = kernel(cells, malignant)
        unbiased = covariance.unbiased(covariance.moments(cells, malignant))
        found.append(obuchowski_rockette(k.auc.reshape(2, 4), unbiased).components[:6])
        aucs.append(k.auc.mean())

    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.mean(aucs) == pytest.approx(mean, abs=5 * np.std(aucs) / np.sqrt(len(aucs)))
    assert (np.abs(np.mean(found, axis=0) - expected[:6]) < 5 * error).all()


def test_components_that_no_readers_have_are_refused():
    plausible = Components(1e-3, 1e-3, 1.5e-3, 5e-4, 4e-4, 3e-4)
    assert to_roe_metz(0.85, plausible, 50, 50).variances.error > 0
    with pytest.raises(ValueError, match="case_modality is below 0"):
        to_roe_metz(0.85, plausible._replace(cov2=1e-4), 50, 50)
    with pytest.raises(ValueError, match="vary more"):
        to_roe_metz(0.85, plausible._replace(var_r=0.5), 50, 50)


def test_a_pilot_gives_the_readers_to_rehearse_with(tmp_path):
    path = write(tmp_path / "pilot.csv", readings(n_readers=5, n_malignant=30, n_benign=30))
    out = tmp_path / "power.json"
    common = ["power", "--effect", "0.05", "--readers", "5", "--json", str(out)]
    assert main([*common, "--pilot", str(path)]) == 0
    found = json.loads(out.read_text())
    values = ",".join(map(repr, found["components"].values()))
    assert "simulated_readers" in found
    plausible = "1e-3,1e-3,1.5e-3,5e-4,4e-4,3e-4"
    options = ["--pilot-cases", "100", "--accuracy", "0.85"]
    assert main([*common, f"--components={plausible}", *options]) == 0
    like = json.loads(out.read_text())["simulated_readers"]["variances"]
    wanted = to_roe_metz(0.85, Components(*map(float, plausible.split(","))), 50, 50).variances
    assert_allclose(list(like.values()), wanted)
    assert main([*common, f"--components={values}", "--pilot-cases", "60"]) == 0
    assert "simulated_readers" not in json.loads(out.read_text())
