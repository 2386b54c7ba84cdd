"""What the desk asks the worker for, the truth room, and what the end of a study needs.

The role that serves readers writes what the panel says and cannot read it; these functions have
the owner's rights, and give it what their names say, under the conditions that they state.
"""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def recording(kind: str, table: str, joins: str, study: str, columns: str) -> migrations.RunSQL:
    """Append what is inserted to the chain: as in 0003_hash_chain."""
    return migrations.RunSQL(
        f"""
create function reread_record_{kind}() returns trigger language plpgsql security definer
set timezone = 'UTC' set extra_float_digits = 1 as $$
declare
    each record;
begin
    for each in
        select {study} as study, array_agg(t.id order by t.id) as ids,
            array_agg(sha256(convert_to(jsonb_build_array('{kind}', 1, {columns})::text, 'UTF8'))
                order by t.id) as contents
        from added t {joins} group by {study} order by {study}
    loop
        perform reread_append(each.study, '{kind}', 1, each.ids, each.contents);
    end loop;
    return null;
end $$;
do $$
begin
    execute format('alter function reread_record_{kind}() set search_path = %I, pg_temp',
        current_schema());
end $$;
create trigger recorded after insert on {table} referencing new table as added
    for each statement execute function reread_record_{kind}();
""",  # noqa: S608
        f"drop trigger recorded on {table}; drop function reread_record_{kind}();",
    )


def append_only(table: str) -> migrations.RunSQL:
    """Refuse every change."""
    return migrations.RunSQL(
        f"create trigger append_only before update or delete on {table} "
        "for each row execute function reread_refuse_change();"
        f"create trigger never_emptied before truncate on {table} "
        "for each statement execute function reread_refuse_truncation();",
        f"drop trigger append_only on {table}; drop trigger never_emptied on {table};",
    )


OF_A_NODULE = (
    "join reader_study_nodule n on n.id = t.nodule_id "
    "join reader_study_series s on s.id = n.series_id join reader_study_case c on c.id = s.case_id"
)

# Of a study whose protocol has a panel: the nodules that so many members have read without
# saying the same, and that nobody has decided on. Whether that is a disagreement by the
# protocol's rule, the site says; where all say the same, nothing comes out.
DISAGREEMENT = """
    select n.id from reader_study_study y
    join reader_study_case c on c.study_id = y.id
    join reader_study_series s on s.case_id = c.id
    join reader_study_nodule n on n.series_id = s.id
    join reader_study_panelread p on p.nodule_id = n.id
    where {where}
        and not exists (select from reader_study_paneldecision d where d.nodule_id = n.id)
        and exists (select from reader_study_membership m where m.study_id = y.id
            and m.user_id = by_user and m.role = 'truth_panel')
    group by n.id, y.id
    having count(*) >= coalesce((y.protocol #>> '{{truth,panel,reads}}')::int, 1000)
        and count(distinct p.verdict) > 1
        and (y.protocol #>> '{{truth,panel,adjudication}}' = 'consensus' or not exists (
            select from reader_study_panelread own
            join reader_study_membership o on o.id = own.member_id
            where own.nodule_id = n.id and o.user_id = by_user))
"""

FUNCTIONS = {
    "reread_reference_counts(of_study bigint)": """
returns table (nodules bigint, known bigint) language sql stable security definer as $$
    select count(n.id), count(t.id) from reader_study_case c
    join reader_study_series s on s.case_id = c.id
    join reader_study_nodule n on n.series_id = s.id
    left join reader_study_referencestandard t on t.nodule_id = n.id
    where c.study_id = of_study
$$;
""",
    "reread_reference_sources(of_study bigint)": """
returns table (nodule bigint, source varchar, loaded_at timestamptz)
language sql stable security definer as $$
    select t.nodule_id, t.source, t.loaded_at from reader_study_study y
    join reader_study_case c on c.study_id = y.id
    join reader_study_series s on s.case_id = c.id
    join reader_study_nodule n on n.series_id = s.id
    join reader_study_referencestandard t on t.nodule_id = n.id
    where y.id = of_study and (y.protocol #>> '{truth,desk_sees}' = 'sources'
        or exists (select from reader_study_databaselock l where l.study_id = y.id))
$$;
""",
    "reread_panel_done(of_study bigint)": """
returns table (nodule bigint, member bigint, at timestamptz)
language sql stable security definer as $$
    select t.nodule_id, t.member_id, t.at from reader_study_panelread t
    join reader_study_membership m on m.id = t.member_id
    where m.study_id = of_study
$$;
""",
    "reread_panel_disagreements(of_study bigint, by_user bigint)": f"""
returns table (nodule bigint) language sql stable security definer as $$
{DISAGREEMENT.format(where="y.id = of_study")}
$$;
""",
    "reread_panel_reads(of_nodule bigint, by_user bigint)": f"""
returns table (member varchar, verdict varchar, confidence smallint, note varchar, at timestamptz)
language sql stable security definer as $$
    select m.pseudonym, t.verdict, t.confidence, t.note, t.at from reader_study_panelread t
    join reader_study_membership m on m.id = t.member_id
    where t.nodule_id = of_nodule and t.nodule_id in (
{DISAGREEMENT.format(where="n.id = of_nodule")}
    )
    order by t.at, t.id
$$;
""",  # noqa: S608
}


