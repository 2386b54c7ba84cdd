"""The supervisor of the demonstration: what it says, what it keeps, how it stops."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.children import Child
from launcher.console import StatusLine
from launcher.demo import Demo
from launcher.problem import LaunchProblem
from launcher.secret_files import keep_environment, keep_secrets
from launcher.surroundings import refuse_a_busy_port

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def start_demo(var: Path, port: int, *words: str, **environment: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "BROKER_URL"}}
    return subprocess.Popen(
        [sys.executable, "-m", "launcher.demo", "--port", str(port), *words],
        cwd=CHECKOUT,
        env={**kept, "VAR_DIR": str(var), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def refusal(var: Path, port: int, *words: str, **environment: str) -> str:
    """Start a demonstration that cannot run; return the one line it says."""
    demo = start_demo(var, port, *words, **environment)
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 1, said
    assert "Traceback" not in said
    return said.strip().splitlines()[-1]


def test_a_busy_port_is_named_with_one_that_is_free(taken_port: int) -> None:
    with pytest.raises(LaunchProblem, match=rf"port {taken_port} of 127.0.0.1 .*PORT=\d+`"):
        refuse_a_busy_port(taken_port)


def test_a_busy_port_is_said_in_one_line_before_anything_starts(
    tmp_path: Path, taken_port: int
) -> None:
    said = refusal(tmp_path, taken_port)

    assert said.startswith(f"Reread did not start: port {taken_port} of 127.0.0.1 is in use")
    assert not (tmp_path / "postgres").exists()


def test_a_port_below_1024_or_beyond_the_last_is_no_trace(tmp_path: Path) -> None:
    assert "PORT=70000 is not a port" in refusal(tmp_path, 70000)


def test_images_without_nodules_are_refused_with_the_command_to_use(tmp_path: Path) -> None:
    said = refusal(tmp_path, 8000, "--dicom", str(tmp_path))

    assert "make demo DICOM=folder NODULES=file.csv" in said
    missing = refusal(tmp_path, 8000, "--dicom", "/no/such", "--nodules", "x.csv")
    assert "DICOM=/no/such is not a folder" in missing


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgres://site:s3cret@127.0.0.1:1/reread"

    said = refusal(tmp_path, free_port(), DATABASE_URL=url)

    assert "the PostgreSQL of DATABASE_URL does not let us in" in said
    assert "s3cret" not in said


def test_an_address_that_is_no_database_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, free_port(), DATABASE_URL="mysql://db/reread")

    assert "not a PostgreSQL address" in said


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def test_a_broker_that_does_not_answer_is_named(tmp_path: Path) -> None:
    said = refusal(tmp_path, free_port(), BROKER_URL="redis://127.0.0.1:1/0")

    assert "the broker of BROKER_URL does not answer at 127.0.0.1:1" in said


def test_a_second_demonstration_says_where_the_first_one_is(tmp_path: Path) -> None:
    first = Demo(CHECKOUT, tmp_path, 8117, "", "")
    with first._only_one():
        said = refusal(tmp_path, 8118)

    assert f"already runs from this folder (http://127.0.0.1:8117, process {os.getpid()})" in said


def test_a_folder_that_cannot_be_written_to_is_no_trace() -> None:
    assert "/proc/reread" in refusal(Path("/proc/reread"), free_port())


def test_a_start_that_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = start_demo(tmp_path, free_port())
    assert demo.stdout is not None
    line = demo.stdout.readline()
    assert "database" in line
    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=60)

    assert demo.returncode == 0, said
    assert said.strip().splitlines()[-1] == "Stopped."
    assert "Traceback" not in said
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()


def test_a_shell_reads_the_settings_of_the_running_site_as_they_are(tmp_path: Path) -> None:
    told = {"DATABASE_URL": "postgres://owner@%2Ftmp%2Fa/reread", "SECRET_KEY": "it's $HOME `x`"}
    keep_environment(tmp_path, {"SECRET_KEY": "older"})
    keep_environment(tmp_path, told)

    show = f'set -a; . {tmp_path}/environment; printf \'%s|%s\' "$DATABASE_URL" "$SECRET_KEY"'
    read = subprocess.run(["sh", "-c", show], capture_output=True, text=True, check=True).stdout

    assert read.split("|") == list(told.values())
    assert (tmp_path / "environment").stat().st_mode & 0o777 == 0o600


def test_secrets_are_made_once_and_only_their_owner_may_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"

    first = keep_secrets(folder)
    (folder / "service_token").chmod(0o644)
    second = keep_secrets(folder)

    assert first == second
    assert set(first) == {"SECRET_KEY", "SERVICE_TOKEN"}
    assert min(len(secret) for secret in first.values()) >= 50
    assert len(set(first.values())) == 2
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def child(folder: Path, code: str, **options: object) -> Child:
    command = [sys.executable, "-c", code]
    return Child("worker", command, folder / "worker.log", os.environ, **options)  # type: ignore[arg-type]


def wait_for(log: Path, text: str) -> None:
    give_up_at = time.monotonic() + 30
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < give_up_at, log.read_text() if log.exists() else "no log"
        time.sleep(0.02)


def test_a_worker_that_dies_is_started_again_after_its_work_was_handed_out(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    handed_out: list[bool] = []
    worker = child(
        tmp_path,
        "import time; print('here', flush=True); time.sleep(60)",
        before_restart=lambda: handed_out.append(True),
    )
    worker.start()
    first = worker.pid
    try:
        assert first is not None
        os.kill(first, signal.SIGKILL)
        give_up_at = time.monotonic() + 30
        while worker.pid == first and time.monotonic() < give_up_at:
            worker.keep_running(said.append)
            time.sleep(0.02)

        assert worker.pid != first
        assert worker.exit_code is None
        assert handed_out == [True]
        assert [line for line in said if "killed by SIGKILL" in line and "worker.log" in line]
    finally:
        worker.kill()


def test_a_worker_that_dies_at_once_is_started_ever_more_slowly(tmp_path: Path) -> None:
    said: list[str] = []
    worker = child(tmp_path, "raise SystemExit(3)")
    worker.start()
    give_up_at = time.monotonic() + 30
    while len(said) < 2 and time.monotonic() < give_up_at:
        worker.keep_running(said.append)
        time.sleep(0.02)
    worker.kill()

    assert "(exit status 3) and starts again in 1 s" in said[0]
    assert "starts again in 2 s" in said[1]


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(grandchild.pid, "started", flush=True)
time.sleep(60)
"""


def test_a_worker_that_does_not_stop_is_killed_with_what_it_started(tmp_path: Path) -> None:
    worker = child(tmp_path, STUBBORN)
    worker.start()
    wait_for(worker.log, "started")
    grandchild = int(worker.log.read_text().split()[0])

    worker.ask_to_stop()
    worker.wait_until(time.monotonic() + 0.2)

    assert worker.exit_code == -signal.SIGKILL
    give_up_at = time.monotonic() + 10
    while is_alive(grandchild):
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_what_a_worker_said_last_can_be_shown(tmp_path: Path) -> None:
    worker = child(tmp_path, "print(*range(100), sep='\\n')")
    worker.start()
    worker.wait_until(time.monotonic() + 30)

    assert worker.last_lines(2) == "    98\n    99\n"


def test_progress_is_one_line_on_a_terminal_and_a_line_per_change_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = StatusLine(sys.stdout)
    for done in (0, 0, 1):
        line.show(f"AI predictions: {done} of 9")
    line.say("The worker stopped")

    assert capsys.readouterr().out.splitlines() == [
        "AI predictions: 0 of 9",
        "AI predictions: 1 of 9",
        "The worker stopped",
    ]
