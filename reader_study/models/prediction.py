"""What the AI says: jobs, model versions and prediction bundles."""

from django.db import models
from django.db.models import Q

from reader_study.models.study import Nodule


class JobStatus(models.TextChoices):
    """Where a prediction stands."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class Job(models.Model):
    """A prediction that is wanted: one nodule by one model.

    This row, not the broker, is the truth about work to be done: a job that is waiting past
    `retry_at` is sent again.
    """

    nodule = models.ForeignKey(Nodule, models.PROTECT, related_name="jobs")
    model = models.CharField(max_length=100)
    status = models.CharField(max_length=16, choices=JobStatus.choices, default=JobStatus.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField()
    code = models.CharField(max_length=64, blank=True)
    detail = models.TextField(blank=True)
    asked_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["nodule", "model"], name="a_nodule_once_a_model"),
            models.CheckConstraint(
                condition=Q(status=JobStatus.WAITING) ^ Q(ended_at__isnull=False),
                name="ended_exactly_when_it_has_a_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["retry_at"], condition=Q(status=JobStatus.WAITING), name="waiting_jobs"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} on {self.nodule_id}"


class ModelVersion(models.Model):
    """A model as it answered: known by the hash of its card and weights, and of the code."""

    name = models.CharField(max_length=100)
    version = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    weights_hash = models.CharField(max_length=64)
    code_hash = models.CharField(max_length=64)
    card = models.JSONField()
    first_seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["hash", "code_hash"], name="a_model_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Prediction(models.Model):
    """A prediction bundle: the frozen output of one model version for one nodule.

    `bundle_hash` is the SHA-256 of the canonical JSON of `bundle`; a database trigger
    refuses every change.
    """

    job = models.OneToOneField(Job, models.PROTECT, related_name="prediction")
    model_version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="predictions")
    probability = models.FloatField()
    probability_raw = models.FloatField()
    input_hash = models.CharField(max_length=64)
    bundle = models.JSONField()
    bundle_hash = models.CharField(max_length=64)
    stored_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(probability__range=(0, 1), probability_raw__range=(0, 1)),
                name="a_probability",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_version} on {self.job.nodule_id}"
