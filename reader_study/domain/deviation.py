"""What departs from the protocol or endangers it, and is recorded by the site itself."""

from enum import StrEnum


class Kind(StrEnum):
    """What departed; the text says it in the list of a study's deviations."""

    EARLY_OPENING = "early_opening"
    WASHOUT = "washout_overridden"
    SKIP = "skip"
    UNLOCK = "unlock"
    OUT_OF_ORDER = "out_of_order"
    SITTING = "sitting_too_long"
    BREAK = "break_not_kept"
    INFERENCE = "inference_failed"
    TWO_PAGES = "two_pages"
    CLOCK = "browser_clock"
    OPEN_AT_LOCK = "open_at_lock"
    AMENDMENT = "amendment"


WORDS = {
    Kind.EARLY_OPENING: "A reading was let begin before its session",
    Kind.WASHOUT: "A reading was let begin before the washout of its case was over",
    Kind.SKIP: "A reading was skipped",
    Kind.UNLOCK: "The last answer of a submitted reading was reopened",
    Kind.OUT_OF_ORDER: "A reading was begun before those ahead of it had ended",
    Kind.SITTING: "Reading went on without a break for longer than the protocol allows",
    Kind.BREAK: "The break that was due was not kept",
    Kind.INFERENCE: "The AI had no result when it was to be shown",
    Kind.TWO_PAGES: "A reading was open in two pages at once",
    Kind.CLOCK: "The browser's clock says that the page was there before the reading was begun",
    Kind.OPEN_AT_LOCK: "The database was locked with something open",
    Kind.AMENDMENT: "The protocol was amended after the first reading",
}
