"""The coordinator's pages of cases: what each holds, its nodules, and taking one out again."""

import json
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Prefetch, Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from reader_study.actions.case_changes import (
    import_nodules,
    move_nodule,
    place_nodule,
    remove_case,
    remove_nodule,
)
from reader_study.actions.cases import site_archive
from reader_study.actions.pseudonyms import pseudonym_at_desk
from reader_study.dicomweb.errors import ArchiveError, UndecodablePixels
from reader_study.dicomweb.nodules import UnreadableList, decoded
from reader_study.dicomweb.pictures import middle_of
from reader_study.dicomweb.problems import counted
from reader_study.domain.errors import Refusal
from reader_study.models import Case, Job, JobStatus, Nodule, Role, Series, Study, User
from reader_study.pages.access import is_coordinator, member

CASES_A_PAGE = 50


@login_required
@never_cache
@require_safe
def cases(request: HttpRequest, slug: str) -> HttpResponse:
    """List the cases with their series, nodules and how far their predictions are."""
    study = member(request, slug, Role.COORDINATOR)
    model = study.protocol["ai"]["model"]
    nodules = Nodule.objects.order_by("number").annotate(
        wanted=Count("jobs", filter=Q(jobs__model=model)),
        done=Count("jobs", filter=Q(jobs__model=model, jobs__status=JobStatus.DONE)),
        failed=Count("jobs", filter=Q(jobs__model=model, jobs__status=JobStatus.FAILED)),
    )
    series = Series.objects.by_examination().prefetch_related(
        Prefetch("nodules", nodules, to_attr="points"), "brought_by"
    )
    found = Case.objects.filter(study=study).prefetch_related(
        Prefetch("series", series, to_attr="shown")
    )
    page = Paginator(found.order_by("pseudonym"), CASES_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "study": study,
        "is_coordinator": is_coordinator(request, study),
        "page": page,
        "changes": study.case_changes.select_related("by").order_by("-pk")[:20],
        "ai": Job.objects.filter(nodule__series__case__study=study).exists(),
    }
    return render(request, "reader_study/cases.html", context)


@login_required
@require_safe
def thumbnail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Send the slice in the middle of a case's first series, small."""
    study = member(request, slug, Role.COORDINATOR)
    series = Series.objects.filter(case__study=study, case=pk).by_examination().first()
    if series is None:
        raise Http404
    try:
        picture = middle_of(site_archive(), series.study_uid, series.series_uid)
    except (ArchiveError, UndecodablePixels):
        raise Http404 from None
    return HttpResponse(
        picture, content_type="image/png", headers={"Cache-Control": "private, max-age=3600"}
    )


@login_required
@require_POST
def remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take a case out of the study."""
    study = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    try:
        name = remove_case(study=study, case_id=pk, by=request.user, now=timezone.now())
        messages.success(request, f"{name} is no longer in the study.")
    except Case.DoesNotExist:
        raise Http404 from None
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("study-cases", slug=slug)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def nodules(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what a list of nodules would add, line by line, and add it when told so."""
    study = member(request, slug, Role.COORDINATOR)
    context: dict[str, Any] = {"study": study, "is_coordinator": is_coordinator(request, study)}
    if request.method == "POST":
        assert isinstance(request.user, User)  # whom `member` lets through
        dry_run = request.POST.get("step") != "add"
        try:
            file = request.FILES.get("nodules")
            name = (file.name if file else "") or "the list of nodules"
            text = decoded(file.read(), name) if file else request.POST.get("text", "")
            listed = import_nodules(
                study=study,
                text=text,
                name=name,
                by=request.user,
                now=timezone.now(),
                dry_run=dry_run,
            )
            total = sum(listed.added.values())
            if not dry_run:
                messages.success(request, f"{counted(total, 'nodule')} added.")
                return redirect("study-cases", slug=slug)
            context |= {"listed": listed, "total": total, "text": text}
        except UnreadableList as error:
            messages.error(request, f"{error}.")
        except Refusal as refusal:
            messages.error(request, refusal.detail)
    return render(request, "reader_study/nodules.html", context)


@login_required
@never_cache
@require_safe
def place(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show the images of a case, to place nodules in them."""
    study = member(request, slug, Role.COORDINATOR)
    case = get_object_or_404(Case, study=study, pk=pk)
    context = {"study": study, "case": case, "shown": _shown(study, case)}
    return render(request, "reader_study/place.html", context)


def _shown(study: Study, case: Case) -> dict[str, Any]:
    below = reverse("desk-metadata", args=[study.slug, case.pk, "0.0", "0.0"])
    dicomweb = below.partition("/studies/0.0")[0]
    return {
        "may_change": study.allocated_at is None,
        "address": reverse("study-place-nodules", args=[study.slug, case.pk]),
        "series": [
            {
                "id": one.pk,
                "study_uid": pseudonym_at_desk(case, one.study_uid),
                "series_uid": pseudonym_at_desk(case, one.series_uid),
                "dicomweb": dicomweb,
                "slices": one.slices,
            }
            for one in case.series.current()
        ],
        "nodules": [_nodule(one) for one in _of(case)],
    }


def _of(case: Case) -> list[Nodule]:
    return list(Nodule.objects.filter(series__case=case).order_by("number"))


def _nodule(nodule: Nodule) -> dict[str, Any]:
    return {
        "id": nodule.pk,
        "series": nodule.series_id,
        "number": nodule.number,
        "label": nodule.label,
        "centre_mm": list(nodule.centre_mm),
        "diameter_mm": nodule.diameter_mm,
    }


@login_required
@never_cache
@require_POST
def change_nodules(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Place, move or remove a nodule of a case; answer with those that are there then."""
    study = member(request, slug, Role.COORDINATOR)
    case = get_object_or_404(Case, study=study, pk=pk)
    assert isinstance(request.user, User)  # whom `member` lets through
    by: dict[str, Any] = {"study": study, "by": request.user, "now": timezone.now()}
    try:
        said = json.loads(request.body)
        where = {name: said.get(name) for name in ("point_mm", "diameter_mm")}
        nodule = said.get("nodule")
        if nodule is None:
            series = case.series.filter(pk=int(said.get("series") or 0)).first()
            place_nodule(series_id=series.pk if series else 0, **where, **by)
        else:
            mine = get_object_or_404(Nodule, series__case=case, pk=int(nodule))
            if said.get("remove") is True:
                remove_nodule(nodule_id=mine.pk, **by)
            else:
                move_nodule(nodule_id=mine.pk, **where, **by)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return JsonResponse({"detail": "That is no nodule."}, status=400)
    except Refusal as refusal:
        return JsonResponse({"detail": refusal.detail}, status=409)
    return JsonResponse({"nodules": [_nodule(one) for one in _of(case)]})
