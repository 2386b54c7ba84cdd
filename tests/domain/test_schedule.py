"""When a reading opens."""

from datetime import UTC, datetime, timedelta

from reader_study.domain.schedule import Opening, Stand, openings

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
WASHOUT = timedelta(days=28)


def test_the_first_session_is_open_and_the_next_waits_for_all_of_it():
    readings = [Stand(1, "a", MONDAY), Stand(1, "b", None), Stand(2, "a", None)]

    assert openings(readings, 28) == [
        Opening(None, None),
        Opening(None, None),
        Opening(1, MONDAY + WASHOUT),
    ]


def test_a_case_comes_back_when_its_own_washout_has_ended():
    later = MONDAY + timedelta(days=3)
    first = [Stand(1, "a", MONDAY), Stand(1, "b", later)]
    of_a, of_b = openings([*first, Stand(2, "a", None), Stand(2, "b", None)], 28)[2:]

    assert of_a.has_come(MONDAY + WASHOUT)
    assert not of_a.has_come(MONDAY + WASHOUT - timedelta(seconds=1))
    assert not of_b.has_come(MONDAY + WASHOUT)
    assert of_b.has_come(later + WASHOUT)


def test_training_comes_before_everything_and_needs_no_washout():
    training, study = openings([Stand(0, "t", None), Stand(1, "a", None)], 28)
    assert training.has_come(MONDAY)
    assert study == Opening(0, None)

    assert openings([Stand(0, "t", MONDAY), Stand(1, "a", None)], 28)[1].has_come(MONDAY)


def test_the_last_of_several_earlier_readings_counts():
    second = MONDAY + timedelta(days=30)
    third = openings([Stand(1, "a", MONDAY), Stand(2, "a", second), Stand(3, "a", None)], 28)[2]

    assert third == Opening(None, second + WASHOUT)
