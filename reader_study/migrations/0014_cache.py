"""The table in which attempts to log in are counted, as `createcachetable` would make it."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("reader_study", "0013_deviations")]

    operations = [
        migrations.RunSQL(
            """
create table reader_study_cache (
    cache_key varchar(255) primary key, value text not null, expires timestamptz not null
);
create index reader_study_cache_expires on reader_study_cache (expires);
""",
            "drop table reader_study_cache;",
        )
    ]
