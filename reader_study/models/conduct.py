"""What coordinators and readers decide about single readings, for a reason."""

from django.db import models
from django.db.models import Q

from reader_study.models.account import User
from reader_study.models.reading import Reading


class EarlyOpening(models.Model):
    """A reading that may begin before its session or its washout allows it, and why.

    A database trigger refuses every change; an event of the reading says the same.
    """

    reading = models.OneToOneField(Reading, models.PROTECT, related_name="early_opening")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=1000)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="opened_early_for_a_reason"),
        ]

    def __str__(self) -> str:
        return f"early opening of reading {self.reading_id}"


class Skip(models.Model):
    """A reading its reader could not do, and why: it has ended as it was.

    A database trigger refuses every change; an event of the reading says the same.
    """

    reading = models.OneToOneField(Reading, models.PROTECT, related_name="skip")
    reason = models.CharField(max_length=1000)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="skipped_for_a_reason"),
        ]

    def __str__(self) -> str:
        return f"skip of reading {self.reading_id}"
