"""The ledger: what was recorded in a study, in its order, as a chain of hashes."""

from typing import NamedTuple

from django.db import models
from django.db.models import Q

from reader_study.models.study import Study


class Chain(models.Model):
    """The head of a study's chain. Whoever appends holds this row until the end.

    `length` counts the records, `head` is the link of the last one. Database triggers
    write here and in `Record`; nothing else may.
    """

    study = models.OneToOneField(Study, models.PROTECT, primary_key=True, related_name="chain")
    length = models.BigIntegerField()
    head = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.length} records"


class Record(models.Model):
    """One link of a study's chain: that a row was inserted, as which number, and its hash.

    `content` is the SHA-256 of the row's canonical content as `CONTENTS[kind, version]`
    renders it, `link` that of the link before and of `content`. `kind` and `row_id` say
    where the row is.
    """

    pk = models.CompositePrimaryKey("study", "number")
    study = models.ForeignKey(Study, models.PROTECT, related_name="records", db_index=False)
    number = models.BigIntegerField(help_text="Order in the study, from 1.")
    kind = models.CharField(max_length=16)
    version = models.PositiveSmallIntegerField()
    row_id = models.BigIntegerField()
    content = models.BinaryField()
    link = models.BinaryField()

    class Meta:
        indexes = [
            # Events are most of the records, and nobody looks for theirs.
            models.Index(
                fields=["study", "kind", "row_id"],
                condition=Q(kind__in=["answer", "skip", "signature", "unlock"]),
                name="records_of_rows",
            ),
        ]

    def __str__(self) -> str:
        return f"record {self.number}: {self.kind} {self.row_id}"


class Content(NamedTuple):
    """What of a row is recorded: `source` is a FROM clause that calls the row t.

    The content is the JSON array of kind, version and `columns`, rendered by PostgreSQL in
    UTC. `study` is the column that says whose chain it is.
    """

    source: str
    study: str
    columns: tuple[str, ...]


_OF_A_READING = (
    "join reader_study_reading r on r.id = t.reading_id "
    "join reader_study_membership m on m.id = r.reader_id"
)
_OF_A_NODULE = (
    "join reader_study_series s on s.id = n.series_id join reader_study_case c on c.id = s.case_id"
)

