"""Keep every version of a protocol, recorded, and with each reading the one it began under.

The protocol of a study that is there is its version 1.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLE = "reader_study_protocolversion"
COLUMNS = (
    "t.id, t.study_id, t.number, t.protocol, t.hash, t.source, t.phase, t.reason, t.by_id, t.at"
)


def appending(rows: str) -> str:
    """The plpgsql that appends `rows`, a FROM clause of rows t, to the chains of their studies."""
    return f"""
    for each in
        select t.study_id as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(
                jsonb_build_array('protocol', 1, {COLUMNS})::text, 'UTF8')) order by t.id)
                as contents
        from {rows} t group by t.study_id order by t.study_id
    loop
        perform reread_append(each.study, 'protocol', 1, each.ids, each.contents);
    end loop;
"""  # noqa: S608


# As the functions of 0003_hash_chain.
RECORD = f"""
create function reread_record_protocol() returns trigger language plpgsql security definer
set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    {appending("added")}
    return null;
end $$;
do $$
begin
    execute format('alter function reread_record_protocol() set search_path = %I, pg_temp',
        current_schema());
end $$;
create trigger recorded after insert on {TABLE} referencing new table as added
    for each statement execute function reread_record_protocol();
create trigger append_only before update or delete on {TABLE}
    for each row execute function reread_refuse_change();
create trigger never_emptied before truncate on {TABLE}
    for each statement execute function reread_refuse_truncation();
"""
FORGET = f"""
drop trigger recorded on {TABLE};
drop trigger append_only on {TABLE};
drop trigger never_emptied on {TABLE};
drop function reread_record_protocol();
"""

FIRST_VERSIONS = f"""
insert into {TABLE} (study_id, number, protocol, hash, source, phase, reason, at)
    select id, 1, protocol, protocol_hash, '', 'draft', '', created_at
    from reader_study_study order by id;
update reader_study_reading r set version_id = v.id
    from reader_study_membership m, {TABLE} v
    where m.id = r.reader_id and v.study_id = m.study_id and r.stage <> 'assigned';
"""  # noqa: S608


class Migration(migrations.Migration):
    dependencies = [("reader_study", "0017_draft_keys")]

    operations = [
        migrations.CreateModel(
            name="ProtocolVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("protocol", models.JSONField()),
                ("hash", models.CharField(max_length=64)),
                ("source", models.TextField(blank=True)),
                ("phase", models.CharField(default="draft", max_length=16)),
                ("reason", models.CharField(blank=True, max_length=1000)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="reader_study.study",
                    ),
                ),
            ],
            options={
                "ordering": ["study", "number"],
                "constraints": [
                    models.UniqueConstraint(fields=("study", "number"), name="a_version_once"),
                    models.CheckConstraint(
                        condition=models.Q(("number__gte", 1)), name="versions_count_from_one"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("phase__in", ["draft", "allocated", "begun"])),
                        name="a_known_phase",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("phase", "draft"),
                            models.Q(("reason", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="amended_for_a_reason",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="reading",
            name="version",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="reader_study.protocolversion",
            ),
        ),
        migrations.RunSQL(RECORD, FORGET),
        migrations.RunSQL(FIRST_VERSIONS, migrations.RunSQL.noop),
        # What is updated has to be written before the table is altered again.
        migrations.RunSQL("set constraints all immediate", migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="reading",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("stage", "assigned"), ("version__isnull", False), _connector="XOR"
                ),
                name="opened_exactly_when_it_has_a_version",
            ),
        ),
    ]
