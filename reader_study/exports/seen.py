"""Which part of the images readers had on screen: per nodule, and per slice."""

from collections.abc import Iterator
from typing import Any

from reader_study.domain.reading import ANSWERING
from reader_study.domain.seen import View, displayed_s, dwell, views
from reader_study.exports.columns import Column, text_of
from reader_study.exports.events import IDLE_AFTER_S, READING, happened, place, readings_told
from reader_study.models import Nodule, Series, Study

SEEN = (
    *READING,
    Column("nodule", "integer", "the nodule's number in its case"),
    Column("nodule_id", "integer", "the nodule in the whole study"),
    Column("longest_seconds", "number", "for how long a view that nobody changes counts"),
    Column("displayed_seconds", "number", "how long it was on screen in at least one plane"),
)

DWELL = (
    *READING,
    Column("examination", "text", "current, or prior: an earlier one beside it"),
    Column("series", "integer", "the series in the whole study; empty: the case's only one"),
    Column("plane", "text", "axial, coronal or sagittal"),
    Column("position_mm", "number", "where the slice lies along z, y or x (LPS)"),
    Column("seconds", "number", "how long it was on screen"),
)


def seen_rows(study: Study, longest_s: float = IDLE_AFTER_S) -> Iterator[list[Any]]:
    """Yield for how long each nodule was on screen, per reading and stage."""
    frames = _frames(study)
    nodules: dict[int, list[Nodule]] = {}
    for nodule in Nodule.objects.of_study(study).select_related("series").order_by("number"):
        nodules.setdefault(nodule.series.case_id, []).append(nodule)
    for reading, events in readings_told(study):
        shown = views(map(happened, events), longest_s=longest_s)
        told = {event.stage for event in events}
        for stage in (stage.value for stage in ANSWERING if stage.value in told):
            of_stage = [view for view in shown if view.stage == stage]
            for nodule in nodules.get(reading.case_id, ()):
                frame = (nodule.series.case_id, nodule.series.frame_of_reference_uid)
                seconds = displayed_s(of_stage, nodule.centre_mm, nodule.diameter_mm, frames[frame])
                yield [
                    *place(study, reading, stage),
                    nodule.number,
                    nodule.pk,
                    text_of(longest_s),
                    f"{seconds:.3f}",
                ]


def dwell_rows(study: Study, longest_s: float = IDLE_AFTER_S) -> Iterator[list[Any]]:
    """Yield how long each slice was on screen, per reading, stage, series and plane."""
    for reading, events in readings_told(study):
        of_series: dict[tuple[bool, int | None], list[View]] = {}
        for view in views(map(happened, events), longest_s=longest_s):
            of_series.setdefault((view.prior, view.series), []).append(view)
        for (prior, series), shown in sorted(of_series.items(), key=lambda one: str(one[0])):
            for (stage, plane, position), seconds in sorted(dwell(shown).items()):
                where = [plane, f"{position:.1f}", f"{seconds:.3f}"]
                examination = "prior" if prior else "current"
                yield [*place(study, reading, stage), examination, series, *where]


def _frames(study: Study) -> dict[tuple[int, str], set[int]]:
    """Return the series of the examinations that are read, by case and frame of reference."""
    found: dict[tuple[int, str], set[int]] = {}
    for one in Series.objects.filter(case__study=study).current():
        found.setdefault((one.case_id, one.frame_of_reference_uid), set()).add(one.pk)
    return found
