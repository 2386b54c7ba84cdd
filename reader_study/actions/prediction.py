"""Asking for predictions and storing what comes back.

The rows of `Job` are the truth about what is to be done. A broker may lose a message or
hand it out twice: what is missing is asked for again, and only the first answer is kept.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, F, Q
from kombu.exceptions import OperationalError
from pydantic import ValidationError

import broker
from reader_study.actions.study import open_if_ready
from reader_study.celery import app
from reader_study.domain.comparators import COMPARATORS
from reader_study.domain.errors import ModelRefused
from reader_study.models import Job, JobStatus, ModelVersion, Nodule, Prediction, Study
from reader_study.payloads import (
    PREDICT,
    Done,
    Failed,
    Model,
    Registration,
    Request,
    parse_result,
)

RECORD = "reader_study.record_prediction"

# Longer than any broker hides a message whose worker died, so that a job is asked for again
# only when the broker has really lost it.
PATIENCE = timedelta(seconds=2 * broker.VISIBILITY_TIMEOUT_S)
# Enough to commit a job and put it on the queue.
HANDING_OVER = timedelta(seconds=30)
MAX_ATTEMPTS = 5

log = logging.getLogger(__name__)


def send(job: Job) -> None:
    """Put `job` on the worker's queue; its result goes on to the site's."""
    nodule = job.nodule
    request = Request(
        model=job.model,
        study_uid=nodule.series.study_uid,
        series_uid=nodule.series.series_uid,
        frame_of_reference_uid=nodule.series.frame_of_reference_uid,
        nodule_mm=nodule.centre_mm,
    )
    predict = app.signature(PREDICT, kwargs=request.model_dump(mode="json"))
    record = app.signature(RECORD, kwargs={"job_id": job.pk})
    predict.set(queue=broker.INFERENCE_QUEUE)
    record.set(queue=broker.SITE_QUEUE)
    (predict | record).delay()


def _send_all(jobs: Iterable[Job], now: datetime) -> None:
    """Send what is committed; what the broker does not take stays for the next sweep."""
    sent = []
    try:
        for job in jobs:
            send(job)
            sent.append(job.pk)
    except OperationalError as error:
        log.error("the broker does not answer, predictions are asked for later: %s", error)
    Job.objects.filter(pk__in=sent).update(attempts=F("attempts") + 1, retry_at=now + PATIENCE)


@transaction.atomic
def request_predictions(*, study: Study, now: datetime, model: str | None = None) -> int:
    """Ask for the prediction of every nodule that has none; return how many were asked for.

    The model is the protocol's, or another one whose predictions are wanted beside them.
    Clinical models are computed here (`actions.comparators`): no worker is asked for them.
    """
    model = model or study.rules.ai.model
    if model in COMPARATORS:
        return 0
    missing = Nodule.objects.of_study(study).exclude(jobs__model=model)
    created = Job.objects.bulk_create(
        [
            Job(nodule=nodule, model=model, asked_at=now, retry_at=now + HANDING_OVER)
            for nodule in missing
        ],
        ignore_conflicts=True,
    )
    asked = Job.objects.filter(
        nodule__in=[job.nodule_id for job in created], model=model, status=JobStatus.WAITING
    ).select_related("nodule__series")
    jobs = list(asked)
    transaction.on_commit(lambda: _send_all(jobs, now))
    return len(jobs)


@transaction.atomic
def ask_again(*, study: Study, model: str, now: datetime) -> int:
    """Send again what has failed; return how many. The reason stays until an answer arrives."""
    if model in COMPARATORS:
        return 0
    failed = Job.objects.filter(
        nodule__in=Nodule.objects.of_study(study), model=model, status=JobStatus.FAILED
    ).select_related("nodule__series")
    jobs = list(failed)
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(
        status=JobStatus.WAITING, ended_at=None, attempts=0, retry_at=now + HANDING_OVER
    )
    transaction.on_commit(lambda: _send_all(jobs, now))
    return len(jobs)


class Standing(NamedTuple):
    """How far a model is with the nodules of a study."""

    nodules: int
    done: int
    waiting: int
    failed: list[Job]


def standing(*, study: Study, model: str) -> Standing:
    """Count a model's predictions; failed ones with their reason."""
    nodules = Nodule.objects.of_study(study)
    jobs = Job.objects.filter(nodule__in=nodules, model=model)
    counts = dict(jobs.values_list("status").annotate(Count("pk")))
    failed = jobs.filter(status=JobStatus.FAILED).select_related("nodule__series__case")
    return Standing(
        nodules.count(),
        counts.get(JobStatus.DONE, 0),
        counts.get(JobStatus.WAITING, 0),
        list(failed.order_by("nodule__series__case", "nodule__number")),
    )


