"""The web server as a process of its own, on the test's database, for tests that kill it."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.stack import database_url, wait_until


class Server:
    """The web server of a deployment, which may be killed."""

    def __init__(self, log: Path, *, configured: bool = False) -> None:
        """With `configured`, as the image starts it: processes, threads, metrics."""
        self._configured = configured
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, settings: str = "tests.browser.settings") -> None:
        """Start it, and return when it answers."""
        environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": settings,
        }
        how = ["--workers", "1", "--threads", "8", "--no-control-socket"]
        if self._configured:
            how = ["--config", "python:reader_study.server"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "reader_study.wsgi"),
                    *("--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread"),
                    *how,
                ],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, "the web server answers", 60)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/live", timeout=5) as page:
                return bool(page.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
