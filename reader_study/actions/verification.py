"""Whether what a study recorded is still as it was recorded, with all that follows from it.

Reads only: one pass over the chain in its order, some records at a time.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from reader_study.actions.prediction import bundle_hash
from reader_study.domain.answers import each_answer
from reader_study.domain.chain import content_hash, first_link, next_link
from reader_study.domain.protocol import document_hash
from reader_study.models import (
    Answer,
    Chain,
    DatabaseLock,
    Mark,
    Prediction,
    ProtocolVersion,
    Rating,
    Record,
    Study,
    Unlock,
)
from reader_study.models.record import AFTER_LOCK, CONTENTS, contents_query
from reader_study.models.signature import wrong_signatures

AT_ONCE = 1000
BUNDLES_AT_ONCE = 100

Progress = Callable[[str, int, int], None]


class Broken(NamedTuple):
    """Something that is not as it was recorded; `number` is its place in the chain, if any."""

    number: int | None
    kind: str
    row_id: int | None
    problem: str

    def __str__(self) -> str:
        row = self.kind if self.row_id is None else f"{self.kind} {self.row_id}"
        place = "" if self.number is None else f" (record {self.number})"
        return f"{row}{place}: {self.problem}"


class Verification(NamedTuple):
    """How many records of each kind hold, the link of the last, and what is broken first.

    Of the kinds in `unseen` the links were followed, and the rows not looked at: whoever asked
    has no right to see them.
    """

    counts: dict[str, int]
    length: int
    head: bytes
    broken: Broken | None
    unseen: frozenset[str] = frozenset()


class _Found(Exception):
    """Ends the pass at the first broken row."""

    def __init__(self, number: int | None, kind: str, row_id: int | None, problem: str) -> None:
        super().__init__(problem)
        self.broken = Broken(number, kind, row_id, problem)


def _silent(what: str, done: int, of: int) -> None:
    """Show nothing."""


def verify_study(
    study: Study, *, noted: bytes | None = None, progress: Progress = _silent
) -> Verification:
    """Check the chain of `study` and what is derived from its rows, up to what is broken.

    `noted` is a head that was written down before: a chain that was made anew does not hold
    it. Memory does not grow with the study. What is recorded meanwhile does not disturb.
    """
    nested = connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            if not nested:
                cursor.execute("set transaction isolation level repeatable read read only")
            cursor.execute("set local timezone = 'UTC'")
            cursor.execute("set local extra_float_digits = 1")
        run = _Pass(Study.objects.get(pk=study.pk), noted, progress)
        try:
            run.everything()
        except _Found as found:
            return Verification(dict(run.counts), run.number, run.link, found.broken, run.unseen)
    return Verification(dict(run.counts), run.number, run.link, None, run.unseen)


class _Pass:
    """One pass over the chain of one study; `number` and `link` are of the last record."""

    def __init__(self, study: Study, noted: bytes | None, progress: Progress) -> None:
        self.study = study
        self.noted = noted
        self.progress = progress
        self.number = 0
        self.link = first_link(study.pk)
        self.met = noted is None
        self.counts: Counter[str] = Counter()
        self.locked = False
        # The role that serves readers cannot see what is of the truth: it follows their links.
        self.unseen = _unreadable_kinds()

    def everything(self) -> None:
        """Raise `_Found` at the first thing that is broken."""
        self._protocol()
        self._chain()
        self._unrecorded()
        self._readings()

    def _protocol(self) -> None:
        """Look for a protocol that is not the last of its versions, or has not its hash."""
        last = None
        for number, last in enumerate(ProtocolVersion.objects.filter(study=self.study), start=1):
            if last.number != number:
                raise _Found(None, "protocol", last.pk, f"the version {number} is missing")
            if document_hash(last.protocol) != last.hash:
                problem = "it does not have the hash that it was put in force with"
                raise _Found(None, "protocol", last.pk, problem)
        in_force = (self.study.protocol, self.study.protocol_hash)
        if last is None or in_force != (last.protocol, last.hash):
            problem = "its protocol is not the last of its versions"
            raise _Found(None, "study", self.study.pk, problem)

    def _chain(self) -> None:
        head = Chain.objects.filter(study=self.study).first()
        length = head.length if head else 0
        records = Record.objects.filter(study=self.study).order_by("number").iterator(AT_ONCE)
        for batch in _batches(records, AT_ONCE):
            self._records(batch)
            self.progress("records", self.number, length)
        if head is not None and (head.length, bytes(head.head)) != (self.number, self.link):
            problem = (
                f"it ends with record {self.number}, and its head is that of record {length}: "
                "records were taken from its end, or put there"
            )
            raise _Found(None, "chain", None, problem)
        if not self.met:
            problem = "it does not hold the head that was noted down: it was made anew since"
            raise _Found(None, "chain", None, problem)

    def _records(self, batch: Sequence[Record]) -> None:
        ids: dict[tuple[str, int], list[int]] = {}
        for record in batch:
            ids.setdefault((record.kind, record.version), []).append(record.row_id)
        rows = {}
        problems: dict[tuple[str, int], str] = {}
        for (kind, version), wanted in ids.items():
            if (kind, version) not in CONTENTS:
                problem = f"nothing is known of {kind} records of version {version}"
                raise _Found(self.number + 1, "chain", None, problem)
            if kind in self.unseen:
                continue
            found = _contents(kind, version, wanted)
            for row_id, what in self._derived(kind, wanted, found):
                problems[kind, row_id] = what
            rows[kind, version] = found
        for record in batch:
            if record.kind not in self.unseen:
                self._row(record, rows[record.kind, record.version].get(record.row_id))
            self._record(record)
            if wrong := problems.get((record.kind, record.row_id)):
                raise _Found(record.number, record.kind, record.row_id, wrong)
            self.counts[record.kind] += 1

    def _row(self, record: Record, row: tuple[int, str] | None) -> None:
        """Hold a row, as it is now, against its record."""
        place = (record.number, record.kind, record.row_id)
        if record.number != self.number + 1:
            raise _Found(self.number + 1, "chain", None, "this record is missing")
        if row is None:
            raise _Found(*place, "the row was recorded and is not there")
        study, content = row
        if study != self.study.pk:
            raise _Found(*place, "the row belongs to another study now")
        if content_hash(content) != bytes(record.content):
            problem = f"its content is not what was recorded; now it is {_short(content)}"
            raise _Found(*place, problem)

    def _record(self, record: Record) -> None:
        """Follow the chain by one record."""
        place = (record.number, record.kind, record.row_id)
        if record.number != self.number + 1:
            raise _Found(self.number + 1, "chain", None, "this record is missing")
        if self.locked and record.kind not in AFTER_LOCK:
            raise _Found(*place, "it was recorded after the database was locked")
        if record.kind == "database_lock":
            self._lock(record)
        link = next_link(self.link, bytes(record.content))
        if link != bytes(record.link):
            raise _Found(*place, "its link does not follow from the records before it")
        self.number, self.link = record.number, link
        self.met |= link == self.noted

    def _lock(self, record: Record) -> None:
        """Hold the lock against the chain it closes."""
        lock = DatabaseLock.objects.get(pk=record.row_id)
        if (lock.records, lock.head) != (self.number, self.link.hex()):
            problem = "the chain before it is not the one that was locked"
            raise _Found(record.number, record.kind, record.row_id, problem)
        self.locked = True

    # What follows from a row, and is stored beside it.

    def _derived(
        self, kind: str, ids: list[int], rows: dict[int, tuple[int, str]]
    ) -> Iterator[tuple[int, str]]:
        """Yield the rows from which something does not follow, and what."""
        match kind:
            case "answer":
                return self._answers(ids)
            case "prediction":
                return _predictions(ids)
            case "event":
                return _events(rows)
            case "signature":
                problem = "it does not sign what was recorded before it"
                return ((row_id, problem) for row_id in wrong_signatures(ids))
        return iter(())

    def _answers(self, ids: list[int]) -> Iterator[tuple[int, str]]:
        ratings: dict[int, list[str]] = {row_id: [] for row_id in ids}
        for answer_id, *rating in Rating.objects.filter(answer__in=ids).values_list(
            "answer_id", "nodule_id", "mark__key", "question", "cannot_assess", "value"
        ):
            ratings[answer_id].append(json.dumps(rating, default=str))
        marks: dict[int, list[str]] = {row_id: [] for row_id in ids}
        for answer_id, *mark in Mark.objects.filter(answer__in=ids).values_list(
            "answer_id", "number", "key", "series_id", "x", "y", "z"
        ):
            marks[answer_id].append(json.dumps(mark, default=str))
        revisions = Answer.objects.filter(pk__in=ids, revision__gt=1).exclude(
            Exists(
                Unlock.objects.filter(
                    reading=OuterRef("reading"),
                    stage=OuterRef("stage"),
                    revision=OuterRef("revision") - 1,
                )
            )
        )
        for row_id in revisions.values_list("pk", flat=True):
            yield row_id, "it replaces an answer that was never unlocked"
        forms = Answer.objects.filter(pk__in=ids).values_list(
            "pk", "answers", "protocol_hash", "reading__version__hash"
        )
        for row_id, form, protocol_hash, begun_under in forms:
            wanted = [
                json.dumps([nodule and int(nodule), mark, question, cannot_assess, value])
                for nodule, question, value, cannot_assess, mark in each_answer(form)
            ]
            placed = [
                json.dumps([number, mark["id"], mark["series"], *map(float, mark["point_mm"])])
                for number, mark in enumerate(form.get("marks", []), start=1)
            ]
            if sorted(wanted) != sorted(ratings[row_id]):
                yield row_id, "its ratings are not those of the form that was sent"
            elif sorted(placed) != sorted(marks[row_id]):
                yield row_id, "its marks are not those of the form that was sent"
            elif protocol_hash != begun_under:
                yield row_id, "it was given under another protocol than its reading began under"

    # What no record leads to.

    def _unrecorded(self) -> None:
        """Look for rows that were put in without being recorded."""
        contents = {kind: content for (kind, _), content in CONTENTS.items()}
        for kind, content in contents.items():
            if kind in self.unseen:
                continue
            query = (
                f"select min(t.id) from {content.source} where {content.study} = %s "  # noqa: S608
                "and not exists (select from reader_study_record k "
                "where k.study_id = %s and k.kind = %s and k.row_id = t.id)"
            )
            with connection.cursor() as cursor:
                cursor.execute(query, [self.study.pk, self.study.pk, kind])
                (row_id,) = cursor.fetchone() or (None,)
            if row_id is not None:
                raise _Found(None, kind, row_id, "the row is there and was never recorded")

    def _readings(self) -> None:
        """Look for readings whose stage does not follow from the steps that were recorded."""
        with connection.cursor() as cursor:
            cursor.execute(_STAGES, [self.study.pk])
            wrong = cursor.fetchone()
        if wrong is not None:
            row_id, stage, recorded, same_protocol = wrong
            problem = (
                f"it is {stage}, and by the steps that were recorded it is {recorded}"
                if stage != recorded
                else "it was not submitted at the time its last answer was locked"
                if same_protocol
                else "its version of the protocol is not the one that was recorded as it began"
            )
            raise _Found(None, "reading", row_id, problem)


# The site's own events have no monotonic time; nobody else can tell of a step.
_STAGES = """
select r.id, r.stage, coalesce(e.after, 'assigned'), not o.differs
from reader_study_reading r
join reader_study_membership m on m.id = r.reader_id
left join reader_study_protocolversion v on v.id = r.version_id
cross join lateral (
    select exists (select from reader_study_event e
        where e.reading_id = r.id and e.monotonic_ms is null and e.kind = 'opened'
        and (v.study_id <> m.study_id or e.data->>'protocol' <> v.hash)) as differs
) o
left join lateral (
    select case e.kind
        when 'opened' then e.stage when 'unlocked' then e.stage
        when 'lock_unaided' then 'aided' else 'submitted' end as after
    from reader_study_event e
    where e.reading_id = r.id and e.monotonic_ms is null
        and e.kind in ('opened', 'lock_unaided', 'submit', 'unlocked')
    order by e.id desc limit 1
) e on true
where m.study_id = %s and (
    r.stage <> coalesce(e.after, 'assigned')
    or o.differs
    or r.submitted_at is distinct from (
        select max(a.locked_at) from reader_study_answer a
        where a.reading_id = r.id and r.stage = 'submitted')
)
order by r.id limit 1
"""


def _unreadable_kinds() -> frozenset[str]:
    """Return the kinds whose rows the role that is logged in has no right to read."""
    tables = {kind: content.source.split()[0] for (kind, _), content in CONTENTS.items()}
    with connection.cursor() as cursor:
        cursor.execute(
            "select kind from unnest(%s::text[], %s::text[]) as t (kind, name) "
            "where not has_table_privilege(current_user, name, 'select')",
            [list(tables), list(tables.values())],
        )
        return frozenset(kind for (kind,) in cursor)


def _contents(kind: str, version: int, ids: list[int]) -> dict[int, tuple[int, str]]:
    """Return study and canonical content of rows as they are now, by id."""
    with connection.cursor() as cursor:
        cursor.execute(contents_query(kind, version), [ids])
        return {row_id: (study, text) for row_id, study, text in cursor}


def _predictions(ids: list[int]) -> Iterator[tuple[int, str]]:
    stored = Prediction.objects.filter(pk__in=ids)
    for prediction in stored.iterator(BUNDLES_AT_ONCE):
        bundle = prediction.bundle
        said = (prediction.probability, prediction.probability_raw)
        if bundle_hash(bundle) != prediction.bundle_hash:
            yield prediction.pk, "its bundle does not have the hash it was stored with"
        elif said != (bundle["probability"], bundle["probability_raw"]):
            yield prediction.pk, "its probability is not that of its bundle"


def _events(rows: dict[int, tuple[int, str]]) -> Iterator[tuple[int, str]]:
    sent: dict[int, set[str]] = {}
    for row_id, (_, content) in rows.items():
        if '"ai_sent"' in content:  # parsing all of them would take most of the time
            data = next(part for part in json.loads(content) if isinstance(part, dict))
            sent[row_id] = set(data.get("bundles", {}).values())
    hashes = set[str]().union(*sent.values())
    stored = Prediction.objects.filter(bundle_hash__in=hashes).values_list("bundle_hash", flat=True)
    unknown = hashes - set(stored)
    for row_id, bundles in sent.items():
        if bundles & unknown:
            yield row_id, "it says that a prediction was shown that is not stored"


def _short(content: str) -> str:
    return content if len(content) <= 300 else f"{content[:300]}..."


def _batches(items: Iterable[Record], size: int) -> Iterator[list[Record]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
