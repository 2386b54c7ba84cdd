"""The coordinator's page of a study, and what is decided there."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Max, Q
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from reader_study.actions import downloads
from reader_study.actions.readiness import checklist, prediction_progress
from reader_study.actions.schedule import open_early
from reader_study.actions.study import open_study
from reader_study.domain.errors import Refusal
from reader_study.domain.reading import Stage
from reader_study.models import Case, EarlyOpening, Job, JobStatus, Role, User
from reader_study.pages.access import is_coordinator, member, reading_asked_for

CASES_A_PAGE, FAILED_SHOWN = 50, 50


@login_required
@never_cache
@require_safe
def study(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what a study needs, how far its readers are, and how to get the data out.

    Progress only: nothing on this page tells how accurate anybody is.
    """
    found = member(request, slug, Role.COORDINATOR, Role.INVESTIGATOR)
    readers = found.members.readers().annotate(
        assigned=Count("readings"),
        begun=Count("readings", filter=~Q(readings__stage=Stage.ASSIGNED)),
        submitted=Count("readings", filter=Q(readings__stage=Stage.SUBMITTED)),
        last=Max("readings__submitted_at"),
    )
    cases = (
        Case.objects.filter(study=found)
        .annotate(nodules=Count("series__nodules", distinct=True), slices=Max("series__slices"))
        .order_by("pseudonym")
    )
    failed = Job.objects.filter(
        nodule__series__case__study=found, status=JobStatus.FAILED
    ).select_related("nodule__series__case")
    design = found.rules.design
    context = {
        "study": found,
        "is_coordinator": is_coordinator(request, found),
        "washout": design.washout if design.has_several_sessions else None,
        "early": EarlyOpening.objects.filter(reading__reader__study=found)
        .select_related("reading__reader", "by")
        .order_by("-at"),
        "checks": checklist(found),
        "readers": readers,
        "page": Paginator(cases, CASES_A_PAGE).get_page(request.GET.get("page")),
        "failed": failed[:FAILED_SHOWN],
        "failures": failed.count(),
        "progress": prediction_progress(found),
    }
    return render(request, "reader_study/study.html", context)


@login_required
@require_POST
def open_readings(request: HttpRequest, slug: str) -> HttpResponse:
    """Let readings begin."""
    found = member(request, slug, Role.COORDINATOR)
    try:
        open_study(study=found, now=timezone.now())
        messages.success(request, "The study is open.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("study", slug=slug)


@login_required
@require_POST
def open_one_early(request: HttpRequest, slug: str) -> HttpResponse:
    """Let one reading begin before its session or washout allows it."""
    found = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    reading = reading_asked_for(request, found)
    if reading is None:
        messages.error(request, "There is no such reading: look at reader, session and number.")
        return redirect("study", slug=slug)
    try:
        open_early(
            study=found,
            reading_id=reading.pk,
            by=request.user,
            reason=request.POST.get("reason", ""),
            now=timezone.now(),
        )
        messages.success(request, "The reading can be begun; the reason is recorded.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("study", slug=slug)


@login_required
@never_cache
@require_safe
def export(request: HttpRequest, slug: str) -> FileResponse:
    """Send what was recorded as a ZIP archive of CSV tables."""
    found = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    made = downloads.export(study=found, by=request.user, now=timezone.now())
    return FileResponse(
        made.file, as_attachment=True, filename=made.name, content_type="application/zip"
    )
