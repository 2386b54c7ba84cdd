"""How readings go, seen from the desk: their pace, when they will end, and what looks odd.

Nothing here knows a prediction or a truth: whoever watches learns nothing of accuracy.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from reader_study.domain.clock import SECONDS, Happened, is_sign, pages
from reader_study.domain.conduct import Quality

# The pace of a reader is that of their last days.
LOOKED_BACK = timedelta(days=14)
# So many readings make a median of a reader's own; with fewer, that of all readers stands in.
OWN_MEDIAN_FROM = 5
WEEK = timedelta(days=7)


class Oddity(StrEnum):
    """What looks odd about a reading."""

    TOO_FAST = "too_fast"
    SAME_ANSWERS = "same_answers"
    LONG_PAUSE = "long_pause"


def in_words(oddity: Oddity, limits: Quality) -> str:
    """Say when a reading has `oddity`."""
    match oddity:
        case Oddity.TOO_FAST:
            return f"less than {limits.min_active_seconds} s of active reading"
        case Oddity.SAME_ANSWERS:
            return f"the same ratings {limits.same_answers_in_a_row} times or more in a row"
        case Oddity.LONG_PAUSE:
            return f"nothing done on an open page for {limits.pause_minutes} min or more"


def longest_pause_s(events: Iterable[Happened]) -> float:
    """Return the longest time without a sign of the reader on an open page, in seconds.

    Hidden or visible makes no difference. Between two loadings of the page nothing is known.
    """
    longest = 0.0
    for happened in pages(events).values():
        times = [event.monotonic_ms for event in happened if is_sign(event)]
        gaps = (after - before for before, after in pairwise(times))
        longest = max(longest, max(gaps, default=0.0))
    return longest / SECONDS


def ratings_hash(answers: Mapping[str, Any], questions: Collection[str]) -> str:
    """Return a hash that two forms share when they say the same of their nodules and marks.

    Only `questions`, the choices and scales, are looked at: texts and measurements differ from
    case to case. A form that rates nothing has no hash: most cases of a search hold nothing.
    """
    subjects = [*answers.get("nodules", {}).values()]
    subjects += [mark.get("answers", {}) for mark in answers.get("marks", [])]
    rated = sorted(filter(None, (_said(each, questions) for each in subjects)), key=json.dumps)
    return hashlib.sha256(json.dumps(rated).encode()).hexdigest() if rated else ""


def _said(answers: Mapping[str, Any], questions: Collection[str]) -> list[Any]:
    """What a form says about one nodule, in the order of the questions' names."""
    said: list[Any] = []
    for question in sorted(set(answers) & set(questions)):
        value = answers[question].get("value")
        said.append([question, sorted(value) if isinstance(value, list) else value])
    return said


class SessionStand(NamedTuple):
    """How far a reader is in a session: what is left, and when something last ended."""

    left: int
    last_ended_at: datetime | None


def pace_per_week(recent: int, first_at: datetime | None, now: datetime) -> float | None:
    """Return readings a week, by those that ended within `LOOKED_BACK`.

    Who began within it is measured from then on, and from a day on at least. None: nothing
    ended, so that no pace is known.
    """
    if not recent or first_at is None:
        return None
    span = min(LOOKED_BACK, max(now - first_at, timedelta(days=1)))
    return recent / (span / WEEK)


def forecast_end(
    sessions: Sequence[SessionStand], per_week: float | None, washout_days: int, now: datetime
) -> datetime | None:
    """Return when a reader will be done at a steady pace; None where it is not known.

    Sessions follow each other. The last case of a session comes back no earlier than the
    washout after it was last read, so that the next one ends no earlier than that.
    """
    if not any(each.left for each in sessions):
        return max((each.last_ended_at for each in sessions if each.last_ended_at), default=None)
    if not per_week:
        return None
    end, before = now, None
    for each in sessions:
        if each.left:
            end += each.left / per_week * WEEK
            if before is not None:
                end = max(end, before + timedelta(days=washout_days))
            before = end
        else:
            before = each.last_ended_at
    return end


def hours_left(
    left: int, own_count: int, own_median_s: float | None, all_median_s: float | None
) -> float | None:
    """Return the active hours still to be read: what is left times the median of one reading.

    The median is the reader's own from `OWN_MEDIAN_FROM` readings on, and before that of all.
    """
    median = own_median_s if own_count >= OWN_MEDIAN_FROM else all_median_s
    return None if median is None else left * median / 3600
