"""Asking for what a study found, once its database is locked, and finding what was kept.

The row of `ResultsJob` is the truth about what is to be done, as with predictions.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from kombu.exceptions import OperationalError

import broker
from reader_study.celery import app
from reader_study.domain.errors import ResultsSealed
from reader_study.models import ResultDocument, ResultsJob, ResultsStatus, Study

COMPUTE = "reader_study.compute_results"

# Longer than any broker hides a message whose worker died.
PATIENCE = timedelta(seconds=2 * broker.VISIBILITY_TIMEOUT_S)
# Enough to commit a job, put it on the queue, and let a worker begin.
HANDING_OVER = timedelta(minutes=2)
MAX_ATTEMPTS = 4

log = logging.getLogger(__name__)


@transaction.atomic
def request_results(*, study: Study, now: datetime) -> ResultsJob:
    """Ask for the results of a study whose database is locked; asking again changes nothing.

    Raises:
        ResultsSealed: it is not.
    """
    must_be_locked(study)
    job, _ = ResultsJob.objects.get_or_create(
        study=study, defaults={"asked_at": now, "retry_at": now + HANDING_OVER}
    )
    if job.status == ResultsStatus.WAITING:
        # The lock stays, whatever the broker does: the next sweep sends it again.
        transaction.on_commit(lambda: _send(job), robust=True)
    return job


def must_be_locked(study: Study) -> None:
    """Refuse whatever is of results before the lock.

    Raises:
        ResultsSealed: the database of the study is not locked.
    """
    if not study.is_locked:
        raise ResultsSealed(
            "Results are computed and seen only once the database of the study is locked."
        )


def _send(job: ResultsJob) -> None:
    """Put a job on the site's queue; what the broker does not take stays for the next sweep."""
    try:
        app.signature(COMPUTE, kwargs={"study_id": job.study_id}).set(
            queue=broker.SITE_QUEUE
        ).delay()
    except OperationalError as error:
        log.error("the broker does not answer, results are computed later: %s", error)


def resend_lost_results(*, now: datetime) -> int:
    """Send again what has been waiting too long; after some attempts it has failed."""
    with transaction.atomic():
        lost = list(
            ResultsJob.objects.select_for_update(skip_locked=True).filter(
                status=ResultsStatus.WAITING, retry_at__lte=now
            )
        )
        for job in lost:
            if job.attempts >= MAX_ATTEMPTS:
                end(job.study_id, now, f"No worker finished it in {job.attempts} attempts.")
        again = [job for job in lost if job.attempts < MAX_ATTEMPTS]
        ResultsJob.objects.filter(pk__in=[job.pk for job in again]).update(
            attempts=F("attempts") + 1, retry_at=now + PATIENCE
        )
    for job in again:
        _send(job)
    return len(again)


def end(study_id: int, now: datetime, problem: str = "") -> None:
    """Note that results were computed, or why they were not."""
    ResultsJob.objects.filter(study=study_id).update(
        status=ResultsStatus.FAILED if problem else ResultsStatus.DONE,
        detail=problem,
        ended_at=now,
    )


def latest_results(study: Study) -> dict[str, ResultDocument]:
    """Return the files of the results that were computed last, by name and without content."""
    last = study.results.order_by("-computed_at", "-pk").first()
    if last is None:
        return {}
    found = study.results.filter(inputs_hash=last.inputs_hash, code_hash=last.code_hash)
    return {each.name: each for each in found.defer("content")}
