"""The desk's view of a study that is being read; it refreshes itself."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reader_study.actions.monitoring import progress_of
from reader_study.domain.design import TRAINING
from reader_study.domain.monitoring import LOOKED_BACK, OWN_MEDIAN_FROM
from reader_study.models import Role
from reader_study.pages.access import member

# A study that is read by many takes longer to count: it is asked for less often.
EVERY_S, EVERY_S_OF_MANY, MANY = 10, 30, 50_000


@login_required
@never_cache
@require_safe
def progress(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how far every reader is, and how the workers are; nothing of accuracy."""
    return render(request, "reader_study/progress.html", _context(request, slug))


@login_required
@never_cache
@require_safe
def progress_now(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the same as it is now: the part of the page that refreshes itself."""
    return render(request, "reader_study/progress_now.html", _context(request, slug))


def _context(request: HttpRequest, slug: str) -> dict[str, Any]:
    study = member(request, slug, Role.COORDINATOR, Role.INVESTIGATOR)
    now = timezone.now()
    found = progress_of(study, now)
    return {
        "study": study,
        "now": now,
        "found": found,
        "every_s": EVERY_S_OF_MANY if found.of > MANY else EVERY_S,
        "training": TRAINING,
        "looked_back": LOOKED_BACK.days,
        "own_median_from": OWN_MEDIAN_FROM,
        "washout": study.rules.design.washout,
    }
