"""Record what departs from the protocol, in the study's chain."""

import django.db.models.deletion
from django.db import migrations, models

TABLE = "reader_study_deviation"
KINDS = [
    "early_opening",
    "washout_overridden",
    "skip",
    "unlock",
    "out_of_order",
    "sitting_too_long",
    "break_not_kept",
    "inference_failed",
    "two_pages",
    "browser_clock",
    "open_at_lock",
    "amendment",
]

# As in 0003_hash_chain.
RECORD = f"""
create function reread_record_deviation() returns trigger language plpgsql security definer
set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    for each in
        select t.study_id as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(jsonb_build_array('deviation', 1, t.id, t.study_id,
                t.reader_id, t.reading_id, t.kind, t.detail, t.at)::text, 'UTF8'))
                order by t.id) as contents
        from added t group by t.study_id order by t.study_id
    loop
        perform reread_append(each.study, 'deviation', 1, each.ids, each.contents);
    end loop;
    return null;
end $$;
do $$
begin
    execute format('alter function reread_record_deviation() set search_path = %I, pg_temp',
        current_schema());
end $$;
create trigger recorded after insert on {TABLE} referencing new table as added
    for each statement execute function reread_record_deviation();
create trigger append_only before update or delete on {TABLE}
    for each row execute function reread_refuse_change();
create trigger never_emptied before truncate on {TABLE}
    for each statement execute function reread_refuse_truncation();
"""  # noqa: S608
UNDO = f"""
drop trigger never_emptied on {TABLE};
drop trigger append_only on {TABLE};
drop trigger recorded on {TABLE};
drop function reread_record_deviation();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0012_unlocks"),
    ]

    operations = [
        migrations.CreateModel(
            name="Deviation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=32)),
                ("detail", models.JSONField(default=dict)),
                ("at", models.DateTimeField()),
                (
                    "reader",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reader_study.membership",
                    ),
                ),
                (
                    "reading",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deviations",
                        to="reader_study.reading",
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deviations",
                        to="reader_study.study",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", KINDS)), name="a_known_deviation"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("reading__isnull", True),
                            ("reader__isnull", False),
                            _connector="OR",
                        ),
                        name="a_deviation_of_a_reading_is_its_readers",
                    ),
                ],
            },
        ),
        migrations.RunSQL(RECORD, UNDO),
    ]
