"""The table of nodules: one format for every data set, `docs/model.md` describes it.

A line is a nodule. It lies in a series (`series`, found in a folder of DICOM or on a DICOMweb
server) or in a file (`image`, relative to the table): a NIfTI volume, or a crop of one slice.
"""

import csv
import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from inference.errors import DataUnusable
from inference.prompts import FEATURES

OTHER = "other_"  # columns of this beginning are kept as they are
MOST_PROBLEMS = 20  # said at once
NIFTI = (".nii", ".nii.gz")
CROPS = (".png",)
FARTHEST_MM = 5000.0  # from the origin of a frame of reference; scanners stay within it

Split = Literal["train", "validation", "test", "kept_out", ""]
Label = Literal["malignant", "benign", ""]


def _empty_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _uid(value: str) -> str:
    if value and not re.fullmatch(r"[0-9]+(\.[0-9]+)*", value):
        raise ValueError("is no DICOM UID")
    if len(value) > 64:
        raise ValueError("is longer than a DICOM UID can be (64)")
    return value


Uid = Annotated[str, AfterValidator(_uid)]
# Empty cells are None; what is there is checked.
Optional = BeforeValidator(_empty_is_none)
Millimetres = Annotated[
    Annotated[float, Field(ge=-FARTHEST_MM, le=FARTHEST_MM, allow_inf_nan=False)] | None, Optional
]
Size = Annotated[Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] | None, Optional]
Share = Annotated[Annotated[float, Field(ge=0, le=1)] | None, Optional]
Count = Annotated[Annotated[int, Field(ge=1)] | None, Optional]


