"""What happened during a reading."""

from typing import Self

from django.db import models
from django.db.models import Q

from reader_study.domain.clock import LONGEST_PAGE_MS
from reader_study.models.reading import Reading


class EventQuerySet(models.QuerySet["Event"]):
    """Events that a browser told, by whether they have a place in time.

    What is taken in now has one; versions before took in whatever clock was said.
    """

    _CAN_BE = Q(monotonic_ms__gte=0, monotonic_ms__lte=LONGEST_PAGE_MS)

    def timed(self) -> Self:
        """Keep those whose clock a page may have shown: from them everything is derived."""
        return self.filter(self._CAN_BE)

    def untimed(self) -> Self:
        """Keep those of which nobody can say when they happened."""
        return self.filter(monotonic_ms__isnull=False).exclude(self._CAN_BE)


class Event(models.Model):
    """One thing that happened in a reading, told by the browser or by the server.

    `monotonic_ms` is the browser's clock since the page was opened, null for the server's
    own events. `key` is made by whoever tells it, so that an event told twice is one row.
    """

    reading = models.ForeignKey(Reading, models.PROTECT, related_name="events")
    key = models.UUIDField()
    kind = models.CharField(max_length=32)
    stage = models.CharField(max_length=16)
    monotonic_ms = models.FloatField(null=True)
    data = models.JSONField(default=dict)
    received_at = models.DateTimeField()

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["reading", "key"], name="an_event_once"),
        ]

    def __str__(self) -> str:
        return self.kind
