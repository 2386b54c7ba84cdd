"""What is noted of every request: how long it took and how it ended, by the name of its route.

Addresses have numbers and UIDs in them, which belong neither into metrics nor into logs.
"""

import logging
import re
import time
from collections.abc import Callable
from uuid import uuid4

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Counter, Histogram

from broker.logs import pseudonym, request_id

log = logging.getLogger(__name__)

GIVEN = re.compile(r"[A-Za-z0-9-]{8,64}")
SECONDS = Histogram(
    "reread_request_seconds",
    "Time until a request was answered",
    ["route", "method", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.3, 0.5, 1, 2.5, 5, 10, 30),
)
SAVED = Counter("reread_answers_saved", "Answers taken from readers", ["how"])
SAVING = {"api-draft": "draft", "api-lock": "lock", "api-submit": "submit"}
METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}


def observed(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Time every request, write a line of it, and give it a number that its lines share."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        number = given if GIVEN.fullmatch(given) else uuid4().hex
        token = request_id.set(number)
        began = time.perf_counter()
        try:
            response = get_response(request)
            seconds = time.perf_counter() - began
            note(request, response.status_code, seconds)
        finally:
            request_id.reset(token)
        response.headers["X-Request-ID"] = number
        return response

    return middleware


def note(request: HttpRequest, status: int, seconds: float) -> None:
    """Count an answer, and write its line; of health checks only what failed."""
    match = request.resolver_match
    route = (match and match.view_name) or "none"
    method = request.method if request.method in METHODS else "other"
    SECONDS.labels(route, method, f"{status // 100}xx").observe(seconds)
    if route in SAVING and method in {"POST", "PUT"} and status == 200:
        SAVED.labels(SAVING[route]).inc()
    if route.startswith("health-") and status < 400:
        return
    log.info(
        "%s %s %s",
        method,
        route,
        status,
        extra={
            "route": route,
            "method": method,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "user": _who(request),
        },
    )


def _who(request: HttpRequest) -> str:
    # Not asked for when the view did not: that would be a query of every request.
    session = getattr(request, "session", None)
    user = session.get("_auth_user_id", "") if session is not None and session.accessed else ""
    return pseudonym(settings.SECRET_KEY, str(user), "user") if user else ""
