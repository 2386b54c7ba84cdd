"""Cubes for training: made of the same nodules as the cases."""

import numpy as np

from phantom import FEATURES, nodule_cube, random_nodule
from phantom.nodule import LARGEST_MM, SMALLEST_MM


def test_a_cube_is_a_hundred_millimetres_around_a_nodule_denser_than_lung() -> None:
    for seed in range(12):
        sample = nodule_cube(seed)
        assert sample.hu.shape == (100, 100, 100)
        assert sample.hu.dtype == np.int16
        assert sample.hu.min() >= -1024
        middle = np.median(sample.hu[49:52, 49:52, 49:52])
        if sample.features["cavitation"] == "absent":
            assert middle > -760, (seed, sample.features)
        assert SMALLEST_MM <= sample.diameter_mm <= LARGEST_MM
        assert list(sample.features) == list(FEATURES)


def test_a_cube_drawn_twice_is_the_same_and_another_seed_gives_another() -> None:
    first, again, other = nodule_cube(7), nodule_cube(7), nodule_cube(8)

    assert np.array_equal(first.hu, again.hu)
    assert (first.features, first.malignant) == (again.features, again.malignant)
    assert not np.array_equal(first.hu, other.hu)


def test_random_nodules_have_all_features_and_a_truth_that_features_suggest_but_do_not_decide() -> (
    None
):
    nodules = [random_nodule(seed) for seed in range(2000)]

    for feature, categories in FEATURES.items():
        seen = [nodule.features[feature] for nodule in nodules]
        assert all(seen.count(category) >= 40 for category in categories), feature
    malignant = np.array([nodule.malignant for nodule in nodules])
    spiculated = np.array([nodule.features["margin"] == "spiculated" for nodule in nodules])
    assert 0.3 < malignant.mean() < 0.5
    assert 0.5 < malignant[spiculated].mean() < 0.8
    assert 0.15 < malignant[~spiculated].mean() < 0.4


def test_the_longest_axial_diameter_is_the_stated_one() -> None:
    plain = {
        "consistency": "solid",
        "margin": "smooth",
        "margin_conspicuity": "well_marginated",
        "pleural_attachment": "absent",
        "pleural_retraction": "absent",
    }
    seeds = [
        seed
        for seed in range(400)
        if plain.items() <= random_nodule(seed).features.items()
        and random_nodule(seed).diameter_mm > 8
    ]
    assert len(seeds) >= 6
    for sample in map(nodule_cube, seeds[:6]):
        # Midway between lung and tissue, in every direction of the axial plane.
        plane = sample.hu[50].astype(float)
        steps = np.arange(0, 20, 0.25)
        reach = []
        for angle in np.linspace(0, 2 * np.pi, 72, endpoint=False):
            y = np.rint(50 + steps * np.sin(angle)).astype(int)
            x = np.rint(50 + steps * np.cos(angle)).astype(int)
            outside = np.flatnonzero((plane[y, x] < -400) & (steps > 0.3 * sample.diameter_mm))
            reach.append(steps[outside[0]])
        across = np.array(reach) + np.roll(reach, 36)
        assert abs(np.sort(across)[-3] - sample.diameter_mm) < 2
