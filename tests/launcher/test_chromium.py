"""Which browser the browser tests drive."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.chromium import ensure_chromium, find_chromium


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"PATH": tmp_path / "bin", "PLAYWRIGHT_BROWSERS_PATH": tmp_path}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("CHROMIUM", raising=False)
    find_chromium.cache_clear()
    yield
    find_chromium.cache_clear()


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_stub_that_does_not_start_is_passed_over_for_playwrights_own(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "chromium-browser", "echo 'requires the snap' >&2; exit 1")
    own = program(tmp_path / "chromium-1200" / "chrome-linux64" / "chrome", "echo Chromium 150")

    assert find_chromium() == own


def test_the_systems_chromium_comes_first(tmp_path: Path) -> None:
    program(tmp_path / "chromium-1200" / "chrome-linux64" / "chrome", "echo Chromium 150")
    system = program(tmp_path / "bin" / "chromium", "echo Chromium 149")

    assert find_chromium() == system


def test_without_any_and_without_a_download_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(program(tmp_path / "python", "exit 1")))

    assert ensure_chromium() is None
