"""Reading time and exposures, from what the browser tells to the tables that come out."""

import random
import sys
from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse

from reader_study.actions.monitoring import note_paces
from reader_study.actions.reading import Told, lock_unaided, store_events, submit
from reader_study.domain.clock import LONGEST_PAGE_MS
from reader_study.domain.reading import Stage
from reader_study.exports.archive import event_rows
from reader_study.exports.events import TIMES, time_rows
from reader_study.models import Event, Nodule
from tests.exports.test_tables import tables
from tests.factories import NOW, a_prediction, a_reading, answers_of

pytestmark = pytest.mark.django_db

PAGE = str(uuid4())


@pytest.fixture
def reading():
    """A reading with its prediction, before the lock."""
    reading = a_reading(stage=Stage.UNAIDED)
    a_prediction(Nodule.objects.get())
    return reading


def tell(reading, *lines, stage, received_s):
    """The browser's events of `stage`, which arrive at `received_s` in the order given."""
    store_events(
        reader=reading.reader.user,
        reading_id=reading.pk,
        events=[
            Told(uuid4(), kind, stage, second * 1000.0, {"page": PAGE, **dict(*data)})
            for second, kind, *data in lines
        ],
        now=NOW + timedelta(seconds=received_s),
    )


def read(reading):
    by = {"reader": reading.reader.user, "reading_id": reading.pk, "now": NOW}
    nodule = Nodule.objects.get().pk
    score = {"nodule": nodule, "artefact": "score"}
    section = {"nodule": nodule}
    # What happened first arrives last.
    tell(reading, (40, "hidden"), (10, "input"), stage="unaided", received_s=41)
    tell(
        reading,
        *((1, "section", section), (3, "first_image"), (640, "visible"), (650, "input")),
        stage="unaided",
        received_s=651,
    )
    lock_unaided(**by, answers=answers_of(reading, malignancy=30))
    tell(
        reading,
        *((655, "ai_shown", score), (660, "input"), (675, "ai_hidden", score)),
        stage="aided",
        received_s=680,
    )
    submit(**by, answers=answers_of(reading, malignancy=70))


def test_reading_time_by_stage_and_nodule(reading):
    read(reading)

    rows = tables(reading.reader.study)["times.csv"]

    assert [
        [
            row[name]
            for name in (
                *("stage", "nodule", "active_seconds", "idle_seconds", "hidden_seconds"),
                "loading_seconds",
            )
        ]
        for row in rows
    ] == [
        ["unaided", "", "0.000", "0.000", "0.000", "1.000"],
        ["unaided", "1", "52.000", "0.000", "600.000", "2.000"],
        # The stage turns with the first event that says so.
        ["aided", "1", "20.000", "0.000", "0.000", "0.000"],
    ]
    assert {row["idle_after_seconds"] for row in rows} == {"60"}


# What a reader did, second by second, and to which state the time up to then belongs.
SCRIPT = (
    (2, "section", "loading"),
    (5, "first_image", "loading"),
    *((second, "input", "active") for second in (15, 30, 45, 60)),
    (75, "hidden", "active"),  # looks at something else, for ten minutes
    (675, "visible", "hidden"),
    (685, "input", "active"),
    (700, "window", "active"),
    (1000, "input", "silence"),  # five minutes on the telephone, the page in view
    (1010, "slice", "active"),
    (1020, "input", "active"),
)


@pytest.mark.parametrize("idle_after_s", [60, 20])
def test_the_time_of_a_scripted_reading_is_what_the_script_says(client, reading, idle_after_s):
    """Events out of order and twice, a hidden tab and an idle spell; the table is shown by -s."""
    truth = dict.fromkeys(("active", "idle", "hidden", "loading"), 0)
    before = 0
    for second, _, state in SCRIPT:
        step, before = second - before, second
        if state == "silence":
            truth["active"] += idle_after_s
            truth["idle"] += step - idle_after_s
        else:
            truth[state] += step
    nodule = {"nodule": Nodule.objects.get().pk}
    events = [
        {
            "key": str(uuid4()),
            "kind": kind,
            "stage": "unaided",
            "monotonic_ms": second * 1000.0,
            "data": {"page": PAGE, **(nodule if kind == "section" else {})},
        }
        for second, kind, _ in SCRIPT
    ]
    twice = events * 2
    random.Random(4).shuffle(twice)
    client.force_login(reading.reader.user)
    address = reverse("api-events", args=[reading.pk])
    for i in range(0, len(twice), 5):
        sent = {"events": twice[i : i + 5]}
        assert client.post(address, sent, content_type="application/json").status_code == 200

    rows = list(time_rows(reading.reader.study, idle_after_s))
    names = [column.name for column in TIMES]
    derived = {
        state: sum(float(row[names.index(f"{state}_seconds")]) for row in rows) for state in truth
    }
    sys.stdout.write(
        f"\n{len(events)} events, each sent twice, shuffled; idle after {idle_after_s} s\n"
    )
    for state, seconds in truth.items():
        sys.stdout.write(f"  {state:<8} script {seconds:6} s   derived {derived[state]:8.3f} s\n")
    assert derived == truth


def test_the_exposure_ledger_has_the_rating_before_and_after(reading):
    read(reading)

    (row,) = tables(reading.reader.study)["exposures.csv"]

    assert (row["artefact"], row["stage"], row["nodule"]) == ("score", "aided", "1")
    assert (row["seconds"], row["ended"]) == ("20.000", "true")
    assert (row["malignancy_before"], row["malignancy_after"]) == ("30", "70")
    # The fastest event took a second: the page was loaded at 9:00:01 at the latest.
    assert row["shown_at"] == "2026-01-05T09:10:56.000Z"
    assert row["hidden_at"] == "2026-01-05T09:11:16.000Z"


def test_a_browser_that_tells_nonsense_does_not_stop_the_export(reading):
    nonsense = [{"nodule": [1]}, {"nodule": "x", "artefact": 3}, {}, {"nodule": 999_999}]
    for data in nonsense:
        for kind in ("ai_shown", "section", "ai_hidden"):
            tell(reading, (1, kind, data), stage="aided", received_s=1)

    found = tables(reading.reader.study)
    assert found["exposures.csv"] == []
    assert all(row["nodule"] in {"", "1"} for row in found["times.csv"])


def test_events_of_no_moment_are_told_of_and_left_out_of_what_is_derived(reading):
    read(reading)
    before = tables(reading.reader.study)
    assert before["untimed_events.csv"] == []
    absurd = [1e300, -1.0, float("inf"), float("nan"), LONGEST_PAGE_MS * 1.001]
    Event.objects.bulk_create(
        Event(
            reading=reading, key=uuid4(), kind=kind, stage="aided", monotonic_ms=clock,
            data={"page": PAGE, "nodule": Nodule.objects.get().pk, "artefact": "score"},
            received_at=NOW,
        )
        for clock in absurd
        for kind in ("ai_shown", "ai_hidden")
    )  # fmt: skip

    after = tables(reading.reader.study)

    told = after.pop("untimed_events.csv")
    assert [row["monotonic_ms"] for row in told[::2]] == [str(each) for each in absurd]
    assert {row["kind"] for row in told} == {"ai_shown", "ai_hidden"}
    assert after == {name: rows for name, rows in before.items() if name in after}
    assert len(after) == len(before) - 1
    assert note_paces() == 1
    # An archive has them as they were recorded.
    assert sum(row[-3] in absurd for row in event_rows(reading.reader.study)) == 8
