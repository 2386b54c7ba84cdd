"""Whether a reader has to rest, from what was recorded of the last day."""

from datetime import datetime, timedelta

from django.db import connection

from reader_study.actions.deviations import record_deviation
from reader_study.domain.conduct import Breaks
from reader_study.domain.deviation import Kind
from reader_study.domain.protocol import Protocol
from reader_study.domain.rest import Rest, Sitting, break_due, day_done
from reader_study.models import Deviation, Reading

# No sitting is longer than this.
LOOKED_BACK = timedelta(days=1)

# Every event is a sign of reading; a gap of the length of a break is one.
_SITTING = """
with told as (
    select e.received_at as at,
        lag(e.received_at) over (order by e.received_at) as before
    from reader_study_event e join reader_study_reading r on r.id = e.reading_id
    where r.reader_id = %s and r.stage <> 'assigned'
        and (r.submitted_at is null or r.submitted_at > %s)
        and e.received_at > %s and e.received_at <= %s
)
select max(at) filter (where before is null or at - before >= %s::interval), max(at) from told
"""


def sitting_of(reader_id: int, breaks: Breaks, now: datetime) -> Sitting | None:
    """Return the last time the reader has read without a break of the protocol's length."""
    since = now - LOOKED_BACK
    gap = f"{breaks.minutes} minutes"
    with connection.cursor() as cursor:
        cursor.execute(_SITTING, [reader_id, since, since, now, gap])
        row = cursor.fetchone()
    return Sitting(*row) if row and row[0] else None


def rest_of(reader_id: int, rules: Protocol, now: datetime) -> Rest | None:
    """Return the rest the reader has to take now, or should, before another reading begins."""
    conduct = rules.conduct
    if conduct.readings_a_day is not None:
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        begun = Reading.objects.filter(reader=reader_id, opened_at__gte=midnight).count()
        if rest := day_done(begun, conduct.readings_a_day, now):
            return rest
    if conduct.breaks is None:
        return None
    return break_due(sitting_of(reader_id, conduct.breaks, now), conduct.breaks, now)


def note_rest(reading: Reading, now: datetime, *, begins: bool) -> None:
    """Record that `reading` begins in spite of a break that is due, or ended long after it was.

    Once in a sitting each: a reading is never interrupted, and a suggestion may be passed by.
    """
    study = reading.reader.study
    breaks = study.rules.conduct.breaks
    sitting = sitting_of(reading.reader_id, breaks, now) if breaks else None
    if breaks is None or sitting is None:
        return
    kind = Kind.BREAK if begins else Kind.SITTING
    if begins:
        wrong = break_due(sitting, breaks, now) is not None
    else:
        wrong = sitting.minutes > breaks.after_minutes
    noted = Deviation.objects.filter(
        reader=reading.reader_id, kind=kind, at__gte=sitting.began
    ).exists()
    if wrong and not noted:
        record_deviation(
            study=study,
            kind=kind,
            reading=reading,
            now=now,
            minutes_read=sitting.minutes,
            minutes_allowed=breaks.after_minutes,
        )
