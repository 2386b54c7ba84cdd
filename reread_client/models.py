"""What a site says, as values: the parts of its description that a client needs.

What a newer site says besides is left out, so that an older client goes on working.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Self


@dataclass(frozen=True)
class _Said:
    @classmethod
    def from_site(cls, said: Mapping[str, Any]) -> Self:
        """Make it of a JSON object of the site."""
        return cls(**{each.name: _read(each.type, said[each.name]) for each in fields(cls)})


def _read(kind: Any, value: Any) -> Any:
    """Read a time or a date, if it is to be one."""
    if isinstance(value, str) and kind in (datetime, datetime | None):
        return datetime.fromisoformat(value)
    if isinstance(value, str) and kind is date:
        return date.fromisoformat(value)
    return value


@dataclass(frozen=True)
class Study(_Said):
    """A study: its name in addresses, its title, and how far it is."""

    name: str
    title: str
    protocol_hash: str
    created_at: datetime
    allocated_at: datetime | None
    opened_at: datetime | None
    locked_at: datetime | None


@dataclass(frozen=True)
class Checklist:
    """What a study needs before it can open; `missing` in words."""

    can_open: bool
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Plan(_Said):
    """What a protocol comes to; `made_up` where the study has no readers or cases yet."""

    made_up: bool
    readers: int
    cases: int
    readings: int
    last_day: date


@dataclass(frozen=True)
class Import(_Said):
    """An import, and how far it is: `done` of `of` files have been dealt with."""

    id: int
    source: str
    origin: str
    state: str
    step: str
    done: int
    of: int
    detail: str
    asked_at: datetime
    ended_at: datetime | None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.ended_at is not None


@dataclass(frozen=True)
class Member(_Said):
    """A member of a study, by pseudonym."""

    pseudonym: str
    role: str


@dataclass(frozen=True)
class Invited(Member):
    """A new member, and the link by which they choose a password if they have none yet."""

    link: str | None


@dataclass(frozen=True)
class ReaderProgress:
    """How many of a reader's readings have ended, and when they will be done at their pace."""

    reader: str
    of: int
    ended: int
    ends_at: datetime | None


@dataclass(frozen=True)
class Progress:
    """How far a study is."""

    of: int
    submitted: int
    skipped: int
    readers: tuple[ReaderProgress, ...]

    @classmethod
    def from_site(cls, said: Mapping[str, Any]) -> Self:
        """Make it of what the site says."""
        readers = tuple(
            ReaderProgress(
                reader=each["reader"],
                of=sum(one["of"] for one in each["sessions"]),
                ended=sum(one["submitted"] + one["skipped"] for one in each["sessions"]),
                ends_at=_read(datetime, each["ends_at"]),
            )
            for each in said["readers"]
        )
        return cls(said["of"], said["submitted"], said["skipped"], readers)
