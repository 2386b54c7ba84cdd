"""A reader's worklist: what is to be read, in its order, and what has ended.

A reader may have thousands of readings. Of all of them only their places are fetched, one light row
each; of those that are shown, the rest.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from reader_study.actions.display import to_be_checked
from reader_study.actions.schedule import AT_ONCE, closes, in_words, openings_of, waits
from reader_study.domain.design import TRAINING, name_for_reader
from reader_study.domain.protocol import Protocol
from reader_study.domain.reading import Stage
from reader_study.domain.rest import Rest
from reader_study.domain.schedule import Opening
from reader_study.models import Membership, Place, Reading, SessionSignature, Skip, Study, User
from reader_study.models.signature import valid_signatures

# Readings shown of each session: the next ones, and the last that have ended.
NEXT, LAST = 25, 10
A_PAGE = 50  # of a list of all of them

STATES = {
    Stage.ASSIGNED: "Not begun",
    Stage.UNAIDED: "Begun, without AI",
    Stage.AIDED: "Locked, with AI",
    Stage.SUBMITTED: "Submitted",
}


class Line(NamedTuple):
    """A reading on the worklist; `opens` says when it can be begun, if not now.

    `reopened` is why a coordinator let its last answer be given anew, which is still to be done.
    """

    reading: Reading
    name: str
    state: str
    submitted: bool
    skipped: str
    reopened: str
    opens: str
    can_enter: bool


class Session(NamedTuple):
    """One session: how far it is, its `next` readings, and the `last` that have ended.

    `opens` says when its first reading opens, if not now. `to_sign` where it has ended, and the
    protocol asks for the reader's signature; a signature after which something was recorded is
    `void`.
    """

    number: int
    title: str
    of: int
    done: int
    next: list[Line]
    last: list[Line]
    opens: str
    to_sign: bool
    signature: SessionSignature | None
    void: SessionSignature | None

    @property
    def more(self) -> bool:
        """Whether it has readings that are not among these."""
        return len(self.next) + len(self.last) < self.of


class Worklist(NamedTuple):
    """A reader's readings in one study; `following` is the one to be read now."""

    study: Study
    sessions: list[Session]
    done: int
    of: int
    following: Place | None
    rest: Rest | None
    to_check: bool


def worklists_of(user: User, now: datetime) -> list[Worklist]:
    """Return what `user` has to read, by study, in queries whose number no reading adds to."""
    return [_worklist(work, now) for work in _works_of(Reading.objects.of(user).places(), now)]


def session_of(user: User, slug: str, number: int, now: datetime) -> "AllOfASession":
    """Return one session of `user` with all its readings, to be shown page by page.

    Raises:
        Reading.DoesNotExist: the user has no such session.
    """
    mine = Reading.objects.of(user).filter(reader__study__slug=slug)
    for work in _works_of(mine.places(), now):
        places = [each for each in work.places if each.session == number]
        if places:
            return AllOfASession(work, number, places)
    raise Reading.DoesNotExist


class AllOfASession:
    """All readings of a session, in their order; lines are made of those asked for alone."""

    def __init__(self, work: "_Work", number: int, places: list[Place]) -> None:
        self.study = work.member.study
        self.title = _title(number, work.rules)
        self.number = number
        self.done = sum(map(work.has_ended, places))
        self.places = places
        self.first_open = next((i for i, one in enumerate(places) if not work.has_ended(one)), 0)
        self._work = work

    def lines(self, places: Sequence[Place]) -> list[Line]:
        """Return the lines of `places`."""
        return self._work.lines(places)


