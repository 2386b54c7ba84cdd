"""What was on screen, and what became of a nodule."""

import pytest
from hypothesis import HealthCheck, given, settings

from reader_study.domain.seen import Seen, displayed_s, dwell, strips, verdict, views
from tests.domain.test_clock import readings, script

LONG = 1000.0


def at(plane: str, x: float, y: float, z: float, **more: object) -> dict[str, object]:
    return {"plane": plane, "position_mm": [x, y, z], **more}


def test_a_nodule_is_displayed_while_a_slice_through_it_is_on_screen():
    told = script(
        (1, "first_image"),
        (2, "slice", at("axial", 0, 0, 20)),
        (5, "slice", at("axial", 0, 0, 10)),  # through a nodule at 12 of 6 mm
        (9, "slice", at("axial", 0, 0, 0)),
        (20, "visible"),
    )
    shown = views(told, longest_s=LONG)

    assert displayed_s(shown, (30, -40, 12), 6) == pytest.approx(4)
    assert displayed_s(shown, (30, -40, 16), 6) == 0
    assert displayed_s(shown, (30, -40, 18), 6) == pytest.approx(3)
    assert dwell(shown) == {
        ("unaided", "axial", 20): pytest.approx(3),
        ("unaided", "axial", 10): pytest.approx(4),
        ("unaided", "axial", 0): pytest.approx(11),
    }


def test_what_is_hidden_outside_the_pane_or_left_open_is_not_displayed():
    told = script(
        (0, "slice", at("axial", 0, 0, 0, span_mm=[100, 80])),
        (1, "hidden"),
        (5, "visible"),
        (7, "slice", at("axial", 200, 0, 0, span_mm=[100, 80])),
        (9, "slice", at("axial", 0, 0, 0, span_mm=[100, 80])),
        (99, "input"),
    )

    assert displayed_s(views(told, longest_s=LONG), (40, 30, 0), 4) == pytest.approx(93)
    assert displayed_s(views(told, longest_s=60), (40, 30, 0), 4) == pytest.approx(63)
    assert displayed_s(views(told, longest_s=60), (40, 41, 0), 4) == 0


def test_planes_at_once_count_once_and_those_of_a_layout_without_them_do_not():
    told = script(
        (0, "slice", at("axial", 0, 0, 0)),
        (0, "slice", at("coronal", 0, 0, 0)),
        (4, "slice", at("axial", 0, 0, 50)),
        (6, "layout", {"layout": "axial"}),
        (9, "layout", {"layout": "mpr"}),
        (10, "input"),
    )

    # 0 to 4 in both planes, to 6 in the coronal one, again from 9 to 10.
    assert displayed_s(views(told, longest_s=LONG), (3, 0, 0), 4) == pytest.approx(7)


def test_a_slab_shows_what_lies_within_its_thickness():
    told = script(
        (0, "slice", at("axial", 0, 0, 0)),
        (2, "slab", {"plane": "axial", "slab": {"projection": "mip", "thickness_mm": 20}}),
        (5, "slab", {"plane": "axial", "slab": None}),
        (6, "input"),
    )

    assert displayed_s(views(told, longest_s=LONG), (0, 0, 11), 4) == pytest.approx(3)


def test_a_tilted_slice_shows_what_lies_on_it_and_not_what_lies_at_its_height():
    normal = [0, 0.6, -0.8]  # rises by 3 in 4, towards the back
    told = script(
        (0, "slice", at("axial", 0, 0, 10, normal=normal, span_mm=[200, 200])),
        (2, "slice", at("axial", 0, 40, 40, normal=normal, span_mm=[200, 200])),
        (3, "slice", at("axial", 0, 0, 90, normal=[3, 0, 0], span_mm=[200, 200])),  # of no length 1
        (5, "input"),
    )
    shown = views(told, longest_s=LONG)

    assert displayed_s(shown, (5, 40, 40), 2) == pytest.approx(3)  # the same slice, moved along it
    assert displayed_s(shown, (5, 40, 10), 2) == 0
    assert dwell(shown) == {
        ("unaided", "axial", 10): pytest.approx(3),
        ("unaided", "axial", 90): pytest.approx(2),
    }
    parts = list(strips(shown[0], 4))
    assert [(part.centre_mm, part.span_mm) for part in parts] == [
        ((0, y, pytest.approx(10 + 0.75 * y)), (200, 50)) for y in (-75, -25, 25, 75)
    ]
    assert list(strips(shown[2], 4)) == [shown[2]]


def test_where_slices_are_missing_nothing_is_displayed():
    told = script(
        (0, "slice", at("axial", 0, 0, 0)),
        (2, "slice", at("axial", 0, 0, 5, blank=True)),
        (6, "slice", at("axial", 0, 0, 10)),
        (7, "input"),
    )

    assert dwell(views(told, longest_s=LONG)) == {
        ("unaided", "axial", 0): pytest.approx(2),
        ("unaided", "axial", 10): pytest.approx(1),
    }


@pytest.mark.parametrize(
    ("seconds", "marked", "positive", "became"),
    [
        (0.1, False, False, Seen.NEVER_DISPLAYED),
        (2, False, False, Seen.DISPLAYED),
        (2, True, False, Seen.UNDER_RATED),
        (0, True, True, Seen.FOUND),
        # Pointed out to the reader: found as soon as it was on screen.
        (0.1, None, True, Seen.NEVER_DISPLAYED),
        (2, None, False, Seen.UNDER_RATED),
        (2, None, True, Seen.FOUND),
    ],
)
def test_what_became_of_a_nodule(seconds: float, marked: bool | None, positive: bool, became: Seen):
    assert verdict(seconds, marked=marked, rated_positive=positive) is became


# A slow machine says nothing about the rule.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(readings)
def test_no_view_ends_before_it_begins(events):
    shown = views(events, longest_s=60)

    assert all(0 <= view.until_ms - view.from_ms <= 60_000 for view in shown)


def test_what_a_browser_makes_up_is_left_out():
    told = script(
        (0, "slice", {"plane": "sideways", "position_mm": [0, 0, 0]}),
        (1, "slice", {"plane": "axial", "position_mm": "here"}),
        (2, "slab", {"plane": "axial", "slab": {"thickness_mm": "thick"}}),
        (3, "input"),
    )

    assert views(told, longest_s=60) == []


def test_a_nodule_is_seen_in_series_of_its_own_frame_of_reference_and_never_in_a_prior():
    current, kernel, other, prior = 1, 2, 3, 4
    told = script(
        (0, "layout", {"layout": "compare", "plane": "axial"}),
        (0, "slice", at("axial", 0, 0, 50, series=current)),
        (0, "slice", at("axial", 0, 0, 0, series=prior, prior=True)),
        (3, "slice", at("axial", 0, 0, 0, series=kernel)),
        (5, "slice", at("axial", 0, 0, 0, series=other)),
        (9, "layout", {"layout": "axial"}),
        (20, "slice", at("coronal", 0, 0, 0, series=current)),  # of which nothing is on screen
        (30, "input"),
    )
    shown = views(told, longest_s=LONG)

    assert displayed_s(shown, (0, 0, 0), 4, {current, kernel}) == pytest.approx(2)
    assert displayed_s(shown, (0, 0, 0), 4) == pytest.approx(27)  # the other one, too
    of_prior = [view for view in shown if view.prior]
    assert [(view.series, view.from_ms, view.until_ms) for view in of_prior] == [
        (prior, 0, 3000),
        (prior, 3000, 5000),
        (prior, 5000, 9000),
    ]
