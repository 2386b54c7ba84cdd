"""The tables of a locked study's archive: all that was recorded, and the truth.

They are what results are computed from, on the site as by whoever has the archive.
"""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.models import Count, Min

from reader_study.domain.protocol import Protocol
from reader_study.exports.columns import ROWS_AT_ONCE, Column, text_of, time_of
from reader_study.exports.events import IDLE_AFTER_S
from reader_study.exports.tables import write_csv, write_tables
from reader_study.models import Case, Event, ModelVersion, Nodule, Reading, Record, Role, Study

ALLOCATION = (
    Column("reader", "text", "the reader's pseudonym"),
    Column("case", "text", "the case's pseudonym"),
    Column("session", "integer", "the session, from 1; 0: training"),
    Column("position", "integer", "order on the reader's worklist in this session, from 1"),
    Column("arm", "text", "the way of reading, as the protocol names it"),
    Column("repeat", "boolean", "true: the reader had read the case before, and was not told"),
    Column("stage", "text", "how far the reading came: assigned, unaided, aided or submitted"),
    Column("opened_at", "time, UTC", "when it was first opened"),
    Column("submitted_at", "time, UTC", "when it was submitted"),
)

NODULES = (
    Column("case", "text", "the case's pseudonym"),
    Column("nodule", "integer", "the nodule's number in its case"),
    Column("nodule_id", "integer", "the nodule in the whole study"),
    Column("subject", "text", "the patient's pseudonym"),
    Column("training", "boolean", "true: read for practice, and not counted"),
    Column("slices", "integer", "slices of its series"),
    Column("priors", "integer", "earlier examinations that came in with its case"),
    Column("prior_days", "integer", "days since the latest of them; empty: none, or not known"),
    Column("x", "number, mm", "its place in patient space (LPS)"),
    Column("y", "number, mm", "likewise"),
    Column("z", "number, mm", "likewise"),
    Column("diameter_mm", "number, mm", "as it was imported; empty: not known"),
)

REFERENCE = (
    Column("case", "text", "the case's pseudonym"),
    Column("nodule", "integer", "the nodule's number in its case"),
    Column("nodule_id", "integer", "the nodule in the whole study"),
    Column("truth", "text", "malignant or benign; empty: the source leaves it open"),
    Column("source", "text", "how it is known"),
    Column("detail", "JSON", "what the source says besides"),
    Column("loaded_at", "time, UTC", "when it was loaded"),
)

PANEL = (
    Column("case", "text", "the case's pseudonym"),
    Column("nodule", "integer", "the nodule's number in its case"),
    Column("nodule_id", "integer", "the nodule in the whole study"),
    Column("member", "text", "the pseudonym of who said it"),
    Column("part", "text", "read; or decision, where the panel did not agree"),
    Column("question", "text", "verdict, confidence, note, or the name of a question of its form"),
    Column("value", "JSON", "the answer; null: it cannot be assessed"),
    Column("at", "time, UTC", "when it was said, once and for all"),
)

EVENTS = (
    Column("reader", "text", "the reader's pseudonym"),
    Column("case", "text", "the case's pseudonym"),
    Column("session", "integer", "the session, from 1; 0: training"),
    Column("position", "integer", "order on the reader's worklist in this session, from 1"),
    Column("key", "text", "one event has one key, however often it was told"),
    Column("kind", "text", "what happened"),
    Column("stage", "text", "the stage in which it happened"),
    Column("monotonic_ms", "number, ms", "the browser's clock; empty: the site's own event"),
    Column("received_at", "time, UTC", "when the site had it"),
    Column("data", "JSON", "what belongs to it"),
)

RECORDS = (
    Column("number", "integer", "order in the chain, from 1"),
    Column("kind", "text", "what was recorded"),
    Column("version", "integer", "of the content of this kind"),
    Column("row_id", "integer", "the row that was recorded"),
    Column("content", "sha256", "of the row's canonical content"),
    Column("link", "sha256", "of the link before and of the content"),
)

TABLES = {
    "allocation": ALLOCATION,
    "nodules": NODULES,
    "reference": REFERENCE,
    "panel": PANEL,
    "events": EVENTS,
    "records": RECORDS,
}


def allocation_rows(study: Study) -> Iterator[list[Any]]:
    """Yield a row for each reading that was dealt out."""
    found = (
        Reading.objects.of_study(study)
        .select_related("reader", "case")
        .order_by("reader__pseudonym", "session", "position")
    )
    for each in found.iterator(ROWS_AT_ONCE):
        yield [
            *(each.reader.pseudonym, each.case.pseudonym, each.session, each.position, each.arm),
            *(text_of(each.repeat), each.stage, time_of(each.opened_at)),
            time_of(each.submitted_at),
        ]


def nodule_rows(study: Study) -> Iterator[list[Any]]:
    """Yield a row a nodule."""
    priors = {
        case: (count, days)
        for case, count, days in Case.objects.filter(study=study, series__prior=True).values_list(
            "pk", Count("series__study_uid", distinct=True), Min("series__days_before")
        )
    }
    for each in _nodules(study):
        case = each.series.case
        yield [
            *(case.pseudonym, each.number, each.pk, case.subject, text_of(case.training)),
            *(each.series.slices, *priors.get(case.pk, (0, None))),
            *(each.x, each.y, each.z, each.diameter_mm),
        ]


