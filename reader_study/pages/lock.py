"""The ceremony that locks a study's database."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from reader_study.actions.conduct import (
    OpenPoint,
    lock_database,
    open_points,
    proposal_for,
    propose_lock,
)
from reader_study.actions.identity import must_know_password
from reader_study.domain.errors import Refusal
from reader_study.models import Role, User
from reader_study.pages.access import member

STATEMENT = (
    "All readings of this study have ended, the data are complete and as they should be, and "
    "nothing more is to be recorded."
)


@login_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def lock(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what is open, and lock the database once the coordinator signs that it is to be."""
    found = member(request, slug, Role.COORDINATOR, Role.INVESTIGATOR)
    two = found.rules.conduct.lock_by == "two"
    if not two:  # then an investigator has no part in it
        found = member(request, slug, Role.COORDINATOR)
    if found.is_locked:
        return redirect("study", slug=slug)
    assert isinstance(request.user, User)  # whom `member` lets through
    points = open_points(found)
    proposal = proposal_for(found, request.user) if two else None
    given = {
        name.removeprefix("reason-"): request.POST[name]
        for name in request.POST
        if name.startswith("reason-")
    }
    refusal = None
    if request.method == "POST":
        try:
            must_know_password(request.user, request.POST.get("password", ""))
            end = propose_lock if two and proposal is None else lock_database
            end(
                study=found,
                by=request.user,
                statement=request.POST.get("statement", ""),
                accepted=given,
                now=timezone.now(),
            )
        except Refusal as refused:
            refusal = refused
            if "open" in refused.more:
                points = [OpenPoint(**point) for point in refused.more["open"]]
        else:
            done = "The lock is proposed: another person confirms it on this page."
            if end is lock_database:
                done = "The database is locked."
            messages.success(request, done)
            return redirect("study", slug=slug)
    before = {each["kind"]: each["reason"] for each in proposal.accepted} if proposal else {}
    context = {
        "study": found,
        "points": [(point, given.get(point.kind, before.get(point.kind, ""))) for point in points],
        "two": two,
        "proposal": proposal,
        "own_proposal": found.lock_proposals.filter(by=request.user).last(),
        "statement": request.POST.get("statement", proposal.statement if proposal else STATEMENT),
        "refusal": refusal,
    }
    status = 409 if refusal else 200
    return render(request, "reader_study/lock.html", context, status=status)
