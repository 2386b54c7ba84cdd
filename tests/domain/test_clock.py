"""Reading time of readings whose truth is known."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_study.domain.clock import Happened, Part, Spent, pages, time_spent

IDLE_AFTER_S = 60


def script(*lines, page="p1", stage="unaided"):
    """Events from lines of second, kind and perhaps data; a stage alone is what follows is in."""
    events = []
    for second, kind, *data in lines:
        if kind in {"unaided", "aided"}:
            stage = kind
            continue
        happened = Happened(f"{page}-{len(events)}", page, kind, stage, second * 1000, dict(*data))
        events.append(happened)
    return events


# Two nodules; a tab hidden for ten minutes; a telephone call of five; a reload at the end.
READING = [
    *script(
        (0.5, "section", {"nodule": 1}),
        (4, "first_image"),
        (10, "slice"),
        (30, "input"),
        (40, "series_loaded"),
        (50, "section", {"nodule": 2}),  # nodule 1: 46 s active
        (60, "hidden"),  # nodule 2: 10 s active
        (660, "visible"),  # 600 s hidden
        (680, "input"),  # 20 s active
        (980, "input"),  # 300 s silence: 60 active, 240 idle
        (990, "section", {"nodule": None}),  # 10 s active
        (1000, "lock"),  # the case: 10 s active
        (1000, "aided"),
        (1001, "section", {"nodule": 1}),  # the case: 1 s, as it was locked a second before
        (1001, "ai_shown", {"nodule": 1, "artefact": "score"}),
        (1020, "input"),
        (1031, "hidden"),  # nodule 1, aided: 30 s active
    ),
    *script(
        (0.2, "section", {"nodule": 1}),
        (2, "first_image"),
        (12, "input"),
        (15, "hidden"),  # nodule 1, aided: 13 s active
        page="p2",
        stage="aided",
    ),
]
TRUTH = {
    Part("unaided", None): Spent(active_s=10 + 1, loading_s=0.5),
    Part("unaided", 1): Spent(active_s=46, loading_s=3.5),
    Part("unaided", 2): Spent(active_s=10 + 20 + 60 + 10, idle_s=240, hidden_s=600),
    Part("aided", 1): Spent(active_s=30 + 13, loading_s=1.8),
    Part("aided", None): Spent(loading_s=0.2),
}


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for part in wanted:
        assert found[part] == pytest.approx(wanted[part]), part


def test_the_time_of_a_scripted_reading():
    assert_same(time_spent(READING, idle_after_s=IDLE_AFTER_S), TRUTH)


def test_events_that_arrive_late_twice_and_out_of_order_change_nothing():
    told = READING + random.Random(4).sample(READING, 9)
    random.Random(5).shuffle(told)

    assert_same(time_spent(told, idle_after_s=IDLE_AFTER_S), TRUTH)


def test_a_hidden_tab_adds_nothing():
    without = script((1, "first_image"), (11, "input"), (21, "input"))
    with_ = script(
        (1, "first_image"), (11, "input"), (12, "hidden"), (612, "visible"), (621, "input")
    )

    active = [
        sum(spent.active_s for spent in time_spent(events, idle_after_s=60).values())
        for events in (without, with_)
    ]
    assert active == pytest.approx([20, 20])


def test_the_threshold_can_be_chosen_afterwards():
    def active(idle_after_s):
        return time_spent(READING, idle_after_s=idle_after_s)[Part("unaided", 2)].active_s

    assert [active(s) for s in (5, 60, 3600)] == pytest.approx([5 + 5 + 5 + 5, 100, 340])


def test_a_reader_who_lets_the_slices_play_and_leaves_is_idle():
    playing = script(
        (1, "first_image"),
        (2, "cine", {"playing": True}),
        *((second, "slice") for second in range(3, 301)),
        (301, "hidden"),
    )

    assert time_spent(playing, idle_after_s=60)[Part("unaided", None)] == pytest.approx(
        Spent(active_s=61, idle_s=239, loading_s=1)
    )


def test_nothing_told_is_no_time():
    assert time_spent([], idle_after_s=60) == {}


KINDS = ["first_image", "slice", "input", "hidden", "visible", "section", "cine", "ai_shown"]
happened = st.builds(
    Happened,
    key=st.uuids().map(str),
    page=st.sampled_from(["p1", "p2", "p3"]),
    kind=st.sampled_from(KINDS),
    stage=st.sampled_from(["unaided", "aided"]),
    monotonic_ms=st.integers(0, 3_600_000).map(float),
    data=st.fixed_dictionaries({"nodule": st.sampled_from([None, 1, 2]), "playing": st.booleans()}),
)
readings = st.lists(happened, max_size=30)


@given(readings, st.randoms(use_true_random=False), st.floats(0, 600))
def test_neither_order_nor_repetition_of_events_matters(events, chance, idle_after_s):
    told = events + [event for event in events if chance.random() < 0.3]
    chance.shuffle(told)

    found = time_spent(told, idle_after_s=idle_after_s)

    assert found == time_spent(events, idle_after_s=idle_after_s)


@given(readings, st.floats(0, 600))
def test_the_parts_add_up_to_the_time_the_pages_were_open(events, idle_after_s):
    spent = time_spent(events, idle_after_s=idle_after_s)
    open_s = sum(page[-1].monotonic_ms for page in pages(events).values()) / 1000

    assert sum(map(sum, spent.values())) == pytest.approx(open_s)
    assert all(second >= 0 for each in spent.values() for second in each)


@given(readings, st.floats(0, 600), st.floats(0, 600))
def test_more_patience_never_takes_active_time_away(events, some, more):
    less, most = sorted((some, more))

    for part, spent in time_spent(events, idle_after_s=less).items():
        longer = time_spent(events, idle_after_s=most)[part]
        assert spent.active_s <= longer.active_s + 1e-9
        assert spent.hidden_s == longer.hidden_s


def test_what_comes_about_by_loading_is_no_sign_of_the_reader():
    told = script(
        (0, "first_image"),
        (10, "input"),
        (60, "prior_loaded"),
        (61, "slice", {"plane": "axial", "automatic": True}),
        (100, "slice", {"plane": "axial", "automatic": False}),
        (130, "hidden"),
    )

    (spent,) = time_spent(told, idle_after_s=20).values()
    assert (spent.active_s, spent.idle_s) == (pytest.approx(20 + 20 + 10), pytest.approx(80))
