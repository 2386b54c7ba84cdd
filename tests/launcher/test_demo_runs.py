"""The demonstration, really started: its processes, its pages, a killed worker, and Ctrl-C."""

import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from pydicom.dataset import FileDataset

import broker
from tests.dicomweb.series import SERIES, STUDY, a_series, noise, put_pixels
from tests.launcher.test_demo import CHECKOUT, free_port, start_demo

LIMIT_S = 240.0


def own_images(folder: Path) -> tuple[str, ...]:
    """Return the words that start the demonstration on a small CT with two nodules."""

    def enlarge(dataset: FileDataset) -> None:
        put_pixels(dataset, noise(int(dataset.InstanceNumber), (128, 128)))

    a_series(folder / "ct", slices=40, edit_all=enlarge)
    nodules = folder / "nodules.csv"
    rows = [f"P-1,{STUDY},{SERIES},{number},{x},{x},50" for number, x in ((1, 20), (2, 40))]
    nodules.write_text("\n".join(["patient,study,series,nodule,x,y,z", *rows]) + "\n")
    return ("--dicom", str(folder / "ct"), "--nodules", str(nodules))


class Running:
    """A demonstration and what it has said so far."""

    def __init__(self, demo: subprocess.Popen[str]) -> None:
        self.demo = demo
        self.said = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.demo.stdout is not None
        with self.demo.stdout as lines:
            for line in lines:
                self.said += line

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.said or self.demo.poll() is not None, lambda: self.said)
        assert text in self.said, self.said

    def stop(self, sign: signal.Signals) -> int:
        self.demo.send_signal(sign)
        code = self.demo.wait(60)
        self._reader.join()
        return code


def wait_until(true: Callable[[], bool], otherwise: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < give_up_at, otherwise()
        time.sleep(0.05)


@contextmanager
def running(var: Path, port: int, words: tuple[str, ...]) -> Iterator[Running]:
    demo = start_demo(var, port, *words)
    try:
        yield Running(demo)
    finally:
        demo.kill()
        demo.wait()


def processes(var: Path) -> dict[int, str]:
    """Return the processes of the demonstration on `var`: number and command."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if command and (f"VAR_DIR={var}".encode() in environment or str(var) in command):
                found[int(entry.name)] = command
    return found


def inference_worker(var: Path) -> int:
    found = [pid for pid, command in processes(var).items() if "inference.tasks worker" in command]
    return found[0] if found else 0


def stored_predictions(var: Path) -> int:
    with psycopg.connect(host=str(var / "run"), user="owner", dbname="reread") as connection:
        row = connection.execute("select count(*) from reader_study_prediction").fetchone()
    assert row is not None
    return int(row[0])


def web_environment(var: Path) -> dict[str, str]:
    """Return the environment of the running web server, as the system has it."""
    pid = next(pid for pid, command in processes(var).items() if "gunicorn" in command)
    words = (Path("/proc") / str(pid) / "environ").read_bytes().decode().split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)


def check_the_role_of_the_site(var: Path) -> None:
    """The web server logs in as a role that may not change what is recorded."""
    environment = web_environment(var)
    assert "OWNER_DATABASE_URL" not in environment
    with psycopg.connect(broker.libpq_dsn(environment["DATABASE_URL"])) as connection:
        assert connection.info.user == "reread_site"
        for statement in (
            "update reader_study_answer set answers = '{}'",
            "delete from reader_study_event",
            "select * from reader_study_referencestandard",
            "set role owner",
        ):
            with pytest.raises(InsufficientPrivilege), connection.transaction():
                connection.execute(statement)
        assert connection.execute("select count(*) from reader_study_prediction").fetchone() == (2,)
    kept = (var / "secrets" / "environment").read_text()
    assert "OWNER_DATABASE_URL=" in kept


def test_it_runs_survives_a_killed_worker_and_stops_without_leftovers(tmp_path: Path) -> None:
    var, port = tmp_path / "var", free_port()
    words = own_images(tmp_path)
    worker_log = var / "log" / "inference-worker.log"

    with running(var, port, words) as first:
        # The first prediction is at work while its worker still loads the model.
        wait_until(
            lambda: worker_log.exists() and "received" in worker_log.read_text(), lambda: first.said
        )
        killed = inference_worker(var)
        os.kill(killed, signal.SIGKILL)
        first.wait_for("The inference worker stopped (killed by SIGKILL) and starts again")
        first.wait_for("unfinished work handed out again: 1")
        first.wait_for("AI predictions: 2 of 2")

        assert inference_worker(var) not in {0, killed}
        assert stored_predictions(var) == 2
        check_the_role_of_the_site(var)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login") as page:
            assert page.status == 200
        assert first.stop(signal.SIGINT) == 0
    assert first.said.strip().endswith("Stopped.")
    assert "Traceback" not in first.said
    assert processes(var) == {}

    with running(var, port, words) as second:
        second.wait_for("AI predictions: 2 of 2")
        logins = r"^  (?:Reader|Coordinator) .*$"
        assert re.findall(logins, first.said, re.MULTILINE)
        assert re.findall(logins, first.said, re.M) == re.findall(logins, second.said, re.M)
        assert stored_predictions(var) == 2

        # Nobody is left to stop them: they notice, and so does the clock that one of them started.
        site_log = var / "log" / "site-worker.log"
        wait_until(lambda: site_log.read_text().count("beat: Starting") == 2, lambda: second.said)
        second.stop(signal.SIGKILL)
        wait_until(lambda: processes(var) == {}, lambda: processes(var))


def test_make_passes_its_variables_on() -> None:
    command = ["make", "--dry-run", "demo", "PORT=8001", "DICOM=my folder", "NODULES=n.csv"]

    shown = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True).stdout

    assert '-m launcher.demo --port "8001" --dicom "my folder" --nodules "n.csv"' in shown
