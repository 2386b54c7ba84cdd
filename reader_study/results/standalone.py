"""The AI by itself: its accuracy, whether its probabilities mean what they say, and the readers."""

import csv
from typing import Any

import numpy as np

from reader_study.results.accuracy import ai_curve
from reader_study.results.datasets import AI, Data
from reader_study.results.files import RATINGS, SCORES
from reader_study.results.sections import (
    EXPLORATORY,
    Column,
    Figure,
    Section,
    Table,
    capital,
    interval,
    notes_of,
    p_in_a_sentence,
    told,
)
from reader_study.statistics import documents, tables
from reader_study.statistics.commands import scores
from reader_study.statistics.study import Analysis, analyse

# Where the AI's probability is taken as a positive call.
THRESHOLD = 0.5
BINS = 10
AGAINST = "ratings-and-ai.csv"


def calibration(data: Data) -> Section | None:
    """Hold the AI's probabilities against the truth."""
    curve = ai_curve(data)
    if curve is None:
        return None
    document = documents.document(
        scores.of_calibration(data.folder / SCORES, score="probability", n_bins=BINS)
    )
    bins = [each for each in document["bins"] if each["n"]]
    slope, intercept = document["slope"], document["intercept"]
    figure = Figure(
        "calibration",
        "Calibration of the AI",
        f"Share of malignant {data.unit}s against the probability the AI gave, in {len(bins)} "
        f"ranges; expected calibration error {told(document['ece'], 'number')}.",
        "calibration",
        {"bins": bins, "unit": data.unit},
    )
    numbers = Table(
        "ai",
        "The AI by itself",
        [
            *(Column("Measure"), Column("Estimate", "number")),
            *(Column("95 % interval, from", "number"), Column("to", "number")),
        ],
        [
            ["AUC", curve["auc"], curve["lower"], curve["upper"]],
            ["Brier score (0 is best)", document["brier"], None, None],
            ["Expected calibration error", document["ece"], None, None],
            ["Largest calibration error", document["mce"], None, None],
            ["Calibration slope (1 is best)", *_three(slope)],
            ["Calibration intercept (0 is best)", *_three(intercept)],
            ["Calibration in the large (0 is best)", *_three(document["in_the_large"])],
        ],
        notes_of(document),
    )
    of_bins = Table(
        "calibration",
        "Calibration of the AI by range of probability",
        [
            *(Column("From", "number"), Column("To", "number"), Column("Number", "count")),
            *(Column("Mean probability", "number"), Column("Share malignant", "share")),
        ],
        [[b["low"], b["high"], b["n"], b["mean_probability"], b["share_malignant"]] for b in bins],
    )
    return Section(
        "calibration",
        "The AI by itself",
        EXPLORATORY,
        [
            f"AUC {told(curve['auc'], 'number')} ({interval(curve['lower'], curve['upper'])}) for "
            f"{document['n']} {data.unit}s, {document['malignant']} of them malignant. Of "
            "probabilities that mean what they say, slope is 1 and intercept 0."
        ],
        [figure],
        [numbers, of_bins],
        {"curve": curve, **document},
        SCORES,
        ["empirical", "brier", "ece", "recalibration"],
    )


def _three(found: dict[str, Any]) -> list[Any]:
    return [found["estimate"], found["lower"], found["upper"]]


def decision_curve(data: Data) -> Section | None:
    """Weigh what acting on the AI would give."""
    if ai_curve(data) is None:
        return None
    document = documents.document(
        scores.of_calibration(data.folder / SCORES, score="probability", n_bins=BINS)
    )
    curve = document["decision_curve"]
    rows = [
        [each["threshold"], each["model"], each["act_on_all"], each["act_on_none"]]
        for each in curve
        if round(100 * each["threshold"]) % 5 == 0
    ]
    return Section(
        "decision-curve",
        "Decision curve of the AI",
        EXPLORATORY,
        [
            "What acting on the AI's probability from a threshold on would give, in true positives "
            "a case, false positives being weighed by the odds of the threshold."
        ],
        [
            Figure(
                "decision-curve",
                "Decision curve of the AI",
                "Net benefit by threshold for the AI, for acting on all and for acting on none; at "
                f"a threshold of 0.10 the AI gives {told(curve[9]['model'], 'number')} and acting "
                f"on all {told(curve[9]['act_on_all'], 'number')}.",
                "decision_curve",
                {"curve": curve},
            )
        ],
        [
            Table(
                "decision-curve",
                "Net benefit by threshold",
                [
                    *(Column("Threshold", "ratio"), Column("AI", "number")),
                    *(Column("Act on all", "number"), Column("Act on none", "number")),
                ],
                rows,
            )
        ],
        {"decision_curve": curve},
        SCORES,
        ["decision_curve"],
    )


def against_readers(data: Data) -> Section | None:
    """Hold the readers of each condition against the AI by itself."""
    if ai_curve(data) is None:
        return None
    write_with_ai(data)
    try:
        study = tables.read_study(data.folder / AGAINST, data.cluster)
        document = documents.document(analyse(study, Analysis(standalone=AI)))
    except ValueError:
        return None
    rows, told_of = [], []
    for modality in (each.name for each in data.modalities):
        found = document["standalone"].get(modality)
        if found is None:
            continue
        gap, own = found["rrrc"], found["estimate"]
        mean = None if own is None or gap["estimate"] is None else own + gap["estimate"]
        rows.append(
            [
                *(modality, mean, own),
                *(gap["estimate"], gap["lower"], gap["upper"], gap["df"], gap["p"]),
            ]
        )
        told_of.append(
            f"{modality} the readers' mean AUC differed from the AI's by "
            f"{told(gap['estimate'], 'number')} ({interval(gap['lower'], gap['upper'])}; "
            f"{p_in_a_sentence(gap['p'])})"
        )
    return Section(
        "ai-readers",
        "The AI against the readers",
        EXPLORATORY,
        [capital("; ".join(told_of)) + "."] if told_of else [],
        [],
        [
            Table(
                "ai-readers",
                "Readers minus the AI by itself",
                [
                    *(Column("Condition"), Column("Readers' mean AUC", "number")),
                    *(Column("AI", "number"), Column("Difference", "number")),
                    *(Column("95 % interval, from", "number"), Column("to", "number")),
                    *(Column("Degrees of freedom", "count"), Column("p", "p")),
                ],
                rows,
                notes_of(document),
            )
        ],
        document["standalone"],
        AGAINST,
        ["standalone"],
    )


def write_with_ai(data: Data) -> None:
    """Write the ratings with the AI as a reader under every condition, over the same cases."""
    with (
        (data.folder / RATINGS).open(newline="", encoding="utf-8") as source,
        (data.folder / AGAINST).open("w", newline="", encoding="utf-8") as target,
    ):
        names = ("reader", "case", "modality", "truth", "rating", "patient")
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(names)
        modalities = set()
        for row in csv.DictReader(source):
            writer.writerow([row[name] for name in names])
            modalities.add(row["modality"])
        for modality in sorted(modalities):
            for name, probability in data.scores().items():
                unit = data.units.get(name)
                if unit is not None:
                    writer.writerow(
                        [AI, name, modality, int(unit.malignant), probability, unit.patient]
                    )


def calls(data: Data) -> dict[str, bool]:
    """Return whether the AI calls each unit malignant."""
    return {name: bool(np.float64(p) >= THRESHOLD) for name, p in data.scores().items()}
