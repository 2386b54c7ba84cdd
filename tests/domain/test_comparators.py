import itertools

import pytest

from reader_study.domain.comparators import (
    COMPARATORS,
    Consistency,
    NoScore,
    brock,
    diameter_score,
    mayo,
    read_values,
)

A_PATIENT = {
    "age": 62, "female": False, "family_history": False, "emphysema": False, "diameter_mm": 8,
    "consistency": "solid", "upper_lobe": False, "nodules": 4, "spiculated": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("age", "female", "family", "emphysema", "mm", "kind", "upper", "nodules", "spiculated", "p"),
    [
        (62, 0, 0, 0, 4, "solid", 0, 4, 0, 0.001125),
        (65, 1, 1, 1, 10, "solid", 1, 1, 1, 0.331206),
        (65, 0, 0, 0, 10, "solid", 0, 1, 0, 0.034682),
        (70, 0, 0, 1, 20, "part_solid", 1, 2, 1, 0.602409),
        (55, 1, 0, 0, 6, "ground_glass", 0, 3, 0, 0.007602),
    ],
)
def test_brock_gives_the_published_risks(
    age: int,
    female: int,
    family: int,
    emphysema: int,
    mm: int,
    kind: Consistency,
    upper: int,
    nodules: int,
    spiculated: int,
    p: float,
) -> None:
    found = brock(
        age=age,
        female=bool(female),
        family_history=bool(family),
        emphysema=bool(emphysema),
        diameter_mm=mm,
        consistency=kind,
        upper_lobe=bool(upper),
        nodules=nodules,
        spiculated=bool(spiculated),
    )
    assert found == pytest.approx(p, abs=5e-7)


@pytest.mark.parametrize(
    ("age", "smoker", "cancer", "mm", "spiculated", "upper", "p"),
    [
        (65, 1, 0, 10, 0, 1, 0.192134),
        (65, 1, 0, 20, 1, 1, 0.706511),
        (50, 0, 0, 8, 0, 0, 0.020775),
    ],
)
def test_mayo_gives_the_published_risks(
    age: int, smoker: int, cancer: int, mm: int, spiculated: int, upper: int, p: float
) -> None:
    found = mayo(
        age=age,
        ever_smoked=bool(smoker),
        extrathoracic_cancer=bool(cancer),
        diameter_mm=mm,
        spiculated=bool(spiculated),
        upper_lobe=bool(upper),
    )
    assert found == pytest.approx(p, abs=5e-7)


@pytest.mark.parametrize(
    "wrong",
    [{"diameter_mm": 0}, {"diameter_mm": float("nan")}, {"nodules": 0}, {"consistency": "hard"}],
)
def test_brock_refuses_what_no_nodule_has(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        brock(**A_PATIENT | wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("mm", [3.9, 30.1, float("nan")])
def test_mayo_is_not_stretched_beyond_the_diameters_it_was_made_from(mm: float) -> None:
    with pytest.raises(ValueError, match="from 4 to 30 mm"):
        mayo(
            age=60,
            ever_smoked=True,
            extrathoracic_cancer=False,
            diameter_mm=mm,
            spiculated=False,
            upper_lobe=False,
        )


def test_a_larger_nodule_is_never_less_suspicious() -> None:
    sizes = [4.0, 6.0, 8.0, 15.0, 30.0]
    by_brock = [brock(**A_PATIENT | {"diameter_mm": mm}) for mm in sizes]  # type: ignore[arg-type]
    by_mayo = [
        mayo(
            age=60,
            ever_smoked=False,
            extrathoracic_cancer=False,
            diameter_mm=mm,
            spiculated=False,
            upper_lobe=False,
        )
        for mm in sizes
    ]
    for risks in (by_brock, by_mayo, [diameter_score(mm) for mm in sizes]):
        assert all(low < high for low, high in itertools.pairwise(risks))


@pytest.mark.parametrize("mm", [0, -1, float("nan"), float("inf"), 201])
def test_what_is_no_diameter_has_no_score(mm: float) -> None:
    with pytest.raises(NoScore, match="diameter of"):
        diameter_score(mm)


BROCK = {
    "age": "65", "sex": "Female", "family_history": "yes", "emphysema": "1", "diameter_mm": "10",
    "consistency": "solid", "upper_lobe": "true", "nodules": "1", "spiculated": "yes",
}  # fmt: skip
MAYO = {
    "age": "65", "ever_smoked": "yes", "extrathoracic_cancer": "no", "diameter_mm": "20",
    "spiculated": "yes", "upper_lobe": "yes",
}  # fmt: skip
LUNG_RADS = {"consistency": "part_solid", "mean_mm": "6", "solid_mm": "7.9", "change": "baseline"}


@pytest.mark.parametrize(
    ("name", "texts", "score"),
    [
        ("brock", BROCK, 0.331206),
        ("mayo", MAYO, 0.706511),
        ("diameter", {"diameter_mm": "10"}, 0.05),
        ("lung-rads", LUNG_RADS | {"mean_mm": "8"}, 0.75),
        ("lung-rads", LUNG_RADS | {"consistency": "solid", "change": "growing"}, 0.75),
        ("lung-rads", LUNG_RADS | {"consistency": "solid", "mean_mm": "15"}, 1.0),
        ("lung-rads", LUNG_RADS | {"benign_pattern": "yes"}, 0.0),
    ],
)
def test_a_clinical_model_reads_a_line_of_a_table(name, texts, score) -> None:
    comparator = COMPARATORS[name]
    assert comparator.score(read_values(comparator, texts)) == pytest.approx(score, abs=5e-7)


@pytest.mark.parametrize(
    ("name", "texts", "says"),
    [
        ("brock", BROCK | {"age": " ", "sex": ""}, "not known: age, sex"),
        ("brock", BROCK | {"sex": "f"}, "sex says 'f', not female or male"),
        ("brock", BROCK | {"nodules": "1.5"}, "nodules says '1.5', not a whole number"),
        ("brock", BROCK | {"nodules": "0"}, "cannot show 0"),
        ("mayo", MAYO | {"ever_smoked": "unknown"}, "ever_smoked says 'unknown', not yes or no"),
        ("mayo", MAYO | {"age": "nan"}, "age says 'nan', not a number of years"),
        ("mayo", MAYO | {"diameter_mm": "31"}, "from 4 to 30 mm"),
        ("lung-rads", LUNG_RADS | {"solid_mm": ""}, "needs the diameter of its solid part"),
        ("lung-rads", LUNG_RADS, "no larger than the nodule"),
        ("diameter", {}, "not known: diameter_mm"),
    ],
)
def test_what_it_cannot_be_applied_to_has_a_reason(name, texts, says) -> None:
    comparator = COMPARATORS[name]
    with pytest.raises(NoScore, match=says):
        comparator.score(read_values(comparator, texts))
