"""The page on which a reader signs a session."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from reader_study.actions.identity import must_know_password
from reader_study.actions.signature import sign_session
from reader_study.domain.design import TRAINING
from reader_study.domain.errors import Refusal
from reader_study.domain.reading import Stage
from reader_study.models import Membership, Reading, Role, Skip, User


@login_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign(request: HttpRequest, slug: str, session: int) -> HttpResponse:
    """Show what is signed, and sign it with name and password."""
    assert isinstance(request.user, User)
    member = (
        Membership.objects.filter(
            study__slug=slug, user=request.user, user__is_active=True, role=Role.READER
        )
        .select_related("study__database_lock")
        .first()
    )
    if member is None or session == TRAINING or member.study.rules.conduct.signature == "off":
        raise Http404
    readings = Reading.objects.filter(reader=member, session=session)
    if not readings:
        raise Http404
    refusal = None
    if request.method == "POST":
        try:
            must_know_password(request.user, request.POST.get("password", ""))
            sign_session(
                member=member,
                session=session,
                by=request.user,
                name=request.POST.get("name", ""),
                now=timezone.now(),
            )
        except Refusal as refused:
            refusal = refused
        else:
            messages.success(request, "The session is signed.")
            return redirect("worklist")
    skips = Skip.objects.filter(reading__in=readings).values_list("reading", flat=True)
    submitted = sum(each.stage == Stage.SUBMITTED for each in readings)
    if request.method == "GET" and submitted + len(skips) < len(readings):
        return redirect("worklist")
    context = {
        "study": member.study,
        "session": session,
        "several": member.study.rules.design.has_several_sessions,
        "submitted": submitted,
        "skipped": len(skips),
        "meaning": member.study.rules.conduct.meaning,
        "name": request.POST.get("name", request.user.get_full_name()),
        "refusal": refusal,
    }
    status = 409 if refusal else 200
    return render(request, "reader_study/sign.html", context, status=status)
