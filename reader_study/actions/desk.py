"""What the desk asks the site's worker for, and the worker doing it.

The web server has no right on the reference standard; the worker has, where it logs in as a
role of its own. What comes back to the page tells nothing of the truth.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, ProgrammingError, transaction
from django.db.models import F
from kombu.exceptions import OperationalError
from psycopg.errors import InsufficientPrivilege

import broker
from reader_study.actions.locked import must_not_be_locked
from reader_study.actions.prediction import request_predictions
from reader_study.actions.study import allocate_readings, mark_training, open_if_ready
from reader_study.actions.truth_tasks import check_truth, conclude_panel, import_truth
from reader_study.celery import app
from reader_study.domain.errors import DeskTaskRefused, Refusal, StudyFrozen
from reader_study.models import DeskTask, DeskTaskKind, DeskTaskStatus, Study, User

RUN = "reader_study.run_desk_task"
PATIENCE = timedelta(seconds=2 * broker.VISIBILITY_TIMEOUT_S)
HANDING_OVER = timedelta(minutes=2)
MAX_ATTEMPTS = 4
NO_RIGHT = (
    "The site's worker may not see the reference standard here: it needs a database role of its "
    "own (WORKER_DATABASE_URL). Until then an operator does this by command."
)

log = logging.getLogger(__name__)


@transaction.atomic
def request_allocation(
    *, study: Study, training: Sequence[str], by: User, now: datetime
) -> DeskTask:
    """Ask the worker to deal the cases out; `training` are pseudonyms of cases read before.

    Raises:
        StudyFrozen: they are dealt out already.
        StudyLocked: the database of the study is locked.
        DeskTaskRefused: it was asked for already.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    must_not_be_locked(study)
    if study.allocated_at is not None:
        raise StudyFrozen("The cases are dealt out already.")
    return ask(study, DeskTaskKind.ALLOCATE, {"training": list(training)}, by, now)


def ask(
    study: Study, kind: DeskTaskKind, payload: Mapping[str, Any], by: User, now: datetime
) -> DeskTask:
    """Write down what is to be done, and send it once that is committed.

    Raises:
        DeskTaskRefused: the same is waiting to be done.
    """
    try:
        with transaction.atomic():
            task = DeskTask.objects.create(
                study=study,
                kind=kind,
                payload=dict(payload),
                by=by,
                asked_at=now,
                retry_at=now + HANDING_OVER,
            )
    except IntegrityError:
        raise DeskTaskRefused("That was asked for already, and is being done.") from None
    transaction.on_commit(lambda: _send(task.pk), robust=True)
    return task


def _send(task_id: int) -> None:
    try:
        app.signature(RUN, kwargs={"task_id": task_id}).set(queue=broker.SITE_QUEUE).delay()
    except OperationalError as error:
        log.error("the broker does not answer, the task is done later: %s", error)


def resend_lost_desk_tasks(*, now: datetime) -> int:
    """Send again what has been waiting too long; after some attempts it has failed."""
    with transaction.atomic():
        lost = list(
            DeskTask.objects.select_for_update(skip_locked=True).filter(
                status=DeskTaskStatus.WAITING, retry_at__lte=now
            )
        )
        for task in lost:
            if task.attempts >= MAX_ATTEMPTS:
                _end(task.pk, now, problem=f"No worker did it in {task.attempts} attempts.")
        again = [task for task in lost if task.attempts < MAX_ATTEMPTS]
        DeskTask.objects.filter(pk__in=[task.pk for task in again]).update(
            attempts=F("attempts") + 1, retry_at=now + PATIENCE
        )
    for task in again:
        _send(task.pk)
    return len(again)


def run_desk_task(*, task_id: int, now: datetime) -> None:
    """Do what was asked for, whole or not at all; told twice, it is done once."""
    try:
        with transaction.atomic():
            task = (
                DeskTask.objects.defer(None)
                .select_related("study", "by")
                .select_for_update(of=("self",))
                .get(pk=task_id)
            )
            if task.status != DeskTaskStatus.WAITING:
                return
            _end(task.pk, now, outcome=DO[DeskTaskKind(task.kind)](task, now))
    except Refusal as refusal:
        _end(task_id, now, problem=refusal.detail)
    except ProgrammingError as error:
        if not isinstance(error.__cause__, InsufficientPrivilege):
            raise
        log.error("%s: %s", NO_RIGHT, error)
        _end(task_id, now, problem=NO_RIGHT)


def _end(task_id: int, now: datetime, *, outcome: Any = None, problem: str = "") -> None:
    DeskTask.objects.filter(pk=task_id, status=DeskTaskStatus.WAITING).update(
        status=DeskTaskStatus.FAILED if problem else DeskTaskStatus.DONE,
        outcome=outcome or {},
        detail=problem,
        payload={},
        ended_at=now,
    )


def _allocate(task: DeskTask, now: datetime) -> dict[str, Any]:
    if task.payload["training"]:
        mark_training(study=task.study, cases=task.payload["training"])
    readings = allocate_readings(study=task.study, now=now)
    asked = request_predictions(study=task.study, now=now)
    study = Study.objects.get(pk=task.study_id)
    transaction.on_commit(lambda: _open(study, now))
    return {"readings": readings, "predictions": asked}


def _open(study: Study, now: datetime) -> None:
    open_if_ready(study=study, now=now)


# What the worker does, by what is asked for.
DO: dict[DeskTaskKind, Callable[[DeskTask, datetime], dict[str, Any]]] = {
    DeskTaskKind.ALLOCATE: _allocate,
    DeskTaskKind.CHECK_TRUTH: check_truth,
    DeskTaskKind.IMPORT_TRUTH: import_truth,
    DeskTaskKind.CONCLUDE_PANEL: conclude_panel,
}