# The migrations hold copies. What is in use never changes: another content is a new version.
CONTENTS = {
    ("answer", 1): Content(
        f"reader_study_answer t {_OF_A_READING}",
        "m.study_id",
        # With its place, so that an answer given by one reader cannot become another's.
        (
            *("t.id", "t.reading_id", "r.reader_id", "r.case_id", "r.session", "r.position"),
            *("t.stage", "t.answers", "t.protocol_hash", "t.locked_at"),
        ),
    ),
    ("answer", 2): Content(
        f"reader_study_answer t {_OF_A_READING}",
        "m.study_id",
        (
            *("t.id", "t.reading_id", "r.reader_id", "r.case_id", "r.session", "r.position"),
            *("r.arm", "r.repeat", "t.stage", "t.answers", "t.protocol_hash", "t.locked_at"),
        ),
    ),
    ("answer", 3): Content(
        f"reader_study_answer t {_OF_A_READING}",
        "m.study_id",
        (
            *("t.id", "t.reading_id", "r.reader_id", "r.case_id", "r.session", "r.position"),
            *("r.arm", "r.repeat", "t.stage", "t.revision", "t.answers", "t.protocol_hash"),
            "t.locked_at",
        ),
    ),
    ("event", 1): Content(
        f"reader_study_event t {_OF_A_READING}",
        "m.study_id",
        (
            *("t.id", "t.reading_id", "t.key", "t.kind", "t.stage", "t.monotonic_ms"),
            *("t.data", "t.received_at"),
        ),
    ),
    ("prediction", 1): Content(
        "reader_study_prediction t join reader_study_job j on j.id = t.job_id "
        "join reader_study_modelversion v on v.id = t.model_version_id "
        f"join reader_study_nodule n on n.id = j.nodule_id {_OF_A_NODULE}",
        "c.study_id",
        (
            *("t.id", "j.nodule_id", "j.model", "v.name", "v.version", "v.hash"),
            *("v.weights_hash", "v.code_hash", "t.probability", "t.probability_raw"),
            *("t.input_hash", "t.bundle_hash", "t.stored_at"),
        ),
    ),
    ("protocol", 1): Content(
        "reader_study_protocolversion t",
        "t.study_id",
        (
            *("t.id", "t.study_id", "t.number", "t.protocol", "t.hash", "t.source"),
            *("t.phase", "t.reason", "t.by_id", "t.at"),
        ),
    ),
    ("reference", 1): Content(
        "reader_study_referencestandard t "
        f"join reader_study_nodule n on n.id = t.nodule_id {_OF_A_NODULE}",
        "c.study_id",
        # The nonce keeps the truth from being guessed from its hash.
        (
            *("t.id", "t.nodule_id", "n.x", "n.y", "n.z", "t.malignant", "t.source"),
            *("t.detail", "t.loaded_at", "t.nonce"),
        ),
    ),
    ("skip", 1): Content(
        f"reader_study_skip t {_OF_A_READING}",
        "m.study_id",
        (
            *("t.id", "t.reading_id", "r.reader_id", "r.case_id", "r.session", "r.position"),
            *("t.reason", "t.at"),
        ),
    ),
    ("unlock", 1): Content(
        f"reader_study_unlock t {_OF_A_READING}",
        "m.study_id",
        (
            *("t.id", "t.reading_id", "r.reader_id", "r.case_id", "r.session", "r.position"),
            *("t.stage", "t.revision", "t.by_id", "t.reason", "t.at"),
        ),
    ),
    ("early_opening", 1): Content(
        f"reader_study_earlyopening t {_OF_A_READING}",
        "m.study_id",
        (
            *("t.id", "t.reading_id", "r.reader_id", "r.case_id", "r.session", "r.position"),
            *("t.by_id", "t.reason", "t.at"),
        ),
    ),
    ("deviation", 1): Content(
        "reader_study_deviation t",
        "t.study_id",
        ("t.id", "t.study_id", "t.reader_id", "t.reading_id", "t.kind", "t.detail", "t.at"),
    ),
    ("signature", 1): Content(
        "reader_study_sessionsignature t join reader_study_membership m on m.id = t.reader_id",
        "m.study_id",
        ("t.id", "t.reader_id", "t.session", "t.name", "t.meaning", "t.digest", "t.at"),
    ),
    ("display_check", 1): Content(
        "reader_study_displaycheck t join reader_study_membership m on m.id = t.reader_id",
        "m.study_id",
        ("t.id", "t.reader_id", "t.session", "t.found", "t.problems", "t.passed", "t.at"),
    ),
    ("waiver", 1): Content(
        "reader_study_waiver t join reader_study_membership m on m.id = t.reader_id",
        "m.study_id",
        ("t.id", "t.reader_id", "t.by_id", "t.reason", "t.at"),
    ),
    ("key_access", 1): Content(
        "reader_study_keyaccess t",
        "t.study_id",
        ("t.id", "t.study_id", "t.by_id", "t.reason", "t.at"),
    ),
    ("case_change", 1): Content(
        "reader_study_casechange t",
        "t.study_id",
        ("t.id", "t.study_id", "t.kind", "t.case", "t.detail", "t.by_id", "t.at"),
    ),
    ("panel_read", 1): Content(
        f"reader_study_panelread t join reader_study_nodule n on n.id = t.nodule_id {_OF_A_NODULE}",
        "c.study_id",
        (
            *("t.id", "t.nodule_id", "t.member_id", "t.verdict", "t.confidence", "t.note"),
            *("t.at", "t.nonce"),
        ),
    ),
    ("panel_read", 2): Content(
        f"reader_study_panelread t join reader_study_nodule n on n.id = t.nodule_id {_OF_A_NODULE}",
        "c.study_id",
        (
            *("t.id", "t.nodule_id", "t.member_id", "t.verdict", "t.confidence", "t.note"),
            *("t.answers", "t.at", "t.nonce"),
        ),
    ),
    ("panel_decision", 1): Content(
        "reader_study_paneldecision t "
        f"join reader_study_nodule n on n.id = t.nodule_id {_OF_A_NODULE}",
        "c.study_id",
        ("t.id", "t.nodule_id", "t.member_id", "t.verdict", "t.note", "t.at", "t.nonce"),
    ),
    ("panel_decision", 2): Content(
        "reader_study_paneldecision t "
        f"join reader_study_nodule n on n.id = t.nodule_id {_OF_A_NODULE}",
        "c.study_id",
        (
            *("t.id", "t.nodule_id", "t.member_id", "t.verdict", "t.note", "t.answers", "t.at"),
            "t.nonce",
        ),
    ),
    ("deviation_review", 1): Content(
        "reader_study_deviationreview t join reader_study_deviation d on d.id = t.deviation_id",
        "d.study_id",
        ("t.id", "t.deviation_id", "t.by_id", "t.note", "t.at"),
    ),
    ("lock_proposal", 1): Content(
        "reader_study_lockproposal t",
        "t.study_id",
        ("t.id", "t.study_id", "t.by_id", "t.at", "t.statement", "t.accepted"),
    ),
    ("database_lock", 1): Content(
        "reader_study_databaselock t",
        "t.study_id",
        (
            "t.id",
            "t.study_id",
            "t.by_id",
            "t.at",
            "t.statement",
            "t.accepted",
            "t.records",
            "t.head",
        ),
    ),
}

# What may still be recorded once a study's database is locked: nothing that readers or
# coordinators do in it. Of checks of a display only those that were made before the lock, and
# before there was a kind for them. `reread_append` in the database holds a copy.
AFTER_LOCK = frozenset({"prediction", "reference", "waiver", "key_access", "display_check"})


def contents_query(kind: str, version: int) -> str:
    """Return the query of the id, study and canonical content of rows; it takes a list of ids."""
    content = CONTENTS[kind, version]
    columns = ", ".join((f"'{kind}'", str(version), *content.columns))
    return (
        f"select t.id, {content.study}, jsonb_build_array({columns})::text "  # noqa: S608
        f"from {content.source} where t.id = any(%s)"
    )
