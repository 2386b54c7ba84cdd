"""Make a table of nodules from a public data set, and check one before it is used.

    python -m inference.data lidc  DICOM_FOLDER                       --out nodules.csv
    python -m inference.data crops FOLDER/lidc_nodules.csv            --out FOLDER/nodules.csv
    python -m inference.data lungx FOLDER_OF_TABLES                   --out nodules.csv
    python -m inference.data nlst  LUNA25.csv [--reported sct_abnormalities.csv] --out nodules.csv
    python -m inference.data duke  DLCSD24_Annotations.csv [--images nifti] --out nodules.csv
    python -m inference.data csv   ANY.csv --columns mapping.yaml     --out nodules.csv
    python -m inference.data check nodules.csv [--dicom FOLDER] [--dicomweb URL] [--table-only]

`check` reads every image that the table names and ends with 1 if it finds an error. Tokens for
a DICOMweb server are read from the environment (SERVICE_TOKEN).
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from inference.data import adapters
from inference.data.checks import check_images, check_table, errors
from inference.data.images import Images, token_of_environment
from inference.data.mapping import mapped, read_mapping
from inference.data.table import Nodule, read_table, write_table
from inference.errors import ArchiveUnavailable, DataUnusable


class Bar:
    """A progress bar on a terminal; nothing where the output goes to a file."""

    def __init__(self, what: str, unit: str) -> None:
        self._bar = tqdm(desc=what, unit=unit, disable=None)

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if done == total:
            self._bar.close()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="python -m inference.data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True)
    for name, what in (
        ("lidc", "a folder of LIDC-IDRI's DICOM series"),
        ("crops", "the table of crops of LIDC-IDRI"),
        ("lungx", "the folder of LUNGx's tables"),
        ("nlst", "the table of nodules of LUNA25"),
        ("duke", "DLCSD24_Annotations.csv"),
        ("csv", "any CSV with a line a nodule"),
    ):
        one = commands.add_parser(name, help=f"from {what}")
        one.add_argument("source", type=Path, help=what)
        one.add_argument("--out", type=Path, required=True, help="the table to write")
        if name == "nlst":
            one.add_argument("--reported", type=Path, help="the trial's sct_abnormalities table")
        if name == "duke":
            one.add_argument("--images", default="", help="folder of the volumes, from the table")
        if name == "csv":
            one.add_argument("--columns", type=Path, required=True, help="mapping, as YAML")
    check = commands.add_parser("check", help="look for what is wrong with a table")
    check.add_argument("source", type=Path, help="a table of nodules")
    check.add_argument("--dicom", type=Path, help="folder of the DICOM series")
    check.add_argument("--dicomweb", help="root of a DICOMweb server")
    check.add_argument("--table-only", action="store_true", help="read no image")
    return top


def nodules_from(given: argparse.Namespace) -> list[Nodule]:
    """Run the adapter that was asked for."""
    source: Path = given.source
    match given.command:
        case "lidc":
            return adapters.lidc(source, Bar("series", "series"))
        case "crops":
            if given.out.resolve().parent != source.resolve().parent:
                raise DataUnusable(
                    f"The table belongs beside {source}, so that images/ is found: "
                    f"--out {source.parent / given.out.name}"
                )
            return adapters.crops(source)
        case "lungx":
            return adapters.lungx(source)
        case "nlst":
            return adapters.nlst(source, given.reported)
        case "duke":
            return adapters.duke(source, given.images)
    return mapped(source, read_mapping(given.columns))


def summary(nodules: Sequence[Nodule]) -> str:
    """Say in a line what a table holds."""
    labels = Counter(one.label or "without a label" for one in nodules)
    splits = Counter(one.split for one in nodules if one.split)
    return (
        f"{len(nodules)} nodules of {len({one.patient for one in nodules})} patients: "
        + ", ".join(f"{count} {name}" for name, count in sorted(labels.items()))
        + ("; " + ", ".join(f"{n} to {name}" for name, n in splits.items()) if splits else "")
    )


def check(given: argparse.Namespace) -> int:
    """Look at a table and its images; 1 if there is an error."""
    table = read_table(given.source)
    print(f"{given.source.name}: {summary(table.nodules)}")
    found = check_table(table)
    if not given.table_only:
        images = Images(table.folder, given.dicom, given.dicomweb, token_of_environment())
        found += check_images(table, images, Bar("images", "image"))
    for one in found:
        print(one)
    wrong = len(errors(found))
    print(f"{wrong} errors, {len(found) - wrong} warnings")
    return 1 if wrong else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 1 and a sentence where it cannot be done."""
    given = parser().parse_args(arguments)
    try:
        if given.command == "check":
            return check(given)
        nodules = nodules_from(given)
        write_table(given.out, nodules)
    except (DataUnusable, ArchiveUnavailable, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{given.out}: {summary(nodules)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
