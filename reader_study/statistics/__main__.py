"""The command line: CSV files in, JSON out. `python -m reader_study.statistics mrmc --help`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from reader_study.statistics import documents
from reader_study.statistics.study import Analysis, analyse
from reader_study.statistics.tables import InputError, read_study

METHODS = ("or", "dbm", "ustat")
COVARIANCES = ("jackknife", "delong", "unbiased")
ENDPOINTS = ("auc", "sensitivity", "specificity")


def mrmc(options: argparse.Namespace) -> dict[str, Any]:
    """Compare modalities over readers and cases."""
    study = read_study(options.data, options.cluster)
    return analyse(
        study,
        Analysis(
            method=options.method,
            covariance=options.covariance,
            endpoint=options.endpoint,
            threshold=options.threshold,
            margin=options.margin,
        ),
    )


def parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    top = argparse.ArgumentParser(prog="python -m reader_study.statistics", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("mrmc", help="compare modalities over readers and cases")
    command.add_argument("data", type=Path, help="CSV with reader,case,modality,truth,rating")
    command.add_argument("--method", choices=METHODS, default="or")
    command.add_argument("--covariance", choices=COVARIANCES, default="jackknife")
    command.add_argument("--endpoint", choices=ENDPOINTS, default="auc")
    command.add_argument("--threshold", type=float, help="positive from this rating on")
    command.add_argument("--margin", type=float, help="of non-inferiority, above 0")
    command.add_argument("--cluster", metavar="COLUMN", help="what cases belong to: patient")
    command.set_defaults(run=mrmc)

    for command in commands.choices.values():
        command.add_argument("--json", type=Path, metavar="OUT", help="file for the result")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 done, 2 the input cannot be used."""
    options = parser().parse_args(arguments)
    try:
        result = documents.document(options.run(options))
    except (InputError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json is None:
        print(documents.text(result))
        return 0
    try:
        documents.write(result, options.json)
    except OSError as error:
        print(f"error: {options.json}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
