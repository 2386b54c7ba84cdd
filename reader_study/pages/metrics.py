"""Metrics for Prometheus: the site's requests, queues, predictions and workers.

They count work, and say nothing of any study, reader or case, nor of what the AI or the truth
says. A browser in which somebody is logged in gets none, wherever it stands.
"""

import os
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from secrets import compare_digest

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from reader_study.actions.condition import free_bytes, queue_lengths
from reader_study.actions.heartbeat import KINDS, last_heard_of
from reader_study.models import ImportJob, ImportState, Job, JobStatus


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus; everybody else is told that there is nothing.

    Raises:
        Http404: the caller is none of those that the settings name.
    """
    if request.user.is_authenticated or not _may(request):
        raise Http404
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        said = generate_latest(registry)
    else:
        said = generate_latest(REGISTRY)
    now = CollectorRegistry()
    now.register(Now())
    return HttpResponse(said + generate_latest(now), content_type=CONTENT_TYPE_LATEST)


def _may(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").encode()
    token = settings.METRICS_TOKEN
    if token and compare_digest(given, f"Bearer {token}".encode()):
        return True
    if "X-Forwarded-For" in request.headers:  # from outside, through a proxy of ours
        return False
    try:
        caller = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return any(caller in ip_network(network) for network in settings.METRICS_NETWORKS)


class Now:
    """What is looked up when somebody asks; a part that does not answer is left out."""

    def collect(self) -> Iterator[Metric]:
        """Yield the site's gauges."""
        try:
            with connection.cursor() as cursor:
                cursor.execute("select 1")
            yield from _of_the_database()
            up = 1.0
        except DatabaseError:
            up = 0.0
        yield GaugeMetricFamily("reread_database_up", "Whether the database answers", value=up)
        waiting = GaugeMetricFamily(
            "reread_queue_messages", "Messages that wait for a worker", labels=["queue"]
        )
        for queue, length in queue_lengths().items():
            waiting.add_metric([queue], length)
        yield waiting
        yield GaugeMetricFamily(
            "reread_archive_free_bytes", "Room where images are kept", value=free_bytes()
        )


def _of_the_database() -> Iterator[Metric]:
    predictions = GaugeMetricFamily(
        "reread_predictions", "Predictions that were asked for, by what became", labels=["status"]
    )
    counted = dict(Job.objects.order_by().values_list("status").annotate(n=Count("pk")))
    for status in JobStatus:
        predictions.add_metric([status.value], counted.get(status.value, 0))
    yield predictions
    imports = GaugeMetricFamily(
        "reread_imports", "Imports of cases, by where they stand", labels=["state"]
    )
    states = dict(ImportJob.objects.order_by().values_list("state").annotate(n=Count("pk")))
    for state in ImportState:
        imports.add_metric([state.value], states.get(state.value, 0))
    yield imports
    silent = GaugeMetricFamily(
        "reread_worker_silent_seconds",
        "Since a worker of this kind was last heard of",
        labels=["kind"],
    )
    for kind in KINDS:
        if (heard := last_heard_of(kind)) is not None:
            silent.add_metric([kind], (timezone.now() - heard).total_seconds())
    yield silent
