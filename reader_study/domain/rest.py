"""When a reader has to rest, or should: breaks, and a day's number of readings."""

from datetime import datetime, timedelta
from typing import NamedTuple

from reader_study.domain.conduct import Breaks


class Sitting(NamedTuple):
    """Reading without a break: from when, and when something last happened."""

    began: datetime
    last: datetime

    @property
    def minutes(self) -> int:
        """How long it has been, in whole minutes."""
        return int((self.last - self.began).total_seconds() // 60)


class Rest(NamedTuple):
    """Until when no other reading should begin, and why; it cannot where it is `enforced`."""

    until: datetime
    why: str
    enforced: bool

    def blocks(self, now: datetime) -> bool:
        """Tell whether no other reading begins at `now`."""
        return self.enforced and self.until > now


def break_due(sitting: Sitting | None, breaks: Breaks | None, now: datetime) -> Rest | None:
    """Return the break that is due after `sitting`; time away from reading is part of it."""
    if sitting is None or breaks is None:
        return None
    until = sitting.last + timedelta(minutes=breaks.minutes)
    if sitting.minutes < breaks.after_minutes or until <= now:
        return None
    why = (
        f"You have read for {sitting.minutes} minutes. "
        f"The protocol {'asks for' if breaks.enforced else 'suggests'} a break of "
        f"{breaks.minutes} minutes, until {until:%H:%M} UTC."
    )
    return Rest(until, why, breaks.enforced)


def day_done(begun: int, most: int | None, now: datetime) -> Rest | None:
    """Return the rest until the next day, in UTC, once `most` readings are begun in this one."""
    if most is None or begun < most:
        return None
    until = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    cases = "case" if most == 1 else "cases"
    why = f"The protocol allows {most} {cases} a day. The next one opens at {until:%H:%M} UTC."
    return Rest(until, why, enforced=True)
