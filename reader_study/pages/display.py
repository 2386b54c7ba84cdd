"""The page on which a reader checks the display before reading."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from reader_study.actions.display import check_display
from reader_study.domain.display import GREY_STEPS
from reader_study.domain.errors import Refusal
from reader_study.domain.reading import Stage
from reader_study.models import DisplayCheck, Membership, Reading, Role, User

MEASURED = ("width_px", "height_px", "pixel_ratio", "zoom_percent", "colour_depth", "renderer")
SEEN = ("dark_patch_seen", "bright_patch_seen")
WORKS = ("webgl2", "software_rendering")


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def display(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the test pattern and what the protocol asks for; write down what was found."""
    assert isinstance(request.user, User)
    member = (
        Membership.objects.filter(
            study__slug=slug, user=request.user, user__is_active=True, role=Role.READER
        )
        .select_related("study")
        .first()
    )
    if member is None:
        raise Http404
    refusal, check = None, None
    if request.method == "POST":
        try:
            check = check_display(
                member=member, session=_session(member), said=_said(request), now=timezone.now()
            )
        except Refusal as refused:
            refusal = refused
        if check is not None and check.passed:
            messages.success(request, "The display is checked.")
            return redirect("worklist")
    else:
        check = DisplayCheck.objects.filter(reader=member).order_by("-at", "-pk").first()
    context = {
        "study": member.study,
        "limits": member.study.rules.images.display,
        "steps": range(GREY_STEPS),
        "most": GREY_STEPS,
        "check": check,
        "refusal": refusal,
    }
    failed = refusal is not None or (request.method == "POST" and check is not None)
    return render(request, "reader_study/display.html", context, status=409 if failed else 200)


def _session(member: Membership) -> int | None:
    """Return the session that the reader is in, or comes to."""
    waiting = Reading.objects.filter(reader=member).exclude(stage=Stage.SUBMITTED)
    return waiting.order_by("session").values_list("session", flat=True).first()


def _said(request: HttpRequest) -> dict[str, Any]:
    """Return the form as the rule reads it; what is not there is missing."""
    given = {name: request.POST[name] for name in (*MEASURED, "steps_seen") if name in request.POST}
    answered = {
        name: request.POST[name] == "yes" for name in (*SEEN, *WORKS) if name in request.POST
    }
    return given | answered
