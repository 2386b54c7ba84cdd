"""What happened during a reading."""

from django.db import models

from reader_study.models.reading import Reading


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

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["reading", "key"], name="an_event_once"),
        ]

    def __str__(self) -> str:
        return self.kind
