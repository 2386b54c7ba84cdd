"""What coordinators and readers decide about readings and studies, for a reason."""

from django.db import models
from django.db.models import Q

from reader_study.models.account import User
from reader_study.models.reading import Reading
from reader_study.models.study import Study


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


class Unlock(models.Model):
    """A submitted reading whose last answer may be given anew, and why.

    `revision` is that of the answer that was the current one; it stays. A database trigger
    refuses every change; an event of the reading says the same.
    """

    reading = models.ForeignKey(Reading, models.PROTECT, related_name="unlocks")
    stage = models.CharField(max_length=16)
    revision = models.PositiveSmallIntegerField()
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=1000)
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["reading", "stage", "revision"], name="a_revision_unlocked_once"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="unlocked_for_a_reason"),
        ]

    def __str__(self) -> str:
        return f"unlock of reading {self.reading_id}"


class DatabaseLock(models.Model):
    """The end of recording in a study, after which its results may be seen; there is no way back.

    `accepted` lists what was open, and why it stayed so. `records` and `head` are the study's
    chain just before; the database fills them in itself. Triggers refuse every change of
    this row, and whatever would be recorded after it but the kinds of `record.AFTER_LOCK`.
    """

    study = models.OneToOneField(Study, models.PROTECT, related_name="database_lock")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    at = models.DateTimeField()
    statement = models.TextField()
    accepted = models.JSONField()
    records = models.BigIntegerField(default=0, editable=False)
    head = models.CharField(max_length=64, default="", editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(statement=""), name="locked_with_a_statement"),
        ]

    def __str__(self) -> str:
        return f"database lock of study {self.study_id}"


class LockProposal(models.Model):
    """That a coordinator wants the database locked, where the protocol asks for two persons.

    Another one confirms it by locking: what was accepted as open is then held against what is
    open. A database trigger refuses every change.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="lock_proposals")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    at = models.DateTimeField()
    statement = models.TextField()
    accepted = models.JSONField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(statement=""), name="proposed_with_a_statement"),
        ]

    def __str__(self) -> str:
        return f"proposal to lock study {self.study_id}"
