"""What a study found: results are computed once after the lock, and kept as they were computed."""

from django.db import models
from django.db.models import Q

from reader_study.models.study import Study


class ResultsStatus(models.TextChoices):
    """Where the computation of results stands."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class ResultsJob(models.Model):
    """Results that are wanted, from the lock of the database on, and how far they are.

    This row, not the broker, is the truth about work to be done: a job that is waiting past
    `retry_at` is sent again. `step` and `done` of `of` are for those who wait.
    """

    study = models.OneToOneField(Study, models.PROTECT, related_name="results_job")
    status = models.CharField(
        max_length=16, choices=ResultsStatus.choices, default=ResultsStatus.WAITING
    )
    step = models.CharField(max_length=200, blank=True)
    done = models.PositiveIntegerField(default=0)
    of = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    detail = models.TextField(blank=True)
    asked_at = models.DateTimeField()
    retry_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status=ResultsStatus.WAITING) ^ Q(ended_at__isnull=False),
                name="results_ended_exactly_when_they_have_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"results of {self.study_id}: {self.status}"


class ResultDocument(models.Model):
    """One file of a study's results, as it was computed.

    Those of one `inputs_hash` and `code_hash` belong together: the same tables and the same
    program give the same bytes. A database trigger refuses every change.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="results")
    inputs_hash = models.CharField(max_length=64)
    code_hash = models.CharField(max_length=64)
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    content = models.BinaryField()
    content_hash = models.CharField(max_length=64)
    computed_at = models.DateTimeField()

    class Meta:
        ordering = ["computed_at", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "inputs_hash", "code_hash", "name"], name="a_result_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name
