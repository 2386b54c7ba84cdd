"""Recording what departs from the protocol."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Min, Subquery
from django.db.models.fields.json import KeyTextTransform

from reader_study.actions.locked import must_not_be_locked
from reader_study.domain.deviation import Kind
from reader_study.domain.errors import ReviewRefused
from reader_study.models import (
    Deviation,
    DeviationReview,
    Event,
    Membership,
    Reading,
    Study,
    User,
)

NOTE_LIMIT = 1000
# How long before a reading is begun its page may have been loaded.
LOADED_BEFORE = timedelta(minutes=1)


def record_deviation(
    *,
    study: Study,
    kind: Kind,
    now: datetime,
    reader: Membership | None = None,
    reading: Reading | None = None,
    **detail: Any,
) -> Deviation:
    """Record a departure from the protocol of `study`; of a reading it is its reader's too.

    It belongs into the transaction of what departs.
    """
    return Deviation.objects.create(
        study=study,
        reader=reading.reader if reading else reader,
        reading=reading,
        kind=kind.value,
        detail=detail,
        at=now,
    )


def record_once(*, reading: Reading, kind: Kind, now: datetime, **detail: Any) -> None:
    """Record a departure of `reading`, unless one of this kind is recorded already."""
    if not Deviation.objects.filter(reading=reading, kind=kind).exists():
        study = reading.reader.study
        record_deviation(study=study, kind=kind, reading=reading, now=now, **detail)


def watch_pages(
    *, reading: Reading, page: str, monotonic_ms: Sequence[float], now: datetime
) -> None:
    """Look whether what a page has just told can be: alone, and not from before the reading.

    Two pages are open at once where another one has told something since this one first did.
    """
    if reading.opened_at and monotonic_ms:
        loaded = now - timedelta(milliseconds=max(monotonic_ms))
        ahead = reading.opened_at - LOADED_BEFORE - loaded
        if ahead > timedelta(0):
            seconds = round(ahead.total_seconds())
            record_once(reading=reading, kind=Kind.CLOCK, now=now, ahead_seconds=seconds)
    told = Event.objects.filter(reading=reading, data__has_key="page").annotate(
        page=KeyTextTransform("page", "data")
    )
    first = told.filter(page=page).order_by().values("reading").annotate(first=Min("pk"))
    if told.filter(pk__gt=Subquery(first.values("first"))).exclude(page=page).exists():
        record_once(reading=reading, kind=Kind.TWO_PAGES, now=now, noticed_by="events")


@transaction.atomic
def review_deviations(
    *, study: Study, ids: Collection[int], by: User, note: str, now: datetime
) -> int:
    """Note what the desk has made of deviations, which are then no longer open.

    Those that were reviewed before stay as they were. Returns how many were not.

    Raises:
        ReviewRefused: there is no note, or none of them is of this study.
        StudyLocked: the database of the study is locked.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    must_not_be_locked(study)
    note = note.strip()
    if not note or len(note) > NOTE_LIMIT:
        raise ReviewRefused(f"A note of at most {NOTE_LIMIT} characters is needed.")
    found = Deviation.objects.filter(study=study, pk__in=ids)
    if not found.exists():
        raise ReviewRefused("Choose the deviations that the note is about.")
    fresh = [
        DeviationReview(deviation=each, by=by, note=note, at=now)
        for each in found.filter(review=None)
    ]
    DeviationReview.objects.bulk_create(fresh)
    return len(fresh)
