"""What the exported tables share: columns, and how values are written."""

from datetime import datetime
from typing import Any, NamedTuple

ROWS_AT_ONCE = 2000
FORMULA_BEGINS = "=+-@\t\r"


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


def cell(value: Any) -> Any:
    """Return a value as it can stand in a CSV file that a spreadsheet opens.

    A text that a spreadsheet would compute, because it begins like a formula, gets an
    apostrophe before it (OWASP, CSV injection); numbers, whatever their sign, do not.
    """
    if not isinstance(value, str) or value[:1] not in FORMULA_BEGINS or not value:
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
