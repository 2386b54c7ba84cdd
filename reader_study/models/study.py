"""What is read: studies, cases, series, nodules."""

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from reader_study.domain.amendment import Phase
from reader_study.domain.measuring import Volume
from reader_study.domain.protocol import Protocol, parse_protocol


class Study(models.Model):
    """A pre-specified experiment.

    `protocol` and `protocol_hash` are those of its last `ProtocolVersion`. What deals the cases
    out is frozen when they are allocated; readers may begin from `opened_at`.
    """

    slug = models.SlugField(max_length=64, unique=True)
    title = models.CharField(max_length=200)
    protocol = models.JSONField()
    protocol_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    allocated_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "studies"
        constraints = [
            models.CheckConstraint(
                condition=Q(opened_at__isnull=True) | Q(allocated_at__isnull=False),
                name="opened_only_when_allocated",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def rules(self) -> Protocol:
        """The protocol as an object."""
        return parse_protocol(self.protocol)

    @property
    def is_locked(self) -> bool:
        """Whether recording has ended, for good; results may be seen from then on only."""
        return hasattr(self, "database_lock")


class ProtocolVersion(models.Model):
    """One version of a study's protocol, counted from 1; the last one is in force.

    `source` is the text it was written as, if it was written as one; `phase` says how far the
    study was, and the reason may be left out as long as nothing was dealt out. `by` is empty
    for what a command did. A database trigger refuses every change.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    protocol = models.JSONField()
    hash = models.CharField(max_length=64)
    source = models.TextField(blank=True)
    phase = models.CharField(max_length=16, default=Phase.DRAFT.value)
    reason = models.CharField(max_length=1000, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["study", "number"]
        constraints = [
            models.UniqueConstraint(fields=["study", "number"], name="a_version_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="versions_count_from_one"),
            models.CheckConstraint(
                condition=Q(phase__in=[phase.value for phase in Phase]), name="a_known_phase"
            ),
            models.CheckConstraint(
                condition=Q(phase=Phase.DRAFT.value) | ~Q(reason=""),
                name="amended_for_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.number}"

    @property
    def rules(self) -> Protocol:
        """The protocol as an object."""
        return parse_protocol(self.protocol)


class Case(models.Model):
    """One CT examination of one subject, under a pseudonym, and earlier ones to compare with.

    `subject` is a pseudonym too, made with the site's secret: two cases of one subject
    share it.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="cases")
    pseudonym = models.CharField(max_length=32)
    subject = models.CharField(max_length=64)
    training = models.BooleanField(db_default=False, help_text="Read for practice, by all first.")

    class Meta:
        ordering = ["pseudonym"]
        constraints = [
            models.UniqueConstraint(fields=["study", "pseudonym"], name="one_case_a_pseudonym"),
        ]

    def __str__(self) -> str:
        return self.pseudonym


class SeriesQuerySet(models.QuerySet["Series"]):
    """Series by the examination they belong to."""

    def current(self) -> Self:
        """Keep those of the examination that is read."""
        return self.filter(prior=False)

    def by_examination(self) -> Self:
        """Order them: those of the current examination, then the latest of the earlier ones."""
        return self.order_by("prior", models.F("days_before").asc(nulls_last=True), "pk")


class Series(models.Model):
    """A CT series of a case; its images lie in the archive under these UIDs.

    The UIDs are the archive's own and reach no reader. `geometry` is where its voxels lie, as
    the import has measured it: the fields of `domain.measuring.Volume`. A `prior` series is of
    an examination of the same patient `days_before` the one that is read, if that is known: dates
    are not kept. It holds no nodules, and nothing is asked of the AI about it.
    """

    case = models.ForeignKey(Case, models.PROTECT, related_name="series")
    study_uid = models.CharField(max_length=64)
    series_uid = models.CharField(max_length=64)
    frame_of_reference_uid = models.CharField(max_length=64)
    slices = models.PositiveIntegerField()
    geometry = models.JSONField(null=True)
    kernel = models.CharField(max_length=16, blank=True, db_default="")
    prior = models.BooleanField(default=False, db_default=False)
    days_before = models.PositiveIntegerField(null=True)

    objects = SeriesQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "series"
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["case", "series_uid"], name="a_series_once_a_case"),
            models.CheckConstraint(
                condition=Q(prior=True) | Q(days_before__isnull=True),
                name="an_interval_of_a_prior_only",
            ),
        ]

    def __str__(self) -> str:
        return self.series_uid

    @property
    def volume(self) -> Volume | None:
        """Where its voxels lie in the patient; None if the import has not kept it."""
        if self.geometry is None:
            return None
        return Volume(**{name: _tuples(value) for name, value in self.geometry.items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


class NoduleQuerySet(models.QuerySet["Nodule"]):
    """Nodules by what they belong to."""

    def of_study(self, study: Study) -> Self:
        """Keep the nodules of `study`'s cases."""
        return self.filter(series__case__study=study)


class Nodule(models.Model):
    """A finding at a point in patient space: LPS millimetres in its series' frame of reference.

    `number` counts the nodules of a case from 1; `label` is what the import called it.
    """

    series = models.ForeignKey(Series, models.PROTECT, related_name="nodules")
    number = models.PositiveSmallIntegerField()
    label = models.CharField(max_length=64)
    x = models.FloatField()
    y = models.FloatField()
    z = models.FloatField()
    diameter_mm = models.FloatField(null=True)

    objects = NoduleQuerySet.as_manager()

    class Meta:
        ordering = ["series__case_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["series", "label"], name="a_label_once_a_series"),
            models.CheckConstraint(
                condition=Q(diameter_mm__isnull=True) | Q(diameter_mm__gt=0),
                name="a_diameter_is_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"nodule {self.number}"

    @property
    def centre_mm(self) -> tuple[float, float, float]:
        """Its place, LPS millimetres."""
        return (self.x, self.y, self.z)
