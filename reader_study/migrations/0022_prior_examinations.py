"""Let a case have series of earlier examinations of its patient."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0021_overtaken_saves"),
    ]

    operations = [
        migrations.AddField(
            model_name="series",
            name="kernel",
            field=models.CharField(blank=True, db_default="", max_length=16),
        ),
        migrations.AddField(
            model_name="series",
            name="prior",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="series",
            name="days_before",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddConstraint(
            model_name="series",
            constraint=models.CheckConstraint(
                condition=models.Q(("prior", True), ("days_before__isnull", True), _connector="OR"),
                name="an_interval_of_a_prior_only",
            ),
        ),
    ]
