"""How a study was conducted, as tables: what was signed."""

from collections.abc import Iterator
from typing import Any

from reader_study.exports.columns import Column, text_of, time_of
from reader_study.models import SessionSignature, Study
from reader_study.models.signature import valid_signatures

SIGNATURES = (
    Column("study", "text", "the study's name in addresses"),
    Column("reader", "text", "the reader's pseudonym"),
    Column("session", "integer", "the session that was signed"),
    Column("meaning", "text", "what was signed"),
    Column("at", "time, UTC", "when"),
    Column("digest", "sha256", "the links of the session's answers and skips in the chain"),
    Column("valid", "boolean", "false: something was recorded of the session afterwards"),
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
