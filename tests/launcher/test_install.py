"""What is installed once is not installed again, and what was interrupted is."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from launcher import install
from launcher.install import Installation, Python, find_node, find_python
from launcher.problem import LaunchProblem


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout whose locks ask for nothing, so that installing needs no network."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / name).write_text("# nothing\n")
    return tmp_path


class Recorded(Installation):
    """An installation into a real environment whose pip, for speed, does nothing."""

    def __init__(self, checkout: Path, dev: bool = False) -> None:
        super().__init__(checkout, dev)
        self.commands: list[str] = []

    def _create_venv(self) -> None:
        venv.create(self.venv, symlinks=True)
        for packages in self.venv.glob("lib/python*/site-packages"):
            (packages / "pip").mkdir()
            (packages / "pip" / "__main__.py").touch()

    def _pip(self, *words: str) -> None:
        self.commands.append(" ".join(words).replace(f"{self.checkout}/", ""))


class Interrupted(Recorded):
    def _pip(self, *words: str) -> None:
        raise KeyboardInterrupt


def done(installation: Recorded) -> list[str]:
    installation.run()
    return installation.commands


def test_a_second_run_does_nothing(checkout: Path) -> None:
    assert done(Recorded(checkout)) == ["-r requirements.lock"]
    assert done(Recorded(checkout)) == []


def test_a_changed_lock_is_installed_into_the_same_environment(checkout: Path) -> None:
    done(Recorded(checkout))
    (checkout / ".venv" / "kept").touch()
    (checkout / "requirements.lock").write_text("# something else\n")

    assert done(Recorded(checkout)) == ["-r requirements.lock"]
    assert (checkout / ".venv" / "kept").exists()


def test_tests_add_their_packages_and_the_demonstration_keeps_them(checkout: Path) -> None:
    done(Recorded(checkout))

    assert done(Recorded(checkout, dev=True)) == ["-r requirements.lock -r requirements-dev.lock"]
    assert done(Recorded(checkout)) == []
    assert done(Recorded(checkout, dev=True)) == []


def test_an_interrupted_installation_starts_over(checkout: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Interrupted(checkout, dev=False).run()
    (checkout / ".venv" / "half a package").touch()

    assert done(Recorded(checkout)) == ["-r requirements.lock"]
    assert not (checkout / ".venv" / "half a package").exists()


def test_an_environment_that_does_not_start_is_made_again(checkout: Path) -> None:
    done(Recorded(checkout))
    (checkout / ".venv" / "bin" / "python").unlink()

    assert done(Recorded(checkout)) == ["-r requirements.lock"]
    assert (checkout / ".venv" / "bin" / "python").exists()


def test_a_moved_checkout_gets_an_environment_of_its_own(checkout: Path) -> None:
    done(Recorded(checkout))
    stamp = checkout / ".venv" / "installed.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "venv": "/elsewhere/.venv"}))

    assert done(Recorded(checkout)) == ["-r requirements.lock"]


def test_python_without_ensurepip_gets_pip_by_other_means(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = find_python(install.PYTHONS)._replace(has_ensurepip=False)
    monkeypatch.setattr(install, "find_python", lambda _: bare)
    asked: list[Python] = []

    class Bare(Installation):
        def _bring_pip(self, base: Python) -> None:
            asked.append(base)

        def _pip(self, *words: str) -> None:
            pass

    Bare(checkout, dev=False).run()

    assert asked == [bare]
    assert (checkout / ".venv" / "bin" / "python").exists()


class Index(BaseHTTPRequestHandler):
    """A package index with one file that is not what it should be."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        page = f'<a href="/files/{install.PIP_WHEEL}#sha256=0">{install.PIP_WHEEL}</a>'
        self.wfile.write(page.encode() if self.path == "/simple/pip/" else b"a wheel")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/simple"
    monkeypatch.setenv("PIP_INDEX_URL", url)
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


def test_pip_comes_from_the_users_index(
    tmp_path: Path, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "PIP_SHA256", hashlib.sha256(b"a wheel").hexdigest())

    install._fetch_pip(tmp_path / install.PIP_WHEEL)

    assert (tmp_path / install.PIP_WHEEL).read_bytes() == b"a wheel"


