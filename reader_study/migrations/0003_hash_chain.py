"""Chain what is recorded: answers, events, predictions and references, a chain a study.

Triggers append to the chain in the transaction that inserts. What was there before is
appended kind by kind, in the order of its ids.
"""

import uuid

import django.db.models.deletion
from django.db import migrations, models

# Contents of the first version, as in `models/record.py` at the time.
OF_A_READING = (
    "join reader_study_reading r on r.id = t.reading_id "
    "join reader_study_membership m on m.id = r.reader_id"
)
OF_A_NODULE = (
    "join reader_study_series s on s.id = n.series_id join reader_study_case c on c.id = s.case_id"
)
# kind: table, joins, study, columns
KINDS = {
    "reference": (
        "reader_study_referencestandard",
        f"join reader_study_nodule n on n.id = t.nodule_id {OF_A_NODULE}",
        "c.study_id",
        "t.id, t.nodule_id, n.x, n.y, n.z, t.malignant, t.source, t.detail, t.loaded_at, t.nonce",
    ),
    "prediction": (
        "reader_study_prediction",
        "join reader_study_job j on j.id = t.job_id "
        "join reader_study_modelversion v on v.id = t.model_version_id "
        f"join reader_study_nodule n on n.id = j.nodule_id {OF_A_NODULE}",
        "c.study_id",
        "t.id, j.nodule_id, j.model, v.name, v.version, v.hash, v.weights_hash, v.code_hash, "
        "t.probability, t.probability_raw, t.input_hash, t.bundle_hash, t.stored_at",
    ),
    "answer": (
        "reader_study_answer",
        OF_A_READING,
        "m.study_id",
        "t.id, t.reading_id, r.reader_id, r.case_id, r.session, r.position, t.stage, t.answers, "
        "t.protocol_hash, t.locked_at",
    ),
    "event": (
        "reader_study_event",
        OF_A_READING,
        "m.study_id",
        "t.id, t.reading_id, t.key, t.kind, t.stage, t.monotonic_ms, t.data, t.received_at",
    ),
}

# Taking the head's row makes transactions of one study append one after the other; it is
# held until the commit, so that numbers have no gaps and no link is made twice.
APPEND = """
create function reread_append(
    of_study bigint, of_kind text, of_version int, ids bigint[], contents bytea[]
) returns void language plpgsql as $$
declare
    place bigint;
    last bytea;
begin
    insert into reader_study_chain (study_id, length, head)
        values (of_study, 0, sha256(convert_to('reread study ' || of_study, 'UTF8')))
        on conflict do nothing;
    select length, head into place, last
        from reader_study_chain where study_id = of_study for update;
    for i in 1 .. cardinality(ids) loop
        place := place + 1;
        last := sha256(last || contents[i]);
        insert into reader_study_record
            (study_id, number, kind, version, row_id, content, link)
            values (of_study, place, of_kind, of_version, ids[i], contents[i], last);
    end loop;
    update reader_study_chain set length = place, head = last where study_id = of_study;
end $$;
revoke execute on function reread_append from public;
"""


def appending(kind: str, rows: str) -> str:
    """The plpgsql that appends `rows`, a FROM clause of rows t, to the chains of their studies."""
    _, joins, study, columns = KINDS[kind]
    return f"""
    for each in
        select {study} as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(
                jsonb_build_array('{kind}', 1, {columns})::text, 'UTF8')) order by t.id) as contents
        from {rows} t {joins} group by {study} order by {study}
    loop
        perform reread_append(each.study, '{kind}', 1, each.ids, each.contents);
    end loop;
"""  # noqa: S608


def recording(kind: str) -> migrations.RunSQL:
    """Append to the chain whatever is inserted into the table of `kind`, with the owner's rights.

    The path is fixed, and temporary tables come last, so that nobody can put another
    table in the place of one that is named here; texts do not depend on the session.
    """
    table = KINDS[kind][0]
    return migrations.RunSQL(
        f"""
create function reread_record_{kind}() returns trigger language plpgsql security definer
set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    {appending(kind, "added")}
    return null;
end $$;
do $$
begin
    execute format('alter function reread_record_{kind}() set search_path = %I, pg_temp',
        current_schema());
end $$;
create trigger recorded after insert on {table} referencing new table as added
    for each statement execute function reread_record_{kind}();
do $$
declare
    each record;
begin
    set local timezone = 'UTC';
    set local extra_float_digits = 1;
    {appending(kind, table)}
end $$;
""",
        f"drop trigger recorded on {table}; drop function reread_record_{kind}();",
    )


def append_only(table: str, changes: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"create trigger append_only before {changes} on {table} "
        "for each row execute function reread_refuse_change();",
        f"drop trigger append_only on {table};",
    )


class Migration(migrations.Migration):
    dependencies = [("reader_study", "0002_append_only")]

    operations = [
        migrations.AddField(
            model_name="referencestandard",
            name="nonce",
            field=models.UUIDField(default=uuid.uuid4, editable=False),
        ),
        # The default of AddField is one value for all rows that are there.
        migrations.RunSQL(
            "update reader_study_referencestandard set nonce = gen_random_uuid();",
            migrations.RunSQL.noop,
        ),
        migrations.CreateModel(
            name="Chain",
            fields=[
                (
                    "study",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="chain",
                        serialize=False,
                        to="reader_study.study",
                    ),
                ),
                ("length", models.BigIntegerField()),
                ("head", models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name="Record",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "study",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.BigIntegerField(help_text="Order in the study, from 1.")),
                ("kind", models.CharField(max_length=16)),
                ("version", models.PositiveSmallIntegerField()),
                ("row_id", models.BigIntegerField()),
                ("content", models.BinaryField()),
                ("link", models.BinaryField()),
                (
                    "study",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="records",
                        to="reader_study.study",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(APPEND, "drop function reread_append;"),
        append_only("reader_study_record", "update or delete"),
        append_only("reader_study_chain", "delete"),
        append_only("reader_study_referencestandard", "update or delete"),
        *[recording(kind) for kind in KINDS],
    ]
