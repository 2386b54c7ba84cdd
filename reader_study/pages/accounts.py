"""Accounts: what allauth is told about this site, and the pages it does not bring.

Nobody signs up: accounts are made by administrators and invitations. Passwords, second
factors (time-based codes, passkeys) and single sign-on are allauth's work.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from allauth.account import views as account
from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount import views as socialaccount
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.openid_connect import views as openid_connect
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LogoutView, PasswordResetConfirmView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, URLResolver, include, path, reverse_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reader_study.actions.access import has_a_desk
from reader_study.models import Membership, Role, User

# Where somebody who has yet to set up a second factor may go.
_WITHOUT = ("mfa_", "account", "login", "logout", "invitation", "health-", "openid_connect_")


class Login(account.LoginView):
    """User name and password, a passkey, or single sign-on where the site has it."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        name = settings.OIDC_NAME if settings.OIDC_ISSUER else ""
        return {**super().get_context_data(**kwargs), "single_sign_on": name}


class Accounts(DefaultAccountAdapter):
    """Passwords."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": (
            "That user name and password do not match. Both are case-sensitive."
        ),
        "too_many_login_attempts": (
            "Too many attempts. Wait five minutes, or ask your coordinator for a new invitation."
        ),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def add_message(self, *args: object, **kwargs: object) -> None:
        """Say nothing of logging in and out: whoever did it knows."""


class SecondFactors(DefaultMFAAdapter):
    """Secrets of second factors, which the database holds encrypted."""

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()


def _cipher() -> Fernet:
    key = hashlib.sha256(f"second factors:{settings.SECRET_KEY}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))


class SingleSignOn(DefaultSocialAccountAdapter):
    """Users of the identity provider, who are known here by their e-mail address."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: object) -> bool:
        return False


class RequireSecondFactor:
    """Leads whoever has to have a second factor, and has none, to where it is set up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *called: object) -> HttpResponse | None:
        """Refuse everything but what setting one up needs."""
        match = request.resolver_match
        name = (match.url_name if match else None) or ""
        if settings.SECOND_FACTOR == "optional" or name.startswith(_WITHOUT):
            return None
        if not isinstance(request.user, User) or not _lacks_one(request, request.user):
            return None
        if name.startswith("api-"):
            detail = "Set up a second factor first, on the page of your account."
            return JsonResponse({"code": "second_factor_missing", "detail": detail}, status=403)
        messages.warning(request, "This site asks you for a second factor. Please set one up.")
        return redirect("mfa_index")


def _lacks_one(request: HttpRequest, user: User) -> bool:
    if request.session.get("second_factor"):
        return False
    reads_only = (
        not user.is_superuser
        and not Membership.objects.filter(user=user).exclude(role=Role.READER).exists()
    )
    if settings.SECOND_FACTOR == "staff" and reads_only:
        return False
    has_one = Authenticator.objects.filter(user=user).exists()
    request.session["second_factor"] = has_one
    return not has_one


@login_required
@never_cache
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Show what somebody can change of their account."""
    assert isinstance(request.user, User)  # whom `login_required` lets through
    factors = Authenticator.objects.filter(user=request.user).count()
    context = {"factors": factors, "has_desk": has_a_desk(request.user)}
    return render(request, "reader_study/account.html", context)


class Invitation(PasswordResetConfirmView):
    """Where an invited user chooses a password; the link works once, for a week."""

    template_name = "reader_study/invitation.html"
    success_url = reverse_lazy("home")
    post_reset_login = True
    post_reset_login_backend = "allauth.account.auth_backends.AuthenticationBackend"


# The one identity provider the settings name.
_SSO = {"provider_id": "sso"}

# At the root, each under our name and under the one by which allauth looks for it.
entrance: list[URLPattern | URLResolver] = [
    path("login", Login.as_view(), name="login"),
    path("login", Login.as_view(), name="account_login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("logout", LogoutView.as_view(), name="account_logout"),
]
urls: list[URLPattern | URLResolver] = [
    path("", overview, name="account"),
    path("password", account.password_change, name="account_change_password"),
    path("password/first", account.password_set, name="account_set_password"),
    path("confirm", account.reauthenticate, name="account_reauthenticate"),
    path("inactive", account.account_inactive, name="account_inactive"),
    path("invitation/<str:uidb64>/<str:token>", Invitation.as_view(), name="invitation"),
    path("second-factor/", include("allauth.mfa.urls")),
    path("sso", openid_connect.login, _SSO, name="openid_connect_login"),
    path("sso/back", openid_connect.callback, _SSO, name="openid_connect_callback"),
    path("sso/cancelled", socialaccount.login_cancelled, name="socialaccount_login_cancelled"),
    path("sso/failed", socialaccount.login_error, name="socialaccount_login_error"),
    path("sso/unknown", socialaccount.signup, name="socialaccount_signup"),
]
