"""The one Celery task. Started by `celery -A inference.tasks worker -Q inference`.

Only the child process that does the work imports torch: a parent that has computed
something with it would hang its children.
"""

import functools
import logging
import os
from importlib import import_module
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from celery import Celery, Task
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import (
    celeryd_init,
    setup_logging,
    worker_process_init,
    worker_ready,
    worker_shutting_down,
)
from pydantic import ValidationError

import broker
from broker.logs import JsonLines
from inference.errors import ArchiveUnavailable, PredictionImpossible
from inference.settings import Settings, read_settings

if TYPE_CHECKING:
    from inference.archive import DicomWebArchive
    from inference.model import Model

MAX_RETRIES = 5
FIRST_WAIT_S = 2
# A sign of life, which the site's worker takes in; one that nobody took is worth nothing later.
ALIVE = "reader_study.note_alive"
ALIVE_EVERY_S = 30.0

logger = logging.getLogger(__name__)

app = Celery("inference")
app.conf.update(broker.celery_settings(os.environ))
app.conf.update(
    task_default_queue=broker.INFERENCE_QUEUE,
    worker_pool="prefork",
    worker_pool_start_method="spawn",
    worker_concurrency=1,
)


@celeryd_init.connect
def check_settings(**_: Any) -> None:
    """Stop before the first task when the environment makes no sense."""
    try:
        _settings()
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0]).upper()
        raise SystemExit(f"The worker cannot start: {name}: {wrong['msg']}.") from error


if os.environ.get("LOG_FORMAT") == "json":

    @setup_logging.connect
    def write_json(**_: Any) -> None:
        """Write logs as the site does, without patient data."""
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines(secret=os.environ.get("SERVICE_TOKEN", "")))
        logging.basicConfig(level=logging.INFO, handlers=[handler])


_ended = Event()


@worker_ready.connect
def live(**_: Any) -> None:
    """Give signs of life, from the parent: a child that computes does not hold them up."""

    def beat() -> None:
        while True:
            try:
                app.send_task(
                    ALIVE,
                    kwargs={"kind": "inference"},
                    queue=broker.SITE_QUEUE,
                    expires=2 * ALIVE_EVERY_S,
                    retry=False,
                )
            except Exception as error:  # noqa: BLE001  the broker is away; the worker itself sees to it
                logger.warning("no sign of life could be sent: %s", type(error).__name__)
            if _ended.wait(ALIVE_EVERY_S):
                return

    Thread(target=beat, daemon=True).start()


@worker_shutting_down.connect
def end(**_: Any) -> None:
    """Give no more signs of life."""
    _ended.set()


@worker_process_init.connect
def prepare(**_: Any) -> None:
    """Import torch while the child waits for work, so that the first reader does not."""
    Thread(target=import_module, args=("inference.predict",), daemon=True).start()


@functools.cache
def _settings() -> Settings:
    return read_settings(os.environ)


@functools.cache
def _archive() -> "DicomWebArchive":
    from inference.archive import DicomWebArchive

    url = _settings().dicomweb_url
    if url is None:
        raise PredictionImpossible(
            "not_configured", "The worker does not know the image archive: set DICOMWEB_URL."
        )
    return DicomWebArchive(url, _settings().service_token, whole=False)


@functools.cache
def _model(name: str) -> "Model":
    import torch

    from inference.model import choose_device, load_model

    torch.set_num_threads(_settings().threads)
    return load_model(name, _settings().models_dir, choose_device(_settings().device))


@app.task(
    name="inference.predict",
    bind=True,
    max_retries=MAX_RETRIES,
    acks_late=True,
    # Celery logs what a task returns: a prediction has no place where people read logs.
    resultrepr_maxsize=1,
)
def predict(
    self: "Task[Any, Any]",
    *,
    model: str,
    study_uid: str,
    series_uid: str,
    frame_of_reference_uid: str,
    nodule_mm: list[float],
) -> dict[str, Any]:
    """Predict one nodule. Nothing is stored here, so running twice is harmless.

    Whatever happens, the site gets a result to show; only an archive that does not answer
    is asked again, a few times.
    """
    try:
        from inference.predict import predict_nodule

        loaded = _model(model)
        volume = _archive().read_series(study_uid, series_uid)
        x, y, z = nodule_mm
        return predict_nodule(loaded, volume, (x, y, z), frame_of_reference_uid)
    except PredictionImpossible as error:
        return failed(error.code, error.detail)
    except ArchiveUnavailable as error:
        if self.request.retries >= MAX_RETRIES:
            return failed("archive_unavailable", f"{error} It was asked {MAX_RETRIES + 1} times.")
        raise self.retry(countdown=FIRST_WAIT_S * 2**self.request.retries, exc=error) from error
    except SoftTimeLimitExceeded:
        return failed("took_too_long", f"No prediction within {broker.SOFT_LIMIT_S} seconds.")
    except Exception:  # a fault of ours: the trace is for us, the reader's case goes on
        logger.exception("inference.predict failed for series %s", series_uid)
        return failed("worker_fault", "The worker failed; its log has the details.")


def failed(code: str, detail: str) -> dict[str, Any]:
    """Return the result of a prediction that cannot be made."""
    return {"status": "failed", "code": code, "detail": detail}
