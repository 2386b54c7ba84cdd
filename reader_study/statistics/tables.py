"""CSV files -> arrays, with errors that name the line and the column."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reader_study.statistics.auc import Bools, Floats

MISSING = frozenset({"", "na", "nan", "n/a", "null", "none", "."})
TRUTHS = {
    **dict.fromkeys(("1", "1.0", "true", "malignant"), True),
    **dict.fromkeys(("0", "0.0", "false", "benign"), False),
}
LARGEST = 1e100  # squares of larger numbers end
NAMES_OF_RATINGS = ("reader", "case", "modality", "truth", "rating")


class InputError(ValueError):
    """A file that cannot be used; the text says where and what to do."""


class Table:
    """The columns of a CSV file as text, and where each value came from."""

    def __init__(self, path: Path, columns: dict[str, list[str]], lines: list[int]) -> None:
        self.path, self.columns, self.lines = path, columns, lines

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def text(self, column: str) -> list[str]:
        """Return a column whose values must not be empty."""
        values = self.columns[column]
        for row, value in enumerate(values):
            if not value:
                raise self.error(row, column, "is empty; give an identifier")
        return values

    def numbers(self, column: str, *, missing: bool = False) -> Floats:
        """Return a column of finite numbers; NaN where a value may be, and is, missing."""
        values = self.columns[column]
        try:
            # Python would take 1_000 for a number.
            found = np.array([value.replace("_", "x") for value in values], dtype=np.float64)
        except ValueError:
            found = np.array([self.number(row, column, missing) for row in range(len(values))])
        wrong = ~(np.abs(found) <= LARGEST) & ~(missing & np.isnan(found))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            said = "a finite number" if np.isinf(found[row]) else "a number up to 1e100"
            said = "a number" if np.isnan(found[row]) else said
            raise self.error(row, column, f"holds '{values[row]}'; {said} is needed")
        return found

    def number(self, row: int, column: str, missing: bool) -> float:
        """Return one number."""
        value = self.columns[column][row]
        if missing and value.lower() in MISSING:
            return float("nan")
        try:
            return float(value.replace("_", "x"))
        except ValueError:
            comma = "; write 1.5, not 1,5" if "," in value else ""
            raise self.error(row, column, f"holds '{value}'; a number is needed{comma}") from None

    def truths(self, column: str) -> Bools:
        """Return a column of the reference standard, true for malignant."""
        found = np.empty(len(self), dtype=np.bool_)
        for row, value in enumerate(self.columns[column]):
            truth = TRUTHS.get(value.lower())
            if truth is None:
                raise self.error(
                    row,
                    column,
                    f"holds '{value}'; use 1 or 0, true or false, malignant or benign",
                )
            found[row] = truth
        return found

    def error(self, row: int, column: str, text: str) -> InputError:
        """Return an error about one value."""
        return InputError(f"{self.path.name}, line {self.lines[row]}, column {column}: {text}")


def number_in(text: str) -> float | None:
    """Return the number that a text is; None if it is none, or not finite."""
    try:
        found = float(text.replace("_", "x"))
    except ValueError:
        return None
    return found if abs(found) <= LARGEST else None


def read_table(path: Path, required: Iterable[str] = ()) -> Table:
    """Read a CSV file with a header line; rows may come in any order, columns too.

    Raises
    ------
    InputError
        If the file cannot be read, a required column is missing, a row has too few or too
        many values, or there is no row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return parse(path, csv.reader(file, skipinitialspace=True), list(required))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder; name a CSV file") from None
    except PermissionError:
        raise InputError(f"{path}: this file may not be read") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: not UTF-8 text, at byte {error.start}") from None
    except csv.Error as error:
        raise InputError(f"{path.name}: not a CSV file: {error}") from None


