"""The study the check of blinding makes of its own: a reader at every stage of every arm."""

import secrets
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef

from reader_study.actions.prediction import record_prediction
from reader_study.actions.reading import lock_unaided, open_reading, submit
from reader_study.actions.reference import load_reference
from reader_study.actions.schedule import closes
from reader_study.actions.study import create_study
from reader_study.domain.blinding import Item, visible
from reader_study.domain.design import TRAINING
from reader_study.domain.findings import NO_FINDING
from reader_study.domain.questionnaire import Question
from reader_study.domain.reading import Stage
from reader_study.management.blinding_hidden import Hidden, a_number, marked_result
from reader_study.models import (
    Case,
    Job,
    Membership,
    Nodule,
    Prediction,
    Reading,
    Role,
    Series,
    Study,
    User,
)


class Visitor(NamedTuple):
    """Somebody who calls: `mine` is their reading, `plain` a like one without a prediction.

    `truth` where theirs is of a training case whose truth they may see.
    """

    who: str
    user: User | None
    mine: Reading
    plain: Reading | None
    shown: tuple[Item, ...]
    truth: bool = False


class OwnStudy:
    """A study with the protocol and the images of `original`, and everybody who calls."""

    def __init__(self, original: Study, now: datetime) -> None:
        self.original = original
        self.now = now
        self.mark = secrets.token_hex(6)
        self.hidden = Hidden(original, self.mark)
        self.visitors = self._set_up()

    def _set_up(self) -> list[Visitor]:
        with_prior = Series.objects.filter(case=OuterRef("case"), prior=True)
        series = (
            Series.objects.filter(case__study=self.original, nodules__isnull=False)
            .order_by(Exists(with_prior).desc(), "pk")
            .first()
        )
        if series is None:
            raise ValueError(f"the study {self.original.slug!r} has no case with a nodule")
        self.series = series
        self.priors = list(Series.objects.filter(case=series.case, prior=True))
        # Of each series the UIDs of study, series and one instance, as the archive has them.
        self.images = [self.hidden.identify(each) for each in (series, *self.priors)]
        self.study = create_study(
            slug=f"blinding-check-{self.mark}", document=self.original.protocol, now=self.now
        )
        self.study.allocated_at = self.study.opened_at = self.now
        self.study.save(update_fields=["allocated_at", "opened_at"])
        visitors = []
        design = self.study.rules.design
        for arm in design.every_arm:
            for stage in (Stage.ASSIGNED, *arm.path, Stage.SUBMITTED):
                reader = self._reader(f"{arm.name} {stage}")
                case, plain = self._case(), self._case()
                # What a case that comes back showed must not be read up meanwhile.
                over = stage is Stage.SUBMITTED and closes(self.study.rules)
                visitors.append(
                    Visitor(
                        f"a reader whose reading is {stage} ({arm.name})",
                        reader.user,
                        self._reading(reader, case, arm.name, stage, 1),
                        self._reading(reader, plain, arm.name, stage, 2),
                        () if over else visible(stage, arm.shows(stage)),
                    )
                )
                if design.training and design.training.feedback:
                    visitors.append(self._trainee(arm.name, stage))
        # Those who have seen the AI go first: nothing of it may stay behind in a cache.
        visitors.sort(key=lambda visitor: not visitor.shown)
        ahead = visitors[0].mine
        return [*visitors, Visitor("nobody", None, ahead, None, ())]

    def _trainee(self, arm: str, stage: Stage) -> Visitor:
        """Somebody who reads a training case; its truth is theirs to see in the end."""
        reader, case = self._reader(f"training {arm} {stage}"), self._case()
        case.training = True
        case.save(update_fields=["training"])
        reading = self._reading(reader, case, arm, stage, 1, session=TRAINING)
        over = stage is Stage.SUBMITTED
        shown = self.study.rules.design.arm(arm).shows(stage)
        return Visitor(
            f"a reader whose training reading is {stage} ({arm})",
            reader.user,
            reading,
            None,
            () if over and closes(self.study.rules) else visible(stage, shown),
            truth=over,
        )

    def _reader(self, name: str) -> Membership:
        number = Membership.objects.filter(study=self.study).count() + 1
        user = User.objects.create_user(username=f"check-{self.mark}-{number}")
        return Membership.objects.create(
            study=self.study, user=user, role=Role.READER, pseudonym=f"R{number:02}"
        )

    def _case(self) -> Case:
        number = Case.objects.filter(study=self.study).count() + 1
        case = Case.objects.create(
            study=self.study, pseudonym=f"C{number:02}", subject=f"S{number}"
        )
        nodules = list(self.series.nodules.all())
        given = self.study.rules.findings.has_given
        copy, *_ = [_copied(each, case) for each in (self.series, *self.priors)]
        for nodule in nodules:
            nodule.pk, nodule.series = None, copy
            nodule._state.adding = True
            if not given:  # then where it lies is hidden, too
                nodule.x, nodule.y, nodule.z = (a_number() for _ in "xyz")
                self.hidden.hide_place(nodule)
            nodule.save()
        return case

    def _reading(
        self,
        reader: Membership,
        case: Case,
        arm: str,
        stage: Stage,
        position: int,
        session: int = 1,
    ) -> Reading:
        reading = Reading.objects.create(
            reader=reader, case=case, arm=arm, position=position, session=session
        )
        by: dict[str, Any] = {"reader": reader.user, "reading_id": reading.pk, "now": self.now}
        if stage is not Stage.ASSIGNED:
            open_reading(**by)
        reading.refresh_from_db()
        while reading.stage != stage:
            step = lock_unaided if reading.stage == Stage.UNAIDED else submit
            step(**by, answers=complete_answers(self.study, case))
            reading.refresh_from_db()
        return reading

    def predict(self) -> None:
        """Give every case of a visitor its predictions and its truth, all of them marked."""
        for visitor in self.visitors[:-1]:
            for nodule in Nodule.objects.filter(series__case=visitor.mine.case_id):
                job = Job.objects.create(
                    nodule=nodule,
                    model=self.study.rules.ai.model,
                    asked_at=self.now,
                    retry_at=self.now + timedelta(days=1),
                )
                record_prediction(
                    job_id=job.pk, message=marked_result(self.study, self.mark), now=self.now
                )
                load_reference(
                    nodule=nodule,
                    malignant=True,
                    source=f"source {self.mark}",
                    detail={"panel": f"panel {self.mark}"},
                    now=self.now,
                )
        self.hidden.add(Prediction.objects.filter(job__nodule__series__case__study=self.study))


def _copied(series: Series, case: Case) -> Series:
    copy = Series.objects.get(pk=series.pk)
    copy.pk, copy.case = None, case
    copy._state.adding = True
    copy.save()
    return copy


def complete_answers(study: Study, case: Case) -> dict[str, Any]:
    """Return answers that are complete."""
    rules = study.rules
    form = rules.questionnaire
    nodules = Nodule.objects.filter(series__case=case).values_list("pk", flat=True)
    answers: dict[str, Any] = {
        "case": {question.name: {"value": _some(question)} for question in form.case},
        "nodules": {},
    }
    if rules.findings.has_given:
        answers["nodules"] = {
            str(nodule): {question.name: {"value": _some(question)} for question in form.nodule}
            for nodule in nodules
        }
    if rules.findings.has_marks:
        answers[NO_FINDING] = True
    return answers


def _some(question: Question) -> Any:
    match question.kind:
        case "single_choice":
            return question.options[0].value
        case "multiple_choice":
            return [question.options[0].value]
        case "text":
            return "text"
    return question.scale.min if question.scale else 1
