"""Where the broker is: one rule, shared by the site and the inference worker.

`BROKER_URL` names it: `pgmq://` (the default) puts the queues into the PostgreSQL of
`DATABASE_URL`; `postgresql://...` into another one; `redis://...` and `amqp://...` are
servers of their own.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

INFERENCE_QUEUE = "inference"
SITE_QUEUE = "site"

SOFT_LIMIT_S = 240
HARD_LIMIT_S = SOFT_LIMIT_S + 60
# A message is handed out again when its worker has been silent for longer than any task may run.
VISIBILITY_TIMEOUT_S = HARD_LIMIT_S + 60

POSTGRES_SCHEMES = {"postgres", "postgresql", "pgmq"}


def libpq_dsn(url: str) -> str:
    """Return a PostgreSQL URL as libpq's `key=value` words.

    A socket folder may stand percent-encoded where the host is, or as `?host=`.

    Raises:
        ValueError: `url` is not a PostgreSQL URL.
    """
    return " ".join(f"{key}={_quoted(value)}" for key, value in _words(url).items())


def pgmq_dsn(url: str) -> str:
    """Return a PostgreSQL URL in the words that the pgmq client connects rightly with.

    The client reads five words, drops all others, and writes what it has read without
    quotes. So every value is quoted once more, and the words it would drop (`sslmode` and
    the like) travel behind the password, which it writes last.

    Raises:
        ValueError: `url` is not a PostgreSQL URL.
    """
    words = _words(url)
    five = {key: _quoted(words.pop(key)) for key in ("host", "port", "dbname", "user", "password")}
    five["password"] += "".join(f" {key}={_quoted(value)}" for key, value in words.items())
    return " ".join(f"{key}={_quoted(value)}" for key, value in five.items())


def _words(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if parts.scheme not in POSTGRES_SCHEMES or not parts.path.strip("/"):
        raise ValueError(f"not a PostgreSQL address: {parts.scheme}://{parts.hostname or ''}...")
    # Not parts.hostname: it loses the case of letters, and a folder's name needs it.
    host = parts.netloc.rpartition("@")[2]
    if parts.port is not None:
        host = host.rpartition(":")[0]
    return {
        "host": unquote(host.rstrip(":").strip("[]")),
        "port": str(parts.port or 5432),
        "dbname": unquote(parts.path.lstrip("/")),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        **dict(parse_qsl(parts.query)),
    }


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def queue_database(environment: Mapping[str, str]) -> str | None:
    """Return the URL of the PostgreSQL that holds the queues; None with another broker."""
    url = environment.get("BROKER_URL") or "pgmq://"
    if url == "pgmq://":
        return environment["DATABASE_URL"]
    return url if urlsplit(url).scheme in POSTGRES_SCHEMES else None


def install_queues(connection: Any) -> None:
    """Create what pgmq needs in a database, and both queues; what exists is left alone.

    Parameters
    ----------
    connection : psycopg.Connection
        To the database of `queue_database`, not in autocommit mode. It is committed.
    """
    import pgmq  # brings a connection pool along: only for whoever sets up a database

    with connection.transaction():
        # The script cannot run twice, so nobody else may be between the question and the answer.
        connection.execute("select pg_advisory_xact_lock(hashtext('reread queues'))")
        if connection.execute("select to_regclass('pgmq.meta')").fetchone()[0] is None:
            pgmq.install_pgmq_from_sql(conn=connection)
        for queue in (INFERENCE_QUEUE, SITE_QUEUE):
            connection.execute("select pgmq.create(%s)", [queue])


def hand_out_again(connection: Any, queue: str) -> int:
    """Make the messages visible that a dead worker has taken; return how many.

    Only for the supervisor of a queue's single worker, which knows that it is dead: a
    message whose worker is alive would be worked on twice.
    """
    if queue not in (INFERENCE_QUEUE, SITE_QUEUE):
        raise ValueError(f"there is no queue {queue}")
    taken: int = connection.execute(
        f"update pgmq.q_{queue} set vt = clock_timestamp() "  # noqa: S608 - one of two names
        "where vt > clock_timestamp() and read_ct > 0"
    ).rowcount
    return taken


def celery_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the Celery settings both applications use.

    No task is acknowledged before it is done, and a worker takes one at a time, so that a
    worker that dies costs a repetition and nothing else.

    Raises:
        KeyError: the queues belong in PostgreSQL and `DATABASE_URL` is missing.
        ValueError: the address cannot be read.
    """
    from kombu.transport import TRANSPORT_ALIASES

    database = queue_database(environment)
    if database is not None:
        # Celery's command line takes BROKER_URL itself, and reads the scheme with this list.
        for scheme in POSTGRES_SCHEMES:
            TRANSPORT_ALIASES.setdefault(scheme, TRANSPORT_ALIASES["pgmq"])
        url = "pgmq://postgresql"  # a name for the logs: conn_string says where it is
        transport: dict[str, Any] = {
            "conn_string": pgmq_dsn(database),
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
