"""Changes of a protocol: what they are, and which of them a study can still take."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from reader_study.domain.analysis import question_of
from reader_study.domain.mistakes import Mistake, Place
from reader_study.domain.protocol import Protocol
from reader_study.domain.questionnaire import Question


class Phase(StrEnum):
    """How far a study was when a version of its protocol came."""

    DRAFT = "draft"  # nothing is dealt out
    ALLOCATED = "allocated"  # dealt out, and no reading has begun
    BEGUN = "begun"


# What may change once cases are dealt out; whatever is not named here may not.
AMENDABLE: frozenset[Place] = frozenset(
    {
        ("title",),
        ("summary",),
        ("opens",),
        ("questionnaire",),
        ("analysis",),
        ("conduct",),
        ("truth",),
        ("design", "washout_days"),
        ("ai", "when_inference_failed"),
    }
)
# What may change until the first reading begins.
AMENDABLE_UNREAD: frozenset[Place] = frozenset({("ai", "model")})


class Change(NamedTuple):
    """One difference between two protocols.

    `place` is where it is in the later one; what was taken out has the place of what held
    it. `what` names it, with questions and the like by their names instead of their numbers.
    """

    place: Place
    what: str
    kind: str  # added, removed, changed, moved
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        if self.kind == "changed" and not _is_part(self.before) and not _is_part(self.after):
            return f"{self.what}: {_shown(self.before)} → {_shown(self.after)}"
        return f"{self.what}: {self.kind}"


def changes(before: Protocol, after: Protocol) -> list[Change]:
    """Return what differs, in the order of the later protocol."""
    return list(_differ(before.model_dump(mode="json"), after.model_dump(mode="json"), (), ""))


def refused(before: Protocol, after: Protocol, phase: Phase) -> list[Mistake]:
    """Return which changes a study in `phase` cannot take, and why, with their places."""
    if phase is Phase.DRAFT:
        return []
    allowed = AMENDABLE | (AMENDABLE_UNREAD if phase is Phase.ALLOCATED else frozenset())
    found = []
    for change in changes(before, after):
        if any(change.place[: len(place)] == place for place in allowed):
            continue
        says = (
            "cannot change any more: readers have seen the AI of the other model"
            if change.place in AMENDABLE_UNREAD
            else "cannot change any more: the cases are dealt out by it"
        )
        found.append(Mistake(change.place, f"{says} ({change})"))
    if phase is Phase.BEGUN:
        found += _measured_otherwise(before, after)
    return found


def _measured_otherwise(before: Protocol, after: Protocol) -> Iterator[Mistake]:
    """Yield the endpoints whose ratings, given and to come, could not be analysed together."""
    for place, endpoint in _endpoints(after):
        old = question_of(before.questionnaire, endpoint.question)
        new = question_of(after.questionnaire, endpoint.question)
        if old is None or new is None:
            says = f"{endpoint.question!r} was not asked in the readings that have begun"
            yield Mistake((*place, "question"), says)
        elif (old[0], _answers(old[1])) != (new[0], _answers(new[1])):
            part, number = _place_of(after, endpoint.question)
            says = (
                "its answers cannot change any more: those given before could not be analysed"
                f" together with those to come ({endpoint.name})"
            )
            yield Mistake(("questionnaire", part, number), says)


def _endpoints(protocol: Protocol) -> Iterator[tuple[Place, Any]]:
    if protocol.analysis:
        yield ("analysis", "primary"), protocol.analysis.primary
        for number, endpoint in enumerate(protocol.analysis.secondary):
            yield ("analysis", "secondary", number), endpoint


def _answers(question: Question) -> Any:
    """What an answer can be, leaving its wording out."""
    ends = (question.scale.min, question.scale.max) if question.scale else None
    return question.kind, [option.value for option in question.options], ends, question.unit


def _place_of(protocol: Protocol, name: str) -> tuple[str, int]:
    for part, questions in (
        ("nodule", protocol.questionnaire.nodule),
        ("case", protocol.questionnaire.case),
    ):
        for number, question in enumerate(questions):
            if question.name == name:
                return part, number
    raise KeyError(name)


def _differ(before: Any, after: Any, place: Place, what: str) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*after, *(key for key in before if key not in after)]:
            inner = f"{what}.{key}" if what else str(key)
            if key not in after:
                yield Change(place or (key,), inner, "removed", before[key])
            elif key not in before:
                yield Change((*place, key), inner, "added", None, after[key])
            else:
                yield from _differ(before[key], after[key], (*place, key), inner)
        return
    names = _names(before), _names(after)
    if names[0] is not None and names[1] is not None and (names[0] or names[1]):
        yield from _differ_by_name(before, after, names[0], names[1], place, what)
        return
    yield Change(place, what, "changed", before, after)


def _differ_by_name(
    before: Sequence[Any],
    after: Sequence[Any],
    old: list[str],
    new: list[str],
    place: Place,
    what: str,
) -> Iterator[Change]:
    for number, name in enumerate(new):
        if name in old:
            inner = (*place, number)
            yield from _differ(before[old.index(name)], after[number], inner, f"{what}.{name}")
        else:
            yield Change((*place, number), f"{what}.{name}", "added", None, after[number])
    for name in old:
        if name not in new:
            yield Change(place, f"{what}.{name}", "removed", before[old.index(name)])
    kept = [name for name in old if name in new]
    if kept != [name for name in new if name in old]:
        yield Change(place, what, "moved", old, new)


def _names(value: Any) -> list[str] | None:
    """Return the names by which the members of a list are known; None if they have none."""
    if not isinstance(value, list):
        return None
    for key in ("name", "value", "stage"):
        if all(isinstance(each, Mapping) and key in each for each in value):
            names = [str(each[key]) for each in value]
            return names if len(set(names)) == len(names) else None
    return None


def _is_part(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)
