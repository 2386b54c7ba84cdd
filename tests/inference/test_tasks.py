from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.inference.examples import a_series, write_tiny_model
from tests.inference.server import Server


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder / "tiny")
    return folder


@pytest.fixture
def worker(
    monkeypatch: pytest.MonkeyPatch,
    server: Server,
    models_dir: Path,
) -> Iterator[Any]:
    """The module of the task, configured for the server as a worker would be."""
    monkeypatch.setenv("BROKER_URL", "memory://")
    monkeypatch.setenv("DICOMWEB_URL", server.url)
    monkeypatch.setenv("SERVICE_TOKEN", "word")
    monkeypatch.setenv("MODELS_DIR", str(models_dir))
    monkeypatch.setenv("DEVICE", "cpu")
    from inference import tasks

    remembered = tasks._settings, tasks._archive, tasks._model
    for one in remembered:
        one.cache_clear()
    yield tasks
    for one in remembered:
        one.cache_clear()


def ask(worker: Any, **changes: Any) -> dict[str, Any]:
    message = {
        "model": "tiny",
        "study_uid": "1.2",
        "series_uid": "3.4",
        "frame_of_reference_uid": "",
        "nodule_mm": [-10.0, -20.0, -20.0],
    }
    result: dict[str, Any] = worker.predict.apply(kwargs=message | changes).get()
    return result


def test_the_task_reads_the_series_and_answers_with_a_prediction(
    worker: Any,
    server: Server,
) -> None:
    hu = np.random.default_rng(0).integers(-900, 0, (20, 40, 40)).astype(np.int16)
    server.serve(a_series(hu))
    result = ask(worker)
    assert result["status"] == "done"
    assert result["model"]["name"] == "tiny"
    assert ask(worker, nodule_mm=[0.0, -20.0, -20.0])["input_hash"] != result["input_hash"]
    assert len(server.requests) == 1  # two nodules of a series, one fetch

    outside = ask(worker, nodule_mm=[500.0, 0.0, 0.0])
    assert (outside["status"], outside["code"]) == ("failed", "nodule_outside_volume")


def test_an_unknown_model_is_a_result_with_a_sentence(worker: Any) -> None:
    result = ask(worker, model="nobody")
    assert result["status"] == "failed"
    assert result["code"] == "model_unusable"
    assert result["detail"].startswith('There is no model "nobody" in ')


def test_an_archive_in_trouble_is_asked_six_times_and_then_named(
    worker: Any,
    server: Server,
) -> None:
    server.status = 503
    result = ask(worker)
    assert len(server.requests) == 6
    assert (result["status"], result["code"]) == ("failed", "archive_unavailable")


def test_a_series_the_archive_lacks_is_a_result_at_once(
    worker: Any,
    server: Server,
) -> None:
    server.status = 404
    assert ask(worker)["code"] == "series_not_found"
    assert len(server.requests) == 1


def test_a_fault_of_the_worker_itself_is_still_an_answer(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("inference.predict.predict_nodule", fail)
    monkeypatch.setattr(worker, "_archive", fail)
    result = ask(worker)
    assert result == worker.failed("worker_fault", "The worker failed; its log has the details.")


def test_the_worker_works_on_one_nodule_at_a_time_in_a_process_of_its_own(worker: Any) -> None:
    assert worker.app.conf.worker_pool == "prefork"
    assert worker.app.conf.worker_pool_start_method == "spawn"
    assert worker.app.conf.worker_concurrency == 1
    assert worker.app.conf.task_acks_late
    assert worker.app.conf.worker_prefetch_multiplier == 1
    assert list(worker.app.tasks.keys() & {"inference.predict"}) == ["inference.predict"]
