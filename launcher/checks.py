"""Run the checks or the tests: `python -m launcher.checks check|test`.

Every step runs, the cheap ones first, and what failed is listed at the end.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from launcher.chromium import MISSING, ensure_chromium
from launcher.install import NODE_TO_TEST, find_node

CHECKOUT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
FRONTEND = CHECKOUT / "frontend"
# What the settings cannot be read without. No check opens the database.
STAND_INS = {
    "SECRET_KEY": "a stand-in for checks",
    "SERVICE_TOKEN": "a stand-in for checks",
    "DATABASE_URL": "postgres://check@localhost/check",
}


class Step(NamedTuple):
    name: str
    command: Sequence[str]
    folder: Path = CHECKOUT


def check_steps() -> list[Step]:
    """Return what CI checks besides the tests."""
    python = str(BIN / "python")
    files = sorted((CHECKOUT / "kubernetes").glob("*/*.yaml"))
    manifests = [str(path) for path in files if path.name != "kustomization.yaml"]
    return [
        Step("ruff", [str(BIN / "ruff"), "check", "."]),
        Step("format", [str(BIN / "ruff"), "format", "--check", "."]),
        Step("layers", [str(BIN / "lint-imports"), "--no-cache"]),
        Step("migrations", [python, "manage.py", "makemigrations", "--check", "--dry-run"]),
        Step("front end", ["npm", "run", "--silent", "check"], FRONTEND),
        Step("front-end tests", ["npm", "run", "--silent", "test"], FRONTEND),
        Step("secrets", [python, "-m", "launcher.audit", "secrets"]),
        Step("licences", [python, "-m", "launcher.audit", "licences"]),
        Step("vulnerabilities", [python, "-m", "launcher.audit", "vulnerabilities"]),
        Step("manifests", [str(BIN / "kubernetes-validate"), "--strict", "--quiet", *manifests]),
        Step("types", [str(BIN / "mypy")]),
    ]


def check() -> int:
    """Run the checks, printing of those that fail what they said."""
    environment = {**_environment(), **STAND_INS}
    failed = []
    for step in check_steps():
        began = time.monotonic()
        done = _run(step, environment, quiet=True)
        word = "FAILED" if done.returncode else "ok"
        _say(f"{word:<7} {step.name} ({time.monotonic() - began:.1f} s)")
        for line in done.stdout.splitlines():
            if line.startswith("NOT "):  # what could not be checked, though nothing was wrong
                _say(f"        {line}")
        if done.returncode:
            failed.append(step.name)
            _say(f"$ {' '.join(step.command)}\n{done.stdout}")
    _say(f"make check: failed: {', '.join(failed)}" if failed else "make check: all is well")
    return 1 if failed else 0


def test(words: Sequence[str]) -> int:
    """Run the front end's tests, and then pytest, whose summary is the end of the output."""
    environment = _environment()
    chromium = ensure_chromium()
    if chromium is not None:
        environment["CHROMIUM"] = str(chromium)
    _say(f"Chromium: {chromium}" if chromium else MISSING)
    frontend = 0
    if not words:
        step = Step("front-end tests", ["npm", "run", "--silent", "test"], FRONTEND)
        frontend = _run(step, environment).returncode
    command = [str(BIN / "python"), "-m", "pytest", "-n", environment.get("WORKERS") or "2"]
    tests = _run(Step("tests", [*command, *words]), environment).returncode
    if frontend:
        _say("make test: the front end's tests failed, see above")
    return tests or frontend


def _run(
    step: Step, environment: Mapping[str, str], quiet: bool = False
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            step.command,
            cwd=step.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        return subprocess.CompletedProcess(step.command, 127, f"{error}\n")


def _environment() -> dict[str, str]:
    """Return the environment with the environment's programs first, and a Node for tests."""
    folders = [str(BIN), os.environ.get("PATH", "")]
    node = find_node(NODE_TO_TEST, BIN.parent)
    if node is not None:
        folders.insert(0, str(node.folder))
    return {**os.environ, "PATH": os.pathsep.join(folders)}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m launcher.checks", description="Run checks.")
    parser.add_argument("what", choices=["check", "test"])
    chosen, rest = parser.parse_known_args(words)
    try:
        return check() if chosen.what == "check" else test(rest)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