def parse(path: Path, rows: Iterator[list[str]], required: Sequence[str]) -> Table:
    """Turn the rows of a file into columns."""
    header = [name.strip() for name in next(rows, [])]
    for name in required:
        if name not in header:
            found = ", ".join(name for name in header if name) or "none"
            hint = ""
            if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
                hint = "; values are separated by commas"
            raise InputError(
                f"{path.name}, line 1: column '{name}' is missing; found: {found}{hint}"
            )
    for name in header:
        if name and header.count(name) > 1:
            raise InputError(f"{path.name}, line 1: column '{name}' stands there twice")
    values: list[list[str]] = []
    lines: list[int] = []
    for row in rows:
        if not row or row == [""]:
            continue
        line: int = rows.line_num  # type: ignore[attr-defined]
        if len(row) != len(header):
            raise InputError(
                f"{path.name}, line {line}: {len(row)} values for {len(header)} columns"
            )
        values.append(row)
        lines.append(line)
    if not values:
        raise InputError(f"{path.name}: there is no row below the header")
    columns = zip(header, zip(*values, strict=True), strict=True)
    return Table(path, {name: [v.strip() for v in column] for name, column in columns}, lines)


def ordered(values: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
    """Return the distinct values in sorted order, and for each value its place there."""
    names = sorted(set(values))
    place = {name: number for number, name in enumerate(names)}
    return names, np.fromiter((place[v] for v in values), dtype=np.intp, count=len(values))


class Study(NamedTuple):
    """The readings of a study as an array; identifiers are text, in sorted order."""

    modalities: list[str]
    readers: list[str]
    cases: list[str]
    ratings: Floats  # (n_modalities, n_readers, n_cases), NaN where there is no reading
    malignant: Bools  # (n_cases,)
    clusters: NDArray[np.intp] | None = None  # (n_cases,), such as the patient of a nodule

    @property
    def cells(self) -> Floats:
        """Ratings with one row for each modality and reader."""
        return self.ratings.reshape(-1, len(self.cases))

    @property
    def crossed(self) -> bool:
        """Whether every reader read every case under every modality."""
        return not bool(np.isnan(self.ratings).any())


def read_study(path: Path, cluster: str | None = None) -> Study:
    """Read `reader,case,modality,truth,rating`, one reading a row, in any order.

    A reading is missing when its row is, or when its rating is empty or NA.

    Parameters
    ----------
    path : a CSV file
    cluster : a column that names what several cases belong to, such as a patient

    Raises
    ------
    InputError
        If a value cannot be used, a reading stands there twice, or a case has two truths or
        two clusters.
    """
    table = read_table(path, [*NAMES_OF_RATINGS, *([cluster] if cluster else [])])
    readers, reader = ordered(table.text("reader"))
    modalities, modality = ordered(table.text("modality"))
    cases, case = ordered(table.text("case"))
    truth = table.truths("truth")
    rating = table.numbers("rating", missing=True)

    malignant = of_case(table, "truth", case, truth.astype(np.intp), len(cases)).astype(np.bool_)
    clusters = None
    if cluster:
        _, number = ordered(table.text(cluster))
        clusters = of_case(table, cluster, case, number, len(cases))

    place = (modality * len(readers) + reader) * len(cases) + case
    _, first, inverse = np.unique(place, return_index=True, return_inverse=True)
    twice = np.flatnonzero(first[inverse] != np.arange(len(place)))
    if len(twice):
        row, before = int(twice[0]), int(first[inverse[twice[0]]])
        raise table.error(
            row,
            "rating",
            f"reader '{readers[reader[row]]}' has read case '{cases[case[row]]}' under "
            f"'{modalities[modality[row]]}' already, in line {table.lines[before]}",
        )
    ratings = np.full(len(modalities) * len(readers) * len(cases), np.nan)
    ratings[place] = rating
    shape = (len(modalities), len(readers), len(cases))
    return Study(modalities, readers, cases, ratings.reshape(shape), malignant, clusters)


def of_case(
    table: Table, column: str, case: NDArray[np.intp], value: NDArray[np.intp], n_cases: int
) -> NDArray[np.intp]:
    """Return the one value that each case has in a column of readings."""
    found = np.zeros(n_cases, dtype=np.intp)
    found[case[::-1]] = value[::-1]  # the first row of a case counts
    differs = np.flatnonzero(found[case] != value)
    if len(differs):
        row = int(differs[0])
        name = table.columns["case"][row]
        raise table.error(row, column, f"case '{name}' has another value in another row")
    return found


def column_of(table: Table, wanted: str | None, known: tuple[str, ...]) -> str:
    """Return the column asked for, or the one of the known names that is there."""
    names = (wanted,) if wanted else known
    for name in names:
        if name in table:
            return name
    raise InputError(f"{table.path.name}, line 1: none of the columns {', '.join(names)} is there")
