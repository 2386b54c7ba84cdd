"""The condition of the site: what it needs, and whether that is there."""

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

import broker
from reader_study.actions.cases import site_archive
from reader_study.celery import app
from reader_study.dicomweb.errors import ArchiveError
from reader_study.dicomweb.search import Search

GIGABYTE = 1e9
# Without these nothing can be read; without the others, readings that have begun go on.
NEEDED = ("database", "migrations", "disk")


def missing() -> list[str]:
    """Return what does not answer or is not as it has to be, what is needed most first."""
    if not _database():
        return ["database"]
    looks: dict[str, Callable[[], bool]] = {
        "migrations": migrated,
        "disk": lambda: free_bytes() >= settings.LEAST_FREE_GB * GIGABYTE,
        "broker": lambda: bool(queue_lengths()),
        "archive": _archive,
    }
    return [name for name, look in looks.items() if not look()]


def free_bytes() -> int:
    """Return how much room there is where images are kept."""
    folder = Path(settings.ARCHIVE_DIR)
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def queue_lengths() -> dict[str, int]:
    """Return how many messages wait in each queue; empty when the broker does not answer."""
    queues = (broker.INFERENCE_QUEUE, broker.SITE_QUEUE)
    try:
        database = broker.queue_database(os.environ)
        if database is not None:
            # Not by the broker's client, which would open a pool of connections each time.
            with psycopg.connect(broker.libpq_dsn(database), connect_timeout=2) as link:
                asked = "select queue_length from pgmq.metrics(%s)"
                rows = [link.execute(asked, [queue]).fetchone() for queue in queues]
            return {
                queue: int(row[0]) if row else 0 for queue, row in zip(queues, rows, strict=True)
            }
        with app.connection_for_read(connect_timeout=2) as broker_link:
            broker_link.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            channel: Any = broker_link.default_channel
            return {queue: _length(channel, queue) for queue in queues}
    except Exception:  # noqa: BLE001  each broker's driver has errors of its own
        return {}


def _length(channel: Any, queue: str) -> int:
    if hasattr(channel, "_size"):  # Redis: a queue that nobody has used yet is empty there
        return int(channel._size(queue))
    return int(channel.queue_declare(queue, passive=True).message_count)


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except DatabaseError:
        return False
    return True


def migrated() -> bool:
    """Tell whether the tables are those of this version; that they are is asked only once."""
    try:
        return _migrated()
    except LookupError:
        return False


@cache
def _migrated() -> bool:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise LookupError("there are migrations to be applied")  # and so not kept
    return True


def _archive() -> bool:
    try:
        site_archive().search_studies(Search({"StudyInstanceUID": "2.25.0"}, limit=1))
    except ArchiveError:
        return False
    return True
