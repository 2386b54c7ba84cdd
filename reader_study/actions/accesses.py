"""Keeping the access log: who was given what to see, a row a minute at most."""

from datetime import datetime

from django.db import connection

from reader_study.models import Access, Accessed, Case, PersonalToken, Reading, Study, User

# What this process has written down in the present minute: a series has hundreds of frames.
_noted: set[tuple[object, ...]] = set()
_minute: datetime | None = None


def note_access(
    what: Accessed,
    *,
    user: User,
    now: datetime,
    study: Study | None = None,
    case: Case | None = None,
    reading: Reading | None = None,
    series_uid: str = "",
    token: PersonalToken | None = None,
) -> None:
    """Write down that `user` was given `what`; the same again within the minute adds nothing.

    It is written before the answer is sent: what the log cannot take is not shown.
    """
    global _minute
    minute = now.replace(second=0, microsecond=0)
    if minute != _minute:
        _noted.clear()
        _minute = minute
    if reading is not None:
        study_id: int | None = reading.reader.study_id
        case_id: int | None = reading.case_id
    else:
        study_id = study.pk if study else None
        case_id = case.pk if case else None
    key = (
        *(what, user.pk, study_id, case_id, reading and reading.pk),
        *(series_uid, token and token.pk, minute),
    )
    if key in _noted:
        return
    row = Access(
        what=what,
        user=user,
        token=token,
        study_id=study_id,
        case_id=case_id,
        reading=reading,
        series_uid=series_uid,
        minute=minute,
    )
    Access.objects.bulk_create([row], ignore_conflicts=True)
    # What a transaction wrote may still be taken back.
    if not connection.in_atomic_block:
        _noted.add(key)
