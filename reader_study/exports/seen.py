"""Which part of the images readers had on screen: per nodule, and per slice."""

from collections.abc import Iterator
from typing import Any

from reader_study.domain.reading import ANSWERING
from reader_study.domain.seen import displayed_s, dwell, views
from reader_study.exports.columns import Column, text_of
from reader_study.exports.events import IDLE_AFTER_S, READING, happened, place, readings_told
from reader_study.models import Nodule, Study

SEEN = (
    *READING,
    Column("nodule", "integer", "the nodule's number in its case"),
    Column("nodule_id", "integer", "the nodule in the whole study"),
    Column("longest_seconds", "number", "for how long a view that nobody changes counts"),
    Column("displayed_seconds", "number", "how long it was on screen in at least one plane"),
)

DWELL = (
    *READING,
    Column("plane", "text", "axial, coronal or sagittal"),
    Column("position_mm", "number", "where the slice lies along z, y or x (LPS)"),
    Column("seconds", "number", "how long it was on screen"),
)


def seen_rows(study: Study, longest_s: float = IDLE_AFTER_S) -> Iterator[list[Any]]:
    """Yield for how long each nodule was on screen, per reading and stage."""
    nodules: dict[int, list[Nodule]] = {}
    for nodule in Nodule.objects.of_study(study).select_related("series").order_by("number"):
        nodules.setdefault(nodule.series.case_id, []).append(nodule)
    for reading, events in readings_told(study):
        shown = views(map(happened, events), longest_s=longest_s)
        told = {event.stage for event in events}
        for stage in (stage.value for stage in ANSWERING if stage.value in told):
            of_stage = [view for view in shown if view.stage == stage]
            for nodule in nodules.get(reading.case_id, ()):
                seconds = displayed_s(of_stage, nodule.centre_mm, nodule.diameter_mm)
                yield [
                    *place(study, reading, stage),
                    nodule.number,
                    nodule.pk,
                    text_of(longest_s),
                    f"{seconds:.3f}",
                ]


def dwell_rows(study: Study, longest_s: float = IDLE_AFTER_S) -> Iterator[list[Any]]:
    """Yield how long each slice was on screen, per reading, stage and plane."""
    for reading, events in readings_told(study):
        found = dwell(views(map(happened, events), longest_s=longest_s))
        for (stage, plane, position), seconds in sorted(found.items()):
            where = [plane, f"{position:.1f}", f"{seconds:.3f}"]
            yield [*place(study, reading, stage), *where]
