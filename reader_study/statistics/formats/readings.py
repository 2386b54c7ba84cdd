"""A file of readings, gone through row by row, and names that other programs take."""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from reader_study.statistics.tables import MISSING, NAMES_OF_RATINGS, TRUTHS, InputError, number_in

# What every program reads as the text that it is: no separators, and nothing R would take for a
# number that is written otherwise (01, 1e3), or for no value at all.
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*|0|[1-9][0-9]*")
SPECIAL = frozenset({"truth", "na", "nan", "inf", "true", "false", "t", "f", "null"})


class Reading(NamedTuple):
    """A row of the file."""

    reader: str
    case: str
    modality: str
    malignant: bool
    rating: str  # a number, written as in the file
    rest: tuple[str, ...]  # further columns


class Outline(NamedTuple):
    """What a file holds; names in sorted order."""

    readers: list[str]
    cases: dict[str, bool]  # whether malignant
    modalities: list[str]
    n: int  # readings

    @property
    def crossed(self) -> bool:
        """Whether every reader has read every case under every modality."""
        return self.n == len(self.readers) * len(self.cases) * len(self.modalities)


class Readings:
    """The readings of a file `reader,case,modality,truth,rating[,...]`.

    A reading without a rating is left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.more = [name for name in self._header() if name not in NAMES_OF_RATINGS]
        self.outline = self._outline()

    def _header(self) -> list[str]:
        with self._open() as rows:
            header = [name.strip() for name in next(rows, [])]
        for name in NAMES_OF_RATINGS:
            if name not in header:
                raise InputError(f"{self.path.name}, line 1: column '{name}' is missing")
        for name in header:
            if header.count(name) > 1:
                raise InputError(f"{self.path.name}, line 1: column '{name}' stands there twice")
        return header

    def _open(self) -> "Rows":
        return Rows(self.path)

    def __iter__(self) -> Iterator[Reading]:
        """Yield the readings in the order of the file.

        Raises
        ------
        InputError
            If a value cannot be used; the text says where.
        """
        with self._open() as rows:
            header = [name.strip() for name in next(rows)]
            places = [header.index(name) for name in NAMES_OF_RATINGS]
            rest = [header.index(name) for name in self.more]
            for row in rows:
                if not row or row == [""]:
                    continue
                if len(row) != len(header):
                    raise InputError(
                        f"{self.path.name}, line {rows.line}: "
                        f"{len(row)} values for {len(header)} columns"
                    )
                reader, case, modality, truth, rating = (row[i].strip() for i in places)
                if not (reader and case and modality):
                    empty = [reader, case, modality].index("")
                    raise self._error(rows, NAMES_OF_RATINGS[empty], "is empty; name it")
                malignant = TRUTHS.get(truth.lower())
                if malignant is None:
                    raise self._error(rows, "truth", f"holds '{truth}'; use 1 or 0")
                if rating.lower() in MISSING:
                    continue
                if number_in(rating) is None:
                    raise self._error(rows, "rating", f"holds '{rating}'; a number is needed")
                more = tuple(row[i].strip() for i in rest)
                yield Reading(reader, case, modality, malignant, rating, more)

    def _error(self, rows: "Rows", column: str, text: str) -> InputError:
        return InputError(f"{self.path.name}, line {rows.line}, column {column}: {text}")

    def _outline(self) -> Outline:
        """Go through the file once; a reading that stands there twice is refused."""
        readers: dict[str, int] = {}
        cases: dict[str, int] = {}
        modalities: dict[str, int] = {}
        truths: list[bool] = []
        seen: dict[tuple[int, int], bytearray] = {}  # a bit a case
        n = 0
        for each in self:
            n += 1
            case = cases.setdefault(each.case, len(cases))
            if case == len(truths):
                truths.append(each.malignant)
            elif truths[case] != each.malignant:
                raise InputError(f"{self.path.name}: case '{each.case}' has two truths")
            bits = seen.setdefault(
                (
                    readers.setdefault(each.reader, len(readers)),
                    modalities.setdefault(each.modality, len(modalities)),
                ),
                bytearray(),
            )
            if len(bits) <= case >> 3:
                bits.extend(bytes((case >> 3) + 64 - len(bits)))
            if bits[case >> 3] & 1 << (case & 7):
                raise InputError(
                    f"{self.path.name}: reader '{each.reader}' has read case '{each.case}' "
                    f"under '{each.modality}' twice"
                )
            bits[case >> 3] |= 1 << (case & 7)
        if not n:
            raise InputError(f"{self.path.name}: there is no reading")
        return Outline(
            sorted(readers),
            {case: truths[cases[case]] for case in sorted(cases)},
            sorted(modalities),
            n,
        )

    def needed_crossed(self, program: str) -> None:
        """Refuse what is not crossed, for a program that reads nothing else.

        Raises
        ------
        InputError
            If some reader has not read some case under some modality.
        """
        of = self.outline
        if not of.crossed:
            wanted = len(of.readers) * len(of.cases) * len(of.modalities)
            raise InputError(
                f"{self.path.name}: {program} needs every reader to read every case under every "
                f"modality; {wanted - of.n:,} of {wanted:,} readings are missing"
            )


class Rows:
    """The rows of a CSV file, and the line that was read last."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> "Rows":
        try:
            self.file = self.path.open(newline="", encoding="utf-8-sig")
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}") from None
        self.rows = csv.reader(self.file, skipinitialspace=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __iter__(self) -> "Rows":
        return self

    def __next__(self) -> list[str]:
        try:
            return next(self.rows)
        except UnicodeDecodeError as error:
            text = f"{self.path.name}: not UTF-8 text, at byte {error.start}"
            raise InputError(text) from None
        except csv.Error as error:
            raise InputError(f"{self.path.name}: not a CSV file: {error}") from None

    @property
    def line(self) -> int:
        """The line of the row that was read last, from 1."""
        return self.rows.line_num


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """Return a name for each that every program takes: the same one, if it can be.

    Other characters become `_`; a name that is then taken, or means something, gets a number.
    """
    found: dict[str, str] = {}
    names = list(names)
    taken = {name for name in names if is_plain(name)}
    for name in names:
        if is_plain(name):
            found[name] = name
            continue
        start = re.sub(r"[^A-Za-z0-9.-]+", "_", name)
        start = start if re.match(r"[A-Za-z]", start) else f"x{start}"
        wanted, number = start, 1
        while wanted in taken or not is_plain(wanted):
            number += 1
            wanted = f"{start}_{number}"
        taken.add(wanted)
        found[name] = wanted
    return found


def is_plain(name: str) -> bool:
    """Whether every program reads a name as the text that it is."""
    return PLAIN.fullmatch(name) is not None and name.lower() not in SPECIAL


class Names(NamedTuple):
    """The names that a file uses, for each of ours."""

    readers: dict[str, str]
    cases: dict[str, str]
    modalities: dict[str, str]

    @classmethod
    def plain(cls, of: Outline) -> "Names":
        """Keep every name that can be kept."""
        return cls(*map(plain_names, (of.readers, of.cases, of.modalities)))

    @classmethod
    def numbers(cls, of: Outline) -> "Names":
        """Number everything, unless its names are numbers already."""
        return cls(*map(as_numbers, (of.readers, of.cases, of.modalities)))

    @classmethod
    def places(cls, of: Outline) -> "Names":
        """Number everything from 1 in sorted order, benign cases first."""
        benign_first = sorted(of.cases, key=lambda case: (of.cases[case], case))
        return cls(*map(numbered, (of.readers, benign_first, of.modalities)))

    def changed(self) -> list[tuple[str, str, str]]:
        """Return (what, name in the file, our name) of what has another name there."""
        return [
            (what, theirs, ours)
            for what, names in zip(("reader", "case", "modality"), self, strict=True)
            for ours, theirs in names.items()
            if ours != theirs
        ]


def as_numbers(names: Iterable[str]) -> dict[str, str]:
    """Number names from 1, unless all of them are whole numbers of up to nine digits."""
    names = list(names)
    if all(name.isdigit() and is_plain(name) and len(name) < 10 for name in names):
        return {name: name for name in names}
    return numbered(names)


def numbered(names: Iterable[str]) -> dict[str, str]:
    """Number names from 1."""
    return {name: str(i) for i, name in enumerate(names, start=1)}
