"""The workers as real processes, for tests of the whole."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from django.db import connection
from kombu import pools

import broker
from reader_study.celery import app as site

LIMIT_S = 120.0


def database_url() -> str:
    """The address of the test's database, for a process outside the test."""
    settings = connection.settings_dict
    host = str(settings["HOST"]).replace("/", "%2F")
    secret = f":{settings['PASSWORD']}" if settings["PASSWORD"] else ""
    port = f":{settings['PORT']}" if settings["PORT"] else ""
    return f"postgres://{settings['USER']}{secret}@{host}{port}/{settings['NAME']}"


def wait_until(true: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> None:
    """Return once `true()` holds.

    Raises:
        AssertionError: it did not within `limit_s`.
    """
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what}"
        time.sleep(0.05)


class Workers:
    """The site's worker and the inference worker, on the test's database and live server."""

    def __init__(self, site_url: str, logs: Path) -> None:
        self.logs = logs
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "BROKER_URL": "pgmq://",
            "DICOMWEB_URL": f"{site_url}/dicomweb",
            "DEVICE": "cpu",
        }
        # The site in this process puts its messages there as well.
        site.conf.update(broker.celery_settings(self.environment))
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        with psycopg.connect(broker.libpq_dsn(self.environment["DATABASE_URL"])) as database:
            broker.install_queues(database)
            for queue in (broker.INFERENCE_QUEUE, broker.SITE_QUEUE):
                database.execute("select pgmq.purge_queue(%s)", [queue])

    def start_site(self) -> None:
        """Start the worker that stores results."""
        pool = ("--pool", "solo")
        self._start("site", "reader_study.celery", broker.SITE_QUEUE, *pool)

    def start_inference(self) -> None:
        """Start the worker that predicts."""
        self._start("inference", "inference.tasks", broker.INFERENCE_QUEUE)

    def _start(self, name: str, app: str, queue: str, *more: str) -> None:
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "-A", app, "worker", "-Q", queue),
                    *("-n", f"{name}@test", "--without-gossip", "--without-mingle"),
                    *("--loglevel", "INFO", *more),
                ],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        """Where the worker `name` writes."""
        return self.logs / f"{name}.log"

    def said(self, name: str, words: str) -> int:
        """How often `words` stand in the log of `name`."""
        return self.log(name).read_text(errors="replace").count(words)

    def kill(self, name: str) -> None:
        """Kill a worker and its children with SIGKILL."""
        process = self._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def hand_out_again(self) -> int:
        """Do what the supervisor does between a worker's death and its next start."""
        with psycopg.connect(broker.libpq_dsn(self.environment["DATABASE_URL"])) as database:
            return broker.hand_out_again(database, broker.INFERENCE_QUEUE)

    def stop(self) -> None:
        """End all of them."""
        for name in list(self._running):
            self.kill(name)
        # The queues' connections would keep the test's database from being dropped.
        pools.reset()
        site._after_fork()  # type: ignore[attr-defined]  # forgets its closed pool
