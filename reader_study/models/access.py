"""The access log: who saw which images and answers of which case, and when."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from reader_study.models.account import Membership
from reader_study.models.reading import Reading
from reader_study.models.study import Case, Study
from reader_study.models.token import PersonalToken


class Accessed(models.TextChoices):
    """What somebody was given to see."""

    IMAGES = "images", "images"
    ANSWERS = "answers", "answers of a reading"
    AI = "ai", "output of the AI"
    TRUTH = "truth", "reference standard"
    EXPORT = "export", "export of all that was recorded"
    ARCHIVE = "archive", "archive of the locked study"
    RESULTS = "results", "results"
    LOG = "log", "the access log"


class AccessQuerySet(models.QuerySet["Access"]):
    """Accesses with who is behind them."""

    def log_of(self, study: Study) -> Self:
        """Keep those of `study`, with `who`: a pseudonym in it, or a user name outside of it."""
        member = Membership.objects.filter(study=study, user=OuterRef("user"))
        return (
            self.filter(study=study)
            .annotate(
                who=Coalesce(
                    Subquery(member.values("pseudonym")),
                    F("user__username"),
                    output_field=models.CharField(),
                )
            )
            .select_related("case", "reading", "token")
        )


class Access(models.Model):
    """That somebody was given something within a minute, however often.

    `series_uid` says what a service read in the archive, which knows no study. The inference
    worker, which reads with the site's own word, is nobody. A database trigger refuses every
    change.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    token = models.ForeignKey(PersonalToken, models.PROTECT, null=True, related_name="+")
    what = models.CharField(max_length=16, choices=Accessed.choices)
    study = models.ForeignKey(Study, models.PROTECT, null=True, related_name="+", db_index=False)
    case = models.ForeignKey(Case, models.PROTECT, null=True, related_name="+", db_index=False)
    reading = models.ForeignKey(
        Reading, models.PROTECT, null=True, related_name="+", db_index=False
    )
    series_uid = models.CharField(max_length=64, blank=True)
    minute = models.DateTimeField()
    who: str  # where `log_of` has found them

    objects = AccessQuerySet.as_manager()

    class Meta:
        ordering = ["-minute", "-pk"]
        verbose_name_plural = "accesses"
        indexes = [models.Index(fields=["study", "minute"], name="accesses_of_a_study")]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "user",
                    "minute",
                    "what",
                    "study",
                    "case",
                    "reading",
                    "series_uid",
                    "token",
                ],
                name="an_access_once_a_minute",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(what__in=Accessed.values), name="a_known_kind_of_access"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.what} at {self.minute}"
