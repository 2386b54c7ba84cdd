"""The electronic signature of a session, bound to what is recorded of its readings."""

from collections.abc import Collection

from django.db import connection, models
from django.db.models import Q

from reader_study.models.account import Membership


class SessionSignature(models.Model):
    """A reader's electronic signature of a session (21 CFR 11.50, 11.70, 11.200).

    `digest` is that of all that is recorded of the session's readings, as `digests` makes
    it: once something is recorded after it, the signature is void. A database trigger
    refuses every change.
    """

    reader = models.ForeignKey(Membership, models.PROTECT, related_name="signatures")
    session = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=200, help_text="The full name, as it was signed.")
    meaning = models.CharField(max_length=500)
    digest = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="signed_with_a_name"),
        ]

    def __str__(self) -> str:
        return f"signature of session {self.session}"


# What ends or changes a reading, by the kind of its record and its table.
_SIGNED = {
    "answer": "reader_study_answer",
    "skip": "reader_study_skip",
    "unlock": "reader_study_unlock",
}


def _links(readers: str) -> str:
    """The query of the links that are signed, with the number of each, by reader and session."""
    return " union all ".join(
        "select r.reader_id, r.session, k.number, k.link from reader_study_reading r "  # noqa: S608
        "join reader_study_membership m on m.id = r.reader_id "
        f"join {table} t on t.reading_id = r.id join reader_study_record k "
        f"on k.study_id = m.study_id and k.kind = '{kind}' and k.row_id = t.id "
        f"where r.reader_id = {readers}"
        for kind, table in _SIGNED.items()
    )


_DIGEST = "encode(sha256(string_agg(s.link, ''::bytea order by s.number)), 'hex')"
_DIGESTS = f"select s.reader_id, s.session, {_DIGEST} from ({{links}}) s group by 1, 2"  # noqa: S608
# The signatures whose digest is not that of what was recorded before them.
_WRONG = f"""
select g.id from reader_study_sessionsignature g
join reader_study_membership m on m.id = g.reader_id
join reader_study_record own
    on own.study_id = m.study_id and own.kind = 'signature' and own.row_id = g.id
where g.id = any(%s) and g.digest is distinct from (
    select {_DIGEST} from ({_links("g.reader_id")}) s
    where s.session = g.session and s.number < own.number
)
"""  # noqa: S608


def digests(readers: Collection[int]) -> dict[tuple[int, int], str]:
    """Return by reader and session the SHA-256 of the links of all that is signed.

    The links are those of the answers, skips and unlocks of the session's readings in the study's
    chain, in its order. A session of which nothing is recorded has none.
    """
    with connection.cursor() as cursor:
        query = _DIGESTS.format(links=_links("any(%s)"))
        cursor.execute(query, [list(readers)] * len(_SIGNED))
        return {(reader, session): digest for reader, session, digest in cursor}


def wrong_signatures(ids: Collection[int]) -> list[int]:
    """Return those of the signatures `ids` that do not sign what was recorded before them."""
    with connection.cursor() as cursor:
        cursor.execute(_WRONG, [list(ids)])
        return [row_id for (row_id,) in cursor]


def valid_signatures(readers: Collection[int]) -> dict[tuple[int, int], SessionSignature]:
    """Return by reader and session the signatures after which nothing was recorded."""
    signatures = list(SessionSignature.objects.filter(reader__in=readers).order_by("pk"))
    now = digests({each.reader_id for each in signatures}) if signatures else {}
    return {
        (each.reader_id, each.session): each
        for each in signatures
        if now.get((each.reader_id, each.session)) == each.digest
    }
