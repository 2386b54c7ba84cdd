"""Figures of an evaluation, each as SVG and PNG."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inference.estimates import Bools, Estimate, Floats, precision_recall
from reader_study.statistics.roc import roc_curve

if TYPE_CHECKING:
    from inference.evaluation import Evaluation

# Told apart by people who see colours differently, in grey too: Okabe and Ito.
COLOURS = ("#0072B2", "#D55E00", "#009E73")
DASHES = ("-", "--", ":")
SIZE_INCHES = (4.5, 4.2)


def draw(
    folder: Path, scores: dict[str, Floats], positive: Bools, evaluation: "Evaluation"
) -> list[Path]:
    """Draw the curves of scores by name, (n,) each, and the figures of an evaluation.

    Returns the files, `NAME.svg` and `NAME.png` of each figure; what needs both classes is not
    drawn where one is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    areas = {
        "model": (evaluation.auroc, evaluation.auprc),
        "diameter alone": (
            evaluation.baseline_diameter.auroc,
            evaluation.baseline_diameter.auprc,
        ),
        "both": (evaluation.combined.auroc, evaluation.combined.auprc),
    }
    drawings: dict[str, Callable[[Axes], None]] = {}
    if positive.any() and not positive.all():
        drawings["roc"] = lambda axes: _roc(axes, scores, positive, areas)
        drawings["precision_recall"] = lambda axes: _precision_recall(axes, scores, positive, areas)
    if evaluation.calibration:
        drawings["calibration"] = lambda axes: _calibration(axes, evaluation)
    if evaluation.semantic:
        drawings["semantic"] = lambda axes: _semantic(axes, evaluation)
    files = []
    # The same data give the same bytes: no date, and identifiers of a fixed origin.
    with mpl.rc_context({"svg.hashsalt": "reread", "font.size": 9}):
        for name, of in drawings.items():
            figure = Figure(figsize=SIZE_INCHES, layout="constrained")
            of(figure.add_subplot())
            for path, about in (
                (folder / f"{name}.svg", {"Date": None}),
                (folder / f"{name}.png", {"Software": None}),
            ):
                figure.savefig(path, dpi=200, metadata=about)
                files.append(path)
    return files


def _named(name: str, one: Estimate) -> str:
    if one.estimate is None or one.lower is None or one.upper is None:
        return name
    return f"{name}: {one.estimate:.3f} ({one.lower:.3f} to {one.upper:.3f})"


def _square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.grid(color="0.9")


def _roc(
    axes: Axes,
    scores: dict[str, Floats],
    positive: Bools,
    areas: dict[str, tuple[Estimate, Estimate]],
) -> None:
    for (name, of), colour, dash in zip(scores.items(), COLOURS, DASHES, strict=False):
        curve = roc_curve(of, positive)
        axes.plot(curve.fpr, curve.tpr, dash, color=colour, label=_named(name, areas[name][0]))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    _square(axes, "False-positive rate", "Sensitivity")
    axes.legend(title="AUROC (95 % interval)", loc="lower right")


def _precision_recall(
    axes: Axes,
    scores: dict[str, Floats],
    positive: Bools,
    areas: dict[str, tuple[Estimate, Estimate]],
) -> None:
    for (name, of), colour, dash in zip(scores.items(), COLOURS, DASHES, strict=False):
        recall, precision = precision_recall(of, positive)
        label = _named(name, areas[name][1])
        axes.step(recall, precision, dash, color=colour, where="pre", label=label)
    axes.axhline(float(positive.mean()), color="0.7", linewidth=0.8)
    _square(axes, "Recall", "Precision")
    axes.legend(title="AUPRC (95 % interval)", loc="lower left")


def _calibration(axes: Axes, evaluation: "Evaluation") -> None:
    calibration = evaluation.calibration
    if calibration is None:
        return
    curve = calibration.curve
    x = [one.mean_probability for one in curve]
    y = [one.share_malignant for one in curve]
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    axes.plot(x, y, color=COLOURS[0], linewidth=0.8)
    axes.scatter(
        x, y, s=[8 + 2 * one.n for one in curve], color=COLOURS[0], zorder=3, clip_on=False
    )
    for one in curve:
        at = (one.mean_probability, one.share_malignant)
        axes.annotate(str(one.n), at, xytext=(5, -9), textcoords="offset points", fontsize=7)
    _square(axes, "Probability by the model", "Share found suspicious")
    axes.set_title(
        f"{_named('Brier score', calibration.brier)}\n{_named('slope', calibration.slope)}",
        fontsize=9,
    )


def _semantic(axes: Axes, evaluation: "Evaluation") -> None:
    shown = [
        (name, one.auroc, one.lower, one.upper, one.n)
        for name, one in evaluation.semantic.items()
        if one.auroc is not None and one.lower is not None and one.upper is not None
    ]
    places = np.arange(len(shown))[::-1]
    for place, (_, auroc, lower, upper, _) in zip(places, shown, strict=True):
        axes.plot([lower, upper], [place, place], color=COLOURS[0])
        axes.plot(auroc, place, "o", color=COLOURS[0])
    axes.axvline(0.5, color="0.7", linewidth=0.8)
    axes.set(xlim=(0, 1), xlabel="AUROC, weighted by prevalence (95 % interval)")
    axes.set_yticks(places, [f"{name.replace('_', ' ')} (n {n})" for name, *_, n in shown])
    axes.grid(axis="x", color="0.9")
