"""Reopening the last answer of a submitted reading, which a coordinator may do for a reason."""

from datetime import datetime
from uuid import uuid4

from django.db import transaction

from reader_study.actions.deviations import record_deviation
from reader_study.actions.locked import must_not_be_locked
from reader_study.domain.design import TRAINING
from reader_study.domain.deviation import Kind
from reader_study.domain.errors import UnlockRefused
from reader_study.domain.reading import ANSWERING, Stage, Step, advance
from reader_study.models import Answer, Draft, Event, Reading, Study, Unlock, User

REASON_LIMIT = 1000


@transaction.atomic
def unlock_reading(
    *, study: Study, reading_id: int, by: User, reason: str, now: datetime
) -> Unlock:
    """Let the last answer of a submitted reading be given anew; what was answered stays.

    An answer without AI is never reopened once the reader may have seen the AI of the case, be
    it in this reading or in another. A signature of the session is void from here on.

    Raises:
        Reading.DoesNotExist: the study has no such reading.
        StudyLocked: its database is locked.
        UnlockRefused: there is no reason, the reading is not submitted, or the reader may know
            what the AI says of the case.
    """
    reading = (
        Reading.objects.of_study(study)
        .select_related("reader__study__database_lock")
        .select_for_update(of=("self",))
        .get(pk=reading_id)
    )
    must_not_be_locked(reading.reader.study)
    reason = reason.strip()
    if not reason or len(reason) > REASON_LIMIT:
        raise UnlockRefused(f"A reason of at most {REASON_LIMIT} characters is needed.")
    if reading.stage != Stage.SUBMITTED:
        raise UnlockRefused("This reading is not submitted; there is nothing to reopen.")
    design = reading.reader.study.rules.design
    if reading.session == TRAINING and design.training and design.training.feedback:
        raise UnlockRefused("The reader has seen the truth of this training case.")
    stage = advance(Stage.SUBMITTED, Step.UNLOCK, design.arm(reading.arm).path)
    others = Reading.objects.filter(reader=reading.reader_id, case=reading.case_id).exclude(
        pk=reading.pk
    )
    for other in others:
        if other.stage in ANSWERING:
            raise UnlockRefused("Another reading of this case by this reader is under way.")
        may_know = other.stage != Stage.ASSIGNED and Stage.AIDED in design.arm(other.arm).path
        if stage is Stage.UNAIDED and may_know:
            raise UnlockRefused(
                "The reader has seen what the AI says of this case, so that an answer without it"
                " cannot be given any more."
            )
    answer = Answer.objects.current().get(reading=reading, stage=stage)
    unlock = Unlock.objects.create(
        reading=reading, stage=stage, revision=answer.revision, by=by, reason=reason, at=now
    )
    reading.stage, reading.submitted_at = stage, None
    reading.save(update_fields=["stage", "submitted_at"])
    draft = Draft.objects.filter(reading=reading, stage=stage).first()
    Draft.objects.update_or_create(
        reading=reading,
        stage=stage,
        defaults={
            "version": draft.version + 1 if draft else 0,
            "answers": answer.answers,
            "saved_at": now,
        },
    )
    Event.objects.create(
        reading=reading,
        key=uuid4(),
        kind="unlocked",
        stage=stage,
        data={"reason": reason, "by": by.pk, "revision": answer.revision},
        received_at=now,
    )
    record_deviation(
        study=study,
        kind=Kind.UNLOCK,
        reading=reading,
        now=now,
        reason=reason,
        stage=stage.value,
        revision=answer.revision,
    )
    return unlock
