"""When a reading opens: after the sessions before it, and after the washout of its case."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple


class Stand(NamedTuple):
    """How far one reader's reading is; `ended_at` is None as long as it has not ended."""

    session: int
    case: str | int
    ended_at: datetime | None


class Opening(NamedTuple):
    """When a reading opens.

    `waits_for` is an earlier session that has to be complete first, and to be signed where
    `for_signature`; `not_before` is when the washout of its case ends, as far as that is known.
    """

    waits_for: int | None
    not_before: datetime | None
    for_signature: bool = False

    def has_come(self, now: datetime) -> bool:
        """Tell whether the reading is open at `now`."""
        return self.waits_for is None and (self.not_before is None or self.not_before <= now)


def openings(
    readings: Sequence[Stand], washout_days: int, unsigned: Collection[int] = ()
) -> list[Opening]:
    """Return when each of one reader's readings opens.

    A session begins when every earlier one is complete, training being session 0, and none of
    them is among the `unsigned`; a case comes back only `washout_days` after its reading in an
    earlier session has ended.
    """
    unfinished = {each.session for each in readings if each.ended_at is None}
    first_unfinished = min(unfinished.union(unsigned), default=None)
    for_signature = first_unfinished not in unfinished
    washout = timedelta(days=washout_days)
    seen: dict[str | int, list[tuple[int, datetime]]] = {}
    for each in readings:
        if each.ended_at is not None:
            seen.setdefault(each.case, []).append((each.session, each.ended_at))
    found = []
    for each in readings:
        waits = first_unfinished is not None and first_unfinished < each.session
        ends = [at + washout for session, at in seen.get(each.case, ()) if session < each.session]
        opening = Opening(first_unfinished if waits else None, max(ends, default=None))
        found.append(opening._replace(for_signature=waits and for_signature))
    return found
