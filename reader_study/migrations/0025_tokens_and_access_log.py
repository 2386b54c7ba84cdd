"""Personal access tokens, and the log of who saw which images and answers when."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLE = "reader_study_access"


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0024_imports"),
    ]

    operations = [
        migrations.CreateModel(
            name="PersonalToken",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("scopes", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(null=True)),
                ("last_used_at", models.DateTimeField(null=True)),
                ("minute", models.DateTimeField(null=True)),
                ("calls", models.PositiveIntegerField(default=0)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="Access",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "what",
                    models.CharField(
                        choices=[
                            ("images", "images"),
                            ("answers", "answers of a reading"),
                            ("ai", "output of the AI"),
                            ("truth", "reference standard"),
                            ("export", "export of all that was recorded"),
                            ("archive", "archive of the locked study"),
                            ("results", "results"),
                            ("log", "the access log"),
                        ],
                        max_length=16,
                    ),
                ),
                ("series_uid", models.CharField(blank=True, max_length=64)),
                ("minute", models.DateTimeField()),
                (
                    "case",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reader_study.case",
                    ),
                ),
                (
                    "reading",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reader_study.reading",
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reader_study.study",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "token",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reader_study.personaltoken",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "accesses",
                "ordering": ["-minute", "-pk"],
            },
        ),
        migrations.AddConstraint(
            model_name="personaltoken",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="a_token_has_a_name"
            ),
        ),
        migrations.AddConstraint(
            model_name="personaltoken",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at__gt", models.F("created_at"))),
                name="a_token_ends_after_it_begins",
            ),
        ),
        migrations.AddIndex(
            model_name="access",
            index=models.Index(fields=["study", "minute"], name="accesses_of_a_study"),
        ),
        migrations.AddConstraint(
            model_name="access",
            constraint=models.UniqueConstraint(
                fields=(
                    "user",
                    "minute",
                    "what",
                    "study",
                    "case",
                    "reading",
                    "series_uid",
                    "token",
                ),
                name="an_access_once_a_minute",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="access",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "what__in",
                        ["images", "answers", "ai", "truth", "export", "archive", "results", "log"],
                    )
                ),
                name="a_known_kind_of_access",
            ),
        ),
        migrations.RunSQL(
            f"create trigger append_only before update or delete on {TABLE} "
            "for each row execute function reread_refuse_change();"
            f"create trigger never_emptied before truncate on {TABLE} "
            "for each statement execute function reread_refuse_truncation();",
            f"drop trigger append_only on {TABLE}; drop trigger never_emptied on {TABLE};",
        ),
    ]
