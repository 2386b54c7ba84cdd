"""The figures, each from the content that its section gives."""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from reader_study.results.drawing import (
    COLOURS,
    FAINT,
    INK,
    MARKERS,
    QUIET,
    STYLES,
    Draw,
    grid_of,
    unit_square,
)

# More readers than this have no line of their own in a legend.
NAMED_READERS = 8


def roc(canvas: Canvas, content: dict[str, Any]) -> None:
    """Draw a panel a condition: readers thin, their mean thick, the AI dashed."""
    panels = content["panels"]
    for axes, panel in zip(
        grid_of(canvas, len(panels), width=4.2, height=4.4), panels, strict=True
    ):
        unit_square(axes, panel["title"])
        few = len(panel["curves"]) <= NAMED_READERS
        for number, (name, curve) in enumerate(panel["curves"].items()):
            axes.plot(
                *(curve["fpr"], curve["tpr"]),
                color=COLOURS[number % len(COLOURS)] if few else QUIET,
                linestyle=STYLES[number % len(STYLES)] if few else "-",
                linewidth=1.2 if few else 0.9,
                alpha=0.9 if few else 0.45,
                label=name if few else ("Readers" if number == 0 else None),
            )
        if panel["mean"]:
            mean = panel["mean"]
            axes.plot(mean["fpr"], mean["tpr"], color=INK, linewidth=2.4, label="Mean")
        if panel["ai"]:
            ai = panel["ai"]
            axes.plot(
                *(ai["fpr"], ai["tpr"]), color=COLOURS[1], linestyle=(0, (4, 2)), linewidth=1.8,
                label="AI by itself",
            )  # fmt: skip
        axes.legend(loc="lower right")


def subgroups(canvas: Canvas, content: dict[str, Any]) -> None:
    """Draw a panel a group: a mean curve for each condition, and the AI."""
    panels = content["panels"]
    for axes, panel in zip(
        grid_of(canvas, len(panels), width=3.8, height=4.0), panels, strict=True
    ):
        unit_square(axes, panel["title"])
        for number, (name, curve) in enumerate(panel["curves"].items()):
            axes.plot(
                *(curve["fpr"], curve["tpr"]),
                color=INK if name == "AI" else COLOURS[number % len(COLOURS)],
                linestyle=":" if name == "AI" else STYLES[number % len(STYLES)],
                linewidth=1.8,
                label=name,
            )
        axes.legend(loc="lower right")


def paired(canvas: Canvas, content: dict[str, Any]) -> None:
    """Draw a line a reader from one condition to the other."""
    canvas.set_size_inches(5.2, 4.4)
    axes = canvas.add_subplot()
    few = len(content["readers"]) <= NAMED_READERS
    for number, (name, values) in enumerate(content["readers"].items()):
        axes.plot(
            *([0, 1], values),
            color=COLOURS[number % len(COLOURS)] if few else QUIET,
            marker=MARKERS[number % len(MARKERS)] if few else "o",
            markersize=5,
            linewidth=1.1,
            label=name if few else ("Readers" if number == 0 else None),
        )
    if all(value is not None for value in content["mean"]):
        axes.plot([0, 1], content["mean"], color=INK, linewidth=3, marker="s", label="Mean")
    axes.set_xticks([0, 1], content["modalities"])
    axes.set(xlim=(-0.2, 1.2), ylabel=content["merit"])
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def forest(canvas: Canvas, content: dict[str, Any]) -> None:
    """Draw the difference of each reader and of all, with intervals."""
    lines = content["lines"]
    canvas.set_size_inches(6.4, 1.4 + 0.32 * (len(lines) + 1))
    axes = canvas.add_subplot()
    axes.axvline(0, color=QUIET, linewidth=1)
    if content["margin"] is not None:
        margin = content["margin"]
        axes.axvline(-margin, color=COLOURS[1], linestyle="--", linewidth=1.2)
        axes.text(
            -margin, -0.75, f"margin −{margin:g}", color=COLOURS[1], ha="center", va="bottom",
            fontsize=8,
        )  # fmt: skip
    for place, line in enumerate(lines):
        if line["lower"] is not None:
            axes.plot(
                [line["lower"], line["upper"]], [place, place], color=COLOURS[0], linewidth=1.4
            )
        axes.plot(line["estimate"], place, marker="s", color=COLOURS[0], markersize=5)
    overall, place = content["overall"], len(lines)
    low, high = overall["lower"], overall["upper"]
    if low is None:
        axes.plot(overall["estimate"], place, marker="D", color=INK)
    else:
        corners = [
            (low, place), (overall["estimate"], place - 0.25), (high, place),
            (overall["estimate"], place + 0.25), (low, place),
        ]  # fmt: skip
        axes.add_patch(PathPatch(Path(corners), facecolor=INK, edgecolor=INK))
        axes.autoscale_view()
    axes.set_yticks(range(len(lines) + 1), [*(line["name"] for line in lines), overall["name"]])
    axes.set_ylim(len(lines) + 0.6, -1)
    axes.set_xlabel(content["label"])


