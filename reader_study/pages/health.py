"""Whether the site is alive, and ready."""

from secrets import compare_digest
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count, Q
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reader_study.models import Job, JobStatus


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Say that the process answers."""
    return JsonResponse({"live": True})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Say whether the database answers; to a service also how many predictions have ended."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except DatabaseError:
        return JsonResponse({"ready": False, "missing": "database"}, status=503)
    answer: dict[str, Any] = {"ready": True}
    given = request.headers.get("Authorization", "").encode()
    if compare_digest(given, f"Bearer {settings.SERVICE_TOKEN}".encode()):
        ended = Count("pk", filter=~Q(status=JobStatus.WAITING))
        answer["predictions"] = Job.objects.aggregate(total=Count("pk"), done=ended)
    return JsonResponse(answer)
