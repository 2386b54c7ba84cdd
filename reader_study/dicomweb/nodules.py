"""The list of nodules that comes with a folder of images: a CSV file.

Columns: patient, study, series, nodule, x, y, z (LPS millimetres; study and series are DICOM
UIDs), and, where known, diameter (mm), reference (malignant or benign), reference_source.
Comma, semicolon or tab between them; after a semicolon or tab, a comma may be the decimal mark.
"""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

REQUIRED = ("patient", "study", "series", "nodule", "x", "y", "z")
OPTIONAL = ("diameter", "reference", "reference_source")


class UnreadableList(Exception):
    """The file as a whole cannot be read; the text says why and what to do."""


class NoduleRow(NamedTuple):
    """One nodule of the list."""

    line: int
    patient: str
    study_uid: str
    series_uid: str
    label: str
    centre_mm: tuple[float, float, float]  # LPS
    diameter_mm: float | None
    malignant: bool | None  # None: no reference standard
    reference_source: str
    reference_detail: Mapping[str, Any] = {}  # what the source says besides


class BadRow(NamedTuple):
    """A line that is no nodule, and why."""

    line: int
    code: str
    detail: str


def read_nodules(path: Path) -> tuple[list[NoduleRow], list[BadRow]]:
    """Read a list of nodules; a bad line is reported and the next one read.

    Raises:
        UnreadableList: it is missing, is not UTF-8 text, or lacks a column.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UnreadableList(f"{path} cannot be opened: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableList(f"{path} is not UTF-8; save it as CSV UTF-8") from error
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[NoduleRow] = []
    bad: list[BadRow] = []
    try:
        names = [name.strip().lower() for name in next(lines, [])]
        lacking = [name for name in REQUIRED if name not in names]
        if lacking:
            raise UnreadableList(f"{path} lacks the column {lacking[0]}; needed: {REQUIRED}")
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            values = {n: c.strip() for n, c in zip(names, cells, strict=False)}
            row = _row(values, lines.line_num, decimal_comma=delimiter != ",")
            (rows if isinstance(row, NoduleRow) else bad).append(row)  # type: ignore[arg-type]
    except csv.Error as error:
        raise UnreadableList(f"{path}, line {lines.line_num}: {error}") from error
    return rows, bad


def _row(values: Mapping[str, str], line: int, *, decimal_comma: bool) -> NoduleRow | BadRow:
    label = values.get("nodule", "")
    if not label or len(label) > 64:
        return BadRow(line, "bad_label", "the nodule needs a name of at most 64 characters")
    numbers: dict[str, float] = {}
    for name in ("x", "y", "z", "diameter"):
        text = values.get(name, "")
        if not text and name == "diameter":
            continue
        try:
            number = float(text.replace(",", ".") if decimal_comma else text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or (name == "diameter" and number <= 0):
            return BadRow(line, "bad_number", f"{name} is {text[:32]!r}, which is no millimetres")
        numbers[name] = number
    reference = values.get("reference", "").lower()
    if reference not in {"", "malignant", "benign"}:
        return BadRow(
            line, "bad_reference", f"reference is {reference[:32]!r}, not malignant or benign"
        )
    return NoduleRow(
        line=line,
        patient=values.get("patient", ""),
        study_uid=values.get("study", ""),
        series_uid=values.get("series", ""),
        label=label,
        centre_mm=(numbers["x"], numbers["y"], numbers["z"]),
        diameter_mm=numbers.get("diameter"),
        malignant=None if not reference else reference == "malignant",
        reference_source=values.get("reference_source", "")[:200],
    )
