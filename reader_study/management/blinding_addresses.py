"""The addresses of the site, who may get something at them, and what to call them with."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.conf import settings
from django.urls import Resolver404, URLPattern, URLResolver, resolve, reverse

from reader_study.actions.pseudonyms import pseudonym
from reader_study.models import Reading

# Where a reader may get something; whatever is not named here has to refuse.
FOR_READERS = {
    *("home", "login", "logout", "worklist", "session-cases", "skip", "sign", "reading"),
    *("health-live", "health-ready", "display", "api-preferences"),
    *("api-reading", "api-open", "api-draft", "api-lock", "api-submit", "api-ai", "api-events"),
    *("api-metadata", "api-block", "api-frame", "api-slices", "api-slice", "api-truth"),
    # Of the account: what it is, its password, its second factors.
    *("account", "account_login", "account_logout", "account_change_password", "account_inactive"),
    *(
        "account_set_password",
        "account_reauthenticate",
        "invitation",
        "socialaccount_login_cancelled",
    ),
    *("socialaccount_login_error", "mfa_index", "mfa_reauthenticate", "mfa_activate_totp"),
    *("mfa_list_webauthn", "mfa_add_webauthn", "mfa_reauthenticate_webauthn"),
    *("mfa_login_webauthn", "mfa_generate_recovery_codes"),
}
FOR_NOBODY = {
    *("home", "login", "logout", "health-live", "health-ready", "account_login"),
    *("account_logout", "account_inactive", "invitation", "mfa_login_webauthn"),
    *("socialaccount_login_cancelled", "socialaccount_login_error"),
}
# Every answer of these has a new secret or challenge in it, which no case has a part in.
NEVER_TWICE_THE_SAME = {"mfa_activate_totp", "mfa_add_webauthn"}
# The one address that may hand out what of the AI may be seen.
AI_ADDRESS = "api-ai"
# And the one that may hand out the truth of a training case.
TRUTH_ADDRESS = "api-truth"


class Address(NamedTuple):
    """One address of the site: its route, its name, and the parts to be filled in."""

    route: str
    name: str
    parts: frozenset[str]


def addresses(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[Address]:
    """Yield every address below `patterns`."""
    for pattern in patterns:
        route, parts = str(pattern.pattern), frozenset(pattern.pattern.converters)
        if isinstance(pattern, URLResolver):
            for inner in addresses(pattern.url_patterns):
                yield Address(route + inner.route, inner.name, parts | inner.parts)
        else:
            yield Address(route, pattern.name or "", parts)


def sample(address: Address, reading: Reading, slug: str, uids: list[str]) -> str:
    """Fill the parts of an address in; `uids` are of a study, a series and an image.

    Raises:
        KeyError: for one of its parts no sample is known.
    """
    if "reading_id" in address.parts:
        uids = [pseudonym(reading, uid) for uid in uids]
    values: dict[str, Any] = {
        "slug": slug,
        "reading_id": reading.pk,
        **dict(zip(("study_uid", "series_uid", "instance_uid"), uids, strict=True)),
        "frames": "1",
        "number": 1,
        "frame": 0,
        "session": 1,
        "pk": 1,
        "case_id": reading.case_id,
        "nodule_id": 1,
        "file_id": 1,
        "series_id": 1,
        "uidb64": "MQ",
        "token": "set-password",
        "name": "results.json",
    }
    return reverse(address.name, kwargs={part: values[part] for part in address.parts})


def links(page: bytes) -> Iterator[str]:
    """Yield the names of the addresses a page leads to; an empty one outside of the site."""
    for text in re.findall(rb'(?:href|action|src)="([^"#?]*)', page):
        path = text.decode()
        if not path or path.startswith((settings.STATIC_URL, "data:")):
            continue
        try:
            yield resolve(path).url_name or ""
        except Resolver404:
            yield ""
