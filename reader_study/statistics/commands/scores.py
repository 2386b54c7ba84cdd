"""Of scores: ROC curves, and the calibration of probabilities."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reader_study.statistics import calibration, roc
from reader_study.statistics.documents import Because
from reader_study.statistics.study import reasoned
from reader_study.statistics.tables import column_of, ordered, read_table

SCORES = ("rating", "score", "probability", "prob", "ai_score")


def of_roc(
    path: Path,
    *,
    score: str | None,
    threshold: float | None,
    cluster: str | None,
    partial: tuple[str, float, float] | None,
) -> dict[str, Any]:
    """Draw the curve of every reader and modality, or of the one score in the file."""
    table = read_table(path, ["truth", *([cluster] if cluster else [])])
    score = column_of(table, score, SCORES)
    truth, x = table.truths("truth"), table.numbers(score, missing=True)
    clusters = ordered(table.text(cluster))[1] if cluster else None

    def one(rows: NDArray[np.bool_]) -> dict[str, Any]:
        own, malignant = x[rows], truth[rows]
        curve = roc.roc_curve(own, malignant)
        within = None if clusters is None else np.unique(clusters[rows], return_inverse=True)[1]
        found: dict[str, Any] = {
            **reasoned(roc.auc_estimate(own, malignant, within)),
            "youden": roc.youden(curve),
            "curve": {
                "fpr": curve.fpr,
                "tpr": curve.tpr,
                "threshold": curve.threshold,
            },
        }
        if within is not None:
            found["variance_without_clusters"] = roc.auc_estimate(own, malignant).variance
        if threshold is not None:
            found["at_threshold"] = roc.operating_point(own, malignant, threshold)
        if partial is not None:
            focus, low, high = partial
            found["partial"] = {
                "focus": focus,
                "low": low,
                "high": high,
                **roc.partial_auc(curve, focus, low, high)._asdict(),
            }
        return found

    if "reader" not in table:
        return {"score": score, **one(np.ones(len(table), dtype=np.bool_))}
    readers, reader = ordered(table.text("reader"))
    modalities, modality = ordered(
        table.text("modality") if "modality" in table else ["all"] * len(table)
    )
    result: dict[str, Any] = {"score": score, "modalities": {}}
    for m, name in enumerate(modalities):
        of_readers: dict[str, Any] = {}
        curves = []
        for r, who in enumerate(readers):
            rows = (modality == m) & (reader == r) & ~np.isnan(x)
            if not truth[rows].any() or truth[rows].all():
                of_readers[who] = Because(float("nan"), "no malignant or no benign case was read")
                continue
            of_readers[who] = one(rows)
            curves.append(roc.roc_curve(x[rows], truth[rows]))
        result["modalities"][name] = {"readers": of_readers}
        if curves:
            fpr, tpr = roc.mean_curve(curves)
            result["modalities"][name]["mean_curve"] = {"fpr": fpr, "tpr": tpr}
    return result


def of_calibration(path: Path, *, score: str | None, n_bins: int) -> dict[str, Any]:
    """Compare the probabilities of a file with the truth."""
    table = read_table(path, ["truth"])
    score = column_of(table, score, ("probability", "prob", "ai_score", "score", "rating"))
    truth, p = table.truths("truth"), table.numbers(score)
    wrong = np.flatnonzero((p < 0) | (p > 1))
    if len(wrong):
        row = int(wrong[0])
        raise table.error(row, score, f"holds {p[row]:g}; a probability is from 0 to 1")
    errors = calibration.calibration_errors(p, truth, n_bins)
    found = calibration.recalibration(p, truth)
    return {
        "score": score,
        "n": len(p),
        "malignant": int(truth.sum()),
        "brier": calibration.brier(p, truth),
        "ece": errors.expected,
        "mce": errors.largest,
        "bins": errors.bins,
        "slope": found.slope,
        "intercept": found.intercept,
        "in_the_large": found.in_the_large,
        "decision_curve": calibration.net_benefit(p, truth, np.arange(1, 100) / 100),
    }
