"""A reader's own settings, and the check of their display before they read."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from reader_study.actions.locked import must_not_be_locked
from reader_study.domain.display import Display, DisplayLimits, DisplayNotChecked, problems
from reader_study.domain.images import Preferences
from reader_study.models import DisplayCheck, Membership, ReaderPreferences, Reading, User


def preferences_of(user: User) -> dict[str, Any]:
    """Return what a reader has set; what they have not is left out."""
    kept = ReaderPreferences.objects.filter(user=user).first()
    return kept.values if kept else {}


@transaction.atomic
def keep_preferences(*, user: User, said: Any) -> dict[str, Any]:
    """Keep what a reader has set, in place of what was kept before.

    Raises:
        PreferencesInvalid: it is nothing that the reading room knows.
    """
    values = Preferences.of(said).model_dump(exclude_none=True)
    ReaderPreferences.objects.update_or_create(user=user, defaults={"values": values})
    return values


def check_display(
    *, member: Membership, session: int | None, said: Mapping[str, Any], now: datetime
) -> DisplayCheck:
    """Write down what a display was found to be, and what the protocol says to it.

    Raises:
        DisplayInvalid: the check is not complete.
        StudyLocked: the study's database is locked.
    """
    must_not_be_locked(member.study)
    found = Display.of(said)
    wrong = problems(member.study.rules.images.display or DisplayLimits(), found)
    return DisplayCheck.objects.create(
        reader=member,
        session=session,
        found=found.model_dump(),
        problems=wrong,
        passed=not wrong,
        at=now,
    )


def to_be_checked(members: Iterable[Membership], now: datetime) -> set[int]:
    """Return the members whose protocol asks for a check that they have not passed lately.

    Their last check counts: a display that has failed is not read on.
    """
    limits = {
        member.pk: display
        for member in members
        if (display := member.study.rules.images.display) is not None
    }
    last = {
        check.reader_id: check
        for check in DisplayCheck.objects.filter(reader__in=limits).order_by("at", "pk")
    }
    return {
        pk
        for pk, limit in limits.items()
        if pk not in last
        or not last[pk].passed
        or last[pk].at < now - timedelta(hours=limit.valid_hours)
    }


def must_be_readable(reading: Reading, now: datetime) -> None:
    """Refuse to begin a reading on a display that has not been checked.

    Raises:
        DisplayNotChecked: the protocol asks for a check, and none has passed in time.
    """
    if to_be_checked([reading.reader], now):
        raise DisplayNotChecked(
            "This study asks for a check of the display before reading: the worklist leads to it."
        )
