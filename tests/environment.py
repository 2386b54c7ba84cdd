"""What the tests run in: loaded before Django's settings are, by `-p tests.environment`.

Without a DATABASE_URL an embedded PostgreSQL is started, once for all processes of a run.
"""

import os
import tempfile
from pathlib import Path

import pytest

from launcher.postgres import EmbeddedPostgres

_folder = tempfile.TemporaryDirectory(prefix="reread-tests-", ignore_cleanup_errors=True)
_server: EmbeddedPostgres | None = None

os.environ.setdefault("SECRET_KEY", "a secret of the tests")
os.environ.setdefault("SERVICE_TOKEN", "a token of the tests")
os.environ["VAR_DIR"] = _folder.name
Path(_folder.name, "static").mkdir()
# Playwright's event loop runs in the thread of the test, which uses the database too.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
# Tests that commit empty the tables afterwards, which is refused elsewhere.
os.environ["PGOPTIONS"] = "-c reread.may_truncate=on"

if not os.environ.get("DATABASE_URL"):
    _server = EmbeddedPostgres(Path(_folder.name) / "pg", Path(_folder.name) / "socket")
    _server.start()
    os.environ["DATABASE_URL"] = _server.url("reread")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    if _server is not None:
        _server.stop()
    _folder.cleanup()
