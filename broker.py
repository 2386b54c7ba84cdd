"""Where the broker is: one rule, shared by the site and the inference worker.

`BROKER_URL` names it: `pgmq://` (the default) puts the queues into the PostgreSQL of
`DATABASE_URL`; `postgresql://...` into another one; `redis://...` and `amqp://...` are
servers of their own.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

INFERENCE_QUEUE = "inference"
SITE_QUEUE = "site"

SOFT_LIMIT_S = 240
HARD_LIMIT_S = SOFT_LIMIT_S + 60
# A message is handed out again when its worker has been silent for longer than any task may run.
VISIBILITY_TIMEOUT_S = HARD_LIMIT_S + 60


def libpq_dsn(url: str) -> str:
    """Return a PostgreSQL URL as libpq's `key=value` words.

    The pgmq client drops everything of a URL but host, port, database, user and password,
    and reads a socket folder only in this form.

    Raises:
        ValueError: `url` is not a PostgreSQL URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql", "pgmq"} or not parts.path.strip("/"):
        raise ValueError(f"not a PostgreSQL address: {parts.scheme}://{parts.hostname or ''}...")
    words = {
        # urlsplit lowers the host's case, which a socket folder's name does not survive.
        "host": unquote(parts.netloc.rpartition("@")[2].rpartition(":")[0])
        if parts.port
        else unquote(parts.netloc.rpartition("@")[2].rstrip(":")),
        "port": str(parts.port or 5432),
        "dbname": unquote(parts.path.lstrip("/")),
        "user": unquote(parts.username or "postgres"),
        "password": unquote(parts.password or "unused"),
    }
    return " ".join(f"{key}={_quoted(value)}" for key, value in words.items())


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def queue_database(environment: Mapping[str, str]) -> str | None:
    """Return the URL of the PostgreSQL that holds the queues; None with another broker."""
    url = environment.get("BROKER_URL") or "pgmq://"
    if url == "pgmq://":
        return environment["DATABASE_URL"]
    if urlsplit(url).scheme in {"postgres", "postgresql", "pgmq"}:
        return url
    return None


def celery_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the Celery settings both applications use.

    No task is acknowledged before it is done, and a worker takes one at a time, so that a
    worker that dies costs a repetition and nothing else.

    Raises:
        KeyError: the queues belong in PostgreSQL and `DATABASE_URL` is missing.
        ValueError: the address cannot be read.
    """
    database = queue_database(environment)
    if database is not None:
        url = "pgmq://"
        transport: dict[str, Any] = {
            "conn_string": libpq_dsn(database),
            "init_extension": False,
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "wait_time_seconds": 0,
            "polling_interval": 0.1,
            "use_notify": True,
            "notify_throttle_interval_ms": 0,
        }
    else:
        url = environment["BROKER_URL"]
        # RabbitMQ hands a dead consumer's messages out by itself and knows no such option.
        redis = urlsplit(url).scheme.startswith("redis")
        transport = {"visibility_timeout": VISIBILITY_TIMEOUT_S} if redis else {}
    return {
        "broker_url": url,
        "broker_transport_options": transport,
        "broker_connection_retry_on_startup": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_ignore_result": True,
        "task_soft_time_limit": SOFT_LIMIT_S,
        "task_time_limit": HARD_LIMIT_S,
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "enable_utc": True,
        "timezone": "UTC",
    }
