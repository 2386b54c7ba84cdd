"""What the exported tables share: columns, and how values are written."""

from datetime import datetime
from typing import Any, NamedTuple

ROWS_AT_ONCE = 2000


class Column(NamedTuple):
    """A column of a table and what it means."""

    name: str
    kind: str
    meaning: str


def text_of(value: Any) -> str:
    """Write an answer: several options are separated by |."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return "|".join(map(str, value))
        case float() if value.is_integer():
            return str(int(value))
    return str(value)


def time_of(value: datetime | None) -> str:
    """Write a time in UTC, to the millisecond."""
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if value else ""
