"""Bringing cases in: what was asked for, how far it is, and what was wrong with which file.

A row here, not a message, is the truth about work to be done: an import whose worker has said
nothing until `lease_until` is taken up again where it was.
"""

from django.db import models
from django.db.models import Q

from reader_study.models.account import User
from reader_study.models.study import Series, Study

NAME_LIMIT = 400


class ImportSource(models.TextChoices):
    """Where images come from."""

    UPLOAD = "upload", "files of this computer"
    FOLDER = "folder", "a folder of the server"
    ARCHIVE = "archive", "an image archive"


class ImportState(models.TextChoices):
    """Where an import stands."""

    RECEIVING = "receiving", "files are being sent"
    WAITING = "waiting", "waits for the worker"
    RUNNING = "running", "runs"
    DONE = "done", "done"
    FAILED = "failed", "stopped"
    CANCELLED = "cancelled", "cancelled"


class ImportJob(models.Model):
    """One import into a study.

    `origin` says in words what is imported; `wanted` are the [study UID, series UID] chosen in
    an archive. `profile` is how it is de-identified, empty where images are taken as they are.
    `done` of `of` files have been dealt with.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="imports")
    source = models.CharField(max_length=16, choices=ImportSource.choices)
    origin = models.CharField(max_length=NAME_LIMIT)
    wanted = models.JSONField(default=list)
    profile = models.JSONField(null=True)
    nodules = models.TextField(blank=True)
    without_nodules = models.BooleanField(default=True)
    state = models.CharField(max_length=16, choices=ImportState.choices)
    step = models.CharField(max_length=200, blank=True)
    done = models.PositiveIntegerField(default=0)
    of = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    detail = models.TextField(blank=True)
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["done", "failed", "cancelled"]) ^ Q(ended_at__isnull=True),
                name="an_import_ended_exactly_when_it_has_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"import {self.pk}: {self.state}"


class ImportFile(models.Model):
    """A file that is sent by a browser: how much of it is here; `digest` once it is whole."""

    job = models.ForeignKey(ImportJob, models.PROTECT, related_name="sent")
    path = models.CharField(max_length=NAME_LIMIT)
    size = models.PositiveBigIntegerField()
    received = models.PositiveBigIntegerField(default=0)
    digest = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "path"], name="a_file_once_an_import"),
            models.CheckConstraint(
                condition=Q(received__lte=models.F("size")), name="no_more_than_the_file"
            ),
        ]

    def __str__(self) -> str:
        return self.path


class SeriesState(models.TextChoices):
    """What became of a series."""

    WAITING = "waiting", "waits"
    IMPORTED = "imported", "in the study"
    REFUSED = "refused", "refused"
    HELD = "held", "to be looked at"
    REJECTED = "rejected", "rejected"


class ImportSeries(models.Model):
    """A series that was found, under the UIDs it is stored with; `said` is what became of it.

    `doubts` are why somebody has to look at its images first, as [code, detail, files]; `looked`
    is set once somebody found nothing in them.
    """

    job = models.ForeignKey(ImportJob, models.PROTECT, related_name="found")
    study_uid = models.CharField(max_length=64)
    series_uid = models.CharField(max_length=64)
    files = models.PositiveIntegerField()
    state = models.CharField(
        max_length=16, choices=SeriesState.choices, default=SeriesState.WAITING
    )
    said = models.TextField(blank=True)
    doubts = models.JSONField(default=list)
    looked = models.BooleanField(default=False)
    series = models.ForeignKey(Series, models.SET_NULL, null=True, related_name="brought_by")

    class Meta:
        verbose_name_plural = "import series"
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["job", "series_uid"], name="a_series_once_an_import"),
        ]

    def __str__(self) -> str:
        return f"{self.series_uid}: {self.state}"


class ImportProblem(models.Model):
    """What was wrong with one file, line or series of an import."""

    job = models.ForeignKey(ImportJob, models.PROTECT, related_name="problems")
    where = models.CharField(max_length=NAME_LIMIT)
    code = models.CharField(max_length=32)
    detail = models.CharField(max_length=NAME_LIMIT)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["job", "where", "code"], name="a_problem_once"),
        ]

    def __str__(self) -> str:
        return f"{self.where}: {self.detail}"


class CaseChange(models.Model):
    """That somebody changed what a study is made of before its cases were dealt out.

    `detail` says what was there before and after. A database trigger refuses every change.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="case_changes")
    kind = models.CharField(max_length=32)
    case = models.CharField(max_length=32, blank=True)
    detail = models.JSONField(default=dict)
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} {self.case}"

    @property
    def said(self) -> str:
        """What was done, in words."""
        number = (self.detail.get("after") or self.detail.get("before") or {}).get("number")
        return {
            "case_removed": "taken out of the study",
            "nodule_placed": f"nodule {number} placed",
            "nodule_moved": f"nodule {number} moved",
            "nodule_removed": f"nodule {number} removed",
            "nodules_listed": "nodules of a list added",
            "images_accepted": "images looked at: they show nobody",
            "images_rejected": "images looked at: they show who the patient is",
        }.get(self.kind, self.kind)
