"""Record an answer with the arm and the repeat of its reading: version 2 of its content.

What was recorded before stays as it was, in version 1.
"""

from django.db import migrations

VERSION_1 = (
    "t.id, t.reading_id, r.reader_id, r.case_id, r.session, r.position, t.stage, t.answers, "
    "t.protocol_hash, t.locked_at"
)
VERSION_2 = (
    "t.id, t.reading_id, r.reader_id, r.case_id, r.session, r.position, r.arm, r.repeat, t.stage, "
    "t.answers, t.protocol_hash, t.locked_at"
)


def recording(version: int, columns: str) -> str:
    """The trigger's function as in 0003_hash_chain, for one version of the content."""
    return f"""
create or replace function reread_record_answer() returns trigger language plpgsql
security definer set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    for each in
        select m.study_id as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(
                jsonb_build_array('answer', {version}, {columns})::text, 'UTF8'))
                order by t.id) as contents
        from added t join reader_study_reading r on r.id = t.reading_id
        join reader_study_membership m on m.id = r.reader_id
        group by m.study_id order by m.study_id
    loop
        perform reread_append(each.study, 'answer', {version}, each.ids, each.contents);
    end loop;
    return null;
end $$;
do $$
begin
    execute format('alter function reread_record_answer() set search_path = %I, pg_temp',
        current_schema());
end $$;
"""  # noqa: S608


class Migration(migrations.Migration):
    dependencies = [("reader_study", "0007_skips")]

    operations = [
        migrations.RunSQL(recording(2, VERSION_2), recording(1, VERSION_1)),
    ]
