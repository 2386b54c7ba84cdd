"""The command line: CSV files in, JSON out. `python -m reader_study.statistics mrmc --help`."""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from reader_study.statistics import documents
from reader_study.statistics.commands import (
    advice,
    formatted,
    marks,
    raters,
    scores,
    sizes,
    subgroups,
    times,
)
from reader_study.statistics.formats import files
from reader_study.statistics.froc import MERITS
from reader_study.statistics.study import Analysis, analyse
from reader_study.statistics.tables import read_study

METHODS = ("or", "dbm", "ustat")
COVARIANCES = ("jackknife", "delong", "unbiased")
ENDPOINTS = ("auc", "sensitivity", "specificity")


def mrmc(options: argparse.Namespace) -> dict[str, Any]:
    """Compare modalities over readers and cases."""
    study = read_study(options.data, options.cluster)
    analysis = Analysis(
        method=options.method,
        covariance=options.covariance,
        endpoint=options.endpoint,
        threshold=options.threshold,
        margin=options.margin,
        standalone=options.standalone,
    )
    found = analyse(study, analysis)
    if options.subgroup:
        found |= subgroups.of_subgroups(options.data, options.subgroup, options.cluster, analysis)
    return found


def roc(options: argparse.Namespace) -> dict[str, Any]:
    """Draw ROC curves."""
    partial = None
    if options.partial:
        try:
            partial = (options.partial[0], *map(float, options.partial[1:]))
        except ValueError:
            partial = ("", 0.0, 0.0)
        if partial[0] not in ("sensitivity", "specificity"):
            raise ValueError("--partial takes sensitivity or specificity, and two numbers")
    return scores.of_roc(
        options.data,
        score=options.score,
        threshold=options.threshold,
        cluster=options.cluster,
        partial=partial,
    )


def calibration(options: argparse.Namespace) -> dict[str, Any]:
    """Compare probabilities with the truth."""
    return scores.of_calibration(options.data, score=options.score, n_bins=options.bins)


def agreement(options: argparse.Namespace) -> dict[str, Any]:
    """Measure agreement between raters."""
    return raters.of_agreement(options.data, categories=options.categories)


def froc(options: argparse.Namespace) -> dict[str, Any]:
    """Compare modalities by marks."""
    return marks.of_froc(options.data, options.truth, merit=options.fom, margin=options.margin)


def time(options: argparse.Namespace) -> dict[str, Any]:
    """Compare reading times."""
    return times.of_time(
        options.data,
        longest=options.longest,
        covariates=options.covariate,
        reader_by_modality=not options.no_interaction,
    )


def power(options: argparse.Namespace) -> dict[str, Any]:
    """Estimate power and sample size."""
    if options.plan:
        if len(options.r) != 3:
            raise ValueError("--r are three correlations: r1,r2,r3")
        given = (options.accuracy, options.range_between, options.range_within)
        if None in given or len(options.readers) != 1:
            raise ValueError(
                "--plan needs one number of --readers, --accuracy, --range-between, --range-within"
            )
        return sizes.of_plan(
            {
                "endpoint": options.endpoint,
                "readers": options.readers[0],
                "effect": options.effect,
                "accuracy": options.accuracy,
                "range_between": options.range_between,
                "range_within": options.range_within,
                "benign_for_malignant": options.benign_for_malignant,
                "r1": options.r[0],
                "r2": options.r[1],
                "r3": options.r[2],
                "wanted": options.power,
                "alpha": options.alpha,
            }
        )
    return sizes.of_power(
        pilot=options.pilot,
        components=options.components,
        pilot_cases=options.pilot_cases,
        endpoint=options.endpoint,
        threshold=options.threshold,
        effect=options.effect,
        readers=options.readers,
        cases=options.cases,
        wanted=options.power,
        alpha=options.alpha,
        accuracy=options.accuracy,
        benign_for_malignant=options.benign_for_malignant,
    )


