"""Let a coordinator end all recording in a study, and refuse whatever would come after."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLE = "reader_study_databaselock"
OF_A_READING = (
    "join reader_study_reading r on r.id = t.reading_id "
    "join reader_study_membership m on m.id = r.reader_id"
)
AFTER_LOCK = "('database_lock', 'prediction', 'reference', 'waiver', 'key_access')"

# As in 0003_hash_chain; a lock that was committed while this waited for the head is seen.
REFUSE_KIND = f"""
    if of_kind not in {AFTER_LOCK}
        and exists (select from reader_study_databaselock where study_id = of_study)
    then
        raise exception 'the database of study % is locked: % refused', of_study, of_kind
            using errcode = 'restrict_violation';
    end if;
"""


def append(check: str) -> str:
    return f"""
create or replace function reread_append(
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
    {check}
    for i in 1 .. cardinality(ids) loop
        place := place + 1;
        last := sha256(last || contents[i]);
        insert into reader_study_record
            (study_id, number, kind, version, row_id, content, link)
            values (of_study, place, of_kind, of_version, ids[i], contents[i], last);
    end loop;
    update reader_study_chain set length = place, head = last where study_id = of_study;
end $$;
"""  # noqa: S608


PATH = """
do $$
begin
    execute format('alter function {name}() set search_path = %I, pg_temp', current_schema());
end $$;
"""

# The head is taken here and held until the commit, so that nothing comes between.
FILL_IN = f"""
create function reread_fill_in_lock() returns trigger language plpgsql security definer as $$
begin
    insert into reader_study_chain (study_id, length, head)
        values (new.study_id, 0, sha256(convert_to('reread study ' || new.study_id, 'UTF8')))
        on conflict do nothing;
    select length, encode(head, 'hex') into new.records, new.head
        from reader_study_chain where study_id = new.study_id for update;
    return new;
end $$;
{PATH.format(name="reread_fill_in_lock")}
create trigger filled_in before insert on {TABLE}
    for each row execute function reread_fill_in_lock();
"""  # noqa: S608

RECORD = f"""
create function reread_record_database_lock() returns trigger language plpgsql security definer
set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    for each in
        select t.study_id as study, array_agg(t.id) as ids,
            array_agg(sha256(convert_to(jsonb_build_array('database_lock', 1, t.id, t.study_id,
                t.by_id, t.at, t.statement, t.accepted, t.records, t.head)::text, 'UTF8')))
                as contents
        from added t group by t.study_id
    loop
        perform reread_append(each.study, 'database_lock', 1, each.ids, each.contents);
    end loop;
    return null;
end $$;
{PATH.format(name="reread_record_database_lock")}
create trigger recorded after insert on {TABLE} referencing new table as added
    for each statement execute function reread_record_database_lock();
"""  # noqa: S608

# What is not in the chain itself: the rows t that were added or changed, and their study.
UNCHAINED = {
    "draft": (OF_A_READING, "m.study_id", ("insert", "update")),
    "earlyopening": (OF_A_READING, "m.study_id", ("insert",)),
    "skip": (OF_A_READING, "m.study_id", ("insert",)),
    "rating": (
        "join reader_study_answer a on a.id = t.answer_id "
        "join reader_study_reading r on r.id = a.reading_id "
        "join reader_study_membership m on m.id = r.reader_id",
        "m.study_id",
        ("insert",),
    ),
    "reading": (
        "join reader_study_membership m on m.id = t.reader_id",
        "m.study_id",
        ("insert", "update"),
    ),
    "study": ("", "t.id", ("update",)),
}


def refusing(name: str) -> migrations.RunSQL:
    joins, study, changes = UNCHAINED[name]
    table, function = f"reader_study_{name}", f"reread_refuse_locked_{name}"
    sql = f"""
create function {function}() returns trigger language plpgsql as $$
begin
    if exists (select from added t {joins} join {TABLE} l on l.study_id = {study}) then
        raise exception 'the database of the study is locked: % of {name} refused', lower(tg_op)
            using errcode = 'restrict_violation';
    end if;
    return null;
end $$;
{PATH.format(name=function)}
"""
    undo = f"drop function {function}();"
    for change in changes:
        trigger = f"unless_locked_{change}"
        sql += f"""
create trigger {trigger} after {change} on {table} referencing new table as added
    for each statement execute function {function}();
"""
        undo = f"drop trigger {trigger} on {table}; {undo}"
    return migrations.RunSQL(sql, undo)


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0008_record_arm_and_repeat"),
    ]

    operations = [
        migrations.CreateModel(
            name="DatabaseLock",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("statement", models.TextField()),
                ("accepted", models.JSONField()),
                ("records", models.BigIntegerField(default=0, editable=False)),
                ("head", models.CharField(default="", editable=False, max_length=64)),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "study",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="database_lock",
                        to="reader_study.study",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("statement", ""), _negated=True),
                        name="locked_with_a_statement",
                    )
                ],
            },
        ),
        migrations.RunSQL(append(REFUSE_KIND), append("")),
        migrations.RunSQL(
            FILL_IN,
            f"drop trigger filled_in on {TABLE}; drop function reread_fill_in_lock();",
        ),
        migrations.RunSQL(
            RECORD,
            f"drop trigger recorded on {TABLE}; drop function reread_record_database_lock();",
        ),
        migrations.RunSQL(
            f"create trigger append_only before update or delete on {TABLE} "
            "for each row execute function reread_refuse_change();"
            f"create trigger never_emptied before truncate on {TABLE} "
            "for each statement execute function reread_refuse_truncation();",
            f"drop trigger append_only on {TABLE}; drop trigger never_emptied on {TABLE};",
        ),
        *[refusing(name) for name in UNCHAINED],
    ]
