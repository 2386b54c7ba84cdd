"""Our side of the conversation: an adapter as a process, with limits of time."""

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

HERE = Path(__file__).parent
ADAPTERS = {name: HERE / f"run_{name}.py" for name in ("sybil", "astra")}
TIME_LIMIT_S = 600.0
LAST_WORDS = 300  # characters of what a process said before it ended


class SystemUnusable(Exception):
    """A system that cannot be run at all; the text says why."""


class About(NamedTuple):
    """What runs: recorded with every score."""

    system: str
    version: str
    weights: str


class Answer(NamedTuple):
    """A score from 0 to 1, or why there is none."""

    score: float | None
    reason: str


class Adapter:
    """A system running in its own environment.

    `python` is the interpreter of that environment, `script` one of `ADAPTERS`. A series that
    takes longer than `time_limit_s`, or at which the process dies, has that as its reason, and
    the next one is asked of a new process.
    """

    def __init__(
        self,
        python: Path,
        script: Path,
        options: Sequence[str] = (),
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        self._command = [str(python), "-I", str(script), *options]
        self._limit_s = time_limit_s
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._said: IO[str] | None = None
        self._asked = 0
        self.about = self._start()

    def score(self, files: Sequence[Path]) -> Answer:
        """Score one CT series.

        Raises:
            SystemUnusable: a process that died cannot be started again.
        """
        if self._process is None:
            again = self._start()
            if again != self.about:
                raise SystemUnusable(f"{self.about.system} is another one now: {again.version}.")
        self._asked += 1
        request = {"id": self._asked, "files": [str(file) for file in files]}
        try:
            answer = self._exchange(request)
        except _Broken as broken:
            self.close()
            return Answer(None, str(broken))
        if answer.get("id") != self._asked:
            self.close()
            return Answer(None, f"{self.about.system} answered out of turn.")
        if "error" in answer:
            return Answer(None, str(answer["error"]))
        score = answer.get("score")
        if not isinstance(score, float | int) or not 0 <= score <= 1:
            return Answer(None, f"{self.about.system} said {score}, no score from 0 to 1.")
        return Answer(float(score), "")

    def close(self) -> None:
        """End the process and what it has started."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for end in (self._process.stdin, self._process.stdout, self._said):
            if end:
                end.close()
        self._process = None

    def _start(self) -> About:
        lines: queue.Queue[str | None] = queue.Queue()
        self._lines = lines
        self._said = said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  close()
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        except OSError as error:
            said.close()
            raise SystemUnusable(f"{self._command[0]} cannot be run: {error.strerror}.") from error
        threading.Thread(target=_gather, args=(self._process.stdout, lines), daemon=True).start()
        try:
            about = self._exchange(None)
        except _Broken as broken:
            self.close()
            raise SystemUnusable(str(broken)) from None
        if "error" in about:
            self.close()
            raise SystemUnusable(
                f"{Path(self._command[2]).stem.removeprefix('run_')} cannot work: {about['error']}"
            )
        try:
            return About(*(str(about[field]) for field in About._fields))
        except KeyError as error:
            self.close()
            raise SystemUnusable(f"{self._command[2]} does not say its {error}.") from None

    def _exchange(self, request: dict[str, Any] | None) -> dict[str, Any]:
        """Send a request, if any, and wait for a line.

        Raises:
            _Broken: nothing came in time, the process ended, or what it said is no JSON.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            if request is not None:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            line = self._lines.get(timeout=self._limit_s)
        except queue.Empty:
            raise _Broken(f"No answer within {self._limit_s:g} seconds.") from None
        except OSError:
            line = None
        if line is None:
            code = process.wait()
            how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
            raise _Broken(f"The process {how}. {self._last_words()}".strip())
        try:
            said = json.loads(line)
        except json.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            raise _Broken(f"The process said what is no answer: {line.strip()[:80]}")
        return said

    def _last_words(self) -> str:
        if self._said is None:
            return ""
        self._said.seek(0)
        words = [line.strip() for line in self._said if line.strip()]
        return words[-1][-LAST_WORDS:] if words else ""


class _Broken(Exception):
    """The conversation cannot go on."""


def _gather(source: IO[str], lines: "queue.Queue[str | None]") -> None:
    try:
        for line in source:
            lines.put(line)
    except ValueError:
        pass  # closed meanwhile
    lines.put(None)


@contextmanager
def running(
    python: Path,
    script: Path,
    options: Sequence[str] = (),
    time_limit_s: float = TIME_LIMIT_S,
) -> Iterator[Adapter]:
    """Run an adapter for the time of the block.

    Raises:
        SystemUnusable: it is not installed there, lacks its weights, or does not answer.
    """
    adapter = Adapter(python, script, options, time_limit_s)
    try:
        yield adapter
    finally:
        adapter.close()
