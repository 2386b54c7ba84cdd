"""The site's Celery application: it sends predictions out and takes their results in."""

import os

from celery import Celery

import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reader_study.settings")

app = Celery("reader_study")
app.conf.update(broker.celery_settings(os.environ))
app.conf.update(
    task_default_queue=broker.SITE_QUEUE,
    task_routes={"inference.*": {"queue": broker.INFERENCE_QUEUE}},
    beat_schedule={
        "sweep-predictions": {"task": "reader_study.sweep_predictions", "schedule": 30.0},
        "sweep-results": {"task": "reader_study.sweep_results", "schedule": 60.0},
    },
)
app.autodiscover_tasks(["reader_study"])
