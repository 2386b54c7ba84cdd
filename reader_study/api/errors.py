"""What a refusal looks like: a status, a stable code, and a sentence."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import page_not_found
from rest_framework import exceptions, status
from rest_framework.response import Response

from reader_study.domain.errors import AnswersIncomplete, AnswersInvalid, Refusal, TooManyCalls

# Everything a user does not have looks like this, whether it exists or not.
NOT_FOUND = {"code": "not_found", "detail": "There is nothing here for you."}


def respond(error: Exception, context: dict[str, Any]) -> Response | None:  # noqa: ARG001
    """Turn what a view raised into a response; None leaves it to Django."""
    match error:
        case AnswersInvalid() | AnswersIncomplete():
            return _refuse(status.HTTP_422_UNPROCESSABLE_ENTITY, error)
        case TooManyCalls():
            refused = _refuse(status.HTTP_429_TOO_MANY_REQUESTS, error)
            refused.headers["Retry-After"] = "60"
            return refused
        case Refusal():
            return _refuse(status.HTTP_409_CONFLICT, error)
        case Http404() | ObjectDoesNotExist() | exceptions.NotFound() | PermissionDenied():
            return Response(NOT_FOUND, status.HTTP_404_NOT_FOUND)
        case exceptions.PermissionDenied() if error.default_code == "scope_missing":
            return _plain(status.HTTP_403_FORBIDDEN, error.default_code, str(error.detail))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            detail = "You are not logged in, or your session has ended. Log in again."
            return _plain(status.HTTP_401_UNAUTHORIZED, "not_authenticated", detail)
        case exceptions.ValidationError():
            more = {"problems": list(_problems(error.detail))}
            return _plain(400, "malformed", "The request does not have the right form.", more)
        case exceptions.APIException():
            return _plain(error.status_code, error.default_code, str(error.detail))
    return None


def no_such_address(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for an address that is none: as JSON to programs, as a page to people."""
    if request.path.startswith("/api/"):
        return JsonResponse(NOT_FOUND, status=404)
    return page_not_found(request, exception)


def _refuse(code: int, refusal: Refusal) -> Response:
    return _plain(code, refusal.code, refusal.detail, refusal.more)


def _plain(code: int, name: str, detail: str, more: dict[str, Any] | None = None) -> Response:
    return Response({"code": name, "detail": detail, **(more or {})}, code)


def _problems(detail: Any, place: str = "") -> Iterator[dict[str, str]]:
    """Yield each mistake with its place, as `answers.0.key`."""
    match detail:
        case dict():
            for name, inner in detail.items():
                yield from _problems(inner, f"{place}.{name}" if place else str(name))
        case list() if any(isinstance(each, dict | list) for each in detail):
            for number, inner in enumerate(detail):
                yield from _problems(inner, f"{place}.{number}" if place else str(number))
        case list():
            for each in detail:
                yield {"place": place, "detail": str(each)}
        case _:
            yield {"place": place, "detail": str(detail)}
