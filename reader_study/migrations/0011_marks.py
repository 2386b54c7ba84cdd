"""Keep what readers mark: points of the patient, and ratings of them."""

import django.db.models.deletion
from django.db import migrations, models

TABLE = "reader_study_mark"


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0010_session_signatures"),
    ]

    operations = [
        migrations.CreateModel(
            name="Mark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.UUIDField()),
                ("number", models.PositiveSmallIntegerField()),
                ("x", models.FloatField()),
                ("y", models.FloatField()),
                ("z", models.FloatField()),
            ],
            options={
                "ordering": ["answer_id", "number"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="rating",
            name="a_question_once",
        ),
        migrations.AddField(
            model_name="series",
            name="geometry",
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name="mark",
            name="answer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="marks",
                to="reader_study.answer",
            ),
        ),
        migrations.AddField(
            model_name="mark",
            name="series",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="marks",
                to="reader_study.series",
            ),
        ),
        migrations.AddField(
            model_name="rating",
            name="mark",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="ratings",
                to="reader_study.mark",
            ),
        ),
        migrations.AddConstraint(
            model_name="rating",
            constraint=models.UniqueConstraint(
                fields=("answer", "nodule", "mark", "question"),
                name="a_question_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="rating",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("nodule__isnull", True), ("mark__isnull", True), _connector="OR"
                ),
                name="about_a_nodule_or_a_mark",
            ),
        ),
        migrations.AddConstraint(
            model_name="mark",
            constraint=models.UniqueConstraint(
                fields=("answer", "key"), name="a_mark_once_an_answer"
            ),
        ),
        migrations.AddConstraint(
            model_name="mark",
            constraint=models.UniqueConstraint(
                fields=("answer", "number"), name="one_mark_a_number"
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
