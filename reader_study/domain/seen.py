"""Which part of the images a reader had on screen, and for how long, from what the browser told.

A point is on screen while a slice, or a slab, through it is shown in a plane on screen: with the
page visible, the first image there, and the point within the edges of the pane. It is a point
of the current examination: images of an earlier one show another day's patient. What stays on
screen while nobody does anything counts up to a limit only: a slice left open is not looked at.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from reader_study.domain.clock import SECONDS, Happened, pages

# About as long as an eye rests on one place (Kundel HL, Nodine CF. Radiology 1975;116:527-532).
AT_LEAST_S = 0.3
# Half the depth within which a nodule of unknown size is on a slice.
USUAL_RADIUS_MM = 3.0

# A direction is of length 1; a plane is that to which it is nearest; what rises less is level.
UNIT_WITHIN = 1e-3
STEEPEST = 0.5
LEVEL = 1e-3

_NOTHING: Mapping[str, Any] = {
    "span_mm": None,
    "thickness_mm": 0.0,
    "series": None,
    "normal": None,
    "blank": False,
}

# Of x, y and z: across the screen, down the screen, and through it.
AXES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
# A pane shows a plane of the current examination, or (True) of an earlier one beside it.
Pane = tuple[str, bool]
_CURRENT: frozenset[Pane] = frozenset((plane, False) for plane in AXES)


class View(NamedTuple):
    """What one plane showed, by the clock of one loading of the page.

    `series` is which series it was, None where the browser did not say, as when cases had one;
    `prior` whether it is of an earlier examination. `centre_mm` is the middle of the pane in LPS
    millimetres, on the slice; `span_mm` how far the pane reaches across and down, None where the
    browser did not say; `thickness_mm` that of a slab, 0 for a slice. `normal` is the direction
    across the slice where the gantry was tilted, None where it is that of the plane.
    """

    page: str
    stage: str
    plane: str
    centre_mm: tuple[float, float, float]
    span_mm: tuple[float, float] | None
    thickness_mm: float
    series: int | None
    prior: bool
    from_ms: float
    until_ms: float
    normal: tuple[float, float, float] | None = None

    def shows(self, point: Sequence[float], radius_mm: float) -> bool:
        """Tell whether something of this size around `point` is on screen."""
        across, down, through = AXES[self.plane]
        depth = self.centre_mm[through] - point[through]
        if self.normal is not None:
            pairs = zip(self.normal, self.centre_mm, point, strict=True)
            depth = sum(n * (c - p) for n, c, p in pairs)
        if abs(depth) > radius_mm + self.thickness_mm / 2:
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


def displayed_s(
    shown: Iterable[View],
    point: Sequence[float],
    diameter_mm: float | None,
    series: Collection[int] | None = None,
) -> float:
    """Return for how long a nodule was on screen in at least one plane, in seconds.

    `series` are those in whose frame of reference the point is; None: every one of the current
    examination.
    """
    radius = USUAL_RADIUS_MM if diameter_mm is None else diameter_mm / 2
    times = sorted(
        (view.page, view.from_ms, view.until_ms)
        for view in shown
        if not view.prior
        and (series is None or view.series is None or view.series in series)
        and view.shows(point, radius)
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
        at = round(_position(view), 1)
        key = (view.stage, view.plane, at)
        found[key] = found.get(key, 0.0) + (view.until_ms - view.from_ms) / SECONDS
    return found


def _position(view: View) -> float:
    """Return where a slice meets the axis of its plane: the same wherever its pane is moved to."""
    through = AXES[view.plane][2]
    if view.normal is None:
        return view.centre_mm[through]
    pairs = zip(view.normal, view.centre_mm, strict=True)
    return sum(n * c for n, c in pairs) / view.normal[through]


def strips(view: View, number: int) -> Iterator[View]:
    """Cut a tilted view into upright ones that follow it like steps, `number` each way it rises."""
    across, down, through = AXES[view.plane]
    parts = [view]
    if view.normal is None or view.span_mm is None or not view.normal[through]:
        yield view
        return
    for side, axis in enumerate((across, down)):
        rise = -view.normal[axis] / view.normal[through]
        if abs(rise) < LEVEL:
            continue
        parts = [
            _strip(part, side, axis, rise, (n + 0.5) / number - 0.5, number)
            for part in parts
            for n in range(number)
        ]
    yield from (part._replace(normal=None) for part in parts)


def _strip(view: View, side: int, axis: int, rise: float, at: float, number: int) -> View:
    assert view.span_mm is not None
    centre, span = list(view.centre_mm), list(view.span_mm)
    off = at * span[side]
    centre[axis] += off
    centre[AXES[view.plane][2]] += rise * off
    span[side] /= number
    return view._replace(centre_mm=(centre[0], centre[1], centre[2]), span_mm=(span[0], span[1]))


def _of_a_page(events: list[Happened]) -> Iterator[View]:
    panes: dict[Pane, dict[str, Any]] = {}
    since: dict[Pane, float] = {}
    on_screen, visible, stage, now = _CURRENT, True, events[0].stage, 0.0

    def end(at_ms: float) -> Iterator[View]:
        for pane, begin in since.items():
            if at_ms > begin and not panes[pane]["blank"]:
                plane, prior = pane
                shown = {name: value for name, value in panes[pane].items() if name != "blank"}
                yield View(
                    events[0].page,
                    stage,
                    plane,
                    **shown,
                    prior=prior,
                    from_ms=begin,
                    until_ms=at_ms,
                )
        since.clear()

    for event in events:
        now = event.monotonic_ms
        change = _change(event, panes)
        turned = event.kind in {"hidden", "visible", "layout", "context_lost", "context_restored"}
        if change is None and not turned and event.stage == stage:
            continue
        yield from end(now)
        stage = event.stage
        if change is not None:
            panes[change[0]] = change[1]
        elif event.kind in {"hidden", "context_lost"}:
            visible = False
        elif event.kind in {"visible", "context_restored"}:
            visible = True
        elif event.kind == "layout":
            on_screen = _panes_of(event)
        if visible:
            since.update({pane: now for pane in panes if pane in on_screen})
    yield from end(now)


def _panes_of(event: Happened) -> frozenset[Pane]:
    match event.data.get("layout"):
        case "axial":
            return frozenset({("axial", False)})
        case "compare":
            plane = str(event.data.get("plane", "axial"))
            return frozenset({(plane, False), (plane, True)})
        case _:
            return _CURRENT


def _change(
    event: Happened, panes: Mapping[Pane, dict[str, Any]]
) -> tuple[Pane, dict[str, Any]] | None:
    """Return the pane that an event moves, and what it shows then; None if it moves none."""
    plane = event.data.get("plane")
    if not isinstance(plane, str) or plane not in AXES:
        return None  # what a browser tells is not ours to trust
    pane = (plane, event.data.get("prior") is True)
    before = panes.get(pane, _NOTHING)
    if event.kind == "slice":
        centre = _numbers(event.data.get("position_mm"), 3)
        if centre is not None:
            span = _numbers(event.data.get("span_mm"), 2)
            named = event.data.get("series")
            series = named if isinstance(named, int) and not isinstance(named, bool) else None
            where = {"centre_mm": centre, "span_mm": span, "normal": _normal(event, plane)}
            blank = event.data.get("blank") is True  # slices are missing there
            return pane, {**before, **where, "series": series, "blank": blank}
    if event.kind == "slab" and "centre_mm" in before:
        slab = event.data.get("slab")
        thickness = slab.get("thickness_mm") if isinstance(slab, dict) else 0
        if isinstance(thickness, int | float):
            return pane, {**before, "thickness_mm": float(thickness)}
    return None


def _normal(event: Happened, plane: str) -> tuple[float, ...] | None:
    """Return the direction across a tilted slice, if a browser says one that can be."""
    said = _numbers(event.data.get("normal"), 3)
    if said is None or abs(sum(n * n for n in said) - 1) > UNIT_WITHIN:
        return None
    return said if abs(said[AXES[plane][2]]) > STEEPEST else None


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        return None
    return tuple(map(float, value))
