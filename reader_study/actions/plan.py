"""The schedule that an allocation has come to: who reads how much when, and no truth."""

from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from django.db.models import Count, Max, Min, Q

from reader_study.domain.reading import Stage
from reader_study.models import Reading, Study


class Planned(NamedTuple):
    """One session of one reader.

    `arms` counts readings by arm. `begun_at` and `ended_at` are what has come to pass; the
    washout of the session's first case ends at `returns_from`, and of its last at `returns_by`,
    as far as that is known.
    """

    reader: str
    session: int
    readings: int
    repeats: int
    arms: dict[str, int]
    begun_at: datetime | None
    ended_at: datetime | None
    returns_from: datetime | None
    returns_by: datetime | None


def schedule_of(study: Study) -> list[Planned]:
    """Return the sessions of every reader, in a number of queries that does not depend on them.

    By reader and session there is nothing here that follows from the truth of any case.
    """
    design = study.rules.design
    washout = timedelta(days=design.washout) if design.sessions > 1 else None
    rows: Any = (
        Reading.objects.filter(reader__study=study)
        .order_by("reader__pseudonym", "session", "arm")
        .values("reader__pseudonym", "session", "arm")
        .annotate(
            number=Count("pk"),
            repeats=Count("pk", filter=Q(repeat=True)),
            left=Count("pk", filter=~Q(stage=Stage.SUBMITTED) & Q(skip=None)),
            begun=Min("opened_at"),
            first=Min("submitted_at"),
            last=Max("submitted_at"),
        )
    )
    return [
        _planned(reader, session, list(parts), washout)
        for (reader, session), parts in groupby(
            rows, key=lambda row: (row["reader__pseudonym"], row["session"])
        )
    ]


def _planned(
    reader: str, session: int, parts: list[dict[str, Any]], washout: timedelta | None
) -> Planned:
    def known(name: str) -> list[datetime]:
        return [part[name] for part in parts if part[name]]

    over = not any(part["left"] for part in parts)
    first = min(known("first"), default=None)
    ended = max(known("last"), default=None) if over else None
    return Planned(
        reader,
        session,
        sum(part["number"] for part in parts),
        sum(part["repeats"] for part in parts),
        {part["arm"]: part["number"] for part in parts},
        min(known("begun"), default=None),
        ended,
        first + washout if first and washout is not None else None,
        ended + washout if ended and washout is not None else None,
    )
