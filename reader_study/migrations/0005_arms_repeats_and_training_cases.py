"""Say under which arm a reading is, whether it is a repeat, and which cases are for training."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0004_refuse_truncation"),
    ]

    operations = [
        migrations.AddField(
            model_name="case",
            name="training",
            field=models.BooleanField(
                db_default=False, help_text="Read for practice, by all first."
            ),
        ),
        migrations.AddField(
            model_name="reading",
            name="arm",
            field=models.CharField(
                db_default="sequential", help_text="As in the protocol.", max_length=32
            ),
        ),
        migrations.AddField(
            model_name="reading",
            name="repeat",
            field=models.BooleanField(
                db_default=False, help_text="Read before, which is not told."
            ),
        ),
    ]
