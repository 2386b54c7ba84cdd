"""Accuracy beyond the plan: curves, other methods, thresholds, subgroups, order."""

from typing import Any

import numpy as np

from reader_study.results.datasets import (
    Contrast,
    Data,
    threshold_in_words,
)
from reader_study.results.files import RATINGS, SCORES
from reader_study.results.sections import (
    EXPLORATORY,
    Column,
    Figure,
    Section,
    Table,
    counted,
    listed,
    notes_of,
)
from reader_study.statistics import documents, tables
from reader_study.statistics.commands import scores
from reader_study.statistics.study import Analysis, analyse
from reader_study.statistics.tables import Study

METHODS = {
    ("or", "jackknife"): "Obuchowski-Rockette, jackknife",
    ("or", "delong"): "Obuchowski-Rockette, DeLong",
    ("or", "unbiased"): "Obuchowski-Rockette, unbiased",
    ("dbm", "jackknife"): "Dorfman-Berbaum-Metz",
    ("ustat", ""): "U-statistics (Gallas)",
}


def pair_of(differences: dict[str, Any], contrast: Contrast) -> dict[str, Any] | None:
    """Return the difference of a contrast, the right way round."""
    if contrast.name in differences:
        found: dict[str, Any] = differences[contrast.name]
        return found
    other = differences.get(f"{contrast.second} - {contrast.first}")
    if other is None:
        return None

    def minus(value: Any) -> Any:
        return None if value is None else -value

    return {
        **other,
        "estimate": minus(other["estimate"]),
        "lower": minus(other.get("upper")),
        "upper": minus(other.get("lower")),
    }


def curves(data: Data) -> Section:
    """Draw the curve of every reader, their mean, and the AI by itself."""
    document = documents.document(
        scores.of_roc(
            data.folder / RATINGS, score=None, threshold=None, cluster=data.cluster, partial=None
        )
    )
    ai = ai_curve(data)
    order = [
        modality.name for modality in data.modalities if modality.name in document["modalities"]
    ]
    panels, rows = [], []
    for modality in order:
        found = document["modalities"][modality]
        readers = {name: each for name, each in found["readers"].items() if each}
        panels.append(
            {
                "title": modality,
                "curves": {
                    name: {"fpr": each["curve"]["fpr"], "tpr": each["curve"]["tpr"]}
                    for name, each in readers.items()
                },
                "mean": found.get("mean_curve"),
                "ai": ai and {"fpr": ai["curve"]["fpr"], "tpr": ai["curve"]["tpr"]},
            }
        )
        rows += [
            [name, modality, each["auc"], each["lower"], each["upper"], *of_cases(each)]
            for name, each in readers.items()
        ]
    if ai:
        rows.append(["AI", "by itself", ai["auc"], ai["lower"], ai["upper"], *of_cases(ai)])
    by_itself = f", the AI by itself {ai['auc']:.3f}" if ai else ""
    means = listed(
        [
            f"{np.mean([row[2] for row in rows if row[1] == modality]):.3f} {modality}"
            for modality in order
        ]
    )
    return Section(
        "roc",
        "ROC curves",
        EXPLORATORY,
        [
            f"Empirical curves of {data.question.label.lower()}, a {data.unit} counting once. The "
            "mean curve averages along the diagonals of constant sensitivity + specificity, so "
            f"that its area is the mean of the readers' areas. Mean AUC: {means}{by_itself}."
        ],
        [
            Figure(
                "roc",
                "ROC curves of the readers, their mean, and the AI",
                f"One panel for each condition, {listed(order)}, with the curves of "
                f"{counted(len(data.readers), 'reader')}. Mean AUC {means}{by_itself}.",
                "roc",
                {"panels": panels},
            )
        ],
        [
            Table(
                "roc",
                "AUC of each reader under each condition, and of the AI",
                [
                    *(Column("Reader"), Column("Condition"), Column("AUC", "number")),
                    *(Column("95 % interval, from", "number"), Column("to", "number")),
                    *(Column("Malignant", "count"), Column("Benign", "count")),
                ],
                rows,
                notes_of(document),
            )
        ],
        document,
        RATINGS,
        ["empirical", "mean_curve", "obuchowski_clusters" if data.clustered else "delong"],
    )


def of_cases(found: dict[str, Any]) -> list[int]:
    """Return how many malignant and benign ones a curve is made of."""
    return [found["n_malignant"], found["n_benign"]]


