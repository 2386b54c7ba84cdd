"""Who may see a page; whoever may not is told that there is none."""

from collections.abc import Callable

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from reader_study.actions.access import study_for
from reader_study.models import Membership, Reading, Role, Study


def member(request: HttpRequest, slug: str, *roles: Role) -> Study:
    """Return the study `slug` if the caller has one of `roles` in it, or is administrator.

    Raises:
        Http404: otherwise; a reader who is also administrator stays a reader here.
    """
    try:
        return study_for(request.user, slug, *roles)
    except Study.DoesNotExist:
        raise Http404 from None


def is_coordinator(request: HttpRequest, study: Study) -> bool:
    """Tell whether the caller coordinates `study`, which an administrator need not."""
    mine = Membership.objects.filter(study=study, user=request.user.pk)
    return mine.filter(role=Role.COORDINATOR).exists()


def reading_asked_for(request: HttpRequest, study: Study) -> Reading | None:
    """Return the reading of `study` a form names by reader, session and number, if it exists."""
    asked = {name: request.POST.get(name, "") for name in ("reader", "session", "position")}
    if not (asked["session"].isdecimal() and asked["position"].isdecimal()):
        return None
    return (
        Reading.objects.of_study(study)
        .filter(
            reader__pseudonym=asked["reader"],
            session=int(asked["session"][:4]),
            position=int(asked["position"][:6]),
        )
        .first()
    )


def kept_by_nobody(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Let no cache keep an answer whose view says nothing about it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware
