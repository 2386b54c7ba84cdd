"""What departed from the protocol, as the site itself noticed."""

from django.db import models
from django.db.models import Q

from reader_study.domain.deviation import WORDS, Kind
from reader_study.models.account import Membership, User
from reader_study.models.reading import Reading
from reader_study.models.study import Study


class Deviation(models.Model):
    """One departure from the protocol, of a reading, a reader, or the whole study.

    `detail` says more in terms of its kind, such as the reason. A database trigger refuses
    every change.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="deviations")
    reader = models.ForeignKey(Membership, models.PROTECT, null=True, related_name="+")
    reading = models.ForeignKey(Reading, models.PROTECT, null=True, related_name="deviations")
    kind = models.CharField(max_length=32)
    detail = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in Kind]), name="a_known_deviation"
            ),
            models.CheckConstraint(
                condition=Q(reading__isnull=True) | Q(reader__isnull=False),
                name="a_deviation_of_a_reading_is_its_readers",
            ),
        ]

    def __str__(self) -> str:
        return self.kind

    @property
    def words(self) -> str:
        """What departed, in a sentence."""
        return WORDS[Kind(self.kind)]

    @property
    def more(self) -> str:
        """Its detail in words."""
        first = sorted(self.detail.items(), key=lambda item: item[0] != "reason")
        return "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in first)


class DeviationReview(models.Model):
    """What the desk has made of a deviation, which is then no longer open.

    A database trigger refuses every change.
    """

    deviation = models.OneToOneField(Deviation, models.PROTECT, related_name="review")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    note = models.CharField(max_length=1000)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(note=""), name="reviewed_with_a_note"),
        ]

    def __str__(self) -> str:
        return f"review of deviation {self.deviation_id}"
