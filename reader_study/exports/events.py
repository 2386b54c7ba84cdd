"""What is derived from the events of readings: where the time went, and what of the AI was seen."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from reader_study.domain.clock import Happened, Part, time_spent
from reader_study.domain.exposure import exposures
from reader_study.domain.reading import Stage
from reader_study.exports.columns import ROWS_AT_ONCE, Column, text_of, time_of
from reader_study.models import Answer, Event, Nodule, Rating, Reading, Study

# Longer than a reader looks at one slice without touching anything, and shorter than a call.
IDLE_AFTER_S = 60.0

READING = (
    Column("study", "text", "the study's name in addresses"),
    Column("reader", "text", "the reader's pseudonym"),
    Column("case", "text", "the case's pseudonym"),
    Column("session", "integer", "the session, from 1; 0: training"),
    Column("position", "integer", "order on the reader's worklist in this session, from 1"),
    Column("stage", "text", "unaided: before the lock, without AI; aided: with AI in view"),
)

TIMES = (
    *READING,
    Column("nodule", "integer", "the nodule whose section was open; empty: that of the case"),
    Column("nodule_id", "integer", "the nodule in the whole study; empty likewise"),
    Column("idle_after_seconds", "number", "for how long a sign of activity counts"),
    Column("active_seconds", "number", "reading: page visible, first image there, not idle"),
    Column("idle_seconds", "number", "visible, and no sign of activity for longer"),
    Column("hidden_seconds", "number", "the page was in a hidden tab or window"),
    Column("loading_seconds", "number", "the page was open and the first image not there yet"),
)

EXPOSURES = (
    *READING,
    Column("nodule", "integer", "the nodule's number in its case"),
    Column("nodule_id", "integer", "the nodule in the whole study"),
    Column(
        "artefact",
        "text",
        "the AI artefact that was on screen: score, semantic, saliency or similar",
    ),
    Column("shown_at", "time, UTC", "when it came on screen, to a few seconds"),
    Column("hidden_at", "time, UTC", "when it left the screen; exact in its distance to shown_at"),
    Column("seconds", "number", "how long it was on screen"),
    Column("ended", "boolean", "false: nobody told of the end; it is the last that is known"),
    Column("malignancy_before", "text", "the nodule's malignancy rating locked without AI"),
    Column("malignancy_after", "text", "the same, locked with AI in view"),
)

UNTIMED = (
    *READING,
    Column("key", "text", "the event's key, as in the archive's table of events"),
    Column("kind", "text", "what happened"),
    Column("monotonic_ms", "number, ms", "the clock that the browser told: no page can show it"),
    Column("received_at", "time, UTC", "when the site had it"),
)

# The question on which readers and AI judge the same thing on a scale.
MALIGNANCY = "malignancy"


def time_rows(study: Study, idle_after_s: float = IDLE_AFTER_S) -> Iterator[list[Any]]:
    """Yield a row per reading, stage and section of the form."""
    nodules = _nodules(study)
    for reading, events in readings_told(study):
        numbers = nodules.get(reading.case_id, {})
        spent = time_spent(map(happened, events), idle_after_s=idle_after_s)
        for part, times in sorted(spent.items(), key=lambda item: _order(item[0])):
            if part.nodule is None or part.nodule in numbers:
                yield [
                    *place(study, reading, part.stage),
                    numbers.get(part.nodule),
                    part.nodule,
                    text_of(idle_after_s),
                    *(f"{seconds:.3f}" for seconds in times),
                ]


def _order(part: Part) -> tuple[int, int]:
    stages = [stage.value for stage in Stage]
    return stages.index(part.stage), part.nodule or 0


def exposure_rows(study: Study) -> Iterator[list[Any]]:
    """Yield a row per artefact, nodule and time on screen, with the ratings before and after."""
    nodules = _nodules(study)
    for reading, events in readings_told(study):
        numbers = nodules.get(reading.case_id, {})
        begins = _beginnings(events)
        rated: dict[tuple[int | None, str], Any] = {
            (nodule, stage): value
            for nodule, stage, value in Rating.objects.filter(
                answer__in=Answer.objects.current().filter(reading=reading),
                question=MALIGNANCY,
            ).values_list("nodule_id", "answer__stage", "value")
        }
        for exposure in exposures(map(happened, events)):
            if exposure.nodule not in numbers:
                continue
            begin = begins[exposure.page]
            shown, hidden = exposure.from_ms, exposure.until_ms
            yield [
                *place(study, reading, exposure.stage),
                numbers[exposure.nodule],
                exposure.nodule,
                exposure.artefact,
                time_of(begin + timedelta(milliseconds=shown)),
                time_of(begin + timedelta(milliseconds=hidden)),
                f"{(hidden - shown) / 1000:.3f}",
                text_of(exposure.ended),
                text_of(rated.get((exposure.nodule, "unaided"))),
                text_of(rated.get((exposure.nodule, "aided"))),
            ]


def readings_told(study: Study) -> Iterator[tuple[Reading, list[Event]]]:
    """Yield each reading with what the browser told of it; memory holds one at a time.

    Without what has no place in time, which `untimed_rows` tells of.
    """
    told = (
        Event.objects.timed()
        .filter(reading__reader__study=study)
        .select_related("reading__reader", "reading__case")
        .order_by(
            "reading__reader__pseudonym",
            "reading__session",
            "reading__position",
            "reading_id",
            "pk",
        )
    )
    for _, events in groupby(told.iterator(ROWS_AT_ONCE), key=lambda event: event.reading_id):
        of_one = list(events)
        yield of_one[0].reading, of_one


def untimed_rows(study: Study) -> Iterator[list[Any]]:
    """Yield the events that no time, exposure or view is derived from, since their clock is none.

    They were recorded by versions that asked nothing of a browser's clock, and stay.
    """
    found = (
        Event.objects.untimed()
        .filter(reading__reader__study=study)
        .select_related("reading__reader", "reading__case")
        .order_by("pk")
    )
    for each in found.iterator(ROWS_AT_ONCE):
        yield [
            *place(study, each.reading, each.stage),
            *(str(each.key), each.kind, each.monotonic_ms, time_of(each.received_at)),
        ]


def happened(event: Event) -> Happened:
    return Happened(
        key=str(event.key),
        page=_page(event),
        kind=event.kind,
        stage=event.stage,
        monotonic_ms=event.monotonic_ms or 0.0,
        data=event.data,
    )


def _page(event: Event) -> str:
    """Return which loading of the page told; one, for browsers that did not say."""
    return str(event.data.get("page", ""))


def _beginnings(events: list[Event]) -> dict[str, datetime]:
    """Return when each page was loaded, by the server's clock.

    The event that travelled fastest is the measure: no page began later than that.
    """
    begins: dict[str, datetime] = {}
    for event in events:
        begin = event.received_at - timedelta(milliseconds=event.monotonic_ms or 0.0)
        begins[_page(event)] = min(begins.get(_page(event), begin), begin)
    return begins


def _nodules(study: Study) -> dict[int, dict[int | None, int]]:
    """Return the number of each nodule, by case and id."""
    found: dict[int, dict[int | None, int]] = {}
    for case, nodule, number in Nodule.objects.of_study(study).values_list(
        "series__case_id", "pk", "number"
    ):
        found.setdefault(case, {})[nodule] = number
    return found


def place(study: Study, reading: Reading, stage: str) -> list[Any]:
    return [
        study.slug,
        reading.reader.pseudonym,
        reading.case.pseudonym,
        reading.session,
        reading.position,
        stage,
    ]
