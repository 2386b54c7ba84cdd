"""What the desk is shown of readings: pauses, repeated ratings, pace and forecast."""

from datetime import UTC, datetime, timedelta

from reader_study.domain.clock import Happened
from reader_study.domain.monitoring import (
    SessionStand,
    forecast_end,
    hours_left,
    longest_pause_s,
    pace_per_week,
    ratings_hash,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def told(*seconds_and_kinds, page="a"):
    return [
        Happened(f"{page}{number}", page, kind, "unaided", seconds * 1000, {})
        for number, (seconds, kind) in enumerate(seconds_and_kinds)
    ]


def test_the_longest_pause_is_between_signs_of_the_reader_on_one_page():
    # What comes about without the reader ends no pause; between two pages nothing is known.
    first = told((0, "first_image"), (30, "slice"), (90, "series_loaded"), (130, "slice"))
    second = told((500, "slice"), (560, "slice"), page="b")

    assert longest_pause_s([*first, *second]) == 100
    assert longest_pause_s([]) == 0


def a_form(nodules, **more):
    given = {str(k): {"margin": {"value": m}, "note": {"value": n}} for k, (m, n) in nodules}
    return {"case": {}, "nodules": given, **more}


def test_forms_are_alike_when_they_rate_alike_whatever_else_they_say():
    one = ratings_hash(a_form([(7, ("smooth", "a"))]), {"margin"})
    assert one == ratings_hash(a_form([(9, ("smooth", "b"))]), {"margin"})
    assert one != ratings_hash(a_form([(9, ("lobulated", "a"))]), {"margin"})
    assert one != ratings_hash(a_form([(7, ("smooth", "")), (8, ("smooth", ""))]), {"margin"})
    marked = a_form([], marks=[{"id": "x", "answers": {"margin": {"value": "smooth"}}}])
    assert ratings_hash(marked, {"margin"}) == one
    assert ratings_hash(a_form([], no_finding=True), {"margin"}) == ""


def test_the_pace_is_that_of_the_last_two_weeks_or_since_the_reader_began():
    assert pace_per_week(28, NOW - 100 * DAY, NOW) == 14
    assert pace_per_week(10, NOW - 7 * DAY, NOW) == 10
    # Who began an hour ago has not read a week's worth in it.
    assert pace_per_week(3, NOW - timedelta(hours=1), NOW) == 21
    assert pace_per_week(0, NOW - 100 * DAY, NOW) is None


def test_the_end_is_foretold_session_after_session_and_not_before_the_washout():
    assert forecast_end([SessionStand(14, None)], 7, 0, NOW) == NOW + 14 * DAY
    both = [SessionStand(7, None), SessionStand(7, None)]
    assert forecast_end(both, 7, 0, NOW) == NOW + 14 * DAY
    # The last case of the first session, read in a week, comes back four weeks later.
    assert forecast_end(both, 7, 28, NOW) == NOW + 35 * DAY
    over = [SessionStand(0, NOW - 20 * DAY), SessionStand(1, None)]
    assert forecast_end(over, 7, 28, NOW) == NOW + 8 * DAY
    assert forecast_end([SessionStand(1, None)], None, 0, NOW) is None
    assert forecast_end([SessionStand(0, NOW)], None, 0, NOW + DAY) == NOW


def test_hours_left_go_by_the_readers_own_median_once_there_are_five():
    assert hours_left(60, 5, 120, 60) == 2
    assert hours_left(60, 4, 120, 60) == 1
    assert hours_left(60, 0, None, None) is None
