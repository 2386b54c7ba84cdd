"""What readers do: readings, drafts, locked answers and their ratings."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

from django.db import models
from django.db.models import Exists, OuterRef, Q

from reader_study.domain.design import ONLY_ARM
from reader_study.domain.protocol import Protocol
from reader_study.domain.reading import ANSWERING, Stage
from reader_study.models.account import Membership, Role, User
from reader_study.models.study import Case, Nodule, ProtocolVersion, Series, Study


class Place(NamedTuple):
    """What the order of a worklist needs of a reading; a reader may have thousands."""

    pk: int
    reader_id: int
    case_id: int
    session: int
    position: int
    stage: str
    submitted_at: datetime | None


class ReadingQuerySet(models.QuerySet["Reading"]):
    """Readings by owner and study."""

    def of(self, user: User) -> Self:
        """Keep the readings `user` does as a reader; to them no other exists."""
        return self.filter(
            reader__user=user, reader__role=Role.READER, reader__user__is_active=True
        )

    def of_study(self, study: Study) -> Self:
        """Keep the readings of `study`."""
        return self.filter(reader__study=study)

    def places(self) -> list[Place]:
        """Return the place of each, in the order of the worklist: one query, and few bytes."""
        return [
            Place(*row) for row in self.order_by("session", "position").values_list(*Place._fields)
        ]


class Reading(models.Model):
    """One reader's reading of one case in one session.

    Allocation creates every row before the study opens, so the order of a worklist is data
    that can be audited. Rows are never deleted, and `stage` changes through
    `actions.reading` only. One that has begun goes on under the `version` of the protocol it
    began under.
    """

    reader = models.ForeignKey(Membership, models.PROTECT, related_name="readings")
    case = models.ForeignKey(Case, models.PROTECT, related_name="readings")
    session = models.PositiveSmallIntegerField(default=1)
    position = models.PositiveIntegerField(help_text="Order on the worklist, from 1.")
    arm = models.CharField(max_length=32, db_default=ONLY_ARM, help_text="As in the protocol.")
    repeat = models.BooleanField(db_default=False, help_text="Read before, which is not told.")
    stage = models.CharField(max_length=16, default=Stage.ASSIGNED.value)
    version = models.ForeignKey(ProtocolVersion, models.PROTECT, null=True, related_name="+")
    opened_at = models.DateTimeField(null=True)
    submitted_at = models.DateTimeField(null=True)

    objects = ReadingQuerySet.as_manager()

    class Meta:
        ordering = ["session", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["reader", "case", "session"], name="a_case_once_a_session"
            ),
            models.UniqueConstraint(
                fields=["reader", "session", "position"], name="one_case_a_position"
            ),
            models.CheckConstraint(
                condition=Q(stage__in=[stage.value for stage in Stage]), name="a_known_stage"
            ),
            models.CheckConstraint(
                condition=Q(stage=Stage.ASSIGNED.value) ^ Q(opened_at__isnull=False),
                name="opened_exactly_when_it_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(stage=Stage.SUBMITTED.value) ^ Q(submitted_at__isnull=True),
                name="submitted_exactly_when_it_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(stage=Stage.ASSIGNED.value) ^ Q(version__isnull=False),
                name="opened_exactly_when_it_has_a_version",
            ),
        ]

    def __str__(self) -> str:
        return f"reading {self.pk}"

    @property
    def rules(self) -> Protocol:
        """The protocol it goes by: that it began under, and before that the study's."""
        return self.version.rules if self.version else self.reader.study.rules


_ANSWERING = Q(stage__in=[stage.value for stage in ANSWERING])


