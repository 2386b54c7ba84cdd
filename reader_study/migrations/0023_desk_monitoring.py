"""Keep what the desk is shown of how readings went, and when backups were made."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0022_prior_examinations"),
    ]

    operations = [
        migrations.CreateModel(
            name="BackupMade",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "backups made",
            },
        ),
        migrations.CreateModel(
            name="ReadingPace",
            fields=[
                (
                    "reading",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="pace",
                        serialize=False,
                        to="reader_study.reading",
                    ),
                ),
                ("submitted_at", models.DateTimeField()),
                ("active_s", models.FloatField()),
                ("longest_pause_s", models.FloatField()),
                ("ratings_hash", models.CharField(blank=True, max_length=64)),
                ("same_in_a_row", models.PositiveIntegerField()),
            ],
        ),
    ]
