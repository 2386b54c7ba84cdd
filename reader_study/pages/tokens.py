"""Personal access tokens on the page of one's account: made, shown once, revoked."""

import time
from urllib.parse import urlencode

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from reader_study.actions.access import has_a_desk
from reader_study.actions.tokens import make_token, revoke_token
from reader_study.domain.errors import Refusal
from reader_study.models import PersonalToken, Scope, User

DAYS = (7, 30, 90, 365)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """Show one's tokens, and make one for whoever has just proved who they are."""
    user = _holder(request)
    missing = _missing_proof(request, user)
    word, name, status = "", "", 200
    if request.method == "POST":
        if missing:
            return redirect(missing)
        try:
            made, word = make_token(
                user=user,
                name=request.POST.get("name", ""),
                scopes=request.POST.getlist("scopes"),
                days=_whole(request.POST.get("days", "")),
                now=timezone.now(),
            )
            name = made.name
        except Refusal as refusal:
            messages.error(request, refusal.detail)
            status = 409
    scopes = [each for each in Scope.choices if each[0] != Scope.SERVICE or user.is_superuser]
    context = {
        "tokens": PersonalToken.objects.filter(user=user),
        "now": timezone.now(),
        "word": word,
        "name": name,
        "scopes": scopes,
        "days": DAYS,
        "missing": missing,
    }
    return render(request, "reader_study/tokens.html", context, status=status)


@login_required
@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a token useless."""
    revoke_token(user=_holder(request), token_id=pk, now=timezone.now())
    messages.success(request, "If it was one of yours, the token is of no use any more.")
    return redirect("tokens")


def _holder(request: HttpRequest) -> User:
    """Return the caller, if they are one who may have tokens.

    Raises:
        Http404: they only read.
    """
    user = request.user
    if not isinstance(user, User) or not has_a_desk(user):
        raise Http404
    return user


def _missing_proof(request: HttpRequest, user: User) -> str:
    """Return where one proves again who one is, or nothing if that was done just now.

    Whoever has a second factor proves it by that; everybody else by their password.
    """
    kinds = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    wanted = "mfa" if kinds - {Authenticator.Type.RECOVERY_CODES} else "password"
    since = time.time() - settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
    if any(
        each.get("method") == wanted and each.get("at", 0) > since
        for each in get_authentication_records(request, user)
    ):
        return ""
    address = "account_reauthenticate"
    if wanted == "mfa":
        by_code = Authenticator.Type.TOTP in kinds
        address = "mfa_reauthenticate" if by_code else "mfa_reauthenticate_webauthn"
    return f"{reverse(address)}?{urlencode({'next': reverse('tokens')})}"


def _whole(text: str) -> int:
    return int(text[:6]) if text.isascii() and text.isdigit() else 0
