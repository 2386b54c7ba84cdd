"""The embedded PostgreSQL: real servers, started, killed and refused."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from launcher.postgres import LONGEST_SOCKET_PATH, SOCKET_NAME, EmbeddedPostgres
from launcher.problem import LaunchProblem

CHECKOUT = Path(__file__).resolve().parents[2]


def server(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder / "postgres", folder / "run")


def write(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table if not exists answers (suspicion int)")
        connection.execute("insert into answers values (70)")


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from answers").fetchone()
    assert row is not None
    return int(row[0])


def test_what_was_recorded_is_there_after_a_stop_and_a_second_start(tmp_path: Path) -> None:
    with server(tmp_path) as postgres:
        write(postgres.url("reread"))
        pid = postgres.pid
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()

    with server(tmp_path) as postgres:
        assert count(postgres.url("reread")) == 1


def test_the_database_is_in_utf8_with_checksums_and_without_a_network(tmp_path: Path) -> None:
    with server(tmp_path) as postgres, psycopg.connect(postgres.url("reread")) as connection:
        shown = connection.execute(
            "select current_setting('server_encoding'), current_setting('data_checksums'), "
            "current_setting('listen_addresses'), current_setting('fsync'), datlocale "
            "from pg_database where datname = 'reread'"
        ).fetchone()

        assert shown == ("UTF8", "on", "", "on", "C.UTF-8")
        assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "postgres").stat().st_mode & 0o077 == 0


def test_nothing_committed_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    postgres = server(tmp_path)
    postgres.start()
    try:
        write(postgres.url("reread"))
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        while postgres.running:
            time.sleep(0.01)
        postgres.stop()
        postgres.start()

        assert count(postgres.url("reread")) == 1
    finally:
        postgres.stop()


OWNER = """
import sys, time
from pathlib import Path
from launcher.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]) / "postgres", Path(sys.argv[1]) / "run")
server.start()
print(server.url("reread"), server.pid, flush=True)
time.sleep(600)
"""


def start_owner(folder: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[str], str]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    return owner, owner.stdout.readline().split()[0]


def without_setpriv(folder: Path) -> dict[str, str]:
    """Return a PATH on which a server cannot be told to end with its owner."""
    (folder / "bin").mkdir()
    for name in ("unshare", "true"):
        (folder / "bin" / name).symlink_to(f"/usr/bin/{name}")
    return {"PATH": str(folder / "bin")}


@pytest.mark.parametrize("prepare", [lambda _: {}, without_setpriv], ids=["ends", "left behind"])
def test_a_server_whose_owner_was_killed_is_no_obstacle(
    tmp_path: Path, prepare: Callable[[Path], dict[str, str]]
) -> None:
    owner, url = start_owner(tmp_path, prepare(tmp_path))
    write(url)
    owner.kill()
    owner.communicate()

    with server(tmp_path) as postgres:
        assert count(postgres.url("reread")) == 1


def test_a_second_server_on_the_same_folder_is_refused_and_the_first_goes_on(
    tmp_path: Path,
) -> None:
    with server(tmp_path) as postgres:
        with pytest.raises(LaunchProblem, match=r"already runs on .*postgres.*stop that one"):
            server(tmp_path).start()

        write(postgres.url("reread"))


def test_a_pid_file_that_names_a_stranger_is_cleared_away(tmp_path: Path) -> None:
    with server(tmp_path) as postgres:
        postgres.url("reread")
        lines = (tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()
    # The number went to a living process that is no PostgreSQL: this one's parent.
    lines[0] = str(os.getppid())
    (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")

    with server(tmp_path) as postgres:
        assert postgres.running


@pytest.mark.parametrize("runtime_is_short", [True, False])
def test_a_path_too_long_for_a_socket_gets_a_short_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime_is_short: bool
) -> None:
    deep = tmp_path / ("My Checkout " * 8).strip()
    with tempfile.TemporaryDirectory(prefix="r") as short:
        runtime = Path(short) if runtime_is_short else tmp_path / ("r" * 80)
        runtime.mkdir(exist_ok=True)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))

        with server(deep) as postgres:
            write(postgres.url("reread"))
            assert len(os.fsencode(postgres.socket_dir / SOCKET_NAME)) <= LONGEST_SOCKET_PATH
            assert (postgres.socket_dir.parent == runtime) == runtime_is_short
            assert postgres.socket_dir.stat().st_mode & 0o777 == 0o700
        assert not postgres.socket_dir.exists()


def test_names_with_capitals_spaces_and_quotes_are_reached(tmp_path: Path) -> None:
    with server(tmp_path / "Dr. O'Neil's Studies") as postgres:
        write(postgres.url("Study 1"))

        assert count(postgres.url("Study 1")) == 1


def test_half_a_data_folder_is_made_again(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")

    with server(tmp_path) as postgres:
        assert postgres.running
    assert not unfinished.exists()


def refusal(folder: Path) -> str:
    with pytest.raises(LaunchProblem) as refused:
        server(folder).start()
    text = str(refused.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "thesis.txt").write_text("precious")

    assert "holds files that are not a PostgreSQL database" in refusal(tmp_path)
    assert (tmp_path / "postgres" / "thesis.txt").read_text() == "precious"


def test_data_of_another_version_are_named_and_left_alone(tmp_path: Path) -> None:
    with server(tmp_path):
        pass
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")

    assert "was made by PostgreSQL 16 and this is PostgreSQL 18" in refusal(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a user namespace")
def test_a_refused_user_namespace_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unshare = tmp_path / "bin" / "unshare"
    unshare.parent.mkdir()
    unshare.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    unshare.chmod(0o755)
    monkeypatch.setenv("PATH", str(unshare.parent), prepend=os.pathsep)

    text = refusal(tmp_path)

    assert "Operation not permitted" in text
    assert "start as an ordinary user, or set DATABASE_URL" in text


def test_a_full_disk_is_called_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "postgres").write_text("#!/bin/sh\necho postgres '(PostgreSQL)' 18.6\n")
    (fake / "initdb").write_text(
        "#!/bin/sh\necho 'initdb: error: could not write: No space left on device' >&2\nexit 1\n"
    )
    for program in fake.iterdir():
        program.chmod(0o755)
    monkeypatch.setattr("launcher.postgres.binaries", lambda: fake)

    assert "is full: free some space" in refusal(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    assert f"{tmp_path / 'file'}" in refusal(tmp_path / "file")
