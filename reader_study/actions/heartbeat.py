"""Signs of life of the workers: when one of each kind was last heard of.

They are told through the broker and kept in the cache that all processes share: a sign of
life is worth nothing once it is old.
"""

from datetime import datetime, timedelta

from django.core.cache import cache

KINDS = ("site", "inference")
ALIVE = "reader_study.note_alive"
# A worker that computes says nothing meanwhile.
EVERY_S = 30.0
SILENT_AFTER = timedelta(minutes=10)


def note_alive(kind: str, now: datetime) -> None:
    """Keep that a worker of this kind was heard of."""
    if kind in KINDS:
        cache.set(f"alive:{kind}", now.isoformat(), timeout=7 * 24 * 3600)


def last_heard_of(kind: str) -> datetime | None:
    """Return when a worker of this kind was last heard of, within the last week."""
    said = cache.get(f"alive:{kind}")
    return datetime.fromisoformat(said) if said else None
