"""Score series by another system: `python -m inference.systems astra --python PYTHON ...`.

LIST is a table with a line a nodule: `case, nodule, folder`, the folder that holds the DICOM files
of its series. A score is one of the whole series, so all nodules of a series get the same. OUT is
what `manage.py import_predictions` reads, `case, nodule, score, reason`, and says what ran:
`system, version, weights`; what has a score of the same is not asked for again.
`--with NAME=VALUE` is an option of the adapter.
"""

import argparse
import csv
import sys
from pathlib import Path

from inference.errors import DataUnusable
from inference.systems.running import (
    ADAPTERS,
    TIME_LIMIT_S,
    About,
    Adapter,
    Answer,
    SystemUnusable,
    running,
)

COLUMNS = ("case", "nodule", "folder")
FIELDS = ("case", "nodule", "score", "reason", *About._fields)
Place = tuple[str, str]  # case and nodule


def read_list(file: Path) -> dict[Place, str]:
    """Return nodule -> folder of its series.

    Raises:
        DataUnusable: it cannot be read or lacks a column.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as table:
            reader = csv.DictReader(table)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataUnusable(f"{file} cannot be read: {error}.") from error
    if missing:
        raise DataUnusable(f"{file} lacks the columns {', '.join(missing)}.")
    return {(row["case"], row["nodule"]): row["folder"] for row in rows}


def known_scores(out: Path, about: About) -> dict[Place, Answer]:
    """Return the scores that the same system gave in an earlier run."""
    if not out.is_file():
        return {}
    with out.open(newline="", encoding="utf-8") as table:
        return {
            (row["case"], row["nodule"]): Answer(float(row["score"]), "")
            for row in csv.DictReader(table)
            if row["score"] and tuple(row.get(name) for name in About._fields) == about
        }


def write_scores(out: Path, answers: dict[Place, Answer], about: About) -> None:
    """Write the table whole or not at all."""
    partial = out.with_suffix(".part")
    with partial.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(FIELDS)
        for place, (score, reason) in answers.items():
            writer.writerow([*place, "" if score is None else repr(score), reason, *about])
    partial.replace(out)


def files_of(folder: Path) -> list[Path]:
    """Return the files named *.dcm of a folder; where none is, all of them."""
    everything = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in everything if path.suffix == ".dcm"] or everything


def score_all(adapter: Adapter, nodules: dict[Place, str], out: Path) -> None:
    """Score the nodules of a list, and write after each series what is known by then."""
    answers = known_scores(out, adapter.about)
    of_series = {nodules[place]: answer for place, answer in answers.items() if place in nodules}
    for number, (place, folder) in enumerate(nodules.items(), start=1):
        if folder not in of_series:
            files = files_of(Path(folder))
            of_series[folder] = (
                adapter.score(files) if files else Answer(None, f"There are no files in {folder}.")
            )
        answers[place] = of_series[folder]
        write_scores(out, answers, adapter.about)
        score, reason = of_series[folder]
        said = reason if score is None else f"{score:.3f}"
        print(f"{number} of {len(nodules)}: {place[0]} {said}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("system", choices=sorted(ADAPTERS))
    parser.add_argument("--python", type=Path, required=True, help="its environment's interpreter")
    parser.add_argument("--series", type=Path, required=True, help="CSV: case, nodule, folder")
    parser.add_argument("--out", type=Path, required=True, help="CSV: case, nodule, score, reason")
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT_S, help="s a series")
    parser.add_argument("--with", action="append", default=[], metavar="NAME=VALUE", dest="options")
    given = parser.parse_args()
    options = [f"--{option}" for option in given.options]
    try:
        nodules = read_list(given.series)
        script = ADAPTERS[given.system]
        with running(given.python, script, options, given.time_limit) as adapter:
            score_all(adapter, nodules, given.out)
    except (DataUnusable, SystemUnusable, OSError) as error:
        print(f"Nothing can be scored: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
