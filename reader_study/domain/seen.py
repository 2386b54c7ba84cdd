"""Which part of the images a reader had on screen, and for how long, from what the browser told.

A point is on screen while a slice, or a slab, through it is shown in a plane on screen: with the
page visible, the first image there, and the point within the edges of the pane. What stays on
screen while nobody does anything counts up to a limit only: a slice left open is not looked at.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from reader_study.domain.clock import SECONDS, Happened, pages

# About as long as an eye rests on one place (Kundel HL, Nodine CF. Radiology 1975;116:527-532).
AT_LEAST_S = 0.3
# Half the depth within which a nodule of unknown size is on a slice.
USUAL_RADIUS_MM = 3.0

# Across the screen, down the screen, and through it.
_AXES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
_PLANES_OF = {"axial": {"axial"}}


class View(NamedTuple):
    """What one plane showed, by the clock of one loading of the page.

    `centre_mm` is the middle of the pane in LPS millimetres, on the slice; `span_mm` how far
    the pane reaches across and down, None where the browser did not say; `thickness_mm` that of
    a slab, 0 for a slice.
    """

    page: str
    stage: str
    plane: str
    centre_mm: tuple[float, float, float]
    span_mm: tuple[float, float] | None
    thickness_mm: float
    from_ms: float
    until_ms: float

    def shows(self, point: Sequence[float], radius_mm: float) -> bool:
        """Tell whether something of this size around `point` is on screen."""
        across, down, through = _AXES[self.plane]
        if abs(self.centre_mm[through] - point[through]) > radius_mm + self.thickness_mm / 2:
            return False
        return self.span_mm is None or all(
            abs(self.centre_mm[axis] - point[axis]) <= span / 2
            for axis, span in zip((across, down), self.span_mm, strict=True)
        )


class Seen(StrEnum):
    """What became of a nodule that was to be found."""

    NEVER_DISPLAYED = "never displayed"
    DISPLAYED = "displayed, not found"
    UNDER_RATED = "found, under-rated"
    FOUND = "found"


def verdict(
    displayed_s: float,
    *,
    marked: bool | None,
    rated_positive: bool,
    at_least_s: float = AT_LEAST_S,
) -> Seen:
    """Say what became of a true nodule.

    `marked` is None where nodules are pointed out to readers: one that was on screen then
    counts as found. What was marked has been on screen, whatever was told.
    """
    displayed = displayed_s >= at_least_s
    if marked or (marked is None and displayed):
        return Seen.FOUND if rated_positive else Seen.UNDER_RATED
    return Seen.DISPLAYED if displayed else Seen.NEVER_DISPLAYED


def views(events: Iterable[Happened], *, longest_s: float) -> list[View]:
    """Return what was on screen, each view up to `longest_s`, in the order in which it began."""
    found = [view for happened in pages(events).values() for view in _of_a_page(happened)]
    return [
        view._replace(until_ms=min(view.until_ms, view.from_ms + longest_s * SECONDS))
        for view in found
    ]


def displayed_s(shown: Iterable[View], point: Sequence[float], diameter_mm: float | None) -> float:
    """Return for how long a nodule was on screen in at least one plane, in seconds."""
    radius = USUAL_RADIUS_MM if diameter_mm is None else diameter_mm / 2
    times = sorted(
        (view.page, view.from_ms, view.until_ms) for view in shown if view.shows(point, radius)
    )
    total, page, until = 0.0, "", 0.0
    for on_page, begin, end in times:
        if on_page != page:
            page, until = on_page, 0.0
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total / SECONDS


def dwell(shown: Iterable[View]) -> dict[tuple[str, str, float], float]:
    """Return how long each slice was on screen, in seconds, by stage, plane and position.

    The position is that along the plane's normal, in millimetres to a tenth.
    """
    found: dict[tuple[str, str, float], float] = {}
    for view in shown:
        at = round(view.centre_mm[_AXES[view.plane][2]], 1)
        key = (view.stage, view.plane, at)
        found[key] = found.get(key, 0.0) + (view.until_ms - view.from_ms) / SECONDS
    return found


def _of_a_page(events: list[Happened]) -> Iterator[View]:
    planes: dict[str, dict[str, Any]] = {}
    since: dict[str, float] = {}
    on_screen, visible, stage, now = set(_AXES), True, events[0].stage, 0.0

    def end(at_ms: float) -> Iterator[View]:
        for plane, begin in since.items():
            if at_ms > begin:
                yield View(
                    events[0].page, stage, plane, **planes[plane], from_ms=begin, until_ms=at_ms
                )
        since.clear()

    for event in events:
        now = event.monotonic_ms
        change = _change(event, planes)
        turned = event.kind in {"hidden", "visible", "layout", "context_lost", "context_restored"}
        if change is None and not turned and event.stage == stage:
            continue
        yield from end(now)
        stage = event.stage
        if change is not None:
            planes[change[0]] = change[1]
        elif event.kind in {"hidden", "context_lost"}:
            visible = False
        elif event.kind in {"visible", "context_restored"}:
            visible = True
        elif event.kind == "layout":
            on_screen = _PLANES_OF.get(str(event.data.get("layout")), set(_AXES))
        if visible:
            since.update({plane: now for plane in planes if plane in on_screen})
    yield from end(now)


def _change(
    event: Happened, planes: Mapping[str, dict[str, Any]]
) -> tuple[str, dict[str, Any]] | None:
    """Return the plane that an event moves, and what it shows then; None if it moves none."""
    plane = event.data.get("plane")
    if not isinstance(plane, str) or plane not in _AXES:
        return None  # what a browser tells is not ours to trust
    before = planes.get(plane, {"span_mm": None, "thickness_mm": 0.0})
    if event.kind == "slice":
        centre = _numbers(event.data.get("position_mm"), 3)
        if centre is not None:
            span = _numbers(event.data.get("span_mm"), 2)
            return plane, {**before, "centre_mm": centre, "span_mm": span}
    if event.kind == "slab" and "centre_mm" in before:
        slab = event.data.get("slab")
        thickness = slab.get("thickness_mm") if isinstance(slab, dict) else 0
        if isinstance(thickness, int | float):
            return plane, {**before, "thickness_mm": float(thickness)}
    return None


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        return None
    return tuple(map(float, value))
