"""Secrets of one checkout: made once, kept where only their owner may read them."""

import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

NAMES = ("SECRET_KEY", "SERVICE_TOKEN")


def keep_secrets(folder: Path) -> dict[str, str]:
    """Return the secrets kept in `folder` (0700), making those that are missing (0600)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return {name: _keep(folder / name.lower()) for name in NAMES}


def keep_environment(folder: Path, environment: Mapping[str, str]) -> None:
    """Write the settings of the running site for a shell to read (0600), replacing older ones."""
    unfinished = folder / "environment.unfinished"
    unfinished.unlink(missing_ok=True)
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as lines:
        lines.writelines(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
    unfinished.rename(folder / "environment")


def _keep(path: Path) -> str:
    if not path.exists():
        # Whole or not at all: half a secret would be kept for ever.
        unfinished = path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as secret:
            secret.write(secrets.token_urlsafe(48))
        unfinished.rename(path)
    path.chmod(0o600)
    return path.read_text()
