"""Processes the launcher starts: each with a log of its own, none outliving the launcher."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
# One that lived as long as this is started again at once when it dies.
HEALTHY_AFTER_S = 60.0
LARGEST_LOG_BYTES = 10_000_000


def ends_with_its_parent(sign: str) -> list[str]:
    """Return the words that let a command get `sign` once the thread that started it is gone."""
    return ["setpriv", "--pdeathsig", sign] if shutil.which("setpriv") else []


class Child:
    """A process that should run until it is stopped.

    It leads a process group of its own, so that Ctrl-C reaches the launcher only, and
    whatever it started can be ended with it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        before_restart: Callable[[], None] = lambda: None,
        when_orphaned: str = "TERM",
    ) -> None:
        self.name = name
        self.log = log
        self._command = [*ends_with_its_parent(when_orphaned), *command]
        self._environment = dict(environment)
        self._before_restart = before_restart
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._wait_s = FIRST_WAIT_S
        self._restart_at: float | None = None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self._started_at = time.monotonic()
        self._restart_at = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def exit_code(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self._process.poll() if self._process is not None else None

    def keep_running(self, say: Callable[[str], None]) -> None:
        """Start it again when it has died, waiting longer each time that it dies young."""
        if self._process is None or self.exit_code is None:
            return
        now = time.monotonic()
        if self._restart_at is None:
            if now - self._started_at > HEALTHY_AFTER_S:
                self._wait_s = FIRST_WAIT_S
            self._restart_at = now + self._wait_s
            say(
                f"The {self.name} stopped ({_how(self.exit_code)}) and starts again in "
                f"{self._wait_s:.0f} s; its log is {self.log}"
            )
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        elif now >= self._restart_at:
            self.kill()
            self._before_restart()
            self.start()

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait_until(self, give_up_at: float) -> None:
        """Wait for its end, and kill what is left of its group at `give_up_at` (monotonic)."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, give_up_at - time.monotonic()))
            self.kill()

    def kill(self) -> None:
        """End its whole group now; harmless when nothing is left of it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def last_lines(self, count: int = 15) -> str:
        """Return the end of its log, indented."""
        try:
            with self.log.open(encoding="utf-8", errors="replace") as log:
                return "".join(f"    {line}" for line in deque(log, maxlen=count))
        except OSError:
            return ""


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