def number(text: str) -> float:
    """Read a finite number."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number")
    return found


def positive(text: str) -> float:
    """Read a number above 0."""
    if not (found := number(text)) > 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0")
    return found


def at_least_0(text: str) -> float:
    """Read a number not below 0."""
    if not (found := number(text)) >= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is below 0")
    return found


def share(text: str) -> float:
    """Read a number between 0 and 1."""
    if not 0 < (found := number(text)) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not between 0 and 1")
    return found


def whole(text: str) -> int:
    """Read a whole number above 0."""
    if not (found := positive(text)).is_integer():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number")
    return int(found)


def several(one: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """Return what reads a list with commas."""

    def read(text: str) -> list[Any]:
        found = [one(part.strip()) for part in text.split(",") if part.strip()]
        if not found or (len(set(found)) < len(found) and one is str):
            raise argparse.ArgumentTypeError(f"'{text}' is empty, or names something twice")
        return found

    return read


def influence(options: argparse.Namespace) -> dict[str, Any]:
    """Count switches by whether the AI was right, and how far its advice is taken."""
    return advice.of_influence(
        options.data,
        threshold=options.threshold,
        ai_threshold=options.ai_threshold,
        ai_scale=options.ai_scale,
        repeats=options.repeats,
        seed=options.seed,
    )


def concordance(options: argparse.Namespace) -> dict[str, Any]:
    """Compare readers with the AI on each semantic feature."""
    return advice.of_concordance(options.data)


def order(options: argparse.Namespace) -> dict[str, Any]:
    """Compare early with late readings."""
    analysis = Analysis(endpoint=options.endpoint, threshold=options.threshold)
    return advice.of_order(options.data, options.by, analysis)


def export(options: argparse.Namespace) -> dict[str, Any]:
    """Write readings for other programs."""
    return formatted.of_export(
        options.data,
        options.format,
        options.out,
        title=options.title,
        truth=options.truth,
        covariance=options.covariance,
        endpoint=options.endpoint,
        threshold=options.threshold,
    )


class Parser(argparse.ArgumentParser):
    """Refuses in one line, as the commands do."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    top = Parser(prog="python -m reader_study.statistics", description=__doc__)
    parts = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[..., Any], data: str = "") -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = parts.add_parser(
            name, help=run.__doc__, description=run.__doc__
        )
        if data:
            command.add_argument("data", type=Path, metavar="DATA.csv", help=data)
        command.add_argument("--json", type=Path, metavar="OUT", help="file for the result")
        command.set_defaults(run=run)
        return command

    rating = "column of the ratings"
    command = add("mrmc", mrmc, "reader,case,modality,truth,rating; one reading a row")
    command.add_argument("--method", choices=METHODS, default="or")
    command.add_argument("--covariance", choices=COVARIANCES, default="jackknife")
    command.add_argument("--endpoint", choices=ENDPOINTS, default="auc")
    command.add_argument("--threshold", type=number, help="positive from this rating on")
    command.add_argument("--margin", type=positive, help="of non-inferiority, above 0")
    command.add_argument("--cluster", metavar="COLUMN", help="what cases belong to: patient")
    command.add_argument("--subgroup", metavar="COLUMN", help="of the cases: also each by itself")
    command.add_argument(
        "--standalone", metavar="ID", help="reader that is the AI, to hold the others against"
    )

    command = add("agreement", agreement, "case and one column a rater; or reader,case,rating")
    command.add_argument("--categories", type=several(str), help="words, from low to high: a,b,c")

    command = add("roc", roc, "truth and a rating; reader and modality if there are several")
    command.add_argument("--score", metavar="COLUMN", help=rating)
    command.add_argument("--threshold", type=number, help="positive from this rating on")
    command.add_argument("--cluster", metavar="COLUMN", help="what cases belong to: patient")
    command.add_argument(
        "--partial", nargs=3, metavar=("RATE", "LOW", "HIGH"), help="specificity 0.8 1"
    )

    command = add("calibration", calibration, "truth and a probability")
    command.add_argument("--score", metavar="COLUMN", help="column of the probabilities")
    command.add_argument("--bins", type=whole, default=10, help="of equal width")

    command = add("power", power)
    command.add_argument("--pilot", type=Path, metavar="DATA.csv", help="as for mrmc")
    command.add_argument(
        "--components",
        type=several(number),
        help="in place of it: var_r,var_tr,error,cov1,cov2,cov3",
    )
    command.add_argument("--pilot-cases", type=whole, help="cases that the components are of")
    command.add_argument("--endpoint", choices=ENDPOINTS, default="auc")
    command.add_argument("--threshold", type=number, help="positive from this rating on")
    command.add_argument("--effect", type=number, required=True, help="true difference")
    command.add_argument("--readers", type=several(whole), required=True, help="such as 5,10,20")
    command.add_argument("--cases", type=several(whole), default=[], help="such as 100,200")
    command.add_argument("--power", type=share, default=0.8, help="wanted")
    command.add_argument("--alpha", type=share, default=0.05, help="two-sided")
    command.add_argument("--plan", action="store_true", help="without a pilot")
    command.add_argument("--accuracy", type=share, help="mean of the readers")
    command.add_argument("--range-between", type=at_least_0, help="best minus worst reader")
    command.add_argument("--range-within", type=at_least_0, help="of two readings of a reader")
    command.add_argument("--benign-for-malignant", type=positive, default=1.0)
    command.add_argument(
        "--r", type=several(number), default=[0.47, 0.3, 0.3], help="correlations r1,r2,r3"
    )

    command = add("froc", froc, "reader,case,modality,mark,lesion_id,rating; one mark a row")
    command.add_argument("--truth", type=Path, help="case,truth,lesion_id; default: truth.csv")
    command.add_argument("--fom", choices=MERITS, default="wAFROC", help="figure of merit")
    command.add_argument("--margin", type=positive, help="of non-inferiority, above 0")

    command = add("time", time, "reader,case,modality,seconds; one reading a row")
    command.add_argument("--longest", type=positive, help="leave out readings above these seconds")
    command.add_argument(
        "--covariate", action="append", default=[], metavar="COLUMN", help="such as the position"
    )
    command.add_argument(
        "--no-interaction", action="store_true", help="no random effect of reader by modality"
    )

    command = add("influence", influence, "reader,case,truth,before,after,ai; a reading a row")
    command.add_argument(
        "--threshold", type=number, required=True, help="readers: positive from this rating on"
    )
    command.add_argument("--ai-threshold", type=number, default=0.5, help="the same of the AI")
    command.add_argument(
        "--ai-scale", type=positive, default=1.0, help="the AI's number times this is a rating"
    )
    command.add_argument("--repeats", type=whole, default=2000, help="of the bootstrap")
    command.add_argument("--seed", type=whole, default=1, help="of the bootstrap")

    add("concordance", concordance, "reader,case,feature,before,after,ai[,switched]")

    command = add("order", order, "readings as for mrmc, and a column that tells their order")
    command.add_argument("--by", default="position", metavar="COLUMN", help="numbers, ascending")
    command.add_argument("--endpoint", choices=ENDPOINTS, default="auc")
    command.add_argument("--threshold", type=number, help="positive from this rating on")

    command = add("export", export, "readings as for mrmc, or marks as for froc (rjafroc)")
    command.add_argument("--format", choices=[*files.FORMATS, "all"], required=True)
    command.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="a folder for --format all"
    )
    command.add_argument("--title", default="", help="line of description in the file")
    command.add_argument("--truth", type=Path, help="lesions of marks: case,truth,lesion_id")
    command.add_argument("--covariance", choices=COVARIANCES, default="jackknife", help="of r")
    command.add_argument("--endpoint", choices=ENDPOINTS, default="auc", help="of r")
    command.add_argument("--threshold", type=number, help="of r: positive from this rating on")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 done, 2 the input cannot be used."""
    options = parser().parse_args(arguments)
    try:
        result = documents.document(options.run(options))
    except ValueError as error:
        # A name in the file may hold a line end.
        print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
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
