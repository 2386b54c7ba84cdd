"""Readings -> one file, or all of them, for other programs."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from reader_study.statistics.formats.parquet import write_parquet
from reader_study.statistics.formats.readings import Names, Readings
from reader_study.statistics.formats.script import Script, write_script
from reader_study.statistics.formats.text import TEXTS
from reader_study.statistics.tables import InputError

WORKBOOK, PARQUET, SCRIPT, DICTIONARY = "rjafroc", "parquet", "r", "dictionary"
FORMATS = (*TEXTS, WORKBOOK, PARQUET, SCRIPT, DICTIONARY)
CROSSED_ONLY = {"ordbm": "OR-DBM MRMC", "lrc": "LABMRMC", WORKBOOK: "RJafroc"}
# Those that come together, in the order in which they are written.
TOGETHER = {
    "csv": "readings.csv",
    PARQUET: "readings.parquet",
    DICTIONARY: "dictionary.csv",
    "imrmc": "readings.imrmc",
    "mrmcaov": "mrmcaov.csv",
    WORKBOOK: "rjafroc.xlsx",
    "ordbm": "ordbm.csv",
    "lrc": "labmrmc.lrc",
    SCRIPT: "analysis.R",
}
MEANINGS = {
    "reader": ("text", "who read"),
    "case": ("text", "what was read: a case, or a nodule as case/number"),
    "modality": ("text", "the condition under which it was read"),
    "truth": ("integer", "reference standard: 1 malignant, 0 benign"),
    "rating": ("number", "higher is more suspicious"),
    "patient": ("text", "whose case it is; cases of one patient may be alike"),
    "session": ("integer", "the session of the reading, from 1"),
    "position": ("integer", "its order on the reader's worklist in the session, from 1"),
    "seconds": ("number", "active reading time"),
    "decision": ("integer", "1 positive, 0 negative"),
    "ai_score": ("number", "probability of malignancy after the AI"),
    "ai_shown": ("boolean", "whether anything of the AI was on screen"),
}


class Written(NamedTuple):
    """A file that was written."""

    format: str
    path: Path
    renamed: int  # identifiers that have another name there
    names: Path | None  # the file that tells which


def write_file(
    readings: Readings,
    kind: str,
    out: Path,
    *,
    title: str = "",
    script: Script | None = None,
) -> Written:
    """Write one file; names that had to change are told in `OUT.names.csv`.

    Raises
    ------
    InputError
        If the format cannot hold the readings, or the file cannot be written.
    """
    title = title or f"Readings of {readings.path.name}"
    try:
        names = _write(readings, kind, out, title, script)
        key = out.with_name(f"{out.name}.names.csv")
        changed = names.changed() if names else []
        if changed:
            _write_names(key, changed)
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}") from None
    return Written(kind, out, len(changed), key if changed else None)


def _write(
    readings: Readings, kind: str, out: Path, title: str, script: Script | None
) -> Names | None:
    if kind in CROSSED_ONLY:
        readings.needed_crossed(CROSSED_ONLY[kind])
    if kind == WORKBOOK:
        # Only those who write Excel need its library.
        from reader_study.statistics.formats.workbook import write_ratings

        return write_ratings(readings, out, title)
    if kind == PARQUET:
        with out.open("wb") as file:
            write_parquet(file, columns_of(readings), values_of(readings))
        return None
    with out.open("w", newline="", encoding="utf-8") as text:
        if kind == SCRIPT:
            write_script(script or Script(readings.path.name, title), text)
        elif kind == DICTIONARY:
            csv.writer(text, lineterminator="\n").writerows(dictionary(readings))
        else:
            return TEXTS[kind](readings, text, title)
    return None


def write_all(
    readings: Readings, folder: Path, *, title: str = "", script: Script | None = None
) -> tuple[list[Written], dict[str, str]]:
    """Write every format into a folder; also say why one was left out.

    Returns
    -------
    what was written, and reasons by format
    """
    found: list[Written] = []
    left_out: dict[str, str] = {}
    asked = script or Script(TOGETHER["csv"], title or f"Readings of {readings.path.name}")
    crossed = readings.outline.crossed
    asked = asked._replace(data=TOGETHER["csv"], workbook=TOGETHER[WORKBOOK] if crossed else None)
    folder.mkdir(parents=True, exist_ok=True)
    for kind, name in TOGETHER.items():
        try:
            found.append(write_file(readings, kind, folder / name, title=title, script=asked))
        except InputError as error:
            if kind not in CROSSED_ONLY:
                raise
            left_out[kind] = str(error)
    return found, left_out


def columns_of(readings: Readings) -> list[tuple[str, str]]:
    """Return the columns of the long table with the kind of their values."""
    known = {"truth": "integer", "rating": "number"}
    return [
        *((name, known.get(name, "text")) for name in TOGETHER_COLUMNS),
        *((name, "text") for name in readings.more),
    ]


TOGETHER_COLUMNS = ("reader", "case", "modality", "truth", "rating")


def values_of(readings: Readings) -> Iterator[list[Any]]:
    """Yield the rows of the long table; a further column that is empty has no value."""
    for each in readings:
        yield [
            each.reader,
            each.case,
            each.modality,
            int(each.malignant),
            float(each.rating),
            *(value or None for value in each.rest),
        ]


def dictionary(readings: Readings) -> Iterator[list[str]]:
    """Yield what every column means."""
    yield ["column", "kind", "meaning"]
    for name, _ in columns_of(readings):
        kind, meaning = MEANINGS.get(name, ("text", "as in the file of readings"))
        yield [name, kind, meaning]


def _write_names(path: Path, changed: list[tuple[str, str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["what", "name_in_file", "name"])
        writer.writerows(changed)
