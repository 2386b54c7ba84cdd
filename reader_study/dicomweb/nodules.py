"""The list of nodules that comes with a folder of images: a CSV file.

Columns: patient, study, series, nodule, x, y, z (LPS millimetres; study and series are DICOM
UIDs), and, where known, diameter (mm), reference (malignant or benign), reference_source.
A line without a nodule brings a further series in: of the same examination or, with its study's
UID under prior_of, of an earlier one; days is how much earlier, where the dates do not say it.
Comma, semicolon or tab between them; after a semicolon or tab, a comma may be the decimal mark.
"""

import csv
import io
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

REQUIRED = ("patient", "study", "series", "nodule", "x", "y", "z")
OPTIONAL = ("diameter", "reference", "reference_source", "prior_of", "days")
# No two examinations of a patient are further apart.
MOST_DAYS = 36_525


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


class SeriesRow(NamedTuple):
    """A further series of a case: of the examination that is read, or of an earlier one.

    `series_uid` is empty for every CT series of the study; `prior_of` is the study that is read,
    empty where it is this one.
    """

    line: int
    patient: str
    study_uid: str
    series_uid: str
    prior_of: str
    days_before: int | None


class BadRow(NamedTuple):
    """A line that is neither a nodule nor a series, and why."""

    line: int
    code: str
    detail: str


class NoduleList(NamedTuple):
    """What a list says, line by line."""

    nodules: list[NoduleRow]
    series: list[SeriesRow]
    bad: list[BadRow]

    def about(self, series: Collection[tuple[str, str]]) -> "NoduleList":
        """Keep the lines about `series`, pairs of study and series UID."""
        studies = {study for study, _ in series}
        uids = {uid for _, uid in series}
        of_series = [
            row
            for row in self.series
            if row.series_uid in uids or (not row.series_uid and row.study_uid in studies)
        ]
        return NoduleList([row for row in self.nodules if row.series_uid in uids], of_series, [])


def read_nodules(path: Path) -> NoduleList:
    """Read a list of nodules; a bad line is reported and the next one read.

    Raises:
        UnreadableList: it is missing, is not UTF-8 text, or lacks a column.
    """
    try:
        text = decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise UnreadableList(f"{path} cannot be opened: {error.strerror}") from error
    return parse_nodules(text, str(path))


def decoded(content: bytes, name: str) -> str:
    """Return the text of a list that is called `name`.

    Raises:
        UnreadableList: it is not UTF-8 text.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableList(f"{name} is not UTF-8; save it as CSV UTF-8") from error


def parse_nodules(text: str, name: str) -> NoduleList:
    """Read the text of a list that is called `name`, as `read_nodules` does.

    Raises:
        UnreadableList: it lacks a column, or is no CSV.
    """
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found = NoduleList([], [], [])
    try:
        names = [name.strip().lower() for name in next(lines, [])]
        lacking = [name for name in REQUIRED if name not in names]
        if lacking:
            raise UnreadableList(f"{name} lacks the column {lacking[0]}; needed: {REQUIRED}")
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            values = {n: c.strip() for n, c in zip(names, cells, strict=False)}
            row = _row(values, lines.line_num, decimal_comma=delimiter != ",")
            match row:
                case NoduleRow():
                    found.nodules.append(row)
                case SeriesRow():
                    found.series.append(row)
                case BadRow():
                    found.bad.append(row)
    except csv.Error as error:
        raise UnreadableList(f"{name}, line {lines.line_num}: {error}") from error
    return found


def _row(
    values: Mapping[str, str], line: int, *, decimal_comma: bool
) -> NoduleRow | SeriesRow | BadRow:
    if not any(values.get(name) for name in ("nodule", "x", "y", "z")) and values.get("study"):
        return _series_row(values, line)
    if values.get("prior_of"):
        return BadRow(
            line,
            "nodule_in_prior",
            "nodules belong to the examination that is read; "
            "the line of an earlier one has no nodule and no x, y, z",
        )
    return _nodule_row(values, line, decimal_comma=decimal_comma)


def _series_row(values: Mapping[str, str], line: int) -> SeriesRow | BadRow:
    days, prior_of = values.get("days", ""), values.get("prior_of", "")
    if days and not (days.isascii() and days.isdigit() and int(days) <= MOST_DAYS):
        return BadRow(line, "bad_days", f"days is {days[:32]!r}, which is no number of days")
    if days and not prior_of:
        return BadRow(line, "bad_days", "days says how much earlier; prior_of says than which")
    study = values["study"]
    if prior_of == study:
        return BadRow(line, "unknown_examination", "an examination is not earlier than itself")
    return SeriesRow(
        line=line,
        patient=values.get("patient", ""),
        study_uid=study,
        series_uid=values.get("series", ""),
        prior_of=prior_of,
        days_before=int(days) if days else None,
    )


def _nodule_row(values: Mapping[str, str], line: int, *, decimal_comma: bool) -> NoduleRow | BadRow:
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
