"""Any CSV -> the table of nodules, by naming its columns."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from inference.data.table import OTHER, OWN, Nodule, nodule_of_cells, opened, unusable
from inference.errors import DataUnusable
from inference.prompts import FEATURES


class Columns(BaseModel):
    """How the columns of any CSV become those of the table.

    `columns` is ours -> theirs; `values` is, for a column of ours, their words -> ours;
    `constants` are columns that say the same of every nodule. Other columns of theirs are kept
    with `keep`. Positions in RAS are turned into LPS.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, str]
    values: dict[str, dict[str, str]] = {}
    constants: dict[str, str] = {}
    keep: tuple[str, ...] = ()
    frame: Literal["LPS", "RAS"] = "LPS"


def read_mapping(file: Path) -> Columns:
    """Read a mapping of columns, as YAML.

    Raises:
        DataUnusable: it cannot be read, or names a column that the table does not have.
    """
    try:
        mapping = Columns.model_validate(yaml.safe_load(file.read_text()))
    except OSError as error:
        raise DataUnusable(f"{file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise DataUnusable(f"{file.name} is no mapping of columns: {error}") from error
    known = {*OWN, *FEATURES}
    wrong = sorted({*mapping.columns, *mapping.constants, *mapping.values} - known)
    if wrong:
        raise DataUnusable(
            f"{file.name}: the table has no column {', '.join(wrong)}; there: "
            f"{', '.join(sorted(known))}."
        )
    return mapping


def mapped(table: Path, mapping: Columns) -> list[Nodule]:
    """Any CSV, its columns named by a mapping.

    Raises:
        DataUnusable: with file, line and column of everything that is wrong.
    """
    nodules: list[Nodule] = []
    problems: list[str] = []
    with opened(table, (*mapping.columns.values(), *mapping.keep)) as rows:
        for line, row in rows:
            try:
                nodules.append(_mapped(row, mapping))
            except ValidationError as error:
                for one in error.errors():
                    ours = str(one["loc"][-1]) if one["loc"] else ""
                    theirs = mapping.columns.get(ours, ours)
                    column = f", column {theirs}" if theirs else ""
                    reason = one["msg"].removeprefix("Value error, ")
                    problems.append(f"line {line}{column}: {one['input']!r}: {reason}"
                                    if ours else f"line {line}: {reason}")  # fmt: skip
    if problems:
        raise unusable(table, problems)
    return nodules


def _mapped(row: Mapping[str, str], mapping: Columns) -> Nodule:
    cells = dict(_cells(row, mapping))
    if mapping.frame == "RAS":
        for axis in ("x", "y"):
            if cells.get(axis):
                text = cells[axis].strip()
                cells[axis] = text[1:] if text.startswith("-") else f"-{text.lstrip('+')}"
    return nodule_of_cells(cells)


def _cells(row: Mapping[str, str], mapping: Columns) -> Iterator[tuple[str, str]]:
    yield from mapping.constants.items()
    for ours, theirs in mapping.columns.items():
        word = row[theirs].strip()
        yield ours, mapping.values.get(ours, {}).get(word, word)
    for name in mapping.keep:
        yield OTHER + name, row[name]
