"""How a study was conducted, as tables: signatures, reopened answers, deviations."""

import json
from collections.abc import Iterator
from typing import Any

from reader_study.exports.columns import ROWS_AT_ONCE, Column, text_of, time_of
from reader_study.models import Deviation, DisplayCheck, SessionSignature, Study, Unlock
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

DISPLAY_CHECKS = (
    Column("study", "text", "the study's name in addresses"),
    Column("reader", "text", "the reader's pseudonym"),
    Column("session", "integer", "the session that was to be read; empty if none was left"),
    Column("at", "time, UTC", "when"),
    Column("passed", "boolean", "the display had what the protocol asks for"),
    Column("problems", "text", "what it lacked, a sentence each"),
    Column("width_px", "integer", "width of the screen in its own pixels"),
    Column("height_px", "integer", "height of the screen in its own pixels"),
    Column("pixel_ratio", "number", "pixels of the screen to a CSS pixel, zoom aside"),
    Column("zoom_percent", "integer", "zoom of the browser"),
    Column("colour_depth", "integer", "bits to a pixel"),
    Column("webgl2", "boolean", "the browser can draw every plane"),
    Column("software_rendering", "boolean", "it draws without a graphics card"),
    Column("renderer", "text", "what draws, as the browser names it"),
    Column("dark_patch_seen", "boolean", "5 % grey in black"),
    Column("bright_patch_seen", "boolean", "95 % grey in white"),
    Column("steps_seen", "integer", "grey steps that the reader could tell apart, of 11"),
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


def display_check_rows(study: Study) -> Iterator[list[Any]]:
    """Yield the checks of readers' displays."""
    checks = (
        DisplayCheck.objects.filter(reader__study=study).select_related("reader").order_by("pk")
    )
    for check in checks.iterator(ROWS_AT_ONCE):
        yield [
            study.slug,
            check.reader.pseudonym,
            "" if check.session is None else check.session,
            time_of(check.at),
            text_of(check.passed),
            " ".join(check.problems),
            *(text_of(check.found[column.name]) for column in DISPLAY_CHECKS[6:]),
        ]