@transaction.atomic
def register_model(*, registration: Registration, now: datetime) -> tuple[ModelVersion, bool]:
    """Keep a model version that may be asked; return it, and whether it is new.

    Raises:
        ModelRefused: its self-test did not pass.
    """
    test = registration.selftest
    if not test.passed or max(test.score_differs_by, test.embedding_differs_by) > test.tolerance:
        raise ModelRefused(
            f"{registration.model.name} {registration.model.version} does not score the nodules "
            f"kept with it as it did: scores differ by {test.score_differs_by:.1e}, embeddings by "
            f"{test.embedding_differs_by:.1e}, allowed are {test.tolerance:.1e}."
        )
    return _version_of(registration.model, now)


def _version_of(model: Model, now: datetime) -> tuple[ModelVersion, bool]:
    return ModelVersion.objects.get_or_create(
        hash=model.hash,
        code_hash=model.code_hash,
        defaults={
            "name": model.name,
            "version": model.version,
            "weights_hash": model.weights_hash,
            "card": model.model_dump(mode="json"),
            "first_seen_at": now,
        },
    )


@transaction.atomic
def record_prediction(*, job_id: int, message: Any, now: datetime) -> bool:
    """Store the worker's answer; return whether it was the first.

    An answer that cannot be read is stored as a failure: the same code would say it again.

    Raises:
        Job.DoesNotExist: nobody asked for it.
    """
    job = Job.objects.select_for_update().get(pk=job_id)
    if job.status == JobStatus.DONE:
        return False
    try:
        result = parse_result(message)
    except ValidationError as error:
        log.error("job %s: unreadable answer: %s", job_id, error)
        result = Failed(
            status="failed",
            code="answer_unreadable",
            detail="The worker's answer could not be read; site and worker may differ in version.",
        )
    if isinstance(result, Failed):
        _end(job, JobStatus.FAILED, now, code=result.code, detail=result.detail)
    else:
        _store(job, result, now)
        _end(job, JobStatus.DONE, now)
    study = Study.objects.get(cases__series__nodules=job.nodule_id)
    transaction.on_commit(lambda: _open(study, now))
    return True


def _open(study: Study, now: datetime) -> None:
    open_if_ready(study=study, now=now)


def _store(job: Job, result: Done, now: datetime) -> None:
    bundle = result.model_dump(mode="json")
    del bundle["model"]
    version, _ = _version_of(result.model, now)
    Prediction.objects.create(
        job=job,
        model_version=version,
        probability=result.probability,
        probability_raw=result.probability_raw,
        input_hash=result.input_hash,
        bundle=bundle,
        bundle_hash=bundle_hash(bundle),
        stored_at=now,
    )


def bundle_hash(bundle: dict[str, Any]) -> str:
    """Return the SHA-256 of the bundle's canonical JSON, its running time left out."""
    content = {key: value for key, value in bundle.items() if key not in {"seconds", "device"}}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _end(job: Job, status: JobStatus, now: datetime, *, code: str = "", detail: str = "") -> None:
    job.status, job.ended_at, job.code, job.detail = status, now, code, detail
    job.save(update_fields=["status", "ended_at", "code", "detail"])


@transaction.atomic
def resend_lost(*, now: datetime) -> int:
    """Ask again for what was never sent, or has been waiting too long in a silence.

    As long as answers arrive, a job that waits is merely behind others. After
    `MAX_ATTEMPTS` it has failed. Returns how many were sent.
    """
    overdue = Q(retry_at__lte=now)
    if Job.objects.filter(ended_at__gt=now - PATIENCE).exists():
        overdue &= Q(attempts=0)
    lost = (
        Job.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(overdue, status=JobStatus.WAITING)
        .select_related("nodule__series")
    )
    again = []
    for job in lost:
        if job.attempts >= MAX_ATTEMPTS:
            detail = f"No worker answered in {job.attempts} attempts."
            _end(job, JobStatus.FAILED, now, code="no_answer", detail=detail)
        else:
            again.append(job)
    # Until they are sent, another sweep leaves them alone.
    Job.objects.filter(pk__in=[job.pk for job in again]).update(retry_at=now + HANDING_OVER)
    transaction.on_commit(lambda: _send_all(again, now))
    return len(again)
