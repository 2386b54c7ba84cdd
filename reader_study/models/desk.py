"""What the desk asks the site's worker for, since the web server may not see the truth."""

from django.db import models
from django.db.models import Q

from reader_study.models.account import User
from reader_study.models.study import Study


class DeskTaskKind(models.TextChoices):
    """What is asked for."""

    ALLOCATE = "allocate"
    CHECK_TRUTH = "check_truth"
    IMPORT_TRUTH = "import_truth"
    CONCLUDE_PANEL = "conclude_panel"


class DeskTaskStatus(models.TextChoices):
    """Where it stands."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class DeskTaskManager(models.Manager["DeskTask"]):
    """Leaves the payload out, which the web server has no right to read."""

    def get_queryset(self) -> models.QuerySet["DeskTask"]:
        return super().get_queryset().defer("payload")


class DeskTask(models.Model):
    """Something that needs the truth, asked for on a page and done by the site's worker.

    `payload` may hold a truth that is to be loaded: the web server writes it and cannot read it,
    and the worker empties it when it has ended. `outcome` tells nothing of the truth. The row,
    not a message, is what is to be done.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="desk_tasks")
    kind = models.CharField(max_length=16, choices=DeskTaskKind.choices)
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    status = models.CharField(
        max_length=16, choices=DeskTaskStatus.choices, default=DeskTaskStatus.WAITING
    )
    payload = models.JSONField(default=dict)
    outcome = models.JSONField(default=dict)
    detail = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    asked_at = models.DateTimeField()
    retry_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    objects = DeskTaskManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status=DeskTaskStatus.WAITING) ^ Q(ended_at__isnull=False),
                name="desk_task_ended_exactly_when_it_has_a_time",
            ),
            models.UniqueConstraint(
                fields=["study", "kind"],
                condition=Q(status=DeskTaskStatus.WAITING),
                name="one_waiting_desk_task_a_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of study {self.study_id}"
