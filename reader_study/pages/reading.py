"""Pages of readers: the worklist and the reading room."""

from typing import NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from reader_study.domain.reading import Stage
from reader_study.models import Membership, Reading, Role, Study, User

STATES = {
    Stage.ASSIGNED: "Not begun",
    Stage.UNAIDED: "Begun, without AI",
    Stage.AIDED: "Locked, with AI",
    Stage.SUBMITTED: "Submitted",
}


class Line(NamedTuple):
    """A reading on the worklist."""

    reading: Reading
    state: str
    submitted: bool


class Worklist(NamedTuple):
    """A reader's readings in one study, in their order."""

    study: Study
    lines: list[Line]
    done: int
    following: Reading | None


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Lead everybody to where their work is."""
    assert isinstance(request.user, User)
    memberships = Membership.objects.filter(user=request.user).select_related("study")
    desks = [m.study for m in memberships if m.role != Role.READER]
    if any(m.role == Role.READER for m in memberships):
        return redirect("worklist")
    if request.user.is_superuser:
        reads = {m.study_id for m in memberships}
        desks += [study for study in Study.objects.order_by("pk") if study.pk not in reads]
    if len(desks) == 1:
        return redirect("study", slug=desks[0].slug)
    return render(request, "reader_study/home.html", {"studies": desks})


@login_required
@never_cache
@require_safe
def worklist(request: HttpRequest) -> HttpResponse:
    """Show the reader's cases in their order."""
    assert isinstance(request.user, User)
    readings = (
        Reading.objects.of(request.user)
        .select_related("reader__study", "case")
        .order_by("reader__study_id", "session", "position")
    )
    by_study: dict[Study, list[Reading]] = {}
    for reading in readings:
        by_study.setdefault(reading.reader.study, []).append(reading)
    lists = [_list(study, mine) for study, mine in by_study.items()]
    waiting = any(each.study.opened_at is None for each in lists)
    context = {"worklists": lists, "waiting": waiting}
    return render(request, "reader_study/worklist.html", context)


def _list(study: Study, readings: list[Reading]) -> Worklist:
    lines = [
        Line(reading, STATES[Stage(reading.stage)], reading.stage == Stage.SUBMITTED)
        for reading in readings
    ]
    open_ = [line.reading for line in lines if not line.submitted]
    return Worklist(study, lines, len(lines) - len(open_), open_[0] if open_ else None)


@login_required
@never_cache
@ensure_csrf_cookie
@require_safe
def reading_room(request: HttpRequest, reading_id: int) -> HttpResponse:
    """Show the reading room; what it shows comes from the API."""
    assert isinstance(request.user, User)
    reading = (
        Reading.objects.of(request.user)
        .select_related("reader__study", "case")
        .filter(pk=reading_id)
        .first()
    )
    if reading is None:
        raise Http404
    if reading.reader.study.opened_at is None:
        return redirect("worklist")
    return render(request, "reader_study/reading.html", {"reading": reading})
