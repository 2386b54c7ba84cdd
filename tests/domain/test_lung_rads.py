"""Lung-RADS v2022, held against its table at both sides of every boundary."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_study.domain.lung_rads import Category, Change, Kind, lung_rads

UNCHANGED = (Change.BASELINE, Change.STABLE, Change.SLOWLY_GROWING)

# change, diameter -> category
SOLID = [
    *((c, *row) for c in UNCHANGED for row in [(5.9, "2"), (6, "3"), (7.9, "3"), (8, "4a")]),
    *((c, *row) for c in UNCHANGED for row in [(14.9, "4a"), (15, "4b"), (0.1, "2")]),
    *((Change.NEW, *row) for row in [(3.9, "2"), (4, "3"), (5.9, "3"), (6, "4a"), (7.9, "4a")]),
    (Change.NEW, 8, "4b"),
    *((Change.GROWING, *row) for row in [(3, "4a"), (7.9, "4a"), (8, "4b"), (30, "4b")]),
]
# change, diameter, solid part -> category
PART_SOLID = [
    *((c, *row) for c in UNCHANGED for row in [(5.9, 5.9, "2"), (6, 5.9, "3"), (30, 5.9, "3")]),
    *((c, *row) for c in UNCHANGED for row in [(6, 6, "4a"), (20, 7.9, "4a"), (20, 8, "4b")]),
    *((Change.NEW, *row) for row in [(5.9, 1, "3"), (5.9, 5.9, "3"), (6, 3.9, "4a"), (6, 4, "4b")]),
    *((Change.GROWING, *row) for row in [(5.9, 3.9, "4a"), (5.9, 4, "4b"), (20, 3.9, "4a")]),
]
NON_SOLID = [
    *((c, 29.9, "2") for c in Change),
    *((c, 30, "3") for c in (Change.BASELINE, Change.NEW, Change.GROWING)),
    *((c, 30, "2") for c in (Change.STABLE, Change.SLOWLY_GROWING)),
]


@pytest.mark.parametrize(("change", "size", "category"), SOLID)
def test_solid_nodules(change, size, category):
    assert lung_rads(Kind.SOLID, size, change) == category


@pytest.mark.parametrize(("change", "size", "solid", "category"), PART_SOLID)
def test_part_solid_nodules(change, size, solid, category):
    assert lung_rads(Kind.PART_SOLID, size, change, solid) == category


@pytest.mark.parametrize(("change", "size", "category"), NON_SOLID)
def test_non_solid_nodules(change, size, category):
    assert lung_rads(Kind.NON_SOLID, size, change) == category


def test_a_size_is_rounded_to_one_decimal_before_it_is_looked_up():
    assert lung_rads(Kind.SOLID, 5.94, Change.BASELINE) == Category.TWO
    assert lung_rads(Kind.SOLID, 5.96, Change.BASELINE) == Category.THREE


@pytest.mark.parametrize(("kind", "change"), [*itertools.product(Kind, Change)])
@given(sizes=st.lists(st.floats(0.1, 60), min_size=2, max_size=2), share=st.floats(0.1, 1))
def test_a_larger_nodule_never_has_a_lower_category(kind, change, sizes, share):
    smaller, larger = (
        list(Category).index(lung_rads(kind, size, change, max(0.1, size * share)))
        for size in sorted(sizes)
    )
    assert smaller <= larger


@pytest.mark.parametrize(
    ("kind", "size", "solid"),
    [
        (Kind.SOLID, 0, None),
        (Kind.SOLID, float("nan"), None),
        (Kind.PART_SOLID, 8, None),
        (Kind.PART_SOLID, 8, 9),
        (Kind.PART_SOLID, 8, 0),
    ],
)
def test_sizes_that_cannot_be_are_refused(kind, size, solid):
    with pytest.raises(ValueError, match=r"mm|solid part"):
        lung_rads(kind, size, Change.BASELINE, solid)
