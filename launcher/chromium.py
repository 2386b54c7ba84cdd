"""The browser of the browser tests: the system's, else Playwright's own download."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

COMMANDS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
MISSING = (
    "browser tests are skipped: there is no Chromium, and Playwright could not download its "
    "own; `apt-get install chromium` (or `.venv/bin/playwright install --with-deps chromium`) "
    "gets it"
)
DOWNLOAD_LIMIT_S = 600


@functools.cache
def find_chromium() -> Path | None:
    """Return a Chromium that starts, CHROMIUM of the environment first; None without one."""
    for path in _candidates():
        try:
            # Ubuntu's chromium-browser is a stub that asks for snap: only a start tells.
            answer = subprocess.run(
                [path, "--version"], capture_output=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if answer.returncode == 0 and b"Chrom" in answer.stdout:
            return path
    return None


def _candidates() -> Iterator[Path]:
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        yield Path(chosen)
        return
    for command in COMMANDS:
        found = shutil.which(command)
        if found:
            yield Path(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ms-playwright"
    downloads = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or cache)
    yield from sorted(downloads.glob("chromium-*/chrome-linux*/chrome"), reverse=True)


def ensure_chromium() -> Path | None:
    """Return a Chromium, downloading Playwright's when there is none; None when that fails."""
    found = find_chromium()
    if found is not None:
        return found
    download = [sys.executable, "-m", "playwright", "install", "chromium"]
    try:
        subprocess.run(download, capture_output=True, timeout=DOWNLOAD_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return None
    find_chromium.cache_clear()
    return find_chromium()