def test_a_pip_that_is_not_the_published_one_is_not_installed(
    checkout: Path, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_succeeds", lambda _: False)  # no pip of the system's

    with pytest.raises(LaunchProblem, match=r"python3\.12-venv \(apt-get install\)"):
        Installation(checkout, dev=False)._bring_pip(Python("python3.12", (3, 12, 1), True, False))
    assert not list(checkout.rglob("*.whl"))


def fake(folder: Path, name: str, prints: str) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{prints}'\n")
    program.chmod(0o755)
    return program


def test_the_first_python_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    old = fake(tmp_path, "old", "3 9 18 1 1")
    good = fake(tmp_path, "good", "3 12 1 1 1")
    broken = fake(tmp_path, "broken", "command not found")

    found = find_python([str(tmp_path / "missing"), str(broken), str(old), str(good)])

    assert found == Python(str(good), (3, 12, 1), True, True)


def test_only_old_pythons_are_refused_by_their_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fake(tmp_path, "old", "3 9 18 1 1")
    monkeypatch.setattr(sys, "executable", str(old))

    with pytest.raises(LaunchProblem, match=r"Python 3\.11 or newer .* newest here is 3\.9\.18"):
        find_python([str(old)])


def test_a_python_without_venv_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = fake(tmp_path, "bare", "3 13 0 0 0")
    monkeypatch.setattr(sys, "executable", str(bare))

    with pytest.raises(LaunchProblem, match=r"install the package python3\.13-venv"):
        find_python([str(bare)])


def test_the_systems_node_is_taken_when_it_is_new_enough_and_has_npm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, own = tmp_path / "system", tmp_path / "venv"
    own.mkdir()
    fake(system, "node", "v20.19.4")
    monkeypatch.setenv("PATH", f"{system}{os.pathsep}{os.environ['PATH']}")
    assert find_node((20, 19), own) is None, "there is no npm"

    fake(system, "npm", "10")
    fake(own / "bin", "node", "v24.19.0")
    fake(own / "bin", "npm", "11")

    in_system, in_venv = find_node((20, 19), own), find_node((22, 12), own)
    assert in_system is not None
    assert in_system.folder == system
    assert in_venv is not None
    assert in_venv.folder == own / "bin"
    assert find_node((26, 0), own) is None


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("WARNING: Retrying ... NewConnectionError\nERROR: No matching", "check the network"),
        ("npm error code ENOTFOUND\nnpm error network", "check the network"),
        ("ERROR: [Errno 13] Permission denied: '/x'", "may not be written to"),
        ("SSLError(CERTIFICATE_VERIFY_FAILED)", "certificate"),
        ("Collecting a\nERROR: No matching distribution found for torch==2.13.0", "torch==2.13.0"),
        ("npm error code EUSAGE\nnpm error\nnpm error out of sync\nnpm error help", "out of sync"),
        ("", "it said nothing"),
    ],
)
def test_what_stopped_pip_or_npm_is_said_in_a_few_words(output: str, words: str) -> None:
    assert words in install.reason(output)


def test_too_little_space_is_said_before_anything_is_made(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "NEEDED_BYTES", 10**18)

    with pytest.raises(LaunchProblem, match=r"GB left and the installation may need"):
        Recorded(checkout).run()
    assert not (checkout / ".venv").exists()


def test_a_checkout_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("not a folder")

    with pytest.raises(LaunchProblem, match=f"preparing failed: {tmp_path / 'var'}"):
        Recorded(tmp_path).run()


@pytest.fixture
def with_frontend(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout with a front end, built by an npm that only makes the folders."""
    frontend = checkout / "frontend"
    (frontend / "src").mkdir(parents=True)
    (frontend / "src" / "main.ts").write_text("export {}\n")
    for name in ("package.json", "package-lock.json"):
        (frontend / name).write_text("{}")
    system = checkout / "system"
    fake(system, "node", "v24.0.0")
    npm = fake(system, "npm", "")
    npm.write_text(
        "#!/bin/sh\nrm -rf node_modules.old\n"
        f'echo "$1" >> {checkout}/npm.log\n'
        'case "$1" in ci) rm -rf node_modules; mkdir node_modules;; run) mkdir -p dist;; esac\n'
    )
    monkeypatch.setenv("PATH", f"{system}{os.pathsep}{os.environ['PATH']}")
    return checkout


def npm_runs(checkout: Path) -> list[str]:
    log = checkout / "npm.log"
    ran = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return ran


def test_the_front_end_is_built_again_when_its_sources_or_packages_change(
    with_frontend: Path,
) -> None:
    frontend = with_frontend / "frontend"

    done(Recorded(with_frontend))
    assert npm_runs(with_frontend) == ["ci", "run"]

    done(Recorded(with_frontend))
    assert npm_runs(with_frontend) == []

    (frontend / "src" / "main.ts").write_text("export const changed = true\n")
    done(Recorded(with_frontend))
    assert npm_runs(with_frontend) == ["run"]

    (frontend / "package-lock.json").write_text('{"changed": true}')
    done(Recorded(with_frontend))
    assert npm_runs(with_frontend) == ["ci", "run"]

    (frontend / "dist" / ".built-from").unlink()
    done(Recorded(with_frontend))
    assert npm_runs(with_frontend) == ["run"]


def test_the_installer_needs_nothing_but_the_standard_library() -> None:
    command = [sys.executable, "-I", "-S", "-c"]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import launcher.install; "
        "print('site-packages' in str(sorted(sys.path)))"
    )
    root = str(Path(install.__file__).parents[1])

    shown = subprocess.run([*command, code, root], capture_output=True, text=True)

    assert (shown.returncode, shown.stdout.strip(), shown.stderr) == (0, "False", "")
