"""Keep what a study found, and hand out the truth of a study whose database is locked."""

import django.db.models.deletion
from django.db import migrations, models

TABLE = "reader_study_resultdocument"

# It runs with the rights of whoever owns the tables: the role that serves readers has none on
# the reference standard.
UNSEALED = """
create function reader_study_unsealed_reference(of_study bigint)
returns table (nodule bigint, malignant boolean, source text, detail jsonb, loaded_at timestamptz)
language plpgsql stable security definer as $$
begin
    if not exists (select from reader_study_databaselock l where l.study_id = of_study) then
        raise exception 'the reference standard of study % is sealed until its database is locked',
            of_study using errcode = 'insufficient_privilege';
    end if;
    return query
        select t.nodule_id, t.malignant, t.source::text, t.detail, t.loaded_at
        from reader_study_referencestandard t
        join reader_study_nodule n on n.id = t.nodule_id
        join reader_study_series s on s.id = n.series_id
        join reader_study_case c on c.id = s.case_id
        where c.study_id = of_study
        order by t.nodule_id;
end $$;
revoke all on function reader_study_unsealed_reference(bigint) from public;
do $$
begin
    execute format('alter function reader_study_unsealed_reference(bigint) set search_path = %I, '
        'pg_temp', current_schema());
end $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0014_cache"),
    ]

    operations = [
        migrations.CreateModel(
            name="ResultDocument",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("inputs_hash", models.CharField(max_length=64)),
                ("code_hash", models.CharField(max_length=64)),
                ("name", models.CharField(max_length=200)),
                ("media_type", models.CharField(max_length=100)),
                ("content", models.BinaryField()),
                ("content_hash", models.CharField(max_length=64)),
                ("computed_at", models.DateTimeField()),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="results",
                        to="reader_study.study",
                    ),
                ),
            ],
            options={
                "ordering": ["computed_at", "name"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("study", "inputs_hash", "code_hash", "name"), name="a_result_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ResultsJob",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("done", "Done"), ("failed", "Failed")],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("step", models.CharField(blank=True, max_length=200)),
                ("done", models.PositiveIntegerField(default=0)),
                ("of", models.PositiveIntegerField(default=0)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("detail", models.TextField(blank=True)),
                ("asked_at", models.DateTimeField()),
                ("retry_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "study",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="results_job",
                        to="reader_study.study",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status", "waiting"), ("ended_at__isnull", False), _connector="XOR"
                        ),
                        name="results_ended_exactly_when_they_have_a_time",
                    )
                ],
            },
        ),
        migrations.RunSQL(
            f"create trigger append_only before update or delete on {TABLE} "
            "for each row execute function reread_refuse_change();"
            f"create trigger never_emptied before truncate on {TABLE} "
            "for each statement execute function reread_refuse_truncation();",
            f"drop trigger append_only on {TABLE}; drop trigger never_emptied on {TABLE};",
        ),
        migrations.RunSQL(UNSEALED, "drop function reader_study_unsealed_reference(bigint);"),
    ]
