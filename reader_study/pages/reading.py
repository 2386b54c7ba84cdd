"""Pages of readers: the worklist and the reading room."""

from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from reader_study.actions.display import to_be_checked
from reader_study.actions.home import desks_of
from reader_study.actions.schedule import (
    AT_ONCE,
    closes,
    in_words,
    is_closed,
    opening_of,
    openings_of,
    skip_reading,
    waits,
)
from reader_study.actions.study import may_create_studies
from reader_study.domain.design import TRAINING, name_for_reader
from reader_study.domain.errors import Refusal
from reader_study.domain.protocol import Protocol
from reader_study.domain.reading import Stage
from reader_study.domain.rest import Rest
from reader_study.domain.schedule import Opening
from reader_study.models import Membership, Reading, Role, SessionSignature, Study, User
from reader_study.models.signature import valid_signatures

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

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to do."""
        return self.submitted or bool(self.skipped)


class Session(NamedTuple):
    """The readings of one session; `opens` says when its first one opens, if not now.

    `to_sign` where it has ended, and the protocol asks for the reader's signature; a
    signature after which something was recorded is `void`.
    """

    number: int
    title: str
    lines: list[Line]
    done: int
    opens: str
    to_sign: bool
    signature: SessionSignature | None
    void: SessionSignature | None


class Worklist(NamedTuple):
    """A reader's readings in one study, in their order."""

    study: Study
    sessions: list[Session]
    done: int
    of: int
    following: Line | None
    rest: Rest | None
    to_check: bool


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Lead everybody to where their work is."""
    assert isinstance(request.user, User)
    if Membership.objects.readers().filter(user=request.user).exists():
        return redirect("worklist")
    desks = desks_of(request.user)
    if len(desks) == 1:
        page = "study-truth" if desks[0].role == Role.TRUTH_PANEL else "study"
        return redirect(page, slug=desks[0].study.slug)
    may_create = may_create_studies(request.user)
    return render(request, "reader_study/home.html", {"desks": desks, "may_create": may_create})


@login_required
@never_cache
@require_safe
def worklist(request: HttpRequest) -> HttpResponse:
    """Show the reader's cases in their order."""
    assert isinstance(request.user, User)
    readings = (
        Reading.objects.of(request.user)
        .select_related("case", "skip")
        # Once a study, not in every row: a protocol is long.
        .prefetch_related("unlocks", "reader__study__database_lock")
        .order_by("reader__study_id", "session", "position")
    )
    by_study: dict[Study, list[Reading]] = {}
    for reading in readings:
        by_study.setdefault(reading.reader.study, []).append(reading)
    lists = [_list(study, mine) for study, mine in by_study.items()]
    # Seconds after which the page looks again by itself.
    refresh = 60 if any(each.rest for each in lists) else 0
    refresh = 5 if any(each.study.opened_at is None for each in lists) else refresh
    context = {"worklists": lists, "refresh": refresh}
    return render(request, "reader_study/worklist.html", context)


def _list(study: Study, readings: list[Reading]) -> Worklist:
    rules, now = study.rules, timezone.now()
    design = rules.design
    several = design.has_several_sessions
    when = openings_of(readings, rules, now) if waits(rules) else {}
    signs = rules.conduct.signature != "off"
    reader = readings[0].reader_id
    signed = valid_signatures({reader}) if signs else {}
    ever = {each.session: each for each in SessionSignature.objects.filter(reader=reader)}
    sessions = []
    for session, group in groupby(readings, key=lambda reading: reading.session):
        lines = [_line(each, rules, when.get(each.pk, AT_ONCE), now) for each in group]
        title = "Training" if session == TRAINING else f"Session {session}"
        done = sum(line.ended for line in lines)
        waiting = [line.opens for line in lines if not line.ended]
        signature = signed.get((reader, session))
        ended = all(line.ended for line in lines)
        sessions.append(
            Session(
                session,
                title if several else "",
                lines,
                done,
                min(waiting, default="") if all(waiting) else "",
                signs and ended and session != TRAINING and signature is None,
                signature,
                None if signature else ever.get(session),
            )
        )
    lines = [line for session in sessions for line in session.lines]
    following = next((line for line in lines if not line.ended and line.can_enter), None)
    rest = next((opening.rest for opening in when.values() if opening.rest), None)
    done = sum(line.ended for line in lines)
    to_check = bool(to_be_checked([readings[0].reader], now))
    return Worklist(study, sessions, done, len(lines), following, rest, to_check)


def _line(reading: Reading, rules: Protocol, opening: Opening, now: datetime) -> Line:
    design = rules.design
    submitted = reading.stage == Stage.SUBMITTED
    # What holds for all of them is said once, above.
    blocked = opening.rest is not None and opening.rest.blocks(now)
    opens = in_words(opening._replace(rest=None), now) if reading.stage == Stage.ASSIGNED else ""
    state = STATES[Stage(reading.stage)]
    if reading.stage == Stage.AIDED and len(design.arm(reading.arm).path) == 1:
        state = "Begun, with AI"
    skip = getattr(reading, "skip", None)
    unlocks = list(reading.unlocks.all())
    return Line(
        reading,
        name_for_reader(design, reading.case.pseudonym, reading.session, reading.position),
        state,
        submitted,
        skip.reason if skip else "",
        unlocks[-1].reason if unlocks and not submitted else "",
        opens,
        not (opens or blocked or skip or (submitted and closes(rules))),
    )


@login_required
@require_POST
def skip(request: HttpRequest) -> HttpResponse:
    """End a reading that cannot be done, with the reason its reader gives."""
    assert isinstance(request.user, User)
    number = request.POST.get("reading", "")
    try:
        skip_reading(
            reader=request.user,
            reading_id=int(number) if number.isdecimal() else 0,
            reason=request.POST.get("reason", ""),
            now=timezone.now(),
        )
        messages.success(request, "The case is skipped; the reason is recorded.")
    except Reading.DoesNotExist as missing:
        raise Http404 from missing
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("worklist")


@login_required
@never_cache
@ensure_csrf_cookie
@require_safe
def reading_room(request: HttpRequest, reading_id: int) -> HttpResponse:
    """Show the reading room; what it shows comes from the API."""
    assert isinstance(request.user, User)
    reading = (
        Reading.objects.of(request.user)
        .select_related("reader__study__database_lock", "case")
        .filter(pk=reading_id)
        .first()
    )
    if reading is None:
        raise Http404
    study = reading.reader.study
    if study.opened_at is None or study.is_locked:
        return redirect("worklist")
    if is_closed(reading) or hasattr(reading, "skip"):
        return redirect("worklist")
    now = timezone.now()
    if not opening_of(reading, now).has_come(now):
        return redirect("worklist")
    # A proxy that keeps slices keeps them one by one.
    shown = {"reading": reading, "one_by_one": bool(settings.FRAMES_DIR)}
    return render(request, "reader_study/reading.html", shown)
