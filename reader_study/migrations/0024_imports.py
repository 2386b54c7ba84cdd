"""Bring cases in from the desk, and record who changed what before the cases are dealt out."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLE = "reader_study_casechange"

# Appends what is inserted to the chain, and refuses every change: as in 0003_hash_chain.
RECORD = f"""
create function reread_record_case_change() returns trigger language plpgsql security definer
set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    for each in
        select t.study_id as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(jsonb_build_array('case_change', 1,
                t.id, t.study_id, t.kind, t.case, t.detail, t.by_id, t.at)::text, 'UTF8'))
                order by t.id) as contents
        from added t group by t.study_id order by t.study_id
    loop
        perform reread_append(each.study, 'case_change', 1, each.ids, each.contents);
    end loop;
    return null;
end $$;
do $$
begin
    execute format('alter function reread_record_case_change() set search_path = %I, pg_temp',
        current_schema());
end $$;
create trigger recorded after insert on {TABLE} referencing new table as added
    for each statement execute function reread_record_case_change();
create trigger append_only before update or delete on {TABLE}
    for each row execute function reread_refuse_change();
create trigger never_emptied before truncate on {TABLE}
    for each statement execute function reread_refuse_truncation();
"""  # noqa: S608

# With the rights of the owner, since the role that serves readers cannot look at the truth.
STANDS = """
create function reread_nodule_stands() returns trigger language plpgsql security definer as $$
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
        or exists (select from reader_study_job j where j.nodule_id = old.id)
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
create trigger stands before update of x, y, z, diameter_mm or delete on reader_study_nodule
    for each row execute function reread_nodule_stands();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0023_desk_monitoring"),
    ]

    operations = [
        migrations.CreateModel(
            name="CaseChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=32)),
                ("case", models.CharField(blank=True, max_length=32)),
                ("detail", models.JSONField(default=dict)),
                ("at", models.DateTimeField()),
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
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="case_changes",
                        to="reader_study.study",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="ImportJob",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("upload", "files of this computer"),
                            ("folder", "a folder of the server"),
                            ("archive", "an image archive"),
                        ],
                        max_length=16,
                    ),
                ),
                ("origin", models.CharField(max_length=400)),
                ("wanted", models.JSONField(default=list)),
                ("profile", models.JSONField(null=True)),
                ("nodules", models.TextField(blank=True)),
                ("without_nodules", models.BooleanField(default=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("receiving", "files are being sent"),
                            ("waiting", "waits for the worker"),
                            ("running", "runs"),
                            ("done", "done"),
                            ("failed", "stopped"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=16,
                    ),
                ),
                ("step", models.CharField(blank=True, max_length=200)),
                ("done", models.PositiveIntegerField(default=0)),
                ("of", models.PositiveIntegerField(default=0)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("detail", models.TextField(blank=True)),
                ("asked_at", models.DateTimeField()),
                ("lease_until", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
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
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="imports",
                        to="reader_study.study",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="ImportFile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("path", models.CharField(max_length=400)),
                ("size", models.PositiveBigIntegerField()),
                ("received", models.PositiveBigIntegerField(default=0)),
                ("digest", models.CharField(blank=True, max_length=64)),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sent",
                        to="reader_study.importjob",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ImportProblem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("where", models.CharField(max_length=400)),
                ("code", models.CharField(max_length=32)),
                ("detail", models.CharField(max_length=400)),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="problems",
                        to="reader_study.importjob",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="ImportSeries",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("study_uid", models.CharField(max_length=64)),
                ("series_uid", models.CharField(max_length=64)),
                ("files", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waits"),
                            ("imported", "in the study"),
                            ("refused", "refused"),
                            ("held", "to be looked at"),
                            ("rejected", "rejected"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("said", models.TextField(blank=True)),
                ("doubts", models.JSONField(default=list)),
                ("looked", models.BooleanField(default=False)),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="found",
                        to="reader_study.importjob",
                    ),
                ),
                (
                    "series",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="brought_by",
                        to="reader_study.series",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "import series",
                "ordering": ["pk"],
            },
        ),
        migrations.AddConstraint(
            model_name="importjob",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["done", "failed", "cancelled"]),
                    ("ended_at__isnull", True),
                    _connector="XOR",
                ),
                name="an_import_ended_exactly_when_it_has_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="importfile",
            constraint=models.UniqueConstraint(
                fields=("job", "path"), name="a_file_once_an_import"
            ),
        ),
        migrations.AddConstraint(
            model_name="importfile",
            constraint=models.CheckConstraint(
                condition=models.Q(("received__lte", models.F("size"))),
                name="no_more_than_the_file",
            ),
        ),
        migrations.AddConstraint(
            model_name="importproblem",
            constraint=models.UniqueConstraint(
                fields=("job", "where", "code"), name="a_problem_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="importseries",
            constraint=models.UniqueConstraint(
                fields=("job", "series_uid"), name="a_series_once_an_import"
            ),
        ),
        migrations.RunSQL(
            RECORD,
            f"drop trigger never_emptied on {TABLE}; drop trigger append_only on {TABLE}; "
            f"drop trigger recorded on {TABLE}; drop function reread_record_case_change();",
        ),
        migrations.RunSQL(
            STANDS,
            "drop trigger stands on reader_study_nodule; drop function reread_nodule_stands();",
        ),
    ]
