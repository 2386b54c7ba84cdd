"""The site worker's Celery tasks."""

from typing import Any

from django.utils import timezone

from reader_study.actions.computation import compute_results as compute
from reader_study.actions.desk import RUN as RUN_DESK_TASK
from reader_study.actions.desk import resend_lost_desk_tasks
from reader_study.actions.desk import run_desk_task as do
from reader_study.actions.heartbeat import ALIVE, note_alive
from reader_study.actions.importing import run_import as run
from reader_study.actions.imports import RUN, resend_lost_imports
from reader_study.actions.monitoring import note_paces
from reader_study.actions.prediction import RECORD, resend_lost
from reader_study.actions.prediction import record_prediction as record
from reader_study.actions.results import COMPUTE, resend_lost_results
from reader_study.celery import app
from reader_study.models import Study


@app.task(name=RECORD)
def record_prediction(message: Any, *, job_id: int) -> None:
    """Store the worker's answer to `job_id`; told twice, it is stored once."""
    record(job_id=job_id, message=message, now=timezone.now())


@app.task(name="reader_study.sweep_predictions")
def sweep_predictions() -> None:
    """Ask again for predictions that were lost."""
    resend_lost(now=timezone.now())


@app.task(name="reader_study.note_paces")
def note_how_readings_went() -> None:
    """Note how readings went that were submitted since, for whoever watches."""
    note_paces()


@app.task(name=COMPUTE)
def compute_results(*, study_id: int) -> None:
    """Compute what a study found; told twice, it is kept once."""
    compute(study=Study.objects.get(pk=study_id), now=timezone.now())


@app.task(name="reader_study.sweep_results")
def sweep_results() -> None:
    """Ask again for results whose computation was lost."""
    resend_lost_results(now=timezone.now())


@app.task(name=ALIVE)
def worker_is_alive(*, kind: str) -> None:
    """Keep that a worker was heard of."""
    note_alive(kind, timezone.now())


@app.task(name=RUN)
def run_import(*, job_id: int) -> None:
    """Do the work of an import, or the next part of it."""
    run(job_id=job_id)


@app.task(name="reader_study.sweep_imports")
def sweep_imports() -> None:
    """Take up imports whose worker has died."""
    resend_lost_imports(now=timezone.now())


@app.task(name=RUN_DESK_TASK)
def run_desk_task(*, task_id: int) -> None:
    """Do what the desk asked for; told twice, it is done once."""
    do(task_id=task_id, now=timezone.now())


@app.task(name="reader_study.sweep_desk_tasks")
def sweep_desk_tasks() -> None:
    """Send again what the desk asked for and was lost."""
    resend_lost_desk_tasks(now=timezone.now())