class Nodule(BaseModel):
    """A line of the table.

    `x`, `y`, `z` are LPS millimetres, the DICOM patient frame. `suspicion` is the mean of what
    readers think, from 0 to 1; `label` is the truth, and `truth` says where it is from.
    `features` holds feature -> category, without those nobody has named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    nodule: str = Field(min_length=1)
    patient: str = Field(min_length=1)
    study: Uid = ""
    series: Uid = ""
    frame_of_reference: Uid = ""
    image: str = ""
    x: Millimetres = None
    y: Millimetres = None
    z: Millimetres = None
    spacing_mm: Size = Field(default=None, description="Of a crop: between two pixels.")
    diameter_mm: Size = None
    label: Label = ""
    truth: str = ""
    suspicion: Share = None
    readers: Count = None
    split: Split = ""
    scanner: str = ""
    site: str = ""
    features: dict[str, str] = {}
    other: dict[str, str] = {}

    @model_validator(mode="after")
    def _can_be_found(self) -> "Nodule":
        if not self.series and not self.image:
            raise ValueError("neither series nor image says where the nodule is to be found")
        if self.is_crop:
            if self.spacing_mm is None:
                raise ValueError("the image is a crop, and spacing_mm is empty")
        elif None in (self.x, self.y, self.z):
            raise ValueError("x, y and z are needed, in LPS millimetres")
        if self.image and not self.is_crop and not self.image.lower().endswith(NIFTI):
            known = ", ".join((*NIFTI, *CROPS))
            raise ValueError(f"the image {self.image} is of no known kind ({known})")
        return self

    @property
    def is_crop(self) -> bool:
        """Whether all that is known of it is a crop of one slice."""
        return self.image.lower().endswith(CROPS)

    @property
    def point_mm(self) -> tuple[float, float, float]:
        """Where it lies, LPS millimetres; not of crops."""
        if self.x is None or self.y is None or self.z is None:
            raise ValueError(f"nodule {self.nodule} has no place")
        return self.x, self.y, self.z

    @property
    def place(self) -> str:
        """Which image it lies in: a series UID or a file."""
        return self.series or self.image

    @property
    def chance(self) -> float | None:
        """What stands for malignancy in training, from 0 to 1; None where nothing does."""
        if self.suspicion is not None:
            return self.suspicion
        return None if not self.label else float(self.label == "malignant")


OWN = tuple(name for name in Nodule.model_fields if name not in {"features", "other"})
REQUIRED = ("nodule", "patient")


@dataclass(frozen=True)
class Table:
    """A table as it was read; images are relative to `folder`."""

    folder: Path
    nodules: tuple[Nodule, ...]
    lines: tuple[int, ...]  # of the file, from 2
    file: Path

    def __len__(self) -> int:
        return len(self.nodules)

    def where(self, row: int) -> str:
        """Say where a nodule stands in the file."""
        return f"{self.file.name}, line {self.lines[row]} (nodule {self.nodules[row].nodule})"


def read_table(file: Path) -> Table:
    """Read and validate a table of nodules.

    Raises:
        DataUnusable: with file, line and column of everything that is wrong.
    """
    with opened(file) as rows:
        header = rows.header
        problems = list(_problems_of(header))
        if problems:
            raise unusable(file, problems)
        nodules, lines = [], []
        seen: dict[str, int] = {}
        for line, row in rows:
            try:
                nodule = nodule_of_cells(row)
            except ValidationError as error:
                problems += [f"line {line}, {_said(one)}" for one in error.errors()]
                continue
            if nodule.nodule in seen:
                problems.append(
                    f"line {line}, column nodule: {nodule.nodule} is on line "
                    f"{seen[nodule.nodule]} already"
                )
            seen.setdefault(nodule.nodule, line)
            nodules.append(nodule)
            lines.append(line)
    if problems:
        raise unusable(file, problems)
    if not nodules:
        raise DataUnusable(f"{file.name} holds no nodule.")
    return Table(file.parent, tuple(nodules), tuple(lines), file)


def write_table(file: Path, nodules: Sequence[Nodule]) -> None:
    """Write a table that `read_table` reads; columns that are empty throughout are left out."""
    rows = [_cells(one) for one in nodules]
    known = {name for row in rows for name, value in row.items() if value}
    others = sorted({name for one in nodules for name in one.other})
    columns = [
        name for name in (*OWN, *FEATURES, *(OTHER + o for o in others))
        if name in known or name in REQUIRED
    ]  # fmt: skip
    partial = file.with_name(f".{file.name}.part")
    with partial.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(file)


def _cells(nodule: Nodule) -> dict[str, str]:
    values = {name: getattr(nodule, name) for name in OWN}
    own = {name: "" if value is None else _number(value) for name, value in values.items()}
    return own | nodule.features | {OTHER + name: value for name, value in nodule.other.items()}


def _number(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def nodule_of_cells(row: dict[str, str]) -> Nodule:
    """Validate the cells of a line, by column.

    Raises:
        pydantic.ValidationError: a cell is wrong.
    """
    own = {name: value for name, value in row.items() if name in OWN}
    features = {name: row[name].strip() for name in FEATURES if row.get(name, "").strip()}
    for name, category in features.items():
        if category not in FEATURES[name]:
            # As pydantic would say it, so that every complaint is worded in one place.
            raise ValidationError.from_exception_data(
                "Nodule",
                [
                    {
                        "type": "value_error",
                        "loc": (name,),
                        "input": category,
                        "ctx": {"error": ValueError(f"is none of {', '.join(FEATURES[name])}")},
                    }
                ],
            )
    other = {
        name.removeprefix(OTHER): value
        for name, value in row.items()
        if name.startswith(OTHER) and value.strip()
    }
    return Nodule.model_validate({**own, "features": features, "other": other})


def _problems_of(header: Sequence[str]) -> Iterator[str]:
    known = {*OWN, *FEATURES}
    for name in REQUIRED:
        if name not in header:
            yield f"line 1: the column {name} is missing"
    for name in header:
        if header.count(name) > 1:
            yield f"line 1: the column {name} is there twice"
        if name not in known and not name.startswith(OTHER):
            near = difflib.get_close_matches(name, known, 1)
            yield (
                f"line 1: there is no column {name or '(without a name)'}"
                + (f"; is {near[0]} meant" if near else f"; begin it with {OTHER} to keep it")
            )


def _said(error: Any) -> str:
    """Word one complaint of pydantic: which column, what is there, and what is wrong."""
    reason = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return reason
    return f"column {error['loc'][0]}: {str(error['input'])!r}: {reason[0].lower()}{reason[1:]}"


def unusable(file: Path, problems: Sequence[str]) -> DataUnusable:
    """Say all that is wrong with a file, up to a screenful."""
    more = len(problems) - MOST_PROBLEMS
    said = "\n".join(f"{file.name}, {problem}" for problem in problems[:MOST_PROBLEMS])
    return DataUnusable(said + (f"\n... and {more} more" if more > 0 else ""))


class opened:  # noqa: N801  used as a function
    """The lines of a CSV file, with their numbers; `header` names the columns.

    Raises:
        DataUnusable: it cannot be read, or a line is longer than its header.
    """

    def __init__(self, file: Path, required: Iterable[str] = ()) -> None:
        self.file = file
        self._required = required

    def __enter__(self) -> "opened":
        try:
            self._stream = self.file.open(newline="", encoding="utf-8-sig")
        except OSError as error:
            raise DataUnusable(f"{self.file} cannot be read: {error.strerror}.") from error
        try:
            self._reader = csv.DictReader(self._stream, strict=True)
            self.header = [name.strip() for name in self._reader.fieldnames or ()]
        except (UnicodeDecodeError, csv.Error) as error:
            self._stream.close()
            raise DataUnusable(f"{self.file} cannot be read: {error}.") from error
        self._reader.fieldnames = self.header
        missing = [name for name in self._required if name not in self.header]
        if missing:
            self._stream.close()
            raise DataUnusable(
                f"{self.file.name}, line 1: the columns {', '.join(missing)} are missing; "
                f"there: {', '.join(self.header)}."
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        try:
            for row in self._reader:
                line = self._reader.line_num
                if None in row:
                    raise DataUnusable(
                        f"{self.file.name}, line {line}: more cells than the header has columns."
                    )
                yield line, {name: value or "" for name, value in row.items()}
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataUnusable(f"{self.file} cannot be read: {error}.") from error


def number(file: Path, line: int, column: str, text: str) -> float:
    """Return a cell as a finite number.

    Raises:
        DataUnusable: it is none; with file, line and column.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataUnusable(f"{file.name}, line {line}, column {column}: {text!r} is no number.")
    return value