def function(signature: str) -> migrations.RunSQL:
    name = signature.partition("(")[0]
    types = ", ".join("bigint" for _ in signature.split(","))
    return migrations.RunSQL(
        f"""
create function {signature} {FUNCTIONS[signature]}
revoke execute on function {name}({types}) from public;
do $$
begin
    execute format('alter function {name}({types}) set search_path = %I, pg_temp',
        current_schema());
end $$;
""",
        f"drop function {name}({types});",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("reader_study", "0025_tokens_and_access_log"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeskTask",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("allocate", "Allocate"),
                            ("check_truth", "Check Truth"),
                            ("import_truth", "Import Truth"),
                            ("conclude_panel", "Conclude Panel"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("done", "Done"), ("failed", "Failed")],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("payload", models.JSONField(default=dict)),
                ("outcome", models.JSONField(default=dict)),
                ("detail", models.TextField(blank=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("asked_at", models.DateTimeField()),
                ("retry_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="desk_tasks",
                        to="reader_study.study",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status", "waiting"), ("ended_at__isnull", False), _connector="XOR"
                        ),
                        name="desk_task_ended_exactly_when_it_has_a_time",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status", "waiting")),
                        fields=("study", "kind"),
                        name="one_waiting_desk_task_a_kind",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DeviationReview",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("note", models.CharField(max_length=1000)),
                ("at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "deviation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="review",
                        to="reader_study.deviation",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("note", ""), _negated=True), name="reviewed_with_a_note"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LockProposal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("statement", models.TextField()),
                ("accepted", models.JSONField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "study",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lock_proposals",
                        to="reader_study.study",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("statement", ""), _negated=True),
                        name="proposed_with_a_statement",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PanelDecision",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("verdict", models.CharField(max_length=16)),
                ("note", models.CharField(max_length=1000)),
                ("at", models.DateTimeField()),
                ("nonce", models.UUIDField(default=uuid.uuid4, editable=False)),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reader_study.membership",
                    ),
                ),
                (
                    "nodule",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reader_study.nodule",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("verdict__in", ("malignant", "benign", "undetermined"))
                        ),
                        name="decided_as_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("note", ""), _negated=True), name="decided_with_a_note"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PanelRead",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("verdict", models.CharField(max_length=16)),
                ("confidence", models.PositiveSmallIntegerField(help_text="From 0 to 100.")),
                ("note", models.CharField(blank=True, max_length=1000)),
                ("at", models.DateTimeField()),
                ("nonce", models.UUIDField(default=uuid.uuid4, editable=False)),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reader_study.membership",
                    ),
                ),
                (
                    "nodule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reader_study.nodule",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("nodule", "member"), name="a_panel_read_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("verdict__in", ("malignant", "benign", "undetermined"))
                        ),
                        name="a_known_verdict",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("confidence__lte", 100)), name="a_confidence"
                    ),
                ],
            },
        ),
        recording(
            "panel_read",
            "reader_study_panelread",
            OF_A_NODULE,
            "c.study_id",
            "t.id, t.nodule_id, t.member_id, t.verdict, t.confidence, t.note, t.at, t.nonce",
        ),
        recording(
            "panel_decision",
            "reader_study_paneldecision",
            OF_A_NODULE,
            "c.study_id",
            "t.id, t.nodule_id, t.member_id, t.verdict, t.note, t.at, t.nonce",
        ),
        recording(
            "deviation_review",
            "reader_study_deviationreview",
            "join reader_study_deviation d on d.id = t.deviation_id",
            "d.study_id",
            "t.id, t.deviation_id, t.by_id, t.note, t.at",
        ),
        recording(
            "lock_proposal",
            "reader_study_lockproposal",
            "",
            "t.study_id",
            "t.id, t.study_id, t.by_id, t.at, t.statement, t.accepted",
        ),
        *[
            append_only(f"reader_study_{name}")
            for name in (
                *("panelread", "paneldecision"),
                *("deviationreview", "lockproposal"),
            )
        ],
        *map(function, FUNCTIONS),
    ]
