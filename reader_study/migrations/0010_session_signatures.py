"""Let readers sign their sessions, and chain skips and early openings, which were not so far."""

import django.db.models.deletion
from django.db import migrations, models

TABLE = "reader_study_sessionsignature"
OF_A_READING = (
    "join reader_study_reading r on r.id = t.reading_id "
    "join reader_study_membership m on m.id = r.reader_id"
)
A_READING = "t.id, t.reading_id, r.reader_id, r.case_id, r.session, r.position"
# kind: table, joins, columns
KINDS = {
    "skip": ("reader_study_skip", OF_A_READING, f"{A_READING}, t.reason, t.at"),
    "early_opening": (
        "reader_study_earlyopening",
        OF_A_READING,
        f"{A_READING}, t.by_id, t.reason, t.at",
    ),
    "signature": (
        TABLE,
        "join reader_study_membership m on m.id = t.reader_id",
        "t.id, t.reader_id, t.session, t.name, t.meaning, t.digest, t.at",
    ),
}


def appending(kind: str, rows: str) -> str:
    """As in 0003_hash_chain."""
    _, joins, columns = KINDS[kind]
    return f"""
    for each in
        select m.study_id as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(
                jsonb_build_array('{kind}', 1, {columns})::text, 'UTF8')) order by t.id) as contents
        from {rows} t {joins} group by m.study_id order by m.study_id
    loop
        perform reread_append(each.study, '{kind}', 1, each.ids, each.contents);
    end loop;
"""  # noqa: S608


def recording(kind: str) -> migrations.RunSQL:
    """As in 0003_hash_chain: what is there already is appended too."""
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


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0009_database_lock"),
    ]

    operations = [
        migrations.CreateModel(
            name="SessionSignature",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("session", models.PositiveSmallIntegerField()),
                (
                    "name",
                    models.CharField(help_text="The full name, as it was signed.", max_length=200),
                ),
                ("meaning", models.CharField(max_length=500)),
                ("digest", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
                (
                    "reader",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="signatures",
                        to="reader_study.membership",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="signed_with_a_name"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                condition=models.Q(("kind__in", ["answer", "skip", "signature", "unlock"])),
                fields=["study", "kind", "row_id"],
                name="records_of_rows",
            ),
        ),
        *[recording(kind) for kind in KINDS],
        migrations.RunSQL(
            f"create trigger append_only before update or delete on {TABLE} "
            "for each row execute function reread_refuse_change();"
            f"create trigger never_emptied before truncate on {TABLE} "
            "for each statement execute function reread_refuse_truncation();",
            f"drop trigger append_only on {TABLE}; drop trigger never_emptied on {TABLE};",
        ),
    ]
