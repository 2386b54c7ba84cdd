"""Refuse to empty the tables of what is recorded.

A row trigger does not see `truncate`. Tests empty their tables that way, and say so with
the setting reread.may_truncate.
"""

from django.db import migrations

TABLES = (
    "answer",
    "rating",
    "event",
    "prediction",
    "modelversion",
    "referencestandard",
    "record",
    "chain",
)

FUNCTION = """
create function reread_refuse_truncation() returns trigger language plpgsql as $$
begin
    if current_setting('reread.may_truncate', true) is distinct from 'on' then
        raise exception '% is append-only: truncate refused', tg_table_name
            using errcode = 'restrict_violation';
    end if;
    return null;
end $$;
"""


def trigger(table: str) -> migrations.RunSQL:
    name = f"reader_study_{table}"
    return migrations.RunSQL(
        f"create trigger never_emptied before truncate on {name} "
        "for each statement execute function reread_refuse_truncation();",
        f"drop trigger never_emptied on {name};",
    )


class Migration(migrations.Migration):
    dependencies = [("reader_study", "0003_hash_chain")]

    operations = [
        migrations.RunSQL(FUNCTION, "drop function reread_refuse_truncation();"),
        *[trigger(table) for table in TABLES],
    ]
