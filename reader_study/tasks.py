"""The site worker's Celery tasks."""

from typing import Any

from django.utils import timezone

from reader_study.actions.prediction import RECORD, resend_lost
from reader_study.actions.prediction import record_prediction as record
from reader_study.celery import app


@app.task(name=RECORD)
def record_prediction(message: Any, *, job_id: int) -> None:
    """Store the worker's answer to `job_id`; told twice, it is stored once."""
    record(job_id=job_id, message=message, now=timezone.now())


@app.task(name="reader_study.sweep_predictions")
def sweep_predictions() -> None:
    """Ask again for predictions that were lost."""
    resend_lost(now=timezone.now())