class Draft(models.Model):
    """What a reader has filled in so far in one stage; `version` counts the saves.

    `key` is made by whoever saves, so that a save that is said again is known. `overtaken` are
    the last keys of saves whose page heard no answer and went on, and which may arrive late.
    """

    REMEMBERED = 20

    reading = models.ForeignKey(Reading, models.PROTECT, related_name="drafts")
    stage = models.CharField(max_length=16)
    version = models.PositiveIntegerField()
    key = models.UUIDField(null=True)
    overtaken = models.JSONField(default=list, db_default=[])
    answers = models.JSONField()
    saved_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reading", "stage"], name="one_draft_a_stage"),
            models.CheckConstraint(condition=_ANSWERING, name="a_draft_of_an_answering_stage"),
        ]

    def __str__(self) -> str:
        return f"draft {self.version} of {self.stage}"

    def knows(self, key: UUID | None) -> bool:
        """Tell whether the save `key` is this one, or one that was overtaken."""
        return key is not None and (self.key == key or str(key) in self.overtaken)

    def overtaken_by(self, sent: Sequence[UUID]) -> list[str]:
        """Return the keys that a save which follows those of `sent` has overtaken."""
        return [*self.overtaken, *map(str, sent)][-self.REMEMBERED :]


def replaced(answer: str = "") -> Exists:
    """Return whether the answer a query reaches by `answer` was given anew since, as a condition.

    `answer` is empty for a query of answers, and else ends with two underscores.
    """
    return Exists(
        Answer.objects.filter(
            reading=OuterRef(f"{answer}reading"),
            stage=OuterRef(f"{answer}stage"),
            revision__gt=OuterRef(f"{answer}revision"),
        )
    )


class AnswerQuerySet(models.QuerySet["Answer"]):
    """Answers by whether they count."""

    def current(self) -> Self:
        """Keep the last revision of each stage of a reading, which is the one that counts."""
        return self.filter(~replaced())


class Answer(models.Model):
    """The locked answer of one stage of a reading.

    A reading that is unlocked gets another `revision` of its last answer; those before stay.
    A database trigger refuses every change of the row and of its ratings. `answers` is
    the form as it was sent; `ratings` and `marks` hold the same, a row each. What was measured is
    in the form alone.
    """

    reading = models.ForeignKey(Reading, models.PROTECT, related_name="answers")
    stage = models.CharField(max_length=16)
    revision = models.PositiveSmallIntegerField(db_default=1, help_text="From 1.")
    answers = models.JSONField()
    protocol_hash = models.CharField(max_length=64)
    locked_at = models.DateTimeField()

    objects = AnswerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reading", "stage", "revision"], name="one_answer_a_stage_and_revision"
            ),
            models.CheckConstraint(condition=_ANSWERING, name="an_answer_of_an_answering_stage"),
        ]

    def __str__(self) -> str:
        return f"{self.stage} answer"


class Mark(models.Model):
    """A finding that a reader has marked: LPS millimetres in its series' frame of reference.

    `key` is its name in the form that was sent, `number` its order there, from 1.
    """

    answer = models.ForeignKey(Answer, models.PROTECT, related_name="marks")
    key = models.UUIDField()
    number = models.PositiveSmallIntegerField()
    series = models.ForeignKey(Series, models.PROTECT, related_name="marks")
    x = models.FloatField()
    y = models.FloatField()
    z = models.FloatField()

    class Meta:
        ordering = ["answer_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["answer", "key"], name="a_mark_once_an_answer"),
            models.UniqueConstraint(fields=["answer", "number"], name="one_mark_a_number"),
        ]

    def __str__(self) -> str:
        return f"mark {self.number}"

    @property
    def point_mm(self) -> tuple[float, float, float]:
        """Its place, LPS millimetres."""
        return (self.x, self.y, self.z)


class Rating(models.Model):
    """One answer to one question about one nodule or mark, or, without one, about the case."""

    answer = models.ForeignKey(Answer, models.PROTECT, related_name="ratings")
    nodule = models.ForeignKey(Nodule, models.PROTECT, null=True, related_name="ratings")
    mark = models.ForeignKey(Mark, models.PROTECT, null=True, related_name="ratings")
    question = models.CharField(max_length=64)
    value = models.JSONField(null=True)
    cannot_assess = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["answer", "nodule", "mark", "question"],
                nulls_distinct=False,
                name="a_question_once",
            ),
            models.CheckConstraint(
                condition=Q(cannot_assess=True) ^ Q(value__isnull=False),
                name="a_value_or_cannot_be_assessed",
            ),
            models.CheckConstraint(
                condition=Q(nodule__isnull=True) | Q(mark__isnull=True),
                name="about_a_nodule_or_a_mark",
            ),
        ]

    def __str__(self) -> str:
        return self.question
