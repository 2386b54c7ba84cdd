"""The coordinator's page of a study's people: invitations, waivers, the key of pseudonyms."""

import csv

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from reader_study.actions.accounts import invitation
from reader_study.actions.identity import must_know_password
from reader_study.actions.people import cases_known_by, grant_waiver, invite, open_key
from reader_study.domain.errors import Refusal
from reader_study.exports.columns import cell
from reader_study.models import KeyAccess, Role, Study, User, Waiver
from reader_study.pages.access import is_coordinator, member

KEY_COLUMNS = ("kind", "pseudonym", "who", "more")


@login_required
@never_cache
@require_safe
def people(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the members by role and pseudonym; who they are is in the key only."""
    return _page(request, member(request, slug, Role.COORDINATOR))


def _page(request: HttpRequest, study: Study, invited: str = "", link: str = "") -> HttpResponse:
    readers = list(study.members.readers().select_related("user"))
    known = cases_known_by(study)
    context = {
        "study": study,
        "is_coordinator": is_coordinator(request, study),
        "members": study.members.order_by("role", "pseudonym"),
        "roles": Role.choices,
        "on_the_panel": [(one, known[one.user_id]) for one in readers if one.user_id in known],
        "waivers": Waiver.objects.filter(reader__study=study).select_related("reader", "by"),
        "accesses": KeyAccess.objects.filter(study=study).select_related("by").order_by("-pk"),
        "invited": invited,
        "link": link,
    }
    return render(request, "reader_study/people.html", context)


@login_required
@never_cache
@require_POST
def invite_member(request: HttpRequest, slug: str) -> HttpResponse:
    """Give somebody a role, and show the link by which they choose a password."""
    study = member(request, slug, Role.COORDINATOR)
    try:
        added = invite(
            study=study,
            name=request.POST.get("name", ""),
            email=request.POST.get("email", ""),
            role=Role(request.POST.get("role", "")),
            pseudonym=request.POST.get("pseudonym", ""),
        )
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    except (ValueError, ValidationError) as error:
        told = " ".join(error.messages) if isinstance(error, ValidationError) else "Choose a role."
        messages.error(request, told)
    else:
        user = added.user
        if user.has_usable_password():
            messages.success(request, f"{added.pseudonym} has an account, and can log in.")
        else:
            link = request.build_absolute_uri(invitation(user))
            return _page(request, study, added.pseudonym, link)
    return redirect("study-people", slug=slug)


@login_required
@require_POST
def waive(request: HttpRequest, slug: str) -> HttpResponse:
    """Let a member of the truth panel read, for a reason."""
    study = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    asked = request.POST.get("reader", "")
    try:
        grant_waiver(
            study=study,
            reader_id=int(asked[:12]) if asked.isdecimal() else 0,
            by=request.user,
            reason=request.POST.get("reason", ""),
            now=timezone.now(),
        )
        messages.success(request, "It is waived; the reason is recorded.")
    except Refusal as refusal:
        messages.error(request, refusal.detail)
    return redirect("study-people", slug=slug)


@login_required
@never_cache
@sensitive_post_parameters("password")
@require_POST
def key(request: HttpRequest, slug: str) -> HttpResponse:
    """Hand out who stands behind the pseudonyms, after the password, for a reason."""
    study = member(request, slug, Role.COORDINATOR)
    assert isinstance(request.user, User)  # whom `member` lets through
    try:
        must_know_password(request.user, request.POST.get("password", ""))
        rows = open_key(
            study=study,
            by=request.user,
            reason=request.POST.get("reason", ""),
            now=timezone.now(),
        )
    except Refusal as refusal:
        messages.error(request, refusal.detail)
        return redirect("study-people", slug=slug)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-key.csv"'
    writer = csv.writer(response)
    writer.writerow(KEY_COLUMNS)
    writer.writerows([cell(value) for value in row] for row in rows)
    return response