def time(canvas: Canvas, content: dict[str, Any]) -> None:
    """Draw a box a reader and condition, on a logarithmic axis."""
    readers, modalities = content["readers"], content["modalities"]
    canvas.set_size_inches(max(5.2, 1.6 + 0.5 * len(readers) * len(modalities)), 4.2)
    axes = canvas.add_subplot()
    width = 0.8 / len(modalities)
    for number, modality in enumerate(modalities):
        places, values = [], []
        for place, of_reader in enumerate(readers.values()):
            if modality in of_reader:
                places.append(place + (number - (len(modalities) - 1) / 2) * width)
                values.append(of_reader[modality])
        if not values:
            continue
        colour = COLOURS[number % len(COLOURS)]
        axes.boxplot(
            values,
            positions=places,
            widths=0.8 * width,
            patch_artist=True,
            boxprops={"facecolor": colour, "alpha": 0.35, "edgecolor": colour},
            medianprops={"color": INK, "linewidth": 1.6},
            whiskerprops={"color": colour},
            capprops={"color": colour},
            flierprops={"marker": MARKERS[number], "markersize": 3, "markeredgecolor": colour},
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.set_xticks(range(len(readers)), list(readers))
    axes.set(ylabel="Active seconds a case", xlim=(-0.6, len(readers) - 0.4))
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=COLOURS[i % len(COLOURS)], alpha=0.35, label=name)
        for i, name in enumerate(modalities)
    ]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5))


def switches(canvas: Canvas, content: dict[str, Any]) -> None:
    """Draw decisions before and after as bands, where the AI was right and where it was wrong."""
    canvas.set_size_inches(7.6, 4.2)
    flows = content["flows"]
    canvas.legend(
        handles=[
            Rectangle((0, 0), 1, 1, facecolor=COLOURS[2], alpha=0.75, label="became right"),
            Rectangle((0, 0), 1, 1, facecolor=COLOURS[1], alpha=0.75, label="became wrong"),
            Rectangle((0, 0), 1, 1, facecolor=FAINT, label="stayed right"),
            Rectangle((0, 0), 1, 1, facecolor="#8f8f8f", label="stayed wrong"),
        ],
        loc="outside lower center",
        ncols=4,
    )
    for number, ai in enumerate(("right", "wrong")):
        axes = canvas.add_subplot(1, 2, number + 1)
        _bands(axes, {(f["before"], f["after"]): f["n"] for f in flows if f["ai"] == ai})
        axes.set_title(f"The AI was {ai}")
        axes.set_xticks([0, 1], content["labels"])
        axes.set(xlim=(-0.35, 1.35), ylim=(-0.02, 1.02))
        axes.set_yticks([])
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        axes.tick_params(length=0)


KINDS = ("right", "wrong")


def _bands(axes: Any, counts: dict[tuple[str, str], int]) -> None:
    total = sum(counts.values())
    if not total:
        axes.text(0.5, 0.5, "no reading", ha="center", va="center", color=QUIET)
        return
    gap, height = 0.06, 0.94
    colours = {
        ("right", "right"): FAINT, ("wrong", "wrong"): "#8f8f8f",
        ("wrong", "right"): COLOURS[2], ("right", "wrong"): COLOURS[1],
    }  # fmt: skip
    tops: list[dict[str, float]] = []
    for side in (0, 1):
        sizes = {
            kind: sum(n for key, n in counts.items() if key[side] == kind) / total * height
            for kind in KINDS
        }
        tops.append({"right": 1.0, "wrong": 1.0 - sizes["right"] - gap})
        for kind in KINDS:
            if not sizes[kind]:
                continue
            top = tops[side][kind]
            axes.add_patch(
                Rectangle((side - 0.04, top - sizes[kind]), 0.08, sizes[kind], facecolor=INK)
            )
            n = round(sizes[kind] / height * total)
            axes.text(
                side + (-0.07 if side == 0 else 0.07), top - sizes[kind] / 2, f"{kind}\n{n}",
                ha="right" if side == 0 else "left", va="center", fontsize=8,
            )  # fmt: skip
    for before in KINDS:
        for after in KINDS:
            n = counts.get((before, after), 0)
            if not n:
                continue
            size = n / total * height
            a, b = tops[0][before], tops[1][after]
            tops[0][before] -= size
            tops[1][after] -= size
            points = [
                (0.04, a), (0.5, a), (0.5, b), (0.96, b), (0.96, b - size), (0.5, b - size),
                (0.5, a - size), (0.04, a - size), (0.04, a),
            ]  # fmt: skip
            codes = [
                Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY,
            ]  # fmt: skip
            axes.add_patch(
                PathPatch(
                    Path(points, codes), facecolor=colours[before, after], alpha=0.75, linewidth=0
                )
            )
            if before != after:
                # In a third of the way, where bands that cross are apart.
                axes.text(
                    0.16, a - size / 2, str(n), ha="center", va="center", fontsize=8,
                    fontweight="bold",
                )  # fmt: skip


