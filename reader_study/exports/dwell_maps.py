"""Where in a case the readers' screens dwelt, as maps: seconds on screen, seen from three sides."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reader_study.domain.design import TRAINING
from reader_study.domain.seen import AXES, View, strips, views
from reader_study.exports.columns import Column
from reader_study.exports.events import IDLE_AFTER_S, happened, readings_told
from reader_study.models import Series, Study

# Of a map, each way: about 12 mm of a chest. So a case takes a few kilobytes.
CELLS = 24

DWELL_MAPS = (
    Column("study", "text", "the study's name in addresses"),
    Column("case", "text", "the case's pseudonym"),
    Column("arm", "text", "the arm its readings belong to"),
    Column("stage", "text", "unaided: before the lock, without AI; aided: with AI in view"),
    Column("readings", "integer", "readings whose times are added up; repeats are not"),
    Column("projection", "text", "the side it is seen from: axial, coronal or sagittal"),
    Column("left_mm", "number", "where the CT volume ends: along x, sagittal along y (LPS)"),
    Column("right_mm", "number", "likewise"),
    Column("top_mm", "number", "where the CT volume ends: along z, axial along y (LPS)"),
    Column("bottom_mm", "number", "likewise"),
    Column(
        "seconds",
        "numbers",
        f"{CELLS} rows of {CELLS} cells from the top left: for how long what lies there was on "
        "screen, on average over its depth; planes that show it together count each",
    ),
)

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
Map = NDArray[np.float64]  # (CELLS, CELLS), the first row on top


class _Case(NamedTuple):
    box: Box  # lowest and highest x, y and z
    step_mm: tuple[float, float, float]  # how thick a slice is along x, y and z
    series: frozenset[int]


def dwell_map_rows(study: Study, longest_s: float = IDLE_AFTER_S) -> Iterator[list[Any]]:
    """Yield three maps per case, arm and stage, the times of all readings added up."""
    cases = _cases(study)
    sums: dict[tuple[str, str, str], dict[str, Map]] = {}
    read: dict[tuple[str, str, str], int] = {}
    boxes: dict[str, Box] = {}
    for reading, events in readings_told(study):
        case = cases.get(reading.case_id)
        if case is None or reading.session == TRAINING or reading.repeat:
            continue
        of_stage: dict[str, list[View]] = {}
        for view in views(map(happened, events), longest_s=longest_s):
            of_stage.setdefault(view.stage, []).append(view)
        for stage, shown in of_stage.items():
            key = (reading.case.pseudonym, reading.arm, stage)
            read[key] = read.get(key, 0) + 1
            boxes[reading.case.pseudonym] = case.box
            maps = sums.setdefault(key, {plane: np.zeros((CELLS, CELLS)) for plane in AXES})
            for plane, added in dwell_maps(shown, case.box, case.step_mm, case.series).items():
                maps[plane] += added
    for key, maps in sorted(sums.items()):
        for plane, seconds in maps.items():
            across, down, _ = AXES[plane]
            box = boxes[key[0]]
            top, bottom = box[down] if plane == "axial" else reversed(box[down])
            ends = [f"{end:.1f}" for end in (*box[across], top, bottom)]
            cells = " ".join(f"{value:.2f}".rstrip("0").rstrip(".") for value in seconds.flat)
            yield [study.slug, *key, read[key], plane, *ends, cells]


def dwell_maps(
    shown: Iterable[View],
    box: Box,
    step_mm: tuple[float, float, float],
    series: frozenset[int] | None = None,
) -> dict[str, Map]:
    """Return for how long what lies in each cell was on screen, in seconds, from three sides.

    A view shows a slab of patient space: as thick as its slab or, for a slice, as `step_mm`
    says, and as wide as its pane. Over the depth of a projection the time is averaged, so that
    what was on screen throughout has the whole of it. Planes that show a place together
    count each. Views of an earlier examination, or of other series than `series`, count nowhere.
    """
    maps = {plane: np.zeros((CELLS, CELLS)) for plane in AXES}
    for view in (part for one in shown for part in strips(one, CELLS)):
        if view.prior or (series and view.series is not None and view.series not in series):
            continue
        across, down, through = AXES[view.plane]
        thick = max(view.thickness_mm, step_mm[through])
        widths = {through: thick}
        if view.span_mm is not None:
            widths |= dict(zip((across, down), view.span_mm, strict=True))
        parts, depth = [], []
        for axis, (low, high) in enumerate(box):
            edges = np.linspace(low, high, CELLS + 1)
            half = widths.get(axis, 2 * (high - low)) / 2
            begin, end = view.centre_mm[axis] - half, view.centre_mm[axis] + half
            covered = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin), 0, None)
            parts.append(covered * CELLS / (high - low))
            depth.append(float(covered.sum()) / (high - low))
        seconds = (view.until_ms - view.from_ms) / 1000
        for plane, (right, below, deep) in AXES.items():
            # Rows go down: to the back in axial maps, to the feet in the others.
            rows = parts[below] if plane == "axial" else parts[below][::-1]
            maps[plane] += seconds * depth[deep] * np.outer(rows, parts[right])
    return maps


def _cases(study: Study) -> Mapping[int, _Case]:
    """Return where the volume of each case lies; not of one whose import did not measure it."""
    found: dict[int, _Case] = {}
    for one in Series.objects.filter(case__study=study).current():
        if one.volume is None:
            continue
        volume = one.volume
        first, axes = np.array(volume.first), np.array(volume.axes)
        steps, lengths = np.array(volume.steps_mm), np.array(volume.lengths_mm)
        if volume.counts[2] == 1:  # as thick as it is
            first = first - axes[2] * steps[2] / 2
            lengths[2] = steps[2]
        sides = axes * lengths[:, None]
        corners = [
            first + sum((sides[i] for i in range(3) if corner >> i & 1), np.zeros(3))
            for corner in range(8)
        ]
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        thick = np.abs(axes.T) @ steps
        box = tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))
        if min(b - a for a, b in box) <= 0:
            continue
        before = found.get(one.case_id)
        if before is None:
            found[one.case_id] = _Case(box, tuple(map(float, thick)), frozenset({one.pk}))  # type: ignore[arg-type]
        else:
            found[one.case_id] = before._replace(series=before.series | {one.pk})
    return found
