"""Let a save that was overtaken by a later one of its page be known when it arrives."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0020_people"),
    ]

    operations = [
        migrations.AddField(
            model_name="draft",
            name="overtaken",
            field=models.JSONField(db_default=[], default=list),
        ),
    ]
