"""Reading time, derived from what the browser told, with a threshold that can be chosen later."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# What comes about without the reader, so that it is no sign of one. Anything else is, unless its
# data say that it is automatic.
NO_SIGN = frozenset(
    {
        *("series_loaded", "prior_loaded", "images_unavailable"),
        *("ai_shown", "ai_hidden", "hidden"),
        *("rendering", "context_lost", "context_restored", "events_lost"),
    }
)
SECONDS = 1000.0
# No page stays open for a year; what is larger would be no moment of any calendar.
LONGEST_PAGE_MS = 366 * 86_400_000.0


class Happened(NamedTuple):
    """One event as the browser told it.

    `monotonic_ms` is the clock of one loading of the page, `page`; clocks of two pages have
    nothing to do with each other.
    """

    key: str
    page: str
    kind: str
    stage: str
    monotonic_ms: float
    data: Mapping[str, Any]


def is_sign(event: Happened) -> bool:
    """Tell whether an event says that the reader is there."""
    return event.kind not in NO_SIGN and event.data.get("automatic") is not True


class Spent(NamedTuple):
    """Where the time of a reading went; together, the time its page was open."""

    active_s: float = 0
    idle_s: float = 0
    hidden_s: float = 0
    loading_s: float = 0

    def __add__(self, other: "Spent") -> "Spent":  # type: ignore[override]
        return Spent(*(mine + more for mine, more in zip(self, other, strict=True)))


class Part(NamedTuple):
    """A stage, and the nodule whose section of the form was open; None: the case's."""

    stage: str
    nodule: int | None


def pages(events: Iterable[Happened]) -> dict[str, list[Happened]]:
    """Return the events of each loading of the page in the order in which they happened.

    An event told twice counts once, whenever and in whatever order they arrived.
    """
    by_page: dict[str, dict[str, Happened]] = {}
    for event in events:
        by_page.setdefault(event.page, {})[event.key] = event
    return {
        page: sorted(by_page[page].values(), key=lambda e: (e.monotonic_ms, e.key))
        for page in sorted(by_page)
    }


def time_spent(events: Iterable[Happened], *, idle_after_s: float) -> dict[Part, Spent]:
    """Return where the time went, by stage and nodule.

    A reader is active for `idle_after_s` after each sign of activity, while the page is visible
    and its first image is there; longer silence is idle. Each moment counts for the stage
    and the section that were open at it, from the loading of the page to its last event.
    """
    spent: dict[Part, Spent] = {}
    for happened in pages(events).values():
        for part, time in _of_a_page(happened, idle_after_s * SECONDS):
            spent[part] = spent.get(part, Spent()) + time
    return spent


def _of_a_page(events: list[Happened], patience_ms: float) -> Iterable[tuple[Part, Spent]]:
    """Yield the time from each event of a page to the next, in order, and whose it is."""
    loading = any(event.kind == "first_image" for event in events)
    visible, playing = True, False
    nodule: int | None = None
    now = active_until = 0.0
    stage = events[0].stage
    for event in events:
        step = event.monotonic_ms - now
        active = min(step, max(0.0, active_until - now))
        if not visible:
            spent = Spent(hidden_s=step / SECONDS)
        elif loading:
            spent = Spent(loading_s=step / SECONDS)
        else:
            spent = Spent(active_s=active / SECONDS, idle_s=(step - active) / SECONDS)
        yield Part(stage, nodule), spent

        now, stage = event.monotonic_ms, event.stage
        match event.kind:
            case "first_image":
                loading = False
            case "hidden" | "visible":
                visible = event.kind == "visible"
            case "section" | "nodule_jump":
                said = event.data.get("nodule")
                nodule = said if isinstance(said, int) else None
            case "cine":
                playing = bool(event.data.get("playing"))
        # Slices that play by themselves are no sign of the reader either.
        if is_sign(event) and not (event.kind == "slice" and playing):
            active_until = now + patience_ms
