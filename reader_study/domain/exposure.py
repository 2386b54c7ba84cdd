"""The exposure ledger: which AI artefact was on a reader's screen, from when to when."""

from collections.abc import Iterable
from typing import NamedTuple

from reader_study.domain.clock import Happened, pages


class Exposure(NamedTuple):
    """One artefact of one nodule on screen, by the clock of one loading of the page.

    `ended` is false where nobody told of the end, as when the browser was killed: `until_ms`
    is then the last that is known of the page.
    """

    page: str
    stage: str
    nodule: int
    artefact: str
    from_ms: float
    until_ms: float
    ended: bool


def exposures(events: Iterable[Happened]) -> list[Exposure]:
    """Return the exposures of a reading, page by page, in the order in which they began."""
    return [exposure for happened in pages(events).values() for exposure in _of_a_page(happened)]


def _of_a_page(events: list[Happened]) -> list[Exposure]:
    on_screen: dict[tuple[object, object], Happened] = {}
    found = []

    def end(shown: Happened, until_ms: float, *, ended: bool) -> None:
        nodule, artefact = shown.data["nodule"], shown.data["artefact"]
        found.append(
            Exposure(
                *(shown.page, shown.stage, nodule, artefact, shown.monotonic_ms, until_ms, ended)
            )
        )

    for event in events:
        if event.kind not in {"ai_shown", "ai_hidden"}:
            continue
        what = (event.data.get("nodule"), event.data.get("artefact"))
        if not isinstance(what[0], int) or not isinstance(what[1], str):
            continue  # what a browser tells is not ours to trust
        if event.kind == "ai_shown":
            on_screen.setdefault(what, event)
        elif what in on_screen:
            end(on_screen.pop(what), event.monotonic_ms, ended=True)
    for shown in on_screen.values():
        end(shown, events[-1].monotonic_ms, ended=False)
    return sorted(found, key=lambda e: (e.from_ms, e.nodule, e.artefact))
