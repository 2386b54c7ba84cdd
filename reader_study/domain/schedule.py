"""When a reading opens: after the sessions before it, and after the washout of its case."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from reader_study.domain.rest import Rest


class Stand(NamedTuple):
    """How far one reader's reading is; `ended_at` is None as long as it has not ended."""

    session: int
    case: str | int
    ended_at: datetime | None
    position: int = 0


class Opening(NamedTuple):
    """When a reading opens.

    `waits_for` is an earlier session that has to be complete first, and to be signed where
    `for_signature`; `after` is the reading of its own session that has to end first, by its
    position; `not_before` is when the washout of its case ends, as far as that is known; `rest`
    is what its reader has to take or should.
    """

    waits_for: int | None
    not_before: datetime | None
    for_signature: bool = False
    after: int | None = None
    rest: Rest | None = None

    def has_come(self, now: datetime) -> bool:
        """Tell whether the reading is open at `now`."""
        waits = self.waits_for is not None or self.after is not None
        early = self.not_before is not None and self.not_before > now
        return not (waits or early or (self.rest is not None and self.rest.blocks(now)))


def openings(
    readings: Sequence[Stand],
    washout_days: int,
    unsigned: Collection[int] = (),
    *,
    in_order: bool = False,
) -> list[Opening]:
    """Return when each of one reader's readings opens.

    A session begins when every earlier one is complete, training being session 0, and none of
    them is among the `unsigned`; a case comes back only `washout_days` after its reading in an
    earlier session has ended. With `in_order` a reading also waits for those of its session
    ahead of it.
    """
    unfinished = {each.session for each in readings if each.ended_at is None}
    first_unfinished = min(unfinished.union(unsigned), default=None)
    for_signature = first_unfinished not in unfinished
    washout = timedelta(days=washout_days)
    seen: dict[str | int, list[tuple[int, datetime]]] = {}
    for each in readings:
        if each.ended_at is not None:
            seen.setdefault(each.case, []).append((each.session, each.ended_at))
    first_open: dict[int, int] = {}
    for each in readings if in_order else ():
        if each.ended_at is None:
            place = first_open.get(each.session, each.position)
            first_open[each.session] = min(place, each.position)
    found = []
    for each in readings:
        waits = first_unfinished is not None and first_unfinished < each.session
        ends = [at + washout for session, at in seen.get(each.case, ()) if session < each.session]
        opening = Opening(first_unfinished if waits else None, max(ends, default=None))
        ahead = first_open.get(each.session, each.position)
        found.append(
            opening._replace(
                for_signature=waits and for_signature,
                after=ahead if ahead < each.position else None,
            )
        )
    return found
