"""The web server's configuration: `gunicorn reader_study.wsgi --config python:reader_study.server`.

Each of its processes keeps its counts in a file of `PROMETHEUS_MULTIPROC_DIR`, and whichever is
asked for the metrics adds up all of them.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

# Before the application is loaded, which reads it then.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="reread-metrics-"))

bind = os.environ.get("BIND", "0.0.0.0:8000")
worker_class = "gthread"
workers = int(os.environ.get("WEB_PROCESSES", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
worker_tmp_dir = "/dev/shm"  # noqa: S108  a heartbeat that no disk holds up
control_socket_disable = True
# A process that has grown is replaced between two requests, each at another time.
max_requests, max_requests_jitter = 20_000, 2_000


def on_starting(_server: Any) -> None:
    """Begin with empty counts."""
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the gauges of a process that has ended; its counts stay."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Leave nothing behind."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
