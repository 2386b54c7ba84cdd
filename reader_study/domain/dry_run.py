"""What a protocol comes to: its plan with a calendar, and whether it is balanced."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from reader_study.domain.allocation import Case, Place, deal
from reader_study.domain.design import TRAINING
from reader_study.domain.protocol import Protocol
from reader_study.domain.schedule import Stand, openings


class Sitting(NamedTuple):
    """One session of one reader: what is read, and from when to when at the assumed pace."""

    reader: str
    session: int
    readings: int
    arms: dict[str, int]
    first_day: date
    last_day: date


class DryRun(NamedTuple):
    """The plan of a study as its protocol makes it."""

    places: list[Place]
    sittings: list[Sitting]

    @property
    def last_day(self) -> date:
        """When the slowest reader is done."""
        return max(sitting.last_day for sitting in self.sittings)


def dry_run(
    protocol: Protocol,
    readers: Sequence[str],
    cases: Sequence[Case],
    *,
    start: date,
    per_day: int,
) -> DryRun:
    """Allocate as the site would, with readers who read `per_day` cases on every day they can.

    The first cases stand in for the training cases, which the site knows by name.

    Raises:
        AllocationImpossible: there are too few readers or cases, or no order was found that
            keeps to the restrictions.
    """
    design = protocol.design
    apart = design.training.cases if design.training else 0
    training, study = cases[:apart], cases[apart:]
    places = deal(design, protocol.allocation, readers, study, [case.name for case in training])
    sittings = []
    for reader, own in groupby(places, key=lambda place: place.reader):
        sittings += _sittings(reader, list(own), design.washout, start, per_day)
    return DryRun(places, sittings)


def _sittings(
    reader: str, places: list[Place], washout: int, start: date, per_day: int
) -> list[Sitting]:
    midnight = datetime.min.time()
    ended: dict[Place, datetime] = {}
    sittings = []
    day, on_this_day = start, 0
    for session, sitting in groupby(places, key=lambda place: place.session):
        here = list(sitting)
        # As the server has it when the session begins: what is earlier has ended.
        known = [p for p in places if p.session < session] + here
        opening = openings([Stand(p.session, p.case, ended.get(p)) for p in known], washout)
        days = []
        for place, opens in zip(here, opening[-len(here) :], strict=True):
            open_day = opens.not_before.date() if opens.not_before else day
            if open_day > day:
                day, on_this_day = open_day, 0
            elif on_this_day == per_day:
                day, on_this_day = day + timedelta(days=1), 0
            on_this_day += 1
            days.append(day)
            ended[place] = datetime.combine(day, midnight)
        arms = dict(Counter(place.arm for place in here))
        sittings.append(Sitting(reader, session, len(here), arms, days[0], days[-1]))
    return sittings


class Balance(NamedTuple):
    """How evenly a plan treats its arms; training is left out."""

    readings: dict[tuple[str, int], int]  # by arm and session
    orders: dict[tuple[str, ...], int]  # cases of readers by the order of their arms
    mean_position: dict[str, float]  # by arm: where in its session, from 0 first to 1 last


def balance(places: Iterable[Place]) -> Balance:
    """Count what shows whether arms are treated alike."""
    study = [place for place in places if place.session != TRAINING]
    readings = Counter((place.arm, place.session) for place in study)
    ways: dict[tuple[str, str], list[tuple[int, str]]] = {}
    length = Counter((place.reader, place.session) for place in study)
    positions: dict[str, list[float]] = {}
    for place in study:
        if not place.repeat:
            ways.setdefault((place.reader, place.case), []).append((place.session, place.arm))
        span = length[place.reader, place.session] - 1
        positions.setdefault(place.arm, []).append((place.position - 1) / span if span else 0.5)
    orders = Counter(tuple(arm for _, arm in sorted(way)) for way in ways.values())
    means = {arm: sum(found) / len(found) for arm, found in positions.items()}
    return Balance(dict(readings), dict(orders), means)
