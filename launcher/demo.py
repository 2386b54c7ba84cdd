"""Run the demonstration: `python -m launcher.demo`, which `make demo` calls.

One process that starts the others, restarts what dies, and stops all of it on Ctrl-C:
PostgreSQL (unless DATABASE_URL names one), the web server, the site's worker and the
inference worker. What they keep is below `var/`.
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psycopg

import broker
from launcher import roles
from launcher.children import Child, ends_with_its_parent
from launcher.console import StatusLine, say, step, terminal_of_its_own
from launcher.postgres import EmbeddedPostgres
from launcher.problem import LaunchProblem, from_os_error
from launcher.secret_files import keep_environment, keep_secrets
from launcher.surroundings import HOST, check_broker, connected, refuse_a_busy_port

CHECKOUT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("VAR_DIR") or CHECKOUT / "var")
READY_LIMIT_S = 120.0
COMMAND_STOP_LIMIT_S = 5.0
WORKERS_STOP_LIMIT_S = 4.0
WEB_STOP_LIMIT_S = 5.0
POLL_S = 2.0


SETTINGS = (
    *("SECRET_KEY", "SERVICE_TOKEN", "DATABASE_URL", "OWNER_DATABASE_URL"),
    "WORKER_DATABASE_URL",
    *("BROKER_URL", "DICOMWEB_URL", "VAR_DIR"),
    *("ARCHIVE_URL", "ARCHIVE_TOKEN", "ARCHIVE_DIR", "ALLOWED_HOSTS"),
)


class Stopped(BaseException):
    """The user asked for the end."""


class Demo:
    """The demonstration of one checkout."""

    def __init__(self, checkout: Path, var: Path, port: int, dicom: str, nodules: str) -> None:
        self.checkout = checkout
        self.var = var
        self.logs = self.var / "log"
        self.port = port
        self.address = f"http://{HOST}:{port}"
        self.dicom, self.nodules = dicom, nodules
        self.environment = dict(os.environ)
        self.postgres: EmbeddedPostgres | None = None
        self._ours = False  # the queues: nobody else takes from them

    def run(self) -> None:
        """Run until `Stopped` is raised.

        Raises:
            LaunchProblem: it cannot run here, or not now.
        """
        self._check_arguments()
        with contextlib.ExitStack() as stack:
            self.logs.mkdir(parents=True, exist_ok=True)
            stack.enter_context(self._only_one())
            refuse_a_busy_port(self.port)
            self._set_environment()
            stack.callback(self._stop_postgres)
            with step("database"):
                self._open_database()
            with step("tables"):
                self._manage("migrate", "--verbosity", "0")
                if roles.has_two(self.environment):
                    self._manage("create_roles")
            with step("queues"):
                self._open_queues()
            # For manage.py in another terminal.
            told = {n: self.environment[n] for n in SETTINGS if self.environment.get(n)}
            keep_environment(self.var / "secrets", told)
            self._collect_static()
            logins = self._create_study()
            children = self._children()
            stack.callback(self._stop, children)
            with step("web server and workers"):
                for child in children:
                    child.start()
                self._wait_until_ready(children[0])
            self._greet(logins)
            self._watch(children)

    def _check_arguments(self) -> None:
        if bool(self.dicom) != bool(self.nodules):
            raise LaunchProblem(
                "your own images need both: `make demo DICOM=folder NODULES=file.csv`"
            )
        if self.dicom and not Path(self.dicom).is_dir():
            raise LaunchProblem(f"DICOM={self.dicom} is not a folder")
        if self.nodules and not Path(self.nodules).is_file():
            raise LaunchProblem(f"NODULES={self.nodules} is not a file")

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        with (self.var / "demo.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise LaunchProblem(
                    f"it already runs from this folder ({lock.read().strip()}): open that "
                    "address, or stop it first with Ctrl-C where it runs"
                ) from None
            lock.truncate(0)
            lock.write(f"{self.address}, process {os.getpid()}")
            lock.flush()
            yield

    def _set_environment(self) -> None:
        for name, secret in keep_secrets(self.var / "secrets").items():
            self.environment.setdefault(name, secret)
        self.environment.update(
            ALLOWED_HOSTS=f"{HOST} localhost",
            DEBUG="",
            HTTPS="",
            DICOMWEB_URL=f"{self.address}/dicomweb",
            VAR_DIR=str(self.var),
            DJANGO_SETTINGS_MODULE="reader_study.settings",
            PYTHONUNBUFFERED="1",
        )

    # database and broker

    def _open_database(self) -> None:
        if not self.environment.get("DATABASE_URL"):
            self.postgres = EmbeddedPostgres(
                self.var / "postgres", self.var / "run", self.logs / "postgresql.log"
            )
            self.postgres.start()
            owner = self.postgres.url("reread")
            self.environment["OWNER_DATABASE_URL"] = owner
            self.environment["DATABASE_URL"] = roles.as_role(owner, roles.SITE_ROLE)
            self.environment["WORKER_DATABASE_URL"] = roles.as_role(owner, roles.WORKER_ROLE)
        # Before anything else is done with them.
        try:
            with connected(*roles.owner_of(self.environment)):
                pass
            if broker.queue_database(self.environment) is None:
                check_broker(self.environment["BROKER_URL"])
        except ValueError as error:
            raise LaunchProblem(f"DATABASE_URL or BROKER_URL: {error}") from error

    def _open_queues(self) -> None:
        """Make the queues, where PostgreSQL holds them, as the role that uses them."""
        default = self.environment.get("BROKER_URL") in {None, "", "pgmq://"}
        if default and roles.has_two(self.environment):
            self.environment["BROKER_URL"] = roles.make_queues(
                self.environment["OWNER_DATABASE_URL"], self.environment["DATABASE_URL"]
            )
        try:
            queues = broker.queue_database(self.environment)
            if queues is not None:
                with connected("DATABASE_URL" if default else "BROKER_URL", queues) as connection:
                    broker.install_queues(connection)
        except ValueError as error:
            raise LaunchProblem(f"DATABASE_URL or BROKER_URL: {error}") from error
        self._ours = self.postgres is not None and default
        self._hand_out_again(broker.INFERENCE_QUEUE, broker.SITE_QUEUE)

    def _hand_out_again(self, *queues: str) -> None:
        """Give unfinished work to the next worker at once, where ours were the only ones."""
        database = broker.queue_database(self.environment)
        if database is None or not self._ours:
            return
        with contextlib.suppress(psycopg.Error):  # else it is handed out when its time is over
            with psycopg.connect(broker.libpq_dsn(database)) as connection:
                taken = sum(broker.hand_out_again(connection, queue) for queue in queues)
            if taken:
                say(f"  unfinished work handed out again: {taken}")

    def _stop_postgres(self) -> None:
        if self.postgres is not None:
            self.postgres.stop()

    # the site

    def _manage(self, *words: str) -> str:
        """Run a command of manage.py, showing what it says; return its last line."""
        command = [sys.executable, str(self.checkout / "manage.py"), *words]
        log = self.logs / "manage.log"
        last = ""
        with log.open("a+", encoding="utf-8", errors="replace") as errors:
            begin = errors.tell()
            process = subprocess.Popen(
                [*ends_with_its_parent("TERM"), *command],
                cwd=self.checkout,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    last = line.strip()
                    if last and not last.startswith("{"):
                        say(f"  {last}")
                code = process.wait()
            except BaseException:
                _interrupt(process)
                raise
            if code:
                errors.seek(begin)
                said = errors.read().strip().splitlines() or [f"exit status {code}"]
                reason = said[-1].removeprefix("CommandError: ")
                raise LaunchProblem(f"{words[0]} failed: {reason} (more in {log})")
        return last

    def _collect_static(self) -> None:
        """Copy and compress the static files, when they are not those of the last time."""
        sources = [self.checkout / "frontend" / "dist" / ".built-from"]
        sources += sorted((self.checkout / "reader_study" / "static").rglob("*"))
        state = "\n".join(f"{path} {path.stat().st_mtime_ns}" for path in sources if path.is_file())
        stamp = self.var / "static" / ".collected-from"
        if stamp.exists() and stamp.read_text() == state:
            return
        with step("static files"):
            self._manage("collectstatic", "--noinput", "--clear", "--verbosity", "0")
        stamp.write_text(state)

    def _create_study(self) -> list[dict[str, str]]:
        words = ["--dicom", self.dicom, "--nodules", self.nodules] if self.dicom else []
        with step("demonstration study"):
            answer = self._manage("create_demo", *words)
        logins: list[dict[str, str]] = json.loads(answer)["logins"]
        return logins

    def _children(self) -> list[Child]:
        """Return the web server, then the workers."""
        run = [sys.executable, "-m"]
        worker = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        # Asked to stop while its database goes away too, a worker may wait for ever.
        orphaned = "KILL"

        def child(name: str, log: str, *words: str, **options: Any) -> Child:
            path = self.logs / f"{log}.log"
            of = roles.of_the_worker if name == "site worker" else roles.of_the_site
            environment = of(self.environment)
            return Child(name, [*run, *words], path, environment, **options)

        return [
            child(
                "web server",
                "web",
                *("gunicorn", "reader_study.wsgi", "--chdir", str(self.checkout)),
                *("--bind", f"{HOST}:{self.port}", "--worker-class", "gthread"),
                *("--workers", "2", "--threads", "8", "--graceful-timeout", "3"),
                "--no-control-socket",
            ),
            child(
                "site worker",
                "site-worker",
                *("celery", "--workdir", str(self.checkout), "-A", "reader_study.celery"),
                *("worker", "-Q", broker.SITE_QUEUE, "--pool", "solo", "-n", "site@%h", *worker),
                *("--beat", "--schedule", str(self.var / "celerybeat-schedule")),
                before_restart=lambda: self._hand_out_again(broker.SITE_QUEUE),
                when_orphaned=orphaned,
            ),
            child(
                "inference worker",
                "inference-worker",
                *("celery", "--workdir", str(self.checkout), "-A", "inference.tasks"),
                *("worker", "-Q", broker.INFERENCE_QUEUE, "-n", "inference@%h", *worker),
                before_restart=lambda: self._hand_out_again(broker.INFERENCE_QUEUE),
                when_orphaned=orphaned,
            ),
        ]

    def _wait_until_ready(self, web: Child) -> None:
        give_up_at = time.monotonic() + READY_LIMIT_S
        while self._health() is None:
            if web.exit_code is not None or time.monotonic() > give_up_at:
                why = "stopped" if web.exit_code is not None else "does not answer"
                raise LaunchProblem(
                    f"the web server {why}; the end of its log {web.log}:\n{web.last_lines()}"
                )
            time.sleep(0.1)

    def _health(self) -> dict[str, Any] | None:
        """Return what the site says of itself; None while it is not ready."""
        try:
            page = urllib.request.Request(  # noqa: S310 - our own
                f"{self.address}/health/ready",
                headers={"Authorization": f"Bearer {self.environment['SERVICE_TOKEN']}"},
            )
            with urllib.request.urlopen(page, timeout=5) as answer:  # noqa: S310
                health: dict[str, Any] = json.load(answer)
                return health
        except (OSError, ValueError):
            return None

    def _greet(self, logins: list[dict[str, str]]) -> None:
        say(f"\nReread is ready: {self.address}\n")
        for login in logins:
            say(f"  {login['role']:<14} {login['username']:<18} {login['password']}")
        say("\nCtrl-C stops it; what was recorded is kept.\n")

    def _watch(self, children: list[Child]) -> NoReturn:
        line = StatusLine(sys.stdout)
        next_look = 0.0
        while True:
            if self.postgres is not None and not self.postgres.running:
                line.say("PostgreSQL stopped and starts again")
                self.postgres.stop()
                self.postgres.start()
            for child in children:
                child.keep_running(line.say)
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + POLL_S
                predictions = (self._health() or {}).get("predictions")
                if predictions:
                    line.show(f"AI predictions: {predictions['done']} of {predictions['total']}")
            time.sleep(0.2)

    def _stop(self, children: list[Child]) -> None:
        """Stop the workers, which still need the web server, and then the web server."""
        web, *workers = children
        for group, limit_s in ((workers, WORKERS_STOP_LIMIT_S), ([web], WEB_STOP_LIMIT_S)):
            for child in group:
                child.ask_to_stop()
            give_up_at = time.monotonic() + limit_s
            for child in group:
                child.wait_until(give_up_at)


def _interrupt(process: subprocess.Popen[str]) -> None:
    """End a command of manage.py and what it started, with a moment to clean up."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGINT)
        process.wait(COMMAND_STOP_LIMIT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _stop_on(sign: int, _frame: FrameType | None) -> NoReturn:
    # A second Ctrl-C does not disturb the stopping, which has its own time limits.
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    say("\nStopping ...")
    raise Stopped(sign)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m launcher.demo", description="Run the demo.")
    parser.add_argument("--port", default="8000")
    parser.add_argument("--dicom", default="", help="a folder with your own CT series")
    parser.add_argument("--nodules", default="", help="a CSV file with their nodules")
    chosen = parser.parse_args(words)
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, _stop_on)
    try:
        if not chosen.port.isdecimal() or not 0 < int(chosen.port) < 65536:
            raise LaunchProblem(f"PORT={chosen.port} is not a port: take a number up to 65535")
        with terminal_of_its_own():
            Demo(CHECKOUT, VAR, int(chosen.port), chosen.dicom, chosen.nodules).run()
    except Stopped:
        say("Stopped.")
        return 0
    except LaunchProblem as problem:
        return _failed(str(problem))
    except OSError as error:
        where = Path(error.filename) if error.filename else VAR
        return _failed(str(from_os_error(error, "the start", where)))
    except Exception:  # noqa: BLE001 - the user gets a line, the trace goes where it is looked for
        log = VAR / "log" / "demo.log"
        log.write_text(traceback.format_exc())
        return _failed(f"there is a fault in the launcher; {log} has the details")
    return 0


def _failed(reason: str) -> int:
    sys.stderr.write(f"Reread did not start: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
