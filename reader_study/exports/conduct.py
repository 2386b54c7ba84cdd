"""How a study was conducted, as tables: signatures, reopened answers, deviations."""

import json
from collections.abc import Iterator
from typing import Any

from reader_study.exports.columns import ROWS_AT_ONCE, Column, text_of, time_of
from reader_study.models import Deviation, SessionSignature, Study, Unlock
from reader_study.models.signature import valid_signatures

SIGNATURES = (
    Column("study", "text", "the study's name in addresses"),
    Column("reader", "text", "the reader's pseudonym"),
    Column("session", "integer", "the session that was signed"),
    Column("meaning", "text", "what was signed"),
    Column("at", "time, UTC", "when"),
    Column("digest", "sha256", "the links of all that is recorded of the session's readings"),
    Column("valid", "boolean", "false: something was recorded of the session afterwards"),
)

UNLOCKS = (
    Column("study", "text", "the study's name in addresses"),
    Column("reader", "text", "the reader's pseudonym"),
    Column("case", "text", "the case's pseudonym"),
    Column("session", "integer", "the session of the reading"),
    Column("position", "integer", "order on the reader's worklist in this session, from 1"),
    Column("stage", "text", "the stage whose answer was reopened"),
    Column("revision", "integer", "the revision of the answer that counted until then"),
    Column("reason", "text", "why the coordinator reopened it"),
    Column("at", "time, UTC", "when"),
)

DEVIATIONS = (
    Column("study", "text", "the study's name in addresses"),
    Column("reader", "text", "the reader's pseudonym; empty: of the whole study"),
    Column("case", "text", "the case's pseudonym; empty: of no single reading"),
    Column("session", "integer", "the session of the reading"),
    Column("position", "integer", "order on the reader's worklist in this session, from 1"),
    Column("kind", "text", "what departed from the protocol"),
    Column("meaning", "text", "the same in words"),
    Column("detail", "JSON", "more of it, such as the reason"),
    Column("at", "time, UTC", "when it was recorded"),
)


def signature_rows(study: Study) -> Iterator[list[Any]]:
    """Yield the signatures of sessions, without the names."""
    signatures = list(
        SessionSignature.objects.filter(reader__study=study)
        .select_related("reader")
        .order_by("reader__pseudonym", "session", "pk")
    )
    valid = {each.pk for each in valid_signatures({s.reader_id for s in signatures}).values()}
    for each in signatures:
        place = [study.slug, each.reader.pseudonym, each.session]
        end = [time_of(each.at), each.digest, text_of(each.pk in valid)]
        yield [*place, each.meaning, *end]


def unlock_rows(study: Study) -> Iterator[list[Any]]:
    """Yield the submitted readings that a coordinator reopened."""
    found = (
        Unlock.objects.filter(reading__reader__study=study)
        .select_related("reading__reader", "reading__case")
        .order_by("pk")
    )
    for each in found.iterator(ROWS_AT_ONCE):
        reading = each.reading
        place = [reading.reader.pseudonym, reading.case.pseudonym, reading.session]
        end = [each.stage, each.revision, each.reason, time_of(each.at)]
        yield [study.slug, *place, reading.position, *end]


def deviation_rows(study: Study) -> Iterator[list[Any]]:
    """Yield what departed from the protocol, as the site noticed it."""
    found = (
        Deviation.objects.filter(study=study)
        .select_related("reader", "reading__case")
        .order_by("pk")
    )
    for each in found.iterator(ROWS_AT_ONCE):
        reading = each.reading
        place = [reading.case.pseudonym, reading.session, reading.position] if reading else []
        detail = json.dumps(each.detail, ensure_ascii=False)
        yield [
            study.slug,
            each.reader.pseudonym if each.reader else None,
            *(place or [None] * 3),
            each.kind,
            each.words,
            detail,
            time_of(each.at),
        ]
