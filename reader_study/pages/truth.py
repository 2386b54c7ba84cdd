"""The truth room: the panel's reads, lists of truths, and what the desk may know of them."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from reader_study.actions.readiness import reference_counts
from reader_study.actions.truth_room import (
    one_to_read,
    panel_member,
    panel_progress,
    record_decision,
    record_read,
    request_conclusion,
    request_truths,
    see_reads,
    series_for,
    sources_of,
    tasks_of,
    to_read,
)
from reader_study.domain.errors import Refusal
from reader_study.domain.panel_form import PanelForm
from reader_study.models import DeskTaskStatus, Membership, Nodule, Role, Study, User
from reader_study.pages.access import is_coordinator, member
from reader_study.pages.panel_form import answers_sent, fields_of

SIZE_LIMIT = 2_000_000
DESK = (Role.COORDINATOR, Role.INVESTIGATOR)


@login_required
@never_cache
@require_safe
def truth(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the panel its list, and the desk how far the truth is; never what it says."""
    study = member(request, slug, *DESK, Role.TRUTH_PANEL)
    mine = _membership(request, study)
    if mine is not None:
        lines = to_read(mine)
        context = {
            "study": study,
            "panel": study.rules.truth.panel,
            "lines": lines,
            "read": sum(line.read_at is not None for line in lines),
        }
        return render(request, "reader_study/truth_panel.html", context)
    return render(request, "reader_study/truth.html", _context(request, study))


@login_required
@never_cache
@require_safe
def now(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how far the worker is with what was asked of it: the part that refreshes itself."""
    study = member(request, slug, *DESK)
    return render(request, "reader_study/truth_now.html", _context(request, study))


def _context(request: HttpRequest, study: Study) -> dict[str, Any]:
    nodules, known = reference_counts(study)
    tasks = list(tasks_of(study))
    return {
        "study": study,
        "is_coordinator": is_coordinator(request, study),
        "rules": study.rules.truth,
        "nodules": nodules,
        "known": known,
        "panel": panel_progress(study),
        "sources": sources_of(study),
        "tasks": tasks,
        "waiting": any(task.status == DeskTaskStatus.WAITING for task in tasks),
    }


def _membership(request: HttpRequest, study: Study) -> Membership | None:
    assert isinstance(request.user, User)  # whom `member` lets through
    try:
        return panel_member(study, request.user)
    except Membership.DoesNotExist:
        return None


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def read(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show a nodule to a member of the panel, without AI, and take in what they say of it."""
    study = member(request, slug, Role.TRUTH_PANEL)
    mine = _membership(request, study)
    if mine is None:
        raise Http404
    try:
        line = one_to_read(mine, pk)
    except Nodule.DoesNotExist:
        raise Http404 from None
    found = line.nodule
    panel = study.rules.truth.panel
    form = panel.form if panel else PanelForm()
    refusal = None
    if request.method == "POST":
        given: dict[str, Any] = {
            "member": mine,
            "nodule": found,
            "verdict": request.POST.get("verdict", ""),
            "note": request.POST.get("note", ""),
            "answers": answers_sent(form, request.POST),
            "now": timezone.now(),
        }
        confidence = request.POST.get("confidence", "")
        try:
            if "decide" in request.POST:
                record_decision(**given)
            else:
                sure = int(confidence) if confidence.isdecimal() and len(confidence) < 4 else -1
                record_read(**given, confidence=None if form.confidence is None else sure)
            messages.success(request, "It is recorded.")
            return redirect(_next(slug, mine))
        except Refusal as refused:
            refusal = refused
    context = {
        "study": study,
        "nodule": found,
        "case": found.series.case,
        "read_at": line.read_at,
        "said": [
            (each, list(form.in_words(each.answers)))
            for each in see_reads(member=mine, nodule=found, now=timezone.now())
        ],
        "panel": panel,
        "form": form,
        "verdicts": form.offered.items(),
        "fields": fields_of(form, request.POST),
        "refusal": refusal,
        "given": request.POST,
        "images": _images(mine, found),
    }
    status = 409 if refusal else 200
    return render(request, "reader_study/truth_read.html", context, status=status)


def _next(slug: str, mine: Membership) -> str:
    """Lead to what is to be read next, or back to the list."""
    waiting = next((line.nodule.pk for line in to_read(mine) if line.read_at is None), None)
    if waiting is None:
        return reverse("study-truth", args=[slug])
    return reverse("study-truth-read", args=[slug, waiting])


def _images(mine: Membership, nodule: Nodule) -> dict[str, Any]:
    """What the viewer needs: the series under names of this member and nodule alone."""
    return {
        "series": {
            "id": nodule.series_id,
            **series_for(mine, nodule)._asdict(),
            "slice_mm": None,
            "kernel": "",
            "prior": False,
            "days_before": None,
        },
        "nodule": {
            "id": nodule.pk,
            "by": "study",
            "label": str(nodule.number),
            "centre_mm": nodule.centre_mm,
            "diameter_mm": nodule.diameter_mm,
        },
    }


@login_required
@require_POST
def bring(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a list of truths to be loaded, or for what that would do."""
    study = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    file = request.FILES.get("file")
    try:
        request_truths(
            study=study,
            text=file.read(SIZE_LIMIT + 1).decode() if file else "",
            by=request.user,
            now=timezone.now(),
            dry_run="check" in request.POST,
        )
    except UnicodeDecodeError:
        messages.error(request, "The file is no text in UTF-8.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("study-truth", slug=slug)


@login_required
@require_POST
def conclude(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for what the panel has come to, to be stored as the reference standard."""
    study = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    try:
        request_conclusion(study=study, by=request.user, now=timezone.now())
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("study-truth", slug=slug)
