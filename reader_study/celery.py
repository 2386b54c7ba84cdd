"""The site's Celery application: it sends predictions out and takes their results in."""

import ctypes
import os
import signal
from typing import Any

from celery import Celery
from celery.signals import beat_embedded_init, setup_logging

import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reader_study.settings")

app = Celery("reader_study")
app.conf.update(broker.celery_settings(os.environ))
app.conf.update(
    task_default_queue=broker.SITE_QUEUE,
    task_routes={"inference.*": {"queue": broker.INFERENCE_QUEUE}},
    beat_schedule={
        "sweep-predictions": {"task": "reader_study.sweep_predictions", "schedule": 30.0},
        "alive": {"task": "reader_study.note_alive", "schedule": 30.0, "kwargs": {"kind": "site"}},
        "sweep-desk-tasks": {"task": "reader_study.sweep_desk_tasks", "schedule": 60.0},
        "note-paces": {"task": "reader_study.note_paces", "schedule": 20.0},
        "sweep-imports": {"task": "reader_study.sweep_imports", "schedule": 30.0},
        "sweep-results": {"task": "reader_study.sweep_results", "schedule": 60.0},
    },
)
app.autodiscover_tasks(["reader_study"])


@setup_logging.connect
def as_the_site_logs(**_: Any) -> None:
    """Leave the logs as Django's settings have them: in one form, without patient data."""


PR_SET_PDEATHSIG = 1  # prctl(2)


@beat_embedded_init.connect
def ends_with_its_worker(**_: Any) -> None:
    """Let the clock, a process of the worker's, not outlive a worker that is killed."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux alone has it
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
