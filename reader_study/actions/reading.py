"""What a reader does: open, draft, lock, submit, and what the browser tells meanwhile.

Readings are found through their owner, so that another reader's does not exist. Every
action may be called twice: a client that lost the response sends it again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.db import transaction

from reader_study.actions.deviations import record_once, watch_pages
from reader_study.actions.display import must_be_readable
from reader_study.actions.images import visible_series
from reader_study.actions.locked import must_not_be_locked
from reader_study.actions.people import must_not_know_the_truth
from reader_study.actions.protocol import version_in_force
from reader_study.actions.rest import note_rest
from reader_study.actions.schedule import is_closed, must_be_open, note_order
from reader_study.domain.answers import Problem, each_answer, find_problems, only_asked
from reader_study.domain.blinding import Item, visible
from reader_study.domain.deviation import Kind
from reader_study.domain.errors import (
    AnswerLocked,
    AnswersIncomplete,
    AnswersInvalid,
    DraftConflict,
    ReadingSkipped,
    StepNotAllowed,
    StudyNotOpen,
)
from reader_study.domain.reading import Path, Stage, Step, advance
from reader_study.models import (
    Answer,
    Draft,
    Event,
    Mark,
    Nodule,
    Prediction,
    Rating,
    Reading,
    Skip,
    User,
)


def _mine(reader: User, reading_id: int) -> Reading:
    """Return the reader's reading, locked for this transaction.

    Raises:
        Reading.DoesNotExist: `reader` has no such reading.
        StudyNotOpen: readings have not begun.
        StudyLocked: the study's database is locked.
        ReadingSkipped: the reader has skipped it.
    """
    reading = (
        Reading.objects.of(reader)
        .select_related("reader__study__database_lock", "version")
        .select_for_update(of=("self",))
        .get(pk=reading_id)
    )
    if reading.reader.study.opened_at is None:
        raise StudyNotOpen("This study is not open yet.")
    must_not_be_locked(reading.reader.study)
    if Skip.objects.filter(reading=reading).exists():
        raise ReadingSkipped("You have skipped this reading; it has ended.")
    return reading


def path_of(reading: Reading) -> Path:
    """Return the stages in which the reading is answered, by its arm."""
    return reading.rules.design.arm(reading.arm).path


def nodules_of(reading: Reading) -> list[Nodule]:
    """Return the nodules that the reader is given to rate, by number: none in free response."""
    if not reading.rules.findings.has_given:
        return []
    return list(Nodule.objects.filter(series__case=reading.case_id).order_by("number", "pk"))


def _tell(
    reading: Reading, kind: str, now: datetime, *, key: UUID | None = None, **data: Any
) -> None:
    if key is None or Event.objects.filter(reading=reading, key=key).exists():
        key = uuid4()
    Event.objects.create(
        reading=reading, key=key, kind=kind, stage=reading.stage, data=data, received_at=now
    )


@transaction.atomic
def open_reading(*, reader: User, reading_id: int, now: datetime) -> Reading:
    """Begin a reading, or go on with it.

    Raises:
        Reading.DoesNotExist: `reader` has no such reading.
        StudyNotOpen: readings have not begun.
        ReadingNotOpenYet: its session or the washout of its case has not come.
        DisplayNotChecked: the protocol asks for a check of the display first.
        TruthIsKnown: the reader belongs to the truth panel of its case.
    """
    reading = _mine(reader, reading_id)
    if reading.stage == Stage.ASSIGNED:
        must_be_open(reading, now)
        must_be_readable(reading, now)
        must_not_know_the_truth(reading)
        reading.stage = advance(Stage(reading.stage), Step.OPEN, path_of(reading))
        reading.version = version_in_force(reading.reader.study)
        reading.opened_at = now
        reading.save(update_fields=["stage", "version", "opened_at"])
        note_order(reading, now)
        note_rest(reading, now, begins=True)
        _tell(reading, "opened", now, protocol=reading.version.hash)
    return reading


def save_draft(
    *,
    reader: User,
    reading_id: int,
    stage: Stage,
    version: int,
    answers: Mapping[str, Any],
    now: datetime,
    key: UUID | None = None,
    sent: Sequence[UUID] = (),
) -> Draft:
    """Keep what is filled in so far; `version` is the last the client has seen.

    A save that is said again with its `key` is the one that is stored already. One that follows
    a save of the keys `sent`, whose acknowledgement was lost, is no conflict, and neither is one
    of those that arrives after it: it is overtaken, and changes nothing.

    Raises:
        Reading.DoesNotExist: `reader` has no such reading.
        StudyNotOpen: readings have not begun.
        AnswerLocked: the reading has left `stage`.
        AnswersInvalid: an answer does not fit its question.
        DraftConflict: another tab or device has saved something else since, which is recorded
            as a deviation.
    """
    try:
        return _save_draft(reader, reading_id, stage, version, answers, now, key, sent)
    except DraftConflict:
        with transaction.atomic():
            reading = _mine(reader, reading_id)
            record_once(reading=reading, kind=Kind.TWO_PAGES, now=now, noticed_by="drafts")
        raise


@transaction.atomic
def _save_draft(
    reader: User,
    reading_id: int,
    stage: Stage,
    version: int,
    answers: Mapping[str, Any],
    now: datetime,
    key: UUID | None,
    sent: Sequence[UUID],
) -> Draft:
    reading = _mine(reader, reading_id)
    if stage not in path_of(reading):
        raise StepNotAllowed(f"This reading has no {stage} stage.", stage=reading.stage)
    if reading.stage != stage:
        raise AnswerLocked(
            f"The {stage} answer of this reading is locked; nothing more can be saved for it."
            if Stage(reading.stage) in {Stage.AIDED, Stage.SUBMITTED}
            else "This reading has not reached that stage.",
            stage=reading.stage,
        )
    _check(reading, stage, answers, complete=False)
    draft = Draft.objects.filter(reading=reading, stage=stage).first()
    held = draft.version if draft else 0
    if draft and (draft.answers == answers or draft.knows(key)):
        return draft
    if held != version and not (draft and draft.key in sent):
        raise _conflict(held)
    overtaken = draft.overtaken_by(sent) if draft else [str(each) for each in sent]
    # Whoever else saves waits for the reading's row.
    saved = draft or Draft(reading=reading, stage=stage)
    saved.version, saved.answers, saved.saved_at = held + 1, answers, now
    saved.key, saved.overtaken = key, overtaken
    saved.save(force_insert=draft is None, force_update=draft is not None)
    return saved


def _conflict(held: int) -> DraftConflict:
    return DraftConflict(
        "This reading was filled in elsewhere meanwhile, in another tab or on another device.",
        version=held,
    )


def _check(reading: Reading, stage: Stage, answers: Mapping[str, Any], *, complete: bool) -> None:
    rules = reading.rules
    before = None
    if stage is Stage.AIDED and rules.findings.has_marks:
        before = (
            Answer.objects.filter(reading=reading, stage=Stage.UNAIDED)
            .order_by("-revision")
            .first()
        )
    shown = visible_series(reading)
    find = partial(
        find_problems,
        rules.questionnaire,
        [str(nodule.pk) for nodule in nodules_of(reading)],
        answers,
        findings=rules.findings,
        volumes={series.pk: series.volume for series in shown},
        priors={series.pk for series in shown if series.prior},
        locked=before.answers if before else None,
    )
    problems = find(complete=False)
    if problems:
        raise AnswersInvalid(
            "Some answers do not fit their questions.", problems=_in_place(problems)
        )
    open_ = find(complete=True) if complete else []
    if open_:
        raise AnswersIncomplete(
            f"{len(open_)} required answers are missing.", problems=_in_place(open_)
        )


def _in_place(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Say where each problem is; a nodule that is none of the reading's is left out."""
    return [
        {
            "nodule": int(nodule) if nodule and nodule.isdecimal() else None,
            "mark": mark,
            "question": question,
            "detail": detail,
        }
        for nodule, question, detail, mark in problems
    ]


