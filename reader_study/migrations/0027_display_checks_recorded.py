"""Chain the checks of readers' displays; those that are there are appended in the order of their ids.

Those of studies that are locked, too: they were made before. The site refuses new ones there.
"""

from django.db import migrations

TABLE = "reader_study_displaycheck"
COLUMNS = "t.id, t.reader_id, t.session, t.found, t.problems, t.passed, t.at"
AFTER_LOCK = "'database_lock', 'prediction', 'reference', 'waiver', 'key_access'"


def append(after_lock: str) -> str:
    """The function of 0009_database_lock, with these kinds that a lock lets through."""
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
    if of_kind not in ({after_lock})
        and exists (select from reader_study_databaselock where study_id = of_study)
    then
        raise exception 'the database of study % is locked: % refused', of_study, of_kind
            using errcode = 'restrict_violation';
    end if;
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


def appending(rows: str) -> str:
    """The plpgsql that appends `rows`, a FROM clause of rows t, to the chains of their studies."""
    return f"""
    for each in
        select m.study_id as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(
                jsonb_build_array('display_check', 1, {COLUMNS})::text, 'UTF8')) order by t.id)
                as contents
        from {rows} t join reader_study_membership m on m.id = t.reader_id
        group by m.study_id order by m.study_id
    loop
        perform reread_append(each.study, 'display_check', 1, each.ids, each.contents);
    end loop;
"""  # noqa: S608


# As the functions of 0003_hash_chain.
RECORD = f"""
create function reread_record_display_check() returns trigger language plpgsql security definer
set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    {appending("added")}
    return null;
end $$;
do $$
begin
    execute format('alter function reread_record_display_check() set search_path = %I, pg_temp',
        current_schema());
end $$;
create trigger recorded after insert on {TABLE} referencing new table as added
    for each statement execute function reread_record_display_check();
do $$
declare
    each record;
begin
    set local timezone = 'UTC';
    set local extra_float_digits = 1;
    {appending(TABLE)}
end $$;
"""
FORGET = f"""
drop trigger recorded on {TABLE};
drop function reread_record_display_check();
"""


class Migration(migrations.Migration):
    dependencies = [("reader_study", "0026_desk")]

    operations = [
        migrations.RunSQL(append(f"{AFTER_LOCK}, 'display_check'"), append(AFTER_LOCK)),
        migrations.RunSQL(RECORD, FORGET),
    ]
