"""Let a save of a draft be known again by the key of whoever sent it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0016_training_feedback"),
    ]

    operations = [
        migrations.AddField(
            model_name="draft",
            name="key",
            field=models.UUIDField(null=True),
        ),
    ]
