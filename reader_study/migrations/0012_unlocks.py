"""Let a coordinator reopen the last answer of a submitted reading, as another revision of it.

Answers are recorded with their revision from here on: version 3 of their content.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLE = "reader_study_unlock"
A_READING = "t.id, t.reading_id, r.reader_id, r.case_id, r.session, r.position"
ANSWER_2 = f"{A_READING}, r.arm, r.repeat, t.stage, t.answers, t.protocol_hash, t.locked_at"
ANSWER_3 = (
    f"{A_READING}, r.arm, r.repeat, t.stage, t.revision, t.answers, t.protocol_hash, t.locked_at"
)
UNLOCK = f"{A_READING}, t.stage, t.revision, t.by_id, t.reason, t.at"


def recording(kind: str, version: int, columns: str) -> str:
    """The trigger's function as in 0003_hash_chain, for rows of a reading."""
    return f"""
create or replace function reread_record_{kind}() returns trigger language plpgsql
security definer set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    for each in
        select m.study_id as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(
                jsonb_build_array('{kind}', {version}, {columns})::text, 'UTF8'))
                order by t.id) as contents
        from added t join reader_study_reading r on r.id = t.reading_id
        join reader_study_membership m on m.id = r.reader_id
        group by m.study_id order by m.study_id
    loop
        perform reread_append(each.study, '{kind}', {version}, each.ids, each.contents);
    end loop;
    return null;
end $$;
do $$
begin
    execute format('alter function reread_record_{kind}() set search_path = %I, pg_temp',
        current_schema());
end $$;
"""  # noqa: S608


# As in 0009_database_lock, for a table that has come since.
REFUSE_MARKS = """
create function reread_refuse_locked_mark() returns trigger language plpgsql as $$
begin
    if exists (
        select from added t join reader_study_answer a on a.id = t.answer_id
        join reader_study_reading r on r.id = a.reading_id
        join reader_study_membership m on m.id = r.reader_id
        join reader_study_databaselock l on l.study_id = m.study_id
    ) then
        raise exception 'the database of the study is locked: % of mark refused', lower(tg_op)
            using errcode = 'restrict_violation';
    end if;
    return null;
end $$;
do $$
begin
    execute format('alter function reread_refuse_locked_mark() set search_path = %I, pg_temp',
        current_schema());
end $$;
create trigger unless_locked_insert after insert on reader_study_mark
    referencing new table as added
    for each statement execute function reread_refuse_locked_mark();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0011_marks"),
    ]

    operations = [
        migrations.AddField(
            model_name="answer",
            name="revision",
            field=models.PositiveSmallIntegerField(db_default=1, help_text="From 1."),
        ),
        migrations.RemoveConstraint(model_name="answer", name="one_answer_a_stage"),
        migrations.AddConstraint(
            model_name="answer",
            constraint=models.UniqueConstraint(
                fields=("reading", "stage", "revision"), name="one_answer_a_stage_and_revision"
            ),
        ),
        migrations.RunSQL(recording("answer", 3, ANSWER_3), recording("answer", 2, ANSWER_2)),
        migrations.CreateModel(
            name="Unlock",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("stage", models.CharField(max_length=16)),
                ("revision", models.PositiveSmallIntegerField()),
                ("reason", models.CharField(max_length=1000)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "reading",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="unlocks",
                        to="reader_study.reading",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("reading", "stage", "revision"),
                        name="a_revision_unlocked_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True),
                        name="unlocked_for_a_reason",
                    ),
                ],
            },
        ),
        migrations.RunSQL(
            recording("unlock", 1, UNLOCK)
            + f"create trigger recorded after insert on {TABLE} referencing new table as added "
            "for each statement execute function reread_record_unlock();"
            f"create trigger append_only before update or delete on {TABLE} "
            "for each row execute function reread_refuse_change();"
            f"create trigger never_emptied before truncate on {TABLE} "
            "for each statement execute function reread_refuse_truncation();",
            f"drop trigger append_only on {TABLE}; drop trigger never_emptied on {TABLE};"
            f"drop trigger recorded on {TABLE}; drop function reread_record_unlock();",
        ),
        migrations.RunSQL(
            REFUSE_MARKS,
            "drop trigger unless_locked_insert on reader_study_mark;"
            "drop function reread_refuse_locked_mark();",
        ),
    ]