@transaction.atomic
def lock_unaided(
    *,
    reader: User,
    reading_id: int,
    answers: Mapping[str, Any],
    now: datetime,
    version: int | None = None,
    key: UUID | None = None,
    sent: Sequence[UUID] = (),
) -> Reading:
    """Lock the answer given without AI; from then on the AI is shown, if the arm has any.

    In an arm without AI this ends the reading. `version` is the draft that the answers follow, so
    that a lock which was pressed long ago does not pass over what was filled in elsewhere since,
    other than by the saves `sent`; `key` becomes the key of its event, by which it is known again.

    Raises:
        Reading.DoesNotExist: `reader` has no such reading.
        StudyNotOpen: readings have not begun.
        StepNotAllowed: the reading has not been opened.
        AnswerLocked: another unaided answer is locked already.
        DraftConflict: another tab or device has saved other answers since `version`.
        AnswersInvalid, AnswersIncomplete: the answers cannot be locked as they are.
    """
    reading = _mine(reader, reading_id)
    step = Step.SUBMIT if path_of(reading)[-1] is Stage.UNAIDED else Step.LOCK_UNAIDED
    return _lock(reading, Stage.UNAIDED, step, answers, now, version, key, sent)


@transaction.atomic
def submit(
    *,
    reader: User,
    reading_id: int,
    answers: Mapping[str, Any],
    now: datetime,
    version: int | None = None,
    key: UUID | None = None,
    sent: Sequence[UUID] = (),
) -> Reading:
    """Lock the answer of the last stage, which ends the reading; the rest is as above.

    Raises:
        As `lock_unaided`; `StepNotAllowed` when the unaided answer is not locked.
    """
    reading = _mine(reader, reading_id)
    return _lock(reading, path_of(reading)[-1], Step.SUBMIT, answers, now, version, key, sent)


