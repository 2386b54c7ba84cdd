"""The coordinator's pages of bringing cases in: from a browser, a folder, an archive."""

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import RequestDataTooBig
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from reader_study.actions.accesses import note_access
from reader_study.actions.archive_search import search_archive
from reader_study.actions.importing import is_warning
from reader_study.actions.imports import (
    ENDED,
    begin_import,
    begin_work,
    bounds,
    cancel_import,
    decide,
    go_on,
    held_file,
    name_files,
    receive,
)
from reader_study.dicomweb.errors import ArchiveError, UndecodablePixels
from reader_study.dicomweb.nodules import UnreadableList, decoded
from reader_study.dicomweb.pictures import picture_of
from reader_study.dicomweb.profile import Dates, Profile
from reader_study.dicomweb.staging import folders_below
from reader_study.domain.errors import ImportRefused, Refusal
from reader_study.models import (
    Accessed,
    ImportFile,
    ImportJob,
    ImportSeries,
    ImportSource,
    ImportState,
    Role,
    SeriesState,
    Study,
    User,
)
from reader_study.pages.access import is_coordinator, member

EVERY_S = 2
PROBLEMS_SHOWN = 300
PICTURES_A_PAGE = 24


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def imports(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what was brought in, and the ways to bring more in; search the archive if asked to.

    A search is posted, since addresses are kept in logs and a patient's number has no place there.
    """
    study = member(request, slug, Role.COORDINATOR)
    asked = {name: request.POST.get(name, "").strip() for name in ("patient", "days", "modality")}
    found: list[dict[str, Any]] | None = None
    if "search" in request.POST:
        try:
            found = search_archive(
                patient=asked["patient"], days=asked["days"], modality=asked["modality"] or "CT"
            )
        except (ArchiveError, ImportRefused) as error:
            messages.error(request, str(error))
    context = {
        "study": study,
        "is_coordinator": is_coordinator(request, study),
        "jobs": study.imports.select_related("by").annotate(
            into=Count("found", filter=Q(found__state=SeriesState.IMPORTED)),
            held=Count("found", filter=Q(found__state=SeriesState.HELD)),
        ),
        "folders": folders_below(settings.IMPORT_DIR) if settings.IMPORT_DIR else None,
        "archive": settings.IMPORT_URL,
        "asked": asked,
        "found": found,
        "most": bounds(),
    }
    return render(request, "reader_study/imports.html", context)


@login_required
@require_POST
def begin(request: HttpRequest, slug: str) -> HttpResponse:
    """Begin an import by the form of its source."""
    study = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    source = request.POST.get("source", "")
    try:
        nodules = _list_sent(request)
        job = begin_import(
            study=study,
            source=ImportSource(source) if source in ImportSource.values else ImportSource.UPLOAD,
            by=request.user,
            now=timezone.now(),
            profile=profile_sent(request),
            origin=_origin(request, source),
            wanted=[
                (study_uid, series_uid)
                for study_uid, _, series_uid in (
                    pair.partition(" ") for pair in request.POST.getlist("series")
                )
            ],
            nodules=nodules,
            without_nodules="without_nodules" in request.POST,
        )
    except Refusal as refusal:
        messages.error(request, refusal.detail)
        return redirect("study-imports", slug=slug)
    return redirect("study-import", slug=slug, pk=job.pk)


def profile_sent(request: HttpRequest) -> Profile | None:
    """Return how images are de-identified, as a form says; None where they are not."""
    if request.POST.get("deidentify") == "no":
        return None
    return Profile(
        dates=Dates.SHIFTED if "dates" in request.POST else Dates.REMOVED,
        device="device" in request.POST,
        characteristics="characteristics" in request.POST,
        descriptors="descriptors" in request.POST,
    )


def _origin(request: HttpRequest, source: str) -> str:
    if source == ImportSource.FOLDER:
        return request.POST.get("folder", "")
    if source == ImportSource.ARCHIVE:
        return f"{len(request.POST.getlist('series'))} series of the archive"
    return ""


def _list_sent(request: HttpRequest) -> str:
    file = request.FILES.get("nodules")
    try:
        return decoded(file.read(), file.name or "the list of nodules") if file else ""
    except UnreadableList as error:
        raise ImportRefused(f"{error}.") from None


def _job(request: HttpRequest, slug: str, pk: int) -> tuple[Study, ImportJob]:
    study = member(request, slug, Role.COORDINATOR)
    return study, get_object_or_404(ImportJob.objects.select_related("by"), study=study, pk=pk)


def _shown(request: HttpRequest, study: Study, job: ImportJob) -> dict[str, Any]:
    problems = list(job.problems.all()[: PROBLEMS_SHOWN + 1])
    return {
        "study": study,
        "is_coordinator": is_coordinator(request, study),
        "job": job,
        "ended": job.state in ENDED,
        "every_s": EVERY_S,
        "found": job.found.select_related("series__case"),
        "notes": [one for one in problems[:PROBLEMS_SHOWN] if is_warning(one)],
        "problems": [one for one in problems[:PROBLEMS_SHOWN] if not is_warning(one)],
        "more": len(problems) > PROBLEMS_SHOWN,
        "profile": None if job.profile is None else Profile.of(job.profile),
        "sent": job.sent.count() if job.state == ImportState.RECEIVING else 0,
    }


@login_required
@never_cache
@require_safe
def one_import(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one import: files to send, how far it is, what was wrong."""
    study, job = _job(request, slug, pk)
    return render(request, "reader_study/import.html", _shown(request, study, job))


@login_required
@never_cache
@require_safe
def import_now(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show how far an import is: the part of its page that refreshes itself."""
    study, job = _job(request, slug, pk)
    return render(request, "reader_study/import_now.html", _shown(request, study, job))


@login_required
@require_POST
def files(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Say how much is here of files that a browser is going to send: JSON [[path, size], ...]."""
    _, job = _job(request, slug, pk)
    try:
        said = json.loads(request.body)
        listed = [(str(path), int(size)) for path, size in said]
        sent = name_files(job=job, files=listed)
    except (ValueError, TypeError, RequestDataTooBig):
        return JsonResponse({"detail": "A list of names and sizes is expected."}, status=400)
    except Refusal as refusal:
        return JsonResponse({"detail": refusal.detail}, status=409)
    return JsonResponse({"files": [one._asdict() for one in sent]})


@login_required
@require_POST
def part(request: HttpRequest, slug: str, pk: int, number: int) -> HttpResponse:
    """Take in a part of file `number`, which begins at `offset`."""
    _, job = _job(request, slug, pk)
    offset = request.GET.get("offset", "")
    if not (offset.isascii() and offset.isdigit() and len(offset) < 16):
        return JsonResponse({"detail": "offset is no number."}, status=400)
    try:
        file = receive(job=job, file_id=number, offset=int(offset), content=request.body)
    except ImportFile.DoesNotExist:
        raise Http404 from None
    except RequestDataTooBig:
        return JsonResponse({"detail": "The part is too large."}, status=413)
    except Refusal as refusal:
        return JsonResponse({"detail": refusal.detail}, status=409)
    return JsonResponse({"received": file.received})


STEPS = {"work": begin_work, "cancel": cancel_import, "go-on": go_on}


@login_required
@require_POST
def step(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Hand an import to the worker, cancel it, or go on with one that stopped."""
    _, job = _job(request, slug, pk)
    action = STEPS.get(request.POST.get("step", ""))
    try:
        if action is not None:
            action(job=job, now=timezone.now())
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("study-import", slug=slug, pk=pk)


def _held(request: HttpRequest, slug: str, pk: int, number: int) -> tuple[Study, ImportSeries]:
    study, job = _job(request, slug, pk)
    return study, get_object_or_404(job.found.select_related("job"), pk=number)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def look(request: HttpRequest, slug: str, pk: int, number: int) -> HttpResponse:
    """Show the images of a series that may show who the patient is, and take the decision."""
    study, found = _held(request, slug, pk, number)
    if request.method == "POST":
        assert isinstance(request.user, User)  # whom `member` lets through
        try:
            decide(
                job=found.job,
                series_id=found.pk,
                shows_nobody=request.POST.get("shows") == "nobody",
                by=request.user,
                now=timezone.now(),
            )
            messages.success(request, "It is recorded.")
        except Refusal as refusal:
            messages.error(request, refusal.detail)
        return redirect("study-import", slug=slug, pk=pk)
    assert isinstance(request.user, User)  # as above
    note_access(
        Accessed.IMAGES,
        user=request.user,
        now=timezone.now(),
        study=study,
        series_uid=found.series_uid,
    )
    doubted = sorted({number for doubt in found.doubts for number in doubt[2]})
    page = request.GET.get("page", "1")
    at = (int(page) if page.isdigit() and len(page) < 6 else 1) - 1
    shown = doubted[max(at, 0) * PICTURES_A_PAGE :][:PICTURES_A_PAGE]
    pages = range(1, -(-len(doubted) // PICTURES_A_PAGE) + 1)
    context = {
        "study": study,
        "found": found,
        "is_held": found.state == SeriesState.HELD,
        "doubts": [(detail, len(numbers)) for _, detail, numbers in found.doubts],
        "pictures": [
            (each + 1, reverse("study-look-frame", args=[slug, pk, number, each])) for each in shown
        ],
        "pages": pages if len(pages) > 1 else [],
        "page": at + 1,
    }
    return render(request, "reader_study/look.html", context)


@login_required
@never_cache
@require_safe
def look_frame(request: HttpRequest, slug: str, pk: int, number: int, frame: int) -> HttpResponse:
    """Send one image of a held series, as a picture."""
    _, found = _held(request, slug, pk, number)
    try:
        return HttpResponse(picture_of(held_file(found, frame)), content_type="image/png")
    except (OSError, UndecodablePixels):
        raise Http404 from None
