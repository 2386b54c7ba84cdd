"""How the site and the worker write their logs: a JSON object a line, without patient data.

What a patient could be known by comes into logs by five ways, and each is shut here: texts
of exceptions, addresses somebody asked for, arguments and results of tasks, messages of libraries
that read images, and UIDs. Of an exception its types and places in the code remain, of an address
the name of its route, of a task its name and number, of a UID a pseudonym, and of libraries
that are not known to say nothing else, the place in their code.
"""

import hmac
import logging
import re
import traceback
from contextvars import ContextVar
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

# Set for the time of a request, so that every line says which one it belongs to.
request_id: ContextVar[str] = ContextVar("request_id", default="")

UID: Final = re.compile(r"(?<![\d.])[0-2](?:\.(?:0|[1-9]\d*)){5,}(?![\d.])")
# What a line may hold besides when, how grave, who says it and what.
FIELDS: Final = frozenset({"route", "method", "status", "ms", "user", "task", "task_id"})
# Messages of these hold the address that was asked for.
OF_REQUESTS: Final = ("django.request", "django.security", "django.server")
# Whose messages say what happens to the program.
KNOWN: Final = ("reader_study", "inference", "broker", "celery", "kombu", "gunicorn", "django")
OF_TASKS: Final = ("celery.app.trace", "celery.worker.strategy")


def pseudonym(secret: str, text: str, kind: str) -> str:
    """Return a short name that stands for `text` in the logs of a site with this secret."""
    digest = hmac.digest(secret.encode(), f"logs:{kind}:{text}".encode(), "sha256")
    return f"{kind}-{digest.hex()[:12]}"


class JsonLines(JsonFormatter):
    """Write records as JSON, and of each only what is known to tell nothing of a patient."""

    def __init__(self, *, secret: str = "") -> None:
        super().__init__()
        self._secret = secret

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Fill a line from `record`."""
        log_data["time"] = self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{record.msecs:03.0f}"
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = UID.sub(self._stand_in, _message(record))
        if request_id.get():
            log_data["request"] = request_id.get()
        log_data.update((k, v) for k, v in vars(record).items() if k in FIELDS)
        if record.exc_info and record.exc_info[1] is not None:
            log_data["error"] = list(_error(record.exc_info[1]))

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        log_data: dict[str, Any] = {}
        self.add_fields(log_data, record, {})
        return self.jsonify_log_record(log_data)

    def _stand_in(self, found: re.Match[str]) -> str:
        return pseudonym(self._secret, found.group(), "uid")


def _message(record: logging.LogRecord) -> str:
    if record.name.startswith(OF_REQUESTS):
        request = getattr(record, "request", None)
        match = getattr(request, "resolver_match", None)
        status = getattr(record, "status_code", "")
        return f"request refused {status} {getattr(match, 'view_name', '')}".strip()
    if record.name in OF_TASKS:
        of = record.args if isinstance(record.args, dict) else {}
        if record.name.endswith("strategy"):
            became = "received"
        else:
            became = str(of.get("description") or "succeeded")
        return f"task {of.get('name', '')} {of.get('id', '')} {became}"
    if record.name.partition(".")[0] not in KNOWN:
        return f"said by {record.name} in {record.filename}:{record.lineno}"
    # Messages of several lines quote what was sent.
    return (record.getMessage().splitlines() or [""])[0][:500]


def _error(error: BaseException) -> Any:
    """Yield the types of an exception and of its causes, and where each was raised."""
    seen: BaseException | None = error
    while seen is not None:
        kind = type(seen)
        yield f"{kind.__module__}.{kind.__qualname__}"
        for frame in traceback.extract_tb(seen.__traceback__)[-12:]:
            yield f"  {frame.filename}:{frame.lineno} {frame.name}"
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
