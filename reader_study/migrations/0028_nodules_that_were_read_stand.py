"""Let a nodule that the truth panel has read stay where it is, too."""

from django.db import migrations


def stands(known: str) -> str:
    """Refuse to move or remove what others speak of: as in 0024_imports."""
    return f"""
create or replace function reread_nodule_stands() returns trigger
language plpgsql security definer as $$
begin
    if exists (
        select from reader_study_series s join reader_study_case c on c.id = s.case_id
            join reader_study_study y on y.id = c.study_id
        where s.id = old.series_id and y.allocated_at is not null
    ) then
        raise exception 'the cases of this study are dealt out'
            using errcode = 'restrict_violation';
    end if;
    if exists (select from reader_study_referencestandard t where t.nodule_id = old.id)
        or exists (select from reader_study_job j where j.nodule_id = old.id){known}
    then
        raise exception 'a reference standard or a prediction belongs to nodule %', old.id
            using errcode = 'restrict_violation';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end $$;
do $$
begin
    execute format('alter function reread_nodule_stands() set search_path = %I, pg_temp',
        current_schema());
end $$;
"""  # noqa: S608


READ = "\n        or exists (select from reader_study_panelread p where p.nodule_id = old.id)"


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0027_display_checks_recorded"),
    ]

    operations = [migrations.RunSQL(stands(READ), stands(""))]
