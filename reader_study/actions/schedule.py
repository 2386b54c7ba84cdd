"""When readings open, and letting one begin earlier."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import uuid4

from django.db import transaction

from reader_study.actions.deviations import record_deviation
from reader_study.actions.locked import must_not_be_locked
from reader_study.actions.rest import rest_of
from reader_study.actions.signature import unsigned_sessions
from reader_study.domain.deviation import Kind
from reader_study.domain.errors import (
    EarlyOpeningRefused,
    ReadingClosed,
    ReadingNotOpenYet,
    SkipRefused,
    StudyNotOpen,
)
from reader_study.domain.protocol import Protocol
from reader_study.domain.reading import Stage
from reader_study.domain.schedule import Opening, Stand, openings
from reader_study.models import EarlyOpening, Event, Place, Reading, Skip, Study, User

REASON_LIMIT = 1000
AT_ONCE = Opening(None, None)


def openings_of(readings: Iterable[Place], rules: Protocol, now: datetime) -> Mapping[int, Opening]:
    """Return when each of one reader's `readings`, all of a study with `rules`, opens.

    Those that were opened already are open.
    """
    found = list(readings)
    of_these = {each.reader_id for each in found}
    skipped = dict(Skip.objects.filter(reading__reader__in=of_these).values_list("reading", "at"))
    stands = [
        Stand(each.session, each.case_id, each.submitted_at or skipped.get(each.pk), each.position)
        for each in found
    ]
    unsigned = set()
    if rules.conduct.signature == "before_next_session":
        sessions = {(each.reader_id, each.session) for each in found}
        unsigned = {session for _, session in unsigned_sessions(sessions)}
    in_order = rules.conduct.navigation == "forward_only"
    when = openings(stands, rules.design.washout, unsigned, in_order=in_order)
    rest = rest_of(found[0].reader_id, rules, now) if found else None
    early = set(
        EarlyOpening.objects.filter(
            reading__reader__in={each.reader_id for each in found}
        ).values_list("reading", flat=True)
    )
    return {
        each.pk: AT_ONCE
        if each.stage != Stage.ASSIGNED
        else (AT_ONCE if each.pk in early else opening)._replace(rest=rest)
        for each, opening in zip(found, when, strict=True)
    }


def opening_of(reading: Reading, now: datetime) -> Opening:
    """Return when `reading` opens; one that has been opened stays so."""
    rules = reading.reader.study.rules
    if reading.stage != Stage.ASSIGNED or not waits(rules):
        return AT_ONCE
    readings = Reading.objects.filter(reader=reading.reader_id).places()
    return openings_of(readings, rules, now)[reading.pk]


def waits(rules: Protocol) -> bool:
    """Tell whether readings of a study with `rules` may have to wait for anything."""
    return rules.design.has_several_sessions or rules.conduct.restrains


def must_be_open(reading: Reading, now: datetime) -> None:
    """Refuse a reading whose time has not come.

    Raises:
        ReadingNotOpenYet: its session, its turn or the washout of its case has not come, or
            its reader has to rest.
    """
    opening = opening_of(reading, now)
    if not opening.has_come(now):
        times = [opening.not_before, opening.rest.until if opening.rest else None]
        at = max((time.isoformat() for time in times if time), default=None)
        raise ReadingNotOpenYet(in_words(opening, now), not_before=at)


@transaction.atomic
def skip_reading(*, reader: User, reading_id: int, reason: str, now: datetime) -> None:
    """End a reading that cannot be done, for a technical reason; it cannot be taken up again.

    What is locked stays. Skipping again changes nothing.

    Raises:
        Reading.DoesNotExist: `reader` has no such reading.
        StudyNotOpen: readings have not begun.
        StudyLocked: the study's database is locked.
        ReadingNotOpenYet: its session or the washout of its case has not come.
        SkipRefused: there is no reason, or it is submitted.
    """
    reading = (
        Reading.objects.of(reader)
        .select_related("reader__study__database_lock")
        .select_for_update(of=("self",))
        .get(pk=reading_id)
    )
    if reading.reader.study.opened_at is None:
        raise StudyNotOpen("This study is not open yet.")
    must_not_be_locked(reading.reader.study)
    must_be_open(reading, now)
    reason = reason.strip()
    if not reason or len(reason) > REASON_LIMIT:
        raise SkipRefused(f"A reason of at most {REASON_LIMIT} characters is needed.")
    if reading.stage == Stage.SUBMITTED:
        raise SkipRefused("This reading is submitted, and cannot be skipped.")
    if Skip.objects.filter(reading=reading).exists():
        return
    Skip.objects.create(reading=reading, reason=reason, at=now)
    Event.objects.create(
        reading=reading,
        key=uuid4(),
        kind="skipped",
        stage=reading.stage,
        data={"reason": reason},
        received_at=now,
    )
    study = reading.reader.study
    record_deviation(study=study, kind=Kind.SKIP, reading=reading, now=now, reason=reason)


def note_order(reading: Reading, now: datetime) -> None:
    """Record that `reading` begins although one ahead of it has not ended, out of the order."""
    if reading.reader.study.rules.conduct.navigation != "forward_only":
        return
    ahead = Reading.objects.filter(
        reader=reading.reader_id, session=reading.session, position__lt=reading.position
    )
    position = (
        ahead.exclude(stage=Stage.SUBMITTED)
        .filter(skip__isnull=True)
        .values_list("position", flat=True)
        .first()
    )
    if position is not None:
        record_deviation(
            study=reading.reader.study,
            kind=Kind.OUT_OF_ORDER,
            reading=reading,
            now=now,
            ahead_of_case=position,
        )


def is_closed(reading: Reading) -> bool:
    """Tell whether a reading is over and may not be looked at.

    Its case may come back, or the protocol lets nobody go back.
    """
    return reading.stage == Stage.SUBMITTED and closes(reading.reader.study.rules)


def closes(rules: Protocol) -> bool:
    """Tell whether readings of a study with `rules` are shut once they are submitted."""
    return rules.design.sessions > 1 or rules.conduct.navigation == "forward_only"


def must_not_be_closed(reading: Reading) -> None:
    """Refuse to show the case of a reading that is over.

    Raises:
        ReadingClosed: it is submitted, and its case may come back in another session, or the
            protocol lets nobody go back.
    """
    if is_closed(reading):
        raise ReadingClosed("This reading is submitted, and stays closed.")


def in_words(opening: Opening, now: datetime) -> str:
    """Say when a reading opens; empty if it is open at `now`."""
    if opening.has_come(now):
        return ""
    parts = []
    if opening.waits_for == 0:
        parts.append("when the training cases are submitted")
    elif opening.waits_for is not None:
        what = "signed" if opening.for_signature else "complete"
        parts.append(f"when session {opening.waits_for} is {what}")
    if opening.after is not None:
        parts.append(f"when case {opening.after} is done")
    if opening.not_before is not None and opening.not_before > now:
        parts.append(f"not before {opening.not_before:%Y-%m-%d %H:%M} UTC")
    if opening.rest is not None and opening.rest.blocks(now):
        if not parts:
            return opening.rest.why
        parts.append(f"not before {opening.rest.until:%Y-%m-%d %H:%M} UTC")
    return "Opens " + ", and ".join(parts) + "."


@transaction.atomic
def open_early(*, study: Study, reading_id: int, by: User, reason: str, now: datetime) -> None:
    """Let a reading begin before its session or washout allows it; it is told in the export.

    Raises:
        Reading.DoesNotExist: the study has no such reading.
        StudyLocked: its database is locked.
        EarlyOpeningRefused: there is no reason, it is open already, or an earlier reading of
            the same case has not ended.
    """
    reading = (
        Reading.objects.of_study(study)
        .select_related("reader__study__database_lock")
        .select_for_update(of=("self",))
        .get(pk=reading_id)
    )
    must_not_be_locked(reading.reader.study)
    reason = reason.strip()
    if not reason or len(reason) > REASON_LIMIT:
        raise EarlyOpeningRefused(f"A reason of at most {REASON_LIMIT} characters is needed.")
    opening = opening_of(reading, now)._replace(rest=None)
    if opening.has_come(now):
        raise EarlyOpeningRefused("This reading is open already.")
    earlier = Reading.objects.filter(
        reader=reading.reader_id, case=reading.case_id, session__lt=reading.session
    )
    if earlier.exclude(stage=Stage.SUBMITTED).exists():
        # Two readings of one case side by side would show the AI of one to the other.
        raise EarlyOpeningRefused("An earlier reading of the same case has not ended.")
    EarlyOpening.objects.create(reading=reading, by=by, reason=reason, at=now)
    Event.objects.create(
        reading=reading,
        key=uuid4(),
        kind="opened_early",
        stage=reading.stage,
        data={"reason": reason, "by": by.pk},
        received_at=now,
    )
    if opening.waits_for is not None:
        record_deviation(
            study=study,
            kind=Kind.EARLY_OPENING,
            reading=reading,
            now=now,
            reason=reason,
            waited_for_session=opening.waits_for,
        )
    elif opening.after is not None:
        record_deviation(
            study=study,
            kind=Kind.EARLY_OPENING,
            reading=reading,
            now=now,
            reason=reason,
            waited_for_case=opening.after,
        )
    if opening.not_before is not None and opening.not_before > now:
        record_deviation(
            study=study,
            kind=Kind.WASHOUT,
            reading=reading,
            now=now,
            reason=reason,
            not_before=opening.not_before.isoformat(timespec="seconds"),
        )