class _Work:
    """One reader's readings in one study: their places, and when each opens."""

    def __init__(self, member: Membership, places: list[Place], skips: Mapping[int, datetime],
                 now: datetime) -> None:  # fmt: skip
        self.member, self.places, self.now = member, places, now
        self.rules = member.study.rules
        self._skips = skips
        self._closes = closes(self.rules)
        self._when = openings_of(places, self.rules, now) if waits(self.rules) else {}

    def opening(self, place: Place) -> Opening:
        return self._when.get(place.pk, AT_ONCE)

    def has_ended(self, place: Place) -> bool:
        return place.stage == Stage.SUBMITTED or place.pk in self._skips

    def ended_at(self, place: Place) -> datetime:
        return place.submitted_at or self._skips[place.pk]

    def can_enter(self, place: Place) -> bool:
        if place.pk in self._skips or (place.stage == Stage.SUBMITTED and self._closes):
            return False
        return self.opening(place).has_come(self.now)

    def opens(self, place: Place) -> str:
        """Say when a reading opens; what makes them all wait is said once, above them."""
        if place.stage != Stage.ASSIGNED:
            return ""
        return in_words(self.opening(place)._replace(rest=None), self.now)

    @property
    def rest(self) -> Rest | None:
        return next((opening.rest for opening in self._when.values() if opening.rest), None)

    def lines(self, places: Collection[Place]) -> list[Line]:
        rows = (
            Reading.objects.filter(pk__in=[each.pk for each in places])
            .select_related("case", "skip")
            .prefetch_related("unlocks")
            .in_bulk()
        )
        return [self._line(each, rows[each.pk]) for each in places]

    def _line(self, place: Place, reading: Reading) -> Line:
        design = self.rules.design
        submitted = place.stage == Stage.SUBMITTED
        state = STATES[Stage(place.stage)]
        if place.stage == Stage.AIDED and len(design.arm(reading.arm).path) == 1:
            state = "Begun, with AI"
        skip = getattr(reading, "skip", None)
        unlocks = list(reading.unlocks.all())
        return Line(
            reading,
            name_for_reader(design, reading.case.pseudonym, place.session, place.position),
            state,
            submitted,
            skip.reason if skip else "",
            unlocks[-1].reason if unlocks and not submitted else "",
            self.opens(place),
            self.can_enter(place),
        )


def _works_of(places: Sequence[Place], now: datetime) -> list[_Work]:
    readers = {each.reader_id for each in places}
    by_reader: dict[int, list[Place]] = {}
    for place in places:
        by_reader.setdefault(place.reader_id, []).append(place)
    skips = dict(Skip.objects.filter(reading__reader__in=readers).values_list("reading", "at"))
    members = Membership.objects.filter(pk__in=readers).select_related("study__database_lock")
    return [_Work(member, by_reader[member.pk], skips, now) for member in members.order_by("study")]


def _title(session: int, rules: Protocol) -> str:
    if not rules.design.has_several_sessions:
        return ""
    return "Training" if session == TRAINING else f"Session {session}"


def _worklist(work: _Work, now: datetime) -> Worklist:
    reader = work.member.pk
    signs = work.rules.conduct.signature != "off"
    signed = valid_signatures({reader}) if signs else {}
    ever = {each.session: each for each in SessionSignature.objects.filter(reader=reader)}
    parts = {
        number: list(group) for number, group in groupby(work.places, lambda each: each.session)
    }
    coming = {number: _next(work, places) for number, places in parts.items()}
    ended = {number: _last(work, places) for number, places in parts.items()}
    shown = [each for some in (coming, ended) for places in some.values() for each in places]
    lines = {line.reading.pk: line for line in work.lines(shown)}
    sessions = []
    for number, places in parts.items():
        waiting = [each for each in places if not work.has_ended(each)]
        signature = signed.get((reader, number))
        sessions.append(
            Session(
                number,
                _title(number, work.rules),
                len(places),
                len(places) - len(waiting),
                [lines[each.pk] for each in coming[number]],
                [lines[each.pk] for each in ended[number]],
                _opens(work, waiting),
                signs and not waiting and number != TRAINING and signature is None,
                signature,
                None if signature else ever.get(number),
            )
        )
    following = (each for each in work.places if not work.has_ended(each) and work.can_enter(each))
    done = sum(each.done for each in sessions)
    to_check = bool(to_be_checked([work.member], now))
    return Worklist(
        work.member.study, sessions, done, len(work.places), next(following, None), work.rest,
        to_check,
    )  # fmt: skip


def _next(work: _Work, places: Sequence[Place]) -> list[Place]:
    """Return those of a session that come next: first of all what can be read now."""
    waiting = [each for each in places if not work.has_ended(each)]
    now = [each for each in waiting if work.can_enter(each)][:NEXT]
    later = [each for each in waiting if not work.can_enter(each)][: NEXT - len(now)]
    return sorted([*now, *later], key=lambda each: each.position)


def _last(work: _Work, places: Sequence[Place]) -> list[Place]:
    """Return those of a session that ended last, the last of them first."""
    ended = [each for each in places if work.has_ended(each)]
    return sorted(ended, key=lambda each: (work.ended_at(each), each.position), reverse=True)[:LAST]


def _opens(work: _Work, waiting: Sequence[Place]) -> str:
    """Say when the first of a session's readings opens; empty where one is open."""
    if not waiting or any(each.stage != Stage.ASSIGNED for each in waiting):
        return ""
    openings = {work.opening(each)._replace(rest=None) for each in waiting}
    said = {in_words(each, work.now) for each in openings}
    return "" if "" in said else min(said)
