"""What a study found, for its investigators and coordinators, after the lock of its database."""

import json
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reader_study.actions import downloads
from reader_study.actions.accesses import note_access
from reader_study.actions.results import latest_results
from reader_study.domain.errors import ResultsSealed
from reader_study.models import Accessed, ResultDocument, ResultsJob, Role, User
from reader_study.pages.access import member
from reader_study.results.sections import EXPLORATORY, PRE_SPECIFIED

RESULTS, EXPORTS = "results.json", "exports"
# A file may style itself, and load and run nothing.
ALONE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
# What a browser shows; everything else is saved.
SHOWN = ("image/svg+xml", "image/png")


@login_required
@never_cache
@require_safe
def results(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what was computed after the lock: the pre-specified analysis first."""
    found = member(request, slug, Role.COORDINATOR, Role.INVESTIGATOR)
    files = latest_results(found) if found.is_locked else {}
    if RESULTS not in files:
        job = ResultsJob.objects.filter(study=found).first()
        context: dict[str, Any] = {"study": found, "job": job}
        return render(request, "reader_study/results_waiting.html", context)
    assert isinstance(request.user, User)  # whom `member` lets through
    note_access(Accessed.RESULTS, user=request.user, study=found, now=timezone.now())
    document = json.loads(bytes(ResultDocument.objects.get(pk=files[RESULTS].pk).content))
    for table in _tables(document):
        numeric = [column["kind"] != "text" for column in table["columns"]]
        table["lines"] = [list(zip(row, numeric, strict=True)) for row in table["rows"]]
    context = {
        "study": found,
        "said": document,
        "computed_at": files[RESULTS].computed_at,
        "planned": _of(document, PRE_SPECIFIED),
        "exploratory": _of(document, EXPLORATORY),
        "programs": [name for name in files if name.startswith(f"{EXPORTS}/")],
        "reports": [name for name in ("report.pdf", "report.html") if name in files],
    }
    return render(request, "reader_study/results.html", context)


def _of(document: dict[str, Any], standing: str) -> list[dict[str, Any]]:
    return [each for each in document["sections"] if each["standing"] == standing]


def _tables(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if document["endpoints"]:
        yield document["endpoints"]
    for section in document["sections"]:
        yield from section["tables"]
    yield from document["flow"]
    yield from document["deviations"]


@login_required
@never_cache
@require_safe
def results_file(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Send one file of the results: a figure, a table, the report."""
    found = member(request, slug, Role.COORDINATOR, Role.INVESTIGATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    try:
        file = downloads.results_file(study=found, name=name, by=request.user, now=timezone.now())
    except (ResultsSealed, ResultDocument.DoesNotExist):
        raise Http404 from None
    response = HttpResponse(bytes(file.content), content_type=file.media_type)
    response.headers["Content-Security-Policy"] = ALONE
    response.headers["X-Content-Type-Options"] = "nosniff"
    place = "inline" if file.media_type in SHOWN else "attachment"
    flat = f"{found.slug}-{name.replace('/', '-')}"
    response.headers["Content-Disposition"] = f'{place}; filename="{flat}"'
    return response


@login_required
@never_cache
@require_safe
def archive(request: HttpRequest, slug: str) -> FileResponse:
    """Send all of a locked study as one ZIP file."""
    found = member(request, slug, Role.COORDINATOR, Role.INVESTIGATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    try:
        made = downloads.archive(study=found, by=request.user, now=timezone.now())
    except ResultsSealed:
        raise Http404 from None
    return FileResponse(
        made.file, as_attachment=True, filename=made.name, content_type="application/zip"
    )
