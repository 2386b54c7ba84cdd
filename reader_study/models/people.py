"""Who may read although they know something, and who has looked up who somebody is."""

from django.db import models
from django.db.models import Q

from reader_study.models.account import Membership, User
from reader_study.models.study import Study


class Waiver(models.Model):
    """That a reader may read cases whose truth they helped to find, and why.

    A database trigger refuses every change.
    """

    reader = models.OneToOneField(Membership, models.PROTECT, related_name="waiver")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=1000)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="waived_for_a_reason"),
        ]

    def __str__(self) -> str:
        return f"waiver for {self.reader_id}"


class KeyAccess(models.Model):
    """That somebody was given the key of a study's pseudonyms, and why.

    A database trigger refuses every change.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="key_accesses")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=1000)
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="a_key_for_a_reason"),
        ]

    def __str__(self) -> str:
        return f"key of study {self.study_id}"
