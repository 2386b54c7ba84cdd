"""The coordinator's page of how a study is conducted."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from reader_study.actions.deviations import review_deviations
from reader_study.actions.unlocking import unlock_reading
from reader_study.domain.errors import Refusal
from reader_study.models import Deviation, Role, SessionSignature, Unlock, User
from reader_study.models.signature import valid_signatures
from reader_study.pages.access import is_coordinator, member, reading_asked_for

SHOWN = 200  # of the deviations; all of them are in the export


@login_required
@never_cache
@require_safe
def conduct(request: HttpRequest, slug: str) -> HttpResponse:
    """Show signatures, reopened answers and deviations, readers by their pseudonyms only."""
    found = member(request, slug, Role.COORDINATOR, Role.INVESTIGATOR)
    signatures = list(
        SessionSignature.objects.filter(reader__study=found)
        .select_related("reader")
        .order_by("reader__pseudonym", "session", "pk")
    )
    valid = {each.pk for each in valid_signatures({s.reader_id for s in signatures}).values()}
    deviations = (
        Deviation.objects.filter(study=found)
        .select_related("reader", "reading", "review__by")
        .order_by("-pk")
    )
    context = {
        "study": found,
        "is_coordinator": is_coordinator(request, found),
        "signs": found.rules.conduct.signature != "off",
        "signatures": [(each, each.pk in valid) for each in signatures],
        "readers": found.members.readers(),
        "deviations": (shown := list(deviations[:SHOWN])),
        "deviations_open": any(not hasattr(each, "review") for each in shown),
        "deviations_of": deviations.count(),
        "unlocks": Unlock.objects.filter(reading__reader__study=found)
        .select_related("reading__reader", "by")
        .order_by("-pk"),
    }
    return render(request, "reader_study/conduct.html", context)


@login_required
@require_POST
def unlock(request: HttpRequest, slug: str) -> HttpResponse:
    """Reopen the last answer of a submitted reading."""
    found = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    reading = reading_asked_for(request, found)
    if reading is None:
        messages.error(request, "There is no such reading: look at reader, session and number.")
        return redirect("study-conduct", slug=slug)
    try:
        unlock_reading(
            study=found,
            reading_id=reading.pk,
            by=request.user,
            reason=request.POST.get("reason", ""),
            now=timezone.now(),
        )
        messages.success(request, "The last answer can be given anew; the reason is recorded.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("study-conduct", slug=slug)


@login_required
@require_POST
def review(request: HttpRequest, slug: str) -> HttpResponse:
    """Note what was made of deviations."""
    found = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    asked = request.POST.getlist("deviation")
    try:
        number = review_deviations(
            study=found,
            ids=[int(each[:18]) for each in asked if each.isdecimal()],
            by=request.user,
            note=request.POST.get("note", ""),
            now=timezone.now(),
        )
        messages.success(request, f"Reviewed: {number}. The note is recorded.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("study-conduct", slug=slug)