def reference_rows(study: Study) -> Iterator[list[Any]]:
    """Yield the truth of each nodule, by the function of the database that guards it.

    Raises:
        django.db.ProgrammingError: the study's database is not locked.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "select nodule, malignant, source, detail::text, loaded_at "
            "from reader_study_unsealed_reference(%s)",
            [study.pk],
        )
        truths = {row[0]: row[1:] for row in cursor}
    words = {True: "malignant", False: "benign", None: ""}
    for each in _nodules(study):
        if each.pk in truths:
            malignant, source, detail, loaded_at = truths[each.pk]
            place = [each.series.case.pseudonym, each.number, each.pk]
            yield [*place, words[malignant], source, detail, time_of(loaded_at)]


def panel_rows(study: Study) -> Iterator[list[Any]]:
    """Yield all that the truth panel answered, by the function of the database that guards it.

    Raises:
        django.db.ProgrammingError: the study's database is not locked.
    """
    said: dict[int, list[tuple[Any, ...]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "select nodule, member, part, verdict, confidence, note, answers::text, at "
            "from reread_unsealed_panel(%s)",
            [study.pk],
        )
        for row in cursor:
            said.setdefault(row[0], []).append(row[1:])
    for each in _nodules(study):
        place = [each.series.case.pseudonym, each.number, each.pk]
        for member, part, verdict, confidence, note, answers, at in said.get(each.pk, []):
            given = {"verdict": verdict, "confidence": confidence, "note": note or None}
            found = {name: value for name, value in given.items() if value is not None}
            found |= {name: answer.get("value") for name, answer in json.loads(answers).items()}
            for name, value in found.items():
                text = json.dumps(value, ensure_ascii=False)
                yield [*place, member, part, name, text, time_of(at)]


def _nodules(study: Study) -> Iterator[Nodule]:
    found = Nodule.objects.of_study(study).select_related("series__case")
    return found.order_by("series__case__pseudonym", "number").iterator(ROWS_AT_ONCE)


def event_rows(study: Study) -> Iterator[list[Any]]:
    """Yield every event, the site's own too, in the order in which they were stored."""
    found = (
        Event.objects.filter(reading__reader__study=study)
        .select_related("reading__reader", "reading__case")
        .order_by("pk")
    )
    for each in found.iterator(ROWS_AT_ONCE):
        reading = each.reading
        yield [
            *(reading.reader.pseudonym, reading.case.pseudonym, reading.session),
            *(reading.position, each.key, each.kind, each.stage, each.monotonic_ms),
            time_of(each.received_at),
            json.dumps(each.data, sort_keys=True, ensure_ascii=False),
        ]


def record_rows(study: Study) -> Iterator[list[Any]]:
    """Yield the links of the study's chain up to the lock of its database."""
    found = Record.objects.filter(study=study, number__lte=study.database_lock.records + 1)
    for each in found.order_by("number").iterator(ROWS_AT_ONCE):
        hashes = [bytes(each.content).hex(), bytes(each.link).hex()]
        yield [each.number, each.kind, each.version, each.row_id, *hashes]


def idle_after_s(protocol: Protocol) -> float:
    """Return for how long a sign of activity counts, as the protocol says."""
    planned = protocol.analysis and protocol.analysis.reading_time
    return planned.idle_after_s if planned else IDLE_AFTER_S


def study_document(study: Study) -> dict[str, Any]:
    """Return what is said of the study as a whole."""
    lock = study.database_lock
    who = study.members.filter(user=lock.by).first()
    versions = ModelVersion.objects.filter(
        predictions__job__nodule__series__case__study=study
    ).distinct()
    return {
        "study": study.slug,
        "title": study.title,
        "protocol_hash": study.protocol_hash,
        "created_at": time_of(study.created_at),
        "allocated_at": time_of(study.allocated_at),
        "opened_at": time_of(study.opened_at),
        "locked_at": time_of(lock.at),
        "locked_by": who.pseudonym if who else "an administrator",
        "statement": lock.statement,
        "accepted": lock.accepted,
        "records": lock.records,
        "head": lock.head,
        "idle_after_seconds": idle_after_s(study.rules),
        "readers": study.members.filter(role=Role.READER).count(),
        "cases": Case.objects.filter(study=study).count(),
        "models": [
            {
                "name": each.name,
                "version": each.version,
                "hash": each.hash,
                "weights_hash": each.weights_hash,
                "code_hash": each.code_hash,
                "card": each.card,
            }
            for each in versions.order_by("name", "version", "code_hash")
        ],
    }


def write_archive_tables(study: Study, folder: Path) -> dict[str, int]:
    """Write the tables of `study` into `folder`; return the rows by file.

    The same records give the same bytes. Before the lock of the database this is refused, by the
    database itself.

    Raises:
        django.db.ProgrammingError: the study's database is not locked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as file:
        counts = write_tables(study, file, idle_after_s=idle_after_s(study.rules))
        zipfile.ZipFile(file).extractall(folder)
    rows = {
        "allocation": allocation_rows,
        "nodules": nodule_rows,
        "reference": reference_rows,
        "panel": panel_rows,
        "events": event_rows,
        "records": record_rows,
    }
    for name, columns in TABLES.items():
        with (folder / f"{name}.csv").open("wb") as raw:
            header = [column.name for column in columns]
            counts[f"{name}.csv"] = write_csv(raw, header, rows[name](study))
    with (folder / "archive_dictionary.csv").open("wb") as raw:
        header = ["table", "name", "kind", "meaning"]
        told = ([name, *column] for name, columns in TABLES.items() for column in columns)
        counts["archive_dictionary.csv"] = write_csv(raw, header, told)
    (folder / "study.json").write_text(
        json.dumps(study_document(study), indent=1, ensure_ascii=False, sort_keys=True) + "\n",
        encoding="utf-8",
    )
    return counts
