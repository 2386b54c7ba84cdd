"""What can be taken out of a study, in one place, with what each file holds."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reader_study.actions.results import latest_results
from reader_study.models import Role
from reader_study.pages.access import is_coordinator, member


@login_required
@never_cache
@require_safe
def exports(request: HttpRequest, slug: str) -> HttpResponse:
    """List the files, and who may have which when."""
    study = member(request, slug, Role.COORDINATOR, Role.INVESTIGATOR)
    files = latest_results(study) if study.is_locked else {}
    context = {
        "study": study,
        "is_coordinator": is_coordinator(request, study),
        "programs": sorted(name for name in files if name.startswith("exports/")),
        "reports": [name for name in ("report.pdf", "report.html") if name in files],
    }
    return render(request, "reader_study/exports.html", context)
