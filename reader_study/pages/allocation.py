"""Dealing the cases out from the desk, and the schedule that comes of it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from reader_study.actions.desk import request_allocation
from reader_study.actions.plan import schedule_of
from reader_study.domain.design import TRAINING
from reader_study.domain.errors import Refusal
from reader_study.models import Case, DeskTask, DeskTaskKind, Role, Study, User
from reader_study.pages.access import is_coordinator, member


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def allocation(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for the cases to be dealt out; show the schedule once they are."""
    desk = (Role.COORDINATOR, Role.INVESTIGATOR)
    study = member(request, slug, *(desk[:1] if request.method == "POST" else desk))
    if request.method == "POST":
        assert isinstance(request.user, User)  # whom `member` lets through
        try:
            request_allocation(
                study=study,
                training=request.POST.getlist("training"),
                by=request.user,
                now=timezone.now(),
            )
        except Refusal as refusal:
            messages.error(request, refusal.detail)
        return redirect("study-allocation", slug=slug)
    context = _context(request, study)
    if study.allocated_at is None and study.rules.design.training:
        context["wanted"] = study.rules.design.training.cases
        context["cases"] = Case.objects.filter(study=study).values_list("pseudonym", "training")
    return render(request, "reader_study/allocation.html", context)


@login_required
@never_cache
@require_safe
def now(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how far the worker is: the part of the page that refreshes itself."""
    study = member(request, slug, Role.COORDINATOR, Role.INVESTIGATOR)
    return render(request, "reader_study/allocation_now.html", _context(request, study))


def _context(request: HttpRequest, study: Study) -> dict[str, Any]:
    task = DeskTask.objects.filter(study=study, kind=DeskTaskKind.ALLOCATE).first()
    return {
        "study": study,
        "is_coordinator": is_coordinator(request, study),
        "task": task,
        "readers": study.members.readers().count(),
        "cases_there": Case.objects.filter(study=study).count(),
        "schedule": schedule_of(study) if study.allocated_at else [],
        "washout": study.rules.design.washout,
        "sessions": study.rules.design.sessions,
        "training": TRAINING,
    }
