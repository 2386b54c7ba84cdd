"""Keep what readers set in the reading room, and the checks of their displays."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLE = "reader_study_displaycheck"


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0018_protocol_versions"),
    ]

    operations = [
        migrations.CreateModel(
            name="DisplayCheck",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "session",
                    models.PositiveSmallIntegerField(
                        help_text="The session it was made for.", null=True
                    ),
                ),
                ("found", models.JSONField()),
                ("problems", models.JSONField(default=list)),
                ("passed", models.BooleanField()),
                ("at", models.DateTimeField()),
                (
                    "reader",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="display_checks",
                        to="reader_study.membership",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ReaderPreferences",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("values", models.JSONField(default=dict)),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="preferences",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "reader preferences",
            },
        ),
        migrations.RunSQL(
            f"create trigger append_only before update or delete on {TABLE} "
            "for each row execute function reread_refuse_change();"
            f"create trigger never_emptied before truncate on {TABLE} "
            "for each statement execute function reread_refuse_truncation();",
            f"drop trigger append_only on {TABLE}; drop trigger never_emptied on {TABLE};",
        ),
    ]
