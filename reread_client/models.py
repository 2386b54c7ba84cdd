"""What a site says, as values: the parts of its description that a client needs.

What a newer site says besides is left out, so that an older client goes on working.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Self

PatientPoint = tuple[float, float, float]  # LPS millimetres


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
    if kind == PatientPoint:
        x, y, z = value
        return (x, y, z)
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
class Case(_Said):
    """A case, by the pseudonym `case`; how many series and nodules it has."""

    id: int
    case: str
    subject: str
    training: bool
    series: int
    slices: int | None
    nodules: int


@dataclass(frozen=True)
class Nodule(_Said):
    """A nodule of a case, in a series of it; `ai` is none, wanted, done or failed."""

    id: int
    case: str
    series: int
    number: int
    label: str
    centre_mm: PatientPoint
    diameter_mm: float | None
    ai: str


@dataclass(frozen=True)
class Listed(_Said):
    """How many nodules a list adds, by case, and which of its lines cannot be used."""

    added: Mapping[str, int]
    problems: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Examination:
    """An examination of an archive, as it is called there; its series by UID, in words."""

    uid: str
    patient: str
    date: str
    series: Mapping[str, str]

    @classmethod
    def from_site(cls, said: Mapping[str, Any]) -> Self:
        """Make it of a JSON object of the site."""
        series = {each["uid"]: each["description"] for each in said["series"]}
        return cls(said["uid"], said["patient"], said["date"], series)


@dataclass(frozen=True)
class TruthRoom:
    """How many nodules have a reference standard; how many each of the panel has read."""

    nodules: int
    known: int
    read: Mapping[str, int]
    rules: Mapping[str, Any] | None  # of the panel, with its form, if there is one

    @classmethod
    def from_site(cls, said: Mapping[str, Any]) -> Self:
        """Make it of a JSON object of the site."""
        read = {each["pseudonym"]: each["read"] for each in said["panel"]}
        return cls(said["nodules"], said["known"], read, said["rules"])


@dataclass(frozen=True)
class PanelTask(_Said):
    """A nodule in the list of a member of the panel."""

    id: int
    case: str
    number: int
    read_at: datetime | None
    to_adjudicate: bool


@dataclass(frozen=True)
class PanelNodule(PanelTask):
    """A nodule to be read; `said` is what the others said, for whoever may decide on it.

    `series` says where its images are.
    """

    centre_mm: PatientPoint
    diameter_mm: float | None
    series: Mapping[str, Any]
    said: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Place(_Said):
    """One reading of the schedule, and how far it is."""

    reader: str
    case: str
    session: int
    position: int
    arm: str
    repeat: bool
    stage: str
    opened_at: datetime | None
    submitted_at: datetime | None


@dataclass(frozen=True)
class Deviation(_Said):
    """Something that did not go as the protocol says; `review` is what was made of it."""

    id: int
    kind: str
    reader: str | None
    session: int | None
    position: int | None
    detail: Mapping[str, Any]
    at: datetime
    review: Mapping[str, Any] | None


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
