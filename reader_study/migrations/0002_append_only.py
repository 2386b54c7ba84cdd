"""Refuse every change of what has been recorded: answers, ratings, events, predictions."""

from django.db import migrations

TABLES = ("answer", "rating", "event", "prediction", "modelversion")

FUNCTION = """
create function reread_refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_name, lower(tg_op)
        using errcode = 'restrict_violation';
end $$;
"""


def trigger(table: str) -> migrations.RunSQL:
    name = f"reader_study_{table}"
    return migrations.RunSQL(
        f"create trigger append_only before update or delete on {name} "
        "for each row execute function reread_refuse_change();",
        f"drop trigger append_only on {name};",
    )


class Migration(migrations.Migration):
    dependencies = [("reader_study", "0001_tables")]

    operations = [
        migrations.RunSQL(FUNCTION, "drop function reread_refuse_change();"),
        *[trigger(table) for table in TABLES],
    ]
