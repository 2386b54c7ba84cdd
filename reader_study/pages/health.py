"""Whether the site is alive, and ready."""

from secrets import compare_digest
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reader_study.actions.condition import NEEDED, missing
from reader_study.models import Job, JobStatus


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Say that the process answers."""
    return JsonResponse({"live": True})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Say whether the site can serve readings, and what of its surroundings does not answer.

    A service is also told how many predictions have ended.
    """
    absent = missing()
    answer: dict[str, Any] = {"ready": not set(absent) & set(NEEDED)}
    if absent:
        answer["missing"] = absent
    if "database" not in absent and _is_service(request):
        ended = Count("pk", filter=~Q(status=JobStatus.WAITING))
        answer["predictions"] = Job.objects.aggregate(total=Count("pk"), done=ended)
    return JsonResponse(answer, status=200 if answer["ready"] else 503)


def _is_service(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").encode()
    return compare_digest(given, f"Bearer {settings.SERVICE_TOKEN}".encode())
