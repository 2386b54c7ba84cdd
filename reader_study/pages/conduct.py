"""The coordinator's page of how a study is conducted."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reader_study.models import Role, SessionSignature
from reader_study.models.signature import valid_signatures
from reader_study.pages.access import is_coordinator, member


@login_required
@never_cache
@require_safe
def conduct(request: HttpRequest, slug: str) -> HttpResponse:
    """Show signatures; readers are known by their pseudonyms, so that no name is shown."""
    found = member(request, slug, Role.COORDINATOR, Role.INVESTIGATOR)
    signatures = list(
        SessionSignature.objects.filter(reader__study=found)
        .select_related("reader")
        .order_by("reader__pseudonym", "session", "pk")
    )
    valid = {each.pk for each in valid_signatures({s.reader_id for s in signatures}).values()}
    context = {
        "study": found,
        "is_coordinator": is_coordinator(request, found),
        "signs": found.rules.conduct.signature != "off",
        "signatures": [(each, each.pk in valid) for each in signatures],
    }
    return render(request, "reader_study/conduct.html", context)
