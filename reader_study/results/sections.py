"""What results are made of: sections with a text, tables and a figure, and how numbers are told."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

PRE_SPECIFIED, EXPLORATORY = "pre-specified", "exploratory"
# What stands where a number could not be estimated; the notes say why.
NONE = "–"
# The threshold of a curve's first point, which no table shows.
UNLIMITED = "unlimited"


class Column(NamedTuple):
    """A column of a table. `kind`: text, count, number, share, p, seconds or ratio."""

    label: str
    kind: str = "text"


class Table(NamedTuple):
    """A table as it is shown and downloaded. Numbers are whole; `shown` rounds them."""

    name: str  # of its file, without ending
    caption: str
    columns: list[Column]
    rows: list[list[Any]]
    notes: list[str] = []

    def shown(self) -> list[list[str]]:
        """Return the cells as they are told to people."""
        return [
            [told(value, column.kind) for value, column in zip(row, self.columns, strict=True)]
            for row in self.rows
        ]

    def csv(self) -> str:
        """Return the table as CSV, with all digits."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.label for column in self.columns])
        writer.writerows([["" if cell is None else cell for cell in row] for row in self.rows])
        return text.getvalue()


class Figure(NamedTuple):
    """A figure: how it is drawn is in `figures`; `alt` says what it shows to who cannot see it."""

    name: str
    title: str
    alt: str
    kind: str  # of drawing
    content: dict[str, Any]


class Section(NamedTuple):
    """One question and what was found on it."""

    name: str
    title: str
    standing: str  # PRE_SPECIFIED or EXPLORATORY
    text: list[str]
    figures: list[Figure] = []
    tables: list[Table] = []
    document: dict[str, Any] = {}  # everything the statistics gave
    source: str = ""  # the file it was computed from
    methods: list[str] = []  # keys of `methods.METHODS`


def told(value: Any, kind: str) -> str:
    """Return a value as it is told to people.

    Estimates have three decimals, p values as journals want them.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NONE
    if isinstance(value, str):
        return value
    match kind:
        case "count":
            return f"{value:d}" if isinstance(value, int) else f"{value:.1f}"
        case "share":
            return f"{100 * value:.1f} %".replace("-", "−")
        case "p":
            return told_p(value)
        case "seconds":
            return f"{value:.1f}"
        case "ratio":
            return f"{value:.2f}"
        case "number":
            return f"{value:.3f}".replace("-", "−")
    return str(value)


def told_p(p: float) -> str:
    """Return a p value: three decimals, and never 0."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_in_a_sentence(p: float | None) -> str:
    """Return `p = 0.012` or `p < 0.001`."""
    if p is None:
        return "p could not be computed"
    return f"p {told_p(p)}" if p < 0.001 else f"p = {told_p(p)}"


def interval(lower: float | None, upper: float | None, kind: str = "number") -> str:
    """Return a confidence interval as text."""
    if lower is None or upper is None:
        return NONE
    return f"{told(lower, kind)} to {told(upper, kind)}"


def notes_of(document: dict[str, Any]) -> list[str]:
    """Return why numbers of a document are missing, each reason once."""
    found = dict.fromkeys(str(note) for note in document.get("notes", {}).values())
    return [f"{NONE}: {note}." for note in found if note != UNLIMITED]


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def capital(text: str) -> str:
    """Return a text with a capital at its beginning, the rest as it is."""
    return text[:1].upper() + text[1:]
