"""The generated cases: anatomy, nodules and their truth."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phantom import (
    FEATURES,
    Case,
    Volume,
    chance_of_malignancy,
    demo_cases,
    earlier_examination,
    volume,
)
from phantom import __main__ as command
from phantom.anatomy import Chest

ROWS = 128  # a quarter of the matrix shows the same body, sixteen times faster


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return demo_cases(10, rows=ROWS)


@pytest.fixture(scope="module")
def drawn(cases: list[Case]) -> dict[int, Volume]:
    return {case.number: volume(case) for case in cases[:3:2]}


def region(case: Case, box_mm: tuple[tuple[float, float], ...], hu: NDArray[np.int16]) -> Volume:
    """Return the voxels of a box given in body millimetres of the average body, (z, y, x)."""
    chest = Chest(case.person, case.body_grid)
    scales = (chest.stretch, chest.scale, chest.scale)
    ends = np.array(box_mm) * np.array(scales)[:, None]
    box = case.body_grid.box(ends[:, 0], ends[:, 1])
    assert box is not None
    return Volume(hu[box], case.body_grid.within(box))


def test_ten_cases_hold_every_value_of_the_main_features(cases: list[Case]) -> None:
    nodules = [placed.nodule for case in cases for placed in case.nodules]

    assert len(nodules) >= 14
    for feature, categories in FEATURES.items():
        assert {nodule.features[feature] for nodule in nodules} == set(categories), feature
    diameters = [nodule.diameter_mm for nodule in nodules]
    assert min(diameters) == 5
    assert max(diameters) == 28
    assert 4 <= sum(nodule.malignant for nodule in nodules) <= 10


def test_a_case_is_a_chest_of_sixty_slices_or_more_and_cases_differ(cases: list[Case]) -> None:
    assert all(case.slices >= 60 for case in cases)
    assert all(0.6 <= case.spacing_mm * ROWS / 512 <= 0.8 for case in cases)
    assert len({case.spacing_mm for case in cases}) >= 8
    uids = [uid for c in cases for uid in (c.study_uid, c.series_uid, c.frame_of_reference_uid)]
    assert len(set(uids)) == 3 * len(cases)
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)


def test_a_case_drawn_twice_is_the_same_to_the_last_voxel(drawn: dict[int, Volume]) -> None:
    again = volume(demo_cases(1, rows=ROWS)[0])

    assert np.array_equal(again.hu, drawn[1].hu)
    assert again.grid == drawn[1].grid


def test_the_matrix_does_not_move_nodules(cases: list[Case]) -> None:
    full = demo_cases(2)

    assert [case.nodules for case in full] == [case.nodules for case in cases[:2]]
    assert full[0].grid.shape[1:] == (512, 512)


@pytest.mark.parametrize("number", [1, 3])
def test_tissues_have_the_densities_a_radiologist_expects(
    cases: list[Case], drawn: dict[int, Volume], number: int
) -> None:
    case, hu = cases[number - 1], drawn[number].hu

    def middle(*box: tuple[float, float]) -> float:
        return float(np.median(region(case, box, hu).hu))

    assert -905 < middle((60, 190), (-60, 60), (-95, -60)) < -800  # right lung
    assert -905 < middle((60, 190), (-60, 60), (70, 95)) < -800  # left lung
    assert -1010 < middle((150, 200), (4, 9), (-3, 3)) < -900  # trachea
    assert 20 < middle((50, 65), (-35, -15), (10, 35)) < 70  # heart
    assert 20 < middle((60, 90), (34, 40), (22, 28)) < 60  # descending aorta
    assert 30 < middle((0, 12), (-30, 10), (-80, -40)) < 80  # liver
    assert middle((20, 180), (44, 56), (-8, 8)) > 100  # vertebrae
    assert middle((10, 200), (-125, -118), (-20, 20)) < -950  # air before the chest


def test_bone_takes_the_share_of_the_body_it_does_in_people(drawn: dict[int, Volume]) -> None:
    for hu, _ in drawn.values():
        body = (hu > -300).sum()
        assert 0.02 < (hu > 250).sum() / body < 0.15
        lung = ((hu > -950) & (hu < -700)).sum()
        assert 0.15 < lung / body < 0.8


def test_ribs_lie_around_both_lungs_at_many_heights(
    cases: list[Case], drawn: dict[int, Volume]
) -> None:
    case, hu = cases[0], drawn[1].hu
    for side in (-1, 1):
        lateral = sorted((side * 125, side * 145))
        strip = region(case, ((20, 190), (-3, 3), (lateral[0], lateral[1])), hu).hu
        bony = (strip > 250).any(axis=(1, 2))
        assert (np.diff(bony.astype(int)) == 1).sum() >= 4  # apart from each other


def test_nodules_lie_where_the_truth_says(cases: list[Case], drawn: dict[int, Volume]) -> None:
    for number, (hu, grid) in drawn.items():
        for placed in cases[number - 1].nodules:
            nodule = placed.nodule
            centre = np.array(placed.centre_mm[::-1])
            z, y, x = np.meshgrid(*(grid.axis(a) - centre[a] for a in range(3)), indexing="ij")
            away = np.sqrt(x**2 + y**2 + z**2)
            core = np.median(hu[away < max(2.2, 0.2 * nodule.diameter_mm)])
            ring = (away > 0.8 * nodule.diameter_mm + 5) & (away < 0.8 * nodule.diameter_mm + 12)
            around = np.median(hu[ring])

            if nodule.features["pleural_attachment"] == "absent":
                assert around < -780
            least = {"solid": -150, "part_solid": -700, "ground_glass": -720}
            assert core > least[nodule.features["consistency"]], (number, placed)


def test_nodules_of_one_case_are_apart(cases: list[Case]) -> None:
    for case in cases:
        centres = np.array([placed.centre_mm for placed in case.nodules])
        if len(centres) == 2:
            assert np.linalg.norm(centres[0] - centres[1]) > 50


def test_no_nodule_lies_in_the_mediastinum(cases: list[Case]) -> None:
    for case in cases:
        chest = Chest(case.person, case.body_grid)
        for placed in case.nodules:
            x, y, z = np.array(placed.centre_mm) - np.array(case.offset_mm)
            grid = case.body_grid
            index = [
                round((value - origin) / spacing)
                for value, origin, spacing in zip((z, y, x), grid.origin, grid.spacing, strict=True)
            ]
            lung, _ = chest.lung_slice(index[0])
            assert lung[index[1], index[2]] > 0.5


def test_the_chance_of_malignancy_follows_the_stated_rule() -> None:
    plain = dict.fromkeys(FEATURES, "absent") | {
        "margin": "smooth",
        "margin_conspicuity": "well_marginated",
        "shape": "round",
        "consistency": "solid",
    }

    # logit -1.7 at 12 mm without any sign; spiculation adds 1.5
    assert chance_of_malignancy(12, plain) == pytest.approx(1 / (1 + np.exp(1.7)))
    spiculated = plain | {"margin": "spiculated"}
    assert chance_of_malignancy(12, spiculated) == pytest.approx(1 / (1 + np.exp(0.2)))
    assert chance_of_malignancy(20, plain) > chance_of_malignancy(8, plain)


def test_more_cases_than_ten_are_drawn_at_random() -> None:
    more = demo_cases(11, rows=ROWS)

    assert [case.patient_id for case in more][9:] == ["PHANTOM-10", "PHANTOM-11"]
    assert all(case.nodules for case in more)


def test_one_person_was_examined_before_with_a_smaller_nodule_and_less_breath() -> None:
    cases = demo_cases(10, rows=ROWS)
    (prior,) = filter(None, map(earlier_examination, cases))
    (current,) = (case for case in cases if case.study_uid == prior.prior_of)
    drawn = volume(prior)

    assert (prior.patient_id, prior.days_before) == (current.patient_id, 425)
    assert prior.frame_of_reference_uid != current.frame_of_reference_uid
    assert (prior.slice_mm, prior.person.height < current.person.height) == (5.0, True)
    (then,), (now,) = prior.nodules, current.nodules
    assert then.nodule.diameter_mm < 0.7 * now.nodule.diameter_mm
    # It is where its place says: denser than lung.
    z, y, x = (
        round((p - o) / s)
        for p, o, s in zip(then.centre_mm[::-1], drawn.grid.origin, drawn.grid.spacing, strict=True)
    )
    assert drawn.hu[z, y, x] > -500


def test_the_command_adds_the_one_earlier_examination_of_the_cases_and_ends(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(command, "write_case", lambda case, folder: drawn.append(folder.name) or [])
    monkeypatch.setattr("sys.argv", ["phantom", str(tmp_path), "--cases", "10", "--jobs", "1"])

    assert command.main() == 0

    assert len(drawn) == len(set(drawn)) == 11
    assert [name for name in drawn if name.endswith("-prior")] == ["PHANTOM-05-prior"]