def calibration(canvas: Canvas, content: dict[str, Any]) -> None:
    """Draw the share that is malignant against the probability, and how many there are."""
    canvas.set_size_inches(4.8, 5.2)
    upper, lower = canvas.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    upper.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    bins = content["bins"]
    x, y, n = (
        np.array([each[key] for each in bins], dtype=np.float64)
        for key in ("mean_probability", "share_malignant", "n")
    )
    half = 1.96 * np.sqrt(y * (1 - y) / n + 1.96**2 / (4 * n * n)) / (1 + 1.96**2 / n)
    centre = (y + 1.96**2 / (2 * n)) / (1 + 1.96**2 / n)
    upper.vlines(x, centre - half, centre + half, color=COLOURS[0], linewidth=1.2)
    upper.plot(x, y, marker="o", color=COLOURS[0], linewidth=1.2)
    upper.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="Share malignant (Wilson's interval)")
    lower.bar(
        [each["low"] for each in bins],
        n,
        width=[each["high"] - each["low"] for each in bins],
        align="edge",
        color=COLOURS[0],
        alpha=0.5,
        edgecolor="white",
    )
    lower.set(xlabel="Probability of the AI", ylabel=f"{content['unit'].capitalize()}s")


def decision_curve(canvas: Canvas, content: dict[str, Any]) -> None:
    """Draw net benefit against the threshold."""
    canvas.set_size_inches(5.4, 3.8)
    axes = canvas.add_subplot()
    curve = content["curve"]
    at = [each["threshold"] for each in curve]
    for number, (key, label) in enumerate(
        (("model", "AI"), ("act_on_all", "Act on all"), ("act_on_none", "Act on none"))
    ):
        axes.plot(
            *(at, [each[key] for each in curve]), color=(*COLOURS[:2], QUIET)[number],
            linestyle=STYLES[number], linewidth=1.6, label=label,
        )  # fmt: skip
    best = max(each["model"] for each in curve)
    axes.set(
        xlim=(0, 1), ylim=(-0.1 * max(best, 0.1), 1.15 * max(best, 0.1)),
        xlabel="Threshold probability", ylabel="Net benefit",
    )  # fmt: skip
    axes.legend(loc="upper right")


def concordance(canvas: Canvas, content: dict[str, Any]) -> None:
    """Draw a heat map a feature: every two raters, the AI last."""
    panels = content["panels"]
    size = max(2.6, 0.9 + 0.42 * max(len(panel["raters"]) for panel in panels))
    for axes, panel in zip(
        grid_of(canvas, len(panels), width=size, height=size + 0.3), panels, strict=True
    ):
        raters = panel["raters"]
        values = np.array(
            [[np.nan if v is None else v for v in row] for row in panel["values"]], dtype=np.float64
        )
        axes.imshow(values, vmin=-1, vmax=1, cmap="RdBu")
        axes.set_xticks(range(len(raters)), raters, rotation=90)
        axes.set_yticks(range(len(raters)), raters)
        axes.set_title(panel["title"])
        axes.tick_params(length=0)
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                axes.text(
                    *(j, i, f"{value:.2f}"), ha="center", va="center", fontsize=7,
                    color="white" if abs(value) > 0.6 else INK,
                )  # fmt: skip
        for side in axes.spines.values():
            side.set_visible(False)


def dwell(canvas: Canvas, content: dict[str, Any]) -> None:
    """Draw maps of a case in a row: from the front, from the left and from the feet."""
    rows = content["cases"]
    most = max(1e-9, *(max(each["seconds"]) for row in rows for each in row["maps"]))
    canvas.set_size_inches(7.2, 0.5 + 2.5 * len(rows))
    every = []
    for line, row in enumerate(rows):
        for place, each in enumerate(row["maps"]):
            axes = canvas.add_subplot(len(rows), 3, 3 * line + place + 1)
            every.append(axes)
            cells = np.array(each["seconds"])
            side = math.isqrt(len(cells))
            left, right, top, bottom = each["extent_mm"]
            drawn = axes.imshow(
                cells.reshape(side, side), extent=(left, right, bottom, top), vmin=0, vmax=most,
                cmap="viridis", interpolation="nearest", aspect="equal",
            )  # fmt: skip
            for x, y in each["nodules"]:
                axes.plot(x, y, marker="o", markersize=9, markerfacecolor="none", color="white")
                axes.plot(x, y, marker="o", markersize=11, markerfacecolor="none", color=INK)
            axes.set_title(f"{row['case']}, {each['projection']}", fontsize=8)
            axes.tick_params(labelsize=6)
            for spine in axes.spines.values():  # the outline of the CT volume
                spine.set_visible(True)
    bar = canvas.colorbar(drawn, ax=every, shrink=0.6)
    bar.set_label("Seconds on screen, a reading")


HOW: dict[str, Draw] = {
    "dwell": dwell,
    "roc": roc,
    "subgroups": subgroups,
    "paired": paired,
    "forest": forest,
    "time": time,
    "switches": switches,
    "calibration": calibration,
    "decision_curve": decision_curve,
    "concordance": concordance,
}