def _lock(
    reading: Reading,
    stage: Stage,
    step: Step,
    given: Mapping[str, Any],
    now: datetime,
    version: int | None,
    key: UUID | None,
    sent: Sequence[UUID],
) -> Reading:
    if key and Event.objects.filter(reading=reading, key=key, kind=step.value).exists():
        return reading  # said again, though the reading may have been reopened since
    answers = only_asked(reading.rules.questionnaire, given)
    locked = Answer.objects.current().filter(reading=reading, stage=stage).first()
    if locked is not None and reading.stage != stage:
        if locked.answers != answers:
            raise AnswerLocked(
                f"The {stage} answer was locked at {locked.locked_at:%H:%M} UTC"
                " and cannot be changed.",
                stage=reading.stage,
            )
        return reading
    after = advance(Stage(reading.stage), step, path_of(reading))
    draft = Draft.objects.filter(reading=reading, stage=stage).first()
    follows = draft is None or version in {None, draft.version} or draft.key in sent
    if draft and not follows and draft.answers != given:
        raise _conflict(draft.version)
    assert reading.version is not None  # what a reading that has begun has
    _check(reading, stage, answers, complete=True)
    answer = Answer.objects.create(
        reading=reading,
        stage=stage,
        revision=locked.revision + 1 if locked else 1,
        answers=answers,
        protocol_hash=reading.version.hash,
        locked_at=now,
    )
    _store(answer)
    _tell(reading, step.value, now, key=key, answer=answer.pk)
    reading.stage = after
    fields = ["stage"]
    if after is Stage.SUBMITTED:
        reading.submitted_at = now
        fields.append("submitted_at")
    reading.save(update_fields=fields)
    if after is Stage.SUBMITTED:
        note_rest(reading, now, begins=False)
    if after is Stage.AIDED:
        # The aided answer is a revision: it starts as what was locked.
        Draft.objects.create(
            reading=reading, stage=Stage.AIDED, version=0, answers=answers, saved_at=now
        )
    return reading


def _store(answer: Answer) -> None:
    """Write what a locked answer says, a row a mark and a rating."""
    marks = Mark.objects.bulk_create(
        Mark(
            answer=answer,
            key=mark["id"],
            number=number,
            series_id=mark["series"],
            **dict(zip("xyz", mark["point_mm"], strict=True)),
        )
        for number, mark in enumerate(answer.answers.get("marks", []), start=1)
    )
    by_key = {str(mark.key): mark for mark in marks}
    Rating.objects.bulk_create(
        Rating(
            answer=answer,
            nodule_id=None if given.nodule is None else int(given.nodule),
            mark=by_key.get(given.mark or ""),
            question=given.question,
            value=given.value,
            cannot_assess=given.cannot_assess,
        )
        for given in each_answer(answer.answers)
    )


class Told(NamedTuple):
    """An event as the browser tells it."""

    key: UUID
    kind: str
    stage: str
    monotonic_ms: float
    data: dict[str, Any]


@transaction.atomic
def store_events(*, reader: User, reading_id: int, events: Sequence[Told], now: datetime) -> int:
    """Keep what the browser tells of a reading; told twice, it is kept once.

    Raises:
        Reading.DoesNotExist: `reader` has no such reading.
        StudyNotOpen: readings have not begun.
    """
    reading = _mine(reader, reading_id)
    Event.objects.bulk_create(
        [Event(reading=reading, received_at=now, **event._asdict()) for event in events],
        ignore_conflicts=True,
    )
    if events and (page := str(events[-1].data.get("page", ""))):
        clock = [event.monotonic_ms for event in events]
        watch_pages(reading=reading, page=page, monotonic_ms=clock, now=now)
    return len(events)


@transaction.atomic
def show_ai(*, reader: User, reading_id: int, now: datetime) -> tuple[Reading, tuple[Item, ...]]:
    """Decide what of the AI this reading may see now, and note that it is handed out.

    Raises:
        Reading.DoesNotExist: `reader` has no such reading.
        StudyNotOpen: readings have not begun.
        StepNotAllowed: nothing of the AI may be seen yet.
    """
    reading = _mine(reader, reading_id)
    items = visible_items(reading)
    if not items:
        raise StepNotAllowed("Nothing of the AI may be seen at this stage.")
    bundles = Prediction.objects.filter(
        job__nodule__series__case=reading.case_id, job__model=reading.rules.ai.model
    ).values_list("job__nodule", "bundle_hash")
    nodules = Nodule.objects.filter(series__case=reading.case_id)
    missing = nodules.exclude(pk__in=dict(bundles)).values_list("number", flat=True)
    if missing:
        record_once(reading=reading, kind=Kind.INFERENCE, now=now, nodules=sorted(missing))
    _tell(reading, "ai_sent", now, items=list(items), bundles=dict(bundles))
    return reading, items


def visible_items(reading: Reading) -> tuple[Item, ...]:
    """Return what the protocol and the rules of blinding show of the AI now."""
    stage = Stage(reading.stage)
    if is_closed(reading):
        return ()
    return visible(stage, reading.rules.design.shows(reading.arm, stage))
