"""Record who may read although they know the truth, and who was given the key of pseudonyms."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def recording(kind: str, table: str, joins: str, study: str, columns: str) -> migrations.RunSQL:
    """Append what is inserted to the chain, and refuse every change: as in 0003_hash_chain."""
    return migrations.RunSQL(
        f"""
create function reread_record_{kind}() returns trigger language plpgsql security definer
set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    for each in
        select {study} as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(jsonb_build_array('{kind}', 1, {columns})::text, 'UTF8'))
                order by t.id) as contents
        from added t {joins} group by {study} order by {study}
    loop
        perform reread_append(each.study, '{kind}', 1, each.ids, each.contents);
    end loop;
    return null;
end $$;
do $$
begin
    execute format('alter function reread_record_{kind}() set search_path = %I, pg_temp',
        current_schema());
end $$;
create trigger recorded after insert on {table} referencing new table as added
    for each statement execute function reread_record_{kind}();
create trigger append_only before update or delete on {table}
    for each row execute function reread_refuse_change();
create trigger never_emptied before truncate on {table}
    for each statement execute function reread_refuse_truncation();
""",  # noqa: S608
        f"""
drop trigger never_emptied on {table};
drop trigger append_only on {table};
drop trigger recorded on {table};
drop function reread_record_{kind}();
""",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0019_preferences_and_display_checks"),
    ]

    operations = [
        migrations.CreateModel(
            name="KeyAccess",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.CharField(max_length=1000)),
                ("at", models.DateTimeField()),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="Waiver",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.CharField(max_length=1000)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="membership",
            name="a_known_role",
        ),
        migrations.AlterField(
            model_name="membership",
            name="role",
            field=models.CharField(
                choices=[
                    ("reader", "Reader"),
                    ("coordinator", "Coordinator"),
                    ("investigator", "Investigator"),
                    ("truth_panel", "Truth Panel"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("role__in", ["reader", "coordinator", "investigator", "truth_panel"])
                ),
                name="a_known_role",
            ),
        ),
        migrations.AddField(
            model_name="keyaccess",
            name="by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="keyaccess",
            name="study",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="key_accesses",
                to="reader_study.study",
            ),
        ),
        migrations.AddField(
            model_name="waiver",
            name="by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="waiver",
            name="reader",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="waiver",
                to="reader_study.membership",
            ),
        ),
        migrations.AddConstraint(
            model_name="keyaccess",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="a_key_for_a_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="waiver",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="waived_for_a_reason"
            ),
        ),
        recording(
            "waiver",
            "reader_study_waiver",
            "join reader_study_membership m on m.id = t.reader_id",
            "m.study_id",
            "t.id, t.reader_id, t.by_id, t.reason, t.at",
        ),
        recording(
            "key_access",
            "reader_study_keyaccess",
            "",
            "t.study_id",
            "t.id, t.study_id, t.by_id, t.reason, t.at",
        ),
    ]
