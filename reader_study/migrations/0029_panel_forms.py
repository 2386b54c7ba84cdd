"""Keep what a truth panel answers to the other questions of its protocol, in record and export.

What was recorded before stays as it was, in version 1 of its content.
"""

from django.db import migrations, models

OF_A_NODULE = (
    "join reader_study_nodule n on n.id = t.nodule_id "
    "join reader_study_series s on s.id = n.series_id join reader_study_case c on c.id = s.case_id"
)
# By kind and version: the columns of the content.
COLUMNS = {
    ("panel_read", 1): "t.id, t.nodule_id, t.member_id, t.verdict, t.confidence, t.note, t.at, "
    "t.nonce",
    ("panel_read", 2): "t.id, t.nodule_id, t.member_id, t.verdict, t.confidence, t.note, "
    "t.answers, t.at, t.nonce",
    ("panel_decision", 1): "t.id, t.nodule_id, t.member_id, t.verdict, t.note, t.at, t.nonce",
    ("panel_decision", 2): "t.id, t.nodule_id, t.member_id, t.verdict, t.note, t.answers, t.at, "
    "t.nonce",
}


def recording(kind: str, version: int) -> str:
    """The trigger's function as in 0026_desk, for one version of the content."""
    return f"""
create or replace function reread_record_{kind}() returns trigger language plpgsql
security definer set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    for each in
        select c.study_id as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(jsonb_build_array(
                '{kind}', {version}, {COLUMNS[kind, version]})::text, 'UTF8'))
                order by t.id) as contents
        from added t {OF_A_NODULE} group by c.study_id order by c.study_id
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


# As in 0026_desk: the reads of a nodule on which `by_user` may decide.
DISAGREEMENT = """
    select n.id from reader_study_study y
    join reader_study_case c on c.study_id = y.id
    join reader_study_series s on s.case_id = c.id
    join reader_study_nodule n on n.series_id = s.id
    join reader_study_panelread p on p.nodule_id = n.id
    where n.id = of_nodule
        and not exists (select from reader_study_paneldecision d where d.nodule_id = n.id)
        and exists (select from reader_study_membership m where m.study_id = y.id
            and m.user_id = by_user and m.role = 'truth_panel')
    group by n.id, y.id
    having count(*) >= coalesce((y.protocol #>> '{truth,panel,reads}')::int, 1000)
        and count(distinct p.verdict) > 1
        and (y.protocol #>> '{truth,panel,adjudication}' = 'consensus' or not exists (
            select from reader_study_panelread own
            join reader_study_membership o on o.id = own.member_id
            where own.nodule_id = n.id and o.user_id = by_user))
"""


def reads(columns: str, types: str) -> str:
    return f"""
create function reread_panel_reads(of_nodule bigint, by_user bigint)
returns table ({types}) language sql stable security definer as $$
    select {columns} from reader_study_panelread t
    join reader_study_membership m on m.id = t.member_id
    where t.nodule_id = of_nodule and t.nodule_id in ({DISAGREEMENT})
    order by t.at, t.id
$$;
{ENDED.format(name="reread_panel_reads(bigint, bigint)")}
"""  # noqa: S608


# Whoever might call it before may do so again.
ENDED = """
revoke execute on function {name} from public;
do $$
declare
    given record;
begin
    execute format('alter function {name} set search_path = %I, pg_temp', current_schema());
    for given in select grantee from reread_were_given
    loop
        execute format('grant execute on function {name} to %I', given.grantee);
    end loop;
end $$;
drop table reread_were_given;
"""
REMEMBER = """
create temporary table reread_were_given on commit drop as
    select distinct grantee from information_schema.routine_privileges
    where routine_schema = current_schema() and routine_name = 'reread_panel_reads'
        and privilege_type = 'EXECUTE' and grantee <> current_user and grantee <> 'PUBLIC';
drop function reread_panel_reads(bigint, bigint);
"""
BEFORE = (
    "m.pseudonym, t.verdict, t.confidence, t.note, t.at",
    "member varchar, verdict varchar, confidence smallint, note varchar, at timestamptz",
)
AFTER = (
    "m.pseudonym, t.verdict, t.confidence, t.note, t.answers, t.at",
    "member varchar, verdict varchar, confidence smallint, note varchar, answers jsonb, "
    "at timestamptz",
)

UNSEALED = """
create function reread_unsealed_panel(of_study bigint)
returns table (nodule bigint, part text, member text, verdict text, confidence smallint,
    note text, answers jsonb, at timestamptz)
language plpgsql stable security definer as $$
begin
    if not exists (select from reader_study_databaselock l where l.study_id = of_study) then
        raise exception 'what the panel of study % said is sealed until its database is locked',
            of_study using errcode = 'insufficient_privilege';
    end if;
    return query
        select t.nodule_id, 'read', m.pseudonym::text, t.verdict::text, t.confidence,
            t.note::text, t.answers, t.at
        from reader_study_panelread t join reader_study_membership m on m.id = t.member_id
        where m.study_id = of_study
        union all
        select t.nodule_id, 'decision', m.pseudonym::text, t.verdict::text, null, t.note::text,
            t.answers, t.at
        from reader_study_paneldecision t join reader_study_membership m on m.id = t.member_id
        where m.study_id = of_study
        order by 1, 8, 2 desc, 3;
end $$;
revoke execute on function reread_unsealed_panel(bigint) from public;
do $$
begin
    execute format('alter function reread_unsealed_panel(bigint) set search_path = %I, pg_temp',
        current_schema());
end $$;
"""


class Migration(migrations.Migration):
    dependencies = [("reader_study", "0028_nodules_that_were_read_stand")]

    operations = [
        *(
            migrations.AddField(
                model_name=model,
                name="answers",
                field=models.JSONField(default=dict),
            )
            for model in ("panelread", "paneldecision")
        ),
        migrations.AlterField(
            model_name="panelread",
            name="confidence",
            field=models.PositiveSmallIntegerField(
                help_text="0 to 100; null: not asked.", null=True
            ),
        ),
        *(
            migrations.RunSQL(recording(kind, 2), recording(kind, 1))
            for kind in ("panel_read", "panel_decision")
        ),
        migrations.RunSQL(REMEMBER + reads(*AFTER), REMEMBER + reads(*BEFORE)),
        migrations.RunSQL(UNSEALED, "drop function reread_unsealed_panel(bigint);"),
    ]