def ai_curve(data: Data) -> dict[str, Any] | None:
    """Return the curve of the AI by itself, or None if there is none."""
    try:
        return documents.document(
            scores.of_roc(
                data.folder / SCORES,
                score="probability",
                threshold=None,
                cluster=data.cluster,
                partial=None,
            )
        )
    except ValueError:
        return None


def read(data: Data) -> Study:
    """Return the ratings as an array."""
    return tables.read_study(data.folder / RATINGS, data.cluster)


def of_two(study: Study, contrast: Contrast) -> Study:
    """Return the part of a study with the two modalities of a contrast."""
    names = sorted(contrast)
    places = [study.modalities.index(name) for name in names]
    return study._replace(modalities=names, ratings=study.ratings[places])


def methods(data: Data) -> Section:
    """Compare by every method, so that a reader sees what hangs on the choice of one."""
    rows, found, notes = [], {}, []
    for contrast in data.contrasts:
        for (method, covariance), label in METHODS.items():
            asked = Analysis(method=method, covariance=covariance or "jackknife")
            name = f"{contrast.name}: {label}"
            try:
                study = of_two(read(data), contrast)
                found[name] = documents.document(analyse(study, asked))
            except ValueError as error:
                notes.append(f"{name}: {error}.")
                continue
            for effects, meaning in (
                ("rrrc", "random, random"),
                ("frrc", "fixed, random"),
                ("rrfc", "random, fixed"),
            ):
                of_effects = found[name] if method == "ustat" else found[name][effects]
                pair = pair_of(of_effects.get("differences", {}), contrast)
                if pair is not None and (method != "ustat" or effects == "rrrc"):
                    values = (pair.get(key) for key in ("estimate", "lower", "upper", "df", "p"))
                    rows.append([contrast.told, label, meaning, *values])
                    if pair.get("p") is None:
                        notes += [f"{label}, {note[3:]}" for note in notes_of(found[name])]
    return Section(
        "methods",
        "The difference in AUC by other methods",
        EXPLORATORY,
        [
            "What the difference would be by each method of the field. They ask slightly different "
            "questions: for readers and cases like these, for these readers, or for these cases."
        ],
        [],
        [
            Table(
                "methods",
                "Difference in AUC by method",
                [
                    *(Column("Compared"), Column("Method"), Column("Readers, cases")),
                    *(Column("Difference", "number"), Column("95 % interval, from", "number")),
                    *(Column("to", "number"), Column("Degrees of freedom", "count")),
                    Column("p", "p"),
                ],
                rows,
                list(dict.fromkeys(notes)),
            )
        ],
        found,
        RATINGS,
        ["or", "dbm", "ustat"],
    )


def at_threshold(data: Data) -> Section:
    """Sensitivity and specificity where a rating becomes a decision."""
    at = threshold_in_words(data.question, data.threshold)
    rows, found, notes = [], {}, []
    for contrast in data.contrasts:
        for endpoint in ("sensitivity", "specificity"):
            try:
                study = of_two(read(data), contrast)
                asked = Analysis(endpoint=endpoint, threshold=data.threshold)
                document = documents.document(analyse(study, asked))
            except ValueError as error:
                notes.append(f"{endpoint}: {error}.")
                continue
            found[f"{contrast.name}: {endpoint}"] = document
            means = document["rrrc"]["modalities"]
            pair = pair_of(document["rrrc"]["differences"], contrast) or {}
            rows.append(
                [
                    contrast.told,
                    endpoint,
                    *(means[name]["estimate"] for name in contrast),
                    *(pair.get(key) for key in ("estimate", "lower", "upper", "p")),
                ]
            )
            notes += notes_of(document)
    return Section(
        "threshold",
        "Sensitivity and specificity",
        EXPLORATORY,
        [
            f"A rating counts as positive from “{at}” on. Means of the readers, after "
            "Obuchowski and Rockette with random readers and cases."
        ],
        [],
        [
            Table(
                "threshold",
                f"Sensitivity and specificity from “{at}” on",
                [
                    *(Column("Compared"), Column("Of"), Column("First", "share")),
                    *(Column("Second", "share"), Column("Difference", "share")),
                    *(Column("95 % interval, from", "share"), Column("to", "share")),
                    Column("p", "p"),
                ],
                rows,
                list(dict.fromkeys(notes)),
            )
        ],
        found,
        RATINGS,
        ["or", "jackknife"],
    )
