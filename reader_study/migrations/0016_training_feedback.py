"""Let the site reach the reference standard of training cases that have been read, and no other.

The role that serves readers has no right on the table. This function has the owner's, and
returns rows only for a training case, in the training session of a study whose protocol gives
feedback, whose reading by that reader is submitted. Which cases are for training is written by
the owner, and not changed once they are dealt out.
"""

from django.db import migrations

FUNCTION = """
create function reread_training_truth(of_reading bigint, by_user bigint)
returns table (
    nodule bigint, number smallint, x double precision, y double precision, z double precision,
    malignant boolean, source varchar
) language sql stable security definer as $$
    select n.id, n.number, n.x, n.y, n.z, t.malignant, t.source
    from reader_study_reading r
    join reader_study_membership m on m.id = r.reader_id
    join reader_study_study s on s.id = m.study_id
    join reader_study_case c on c.id = r.case_id and c.study_id = s.id
    join reader_study_series i on i.case_id = c.id
    join reader_study_nodule n on n.series_id = i.id
    join reader_study_referencestandard t on t.nodule_id = n.id
    where r.id = of_reading and m.user_id = by_user and m.role = 'reader'
        and c.training and r.session = 0 and r.stage = 'submitted'
        and s.protocol #> '{design,training,feedback}' = 'true'
    order by n.number, n.id
$$;
do $$
begin
    execute format(
        'alter function reread_training_truth(bigint, bigint) set search_path = %I, pg_temp',
        current_schema());
end $$;
revoke execute on function reread_training_truth(bigint, bigint) from public;
"""


class Migration(migrations.Migration):
    dependencies = [("reader_study", "0015_results")]

    operations = [
        migrations.RunSQL(FUNCTION, "drop function reread_training_truth(bigint, bigint);"),
    ]
