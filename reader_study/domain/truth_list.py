"""A list of truths: a CSV file that says of nodules what they are, and how that is known.

Columns: case (its pseudonym), truth (malignant, benign or undetermined), source, and nodule (its
number in the case) or x, y, z (LPS millimetres), by which it is found; detail may say more.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reader_study.domain.findings import Lesion, match
from reader_study.domain.panel_form import VERDICTS

COLUMNS = ("case", "truth", "source")
MOST_LINES = 100_000


class TruthRow(NamedTuple):
    """One line: the nodule by its number, or by a point."""

    line: int
    case: str
    nodule: int | None
    point_mm: tuple[float, float, float] | None
    truth: str
    source: str
    detail: str


class Wrong(NamedTuple):
    """What is wrong with a line; it never says what the truth is."""

    line: int
    detail: str


def read_truths(text: str) -> tuple[list[TruthRow], list[Wrong]]:
    """Return the lines that can be used, and what is wrong with the others."""
    first = text.lstrip("\ufeff").partition("\n")[0]
    separator = max(",;\t", key=first.count)
    table = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), delimiter=separator)
    names = {name.strip().lower() for name in table.fieldnames or ()}
    missing = [name for name in COLUMNS if name not in names]
    if missing or not ("nodule" in names or {"x", "y", "z"} <= names):
        wanted = missing or ["nodule (or x, y and z)"]
        return [], [Wrong(1, f"the column {wanted[0]} is missing")]
    rows, wrong = [], []
    for raw in table:
        if table.line_num > MOST_LINES:
            wrong.append(Wrong(table.line_num, f"there are more than {MOST_LINES} lines"))
            break
        cells = {
            (key or "").strip().lower(): (value or "").strip()
            for key, value in raw.items()
            if isinstance(value, str | None)
        }
        row = _row(table.line_num, cells)
        if isinstance(row, TruthRow):
            rows.append(row)
        else:
            wrong.append(row)
    return rows, wrong


def _row(line: int, cells: Mapping[str, str]) -> TruthRow | Wrong:
    truth = cells["truth"].lower()
    if truth not in VERDICTS:
        return Wrong(line, f"the truth is one of {', '.join(VERDICTS)}")
    if not cells["source"] or len(cells["source"]) > 200:
        return Wrong(line, "the source is missing, or longer than 200 characters")
    nodule, point = None, None
    try:
        if cells.get("nodule"):
            nodule = int(cells["nodule"])
        else:
            x, y, z = (float(cells.get(axis, "").replace(",", ".")) for axis in "xyz")
            point = (x, y, z)
    except ValueError:
        return Wrong(line, "a nodule is named by its number, or by x, y and z in millimetres")
    said = (truth, cells["source"], cells.get("detail", "")[:1000])
    return TruthRow(line, cells["case"], nodule, point, *said)


class There(NamedTuple):
    """A nodule that is in the study."""

    pk: int
    number: int
    centre_mm: tuple[float, float, float]
    diameter_mm: float | None


def place_truths(
    rows: Sequence[TruthRow],
    nodules: Mapping[str, Sequence[There]],
    *,
    acceptance_mm: float,
) -> tuple[dict[int, TruthRow], list[Wrong]]:
    """Return the line of each nodule, and the lines that belong to none.

    A point belongs to a nodule as a mark does in `findings.match`: within its radius or
    `acceptance_mm`, nearest pairs first, one line a nodule.
    """
    found: dict[int, TruthRow] = {}
    wrong: list[Wrong] = []
    by_point: dict[str, list[TruthRow]] = {}
    for row in rows:
        own = nodules.get(row.case)
        if own is None:
            wrong.append(Wrong(row.line, f"the study has no case {row.case!r}"))
        elif row.nodule is None:
            by_point.setdefault(row.case, []).append(row)
        else:
            pk = next((each.pk for each in own if each.number == row.nodule), None)
            if pk is None:
                wrong.append(Wrong(row.line, f"{row.case} has no nodule {row.nodule}"))
            elif pk in found:
                wrong.append(Wrong(row.line, f"line {found[pk].line} is of the same nodule"))
            else:
                found[pk] = row
    for case, lines in by_point.items():
        free = [each for each in nodules[case] if each.pk not in found]
        lesions = [Lesion(str(each.pk), each.centre_mm, each.diameter_mm) for each in free]
        points = [row.point_mm for row in lines if row.point_mm is not None]
        for row, hit in zip(
            lines, match(points, lesions, acceptance_mm=acceptance_mm), strict=True
        ):
            if hit.lesion is None or hit.again:
                says = f"no nodule of {case} is within reach of this point"
                if hit.again:
                    says = f"another line is nearer to the nodule of {case} at this point"
                wrong.append(Wrong(row.line, says))
            else:
                found[int(hit.lesion)] = row
    return found, sorted(wrong)
