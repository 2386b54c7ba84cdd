"""Invitations: how somebody comes to a password that nobody else has seen."""

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from reader_study.models import User


def invitation(user: User) -> str:
    """Return the link by which `user` chooses a password: once, and within a week.

    It has the site's origin where the settings name one.
    """
    who = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("invitation", args=[who, default_token_generator.make_token(user)])
    origin = next(iter(settings.CSRF_TRUSTED_ORIGINS), "")
    return f"{origin}{path}"
