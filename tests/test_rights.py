"""The role that serves readers can do all that readers need, and nothing to what is recorded."""

from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.urls import reverse
from django.utils import timezone
from psycopg.errors import InsufficientPrivilege

from reader_study.actions.case_changes import (
    move_nodule,
    place_nodule,
    remove_case,
    remove_nodule,
)
from reader_study.actions.importing import run_import
from reader_study.actions.imports import begin_import
from reader_study.actions.prediction import record_prediction, request_predictions
from reader_study.actions.reading import (
    Told,
    lock_unaided,
    open_reading,
    save_draft,
    store_events,
    submit,
)
from reader_study.actions.reference import load_reference
from reader_study.actions.study import open_study
from reader_study.actions.verification import verify_study
from reader_study.dicomweb.profile import Profile
from reader_study.domain.reading import Stage
from reader_study.management.commands.create_roles import give_rights
from reader_study.models import Answer, ImportSource, Job, Nodule, Reading, Role, Series
from reader_study.models.rights import NOTHING, RECORDED, RIGHTS
from tests.dicomweb.series import SERIES, STUDY, a_series
from tests.factories import (
    NOW,
    a_member,
    a_prediction,
    a_reading,
    a_result,
    a_study,
    answers_of,
)

pytestmark = pytest.mark.django_db

NAME = "reread_site_of_the_tests"
LIST = f"patient,study,series,nodule,x,y,z,reference\nP-1,{STUDY},{SERIES},N1,0,0,15,benign\n"
RECORDS = [table for table, rights in RIGHTS.items() if rights == RECORDED]


@contextmanager
def the_site():
    """Everything inside is done with the rights of the role that serves readers."""
    give_rights(NAME, "a password")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"set local role {NAME}")
        yield
        cursor.execute("reset role")


def test_every_table_has_its_rights_stated():
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}

    assert tables | {"django_migrations", "reader_study_cache"} == set(RIGHTS)


def test_a_reading_can_be_done_from_its_opening_to_its_submission(client):
    study = a_study(is_open=False)
    reading = a_reading(study=study)
    study.allocated_at = NOW
    study.save()
    by = {"reader": reading.reader.user, "reading_id": reading.pk, "now": NOW}
    client.force_login(reading.reader.user)
    with the_site():
        request_predictions(study=study, now=NOW)
        record_prediction(job_id=Job.objects.get().pk, message=a_result(), now=timezone.now())
        open_study(study=study, now=NOW)
        open_reading(**by)
        answers = answers_of(reading)
        for version in (0, 1):
            answers["case"]["image_quality"] = {"value": ["diagnostic", "limited"][version]}
            save_draft(**by, stage=Stage.UNAIDED, version=version, answers=answers)
        lock_unaided(**by, answers=answers_of(reading))
        store_events(**by, events=[Told(uuid4(), "slice", "aided", 1.0, {})])
        for name in ("api-reading", "api-ai", "reading"):
            assert client.get(reverse(name, args=[reading.pk])).status_code == 200
        submit(**by, answers=answers_of(reading))
        assert client.get(reverse("worklist")).status_code == 200

    assert Reading.objects.get().stage == Stage.SUBMITTED
    assert verify_study(study).broken is None


def test_a_coordinator_can_watch_export_and_log_out(client):
    study = a_reading(stage=Stage.SUBMITTED).reader.study
    client.force_login(a_member(study, Role.COORDINATOR).user)
    with the_site():
        assert client.get(reverse("study", args=[study.slug])).status_code == 200
        export = client.get(reverse("study-export", args=[study.slug]))
        assert b"".join(export.streaming_content)
        assert client.post(reverse("logout")).status_code == 302


def test_a_coordinator_can_bring_cases_in_and_change_them(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("reader_study.actions.imports.send", lambda job: None)
    settings.ARCHIVE_DIR, settings.STAGING_DIR = tmp_path / "archive", tmp_path / "incoming"
    settings.IMPORT_DIR = tmp_path
    a_series(tmp_path / "ct")
    study = a_study(is_open=False)
    by = {"study": study, "by": a_member(study, Role.COORDINATOR).user, "now": NOW}
    with the_site():
        job = begin_import(
            source=ImportSource.FOLDER, origin="ct", profile=Profile(), nodules=LIST, **by
        )
        run_import(job_id=job.pk)
        series = Series.objects.get()
        where = {"point_mm": [0, 0, 15], "diameter_mm": None}
        place_nodule(series_id=series.pk, **where, **by)
        nodule = place_nodule(series_id=series.pk, **where, **by)
        move_nodule(nodule_id=nodule.pk, point_mm=[0, 0, 10], diameter_mm=5, **by)
        remove_nodule(nodule_id=nodule.pk, **by)
        remove_case(case_id=series.case_id, **by)
    assert not Series.objects.exists()
    assert verify_study(study).counts["case_change"] == 5


def refused(statement):
    with (
        pytest.raises(ProgrammingError) as refusal,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    return isinstance(refusal.value.__cause__, InsufficientPrivilege)


@pytest.mark.parametrize("table", RECORDS)
def test_the_site_cannot_change_what_is_recorded(table):
    with the_site():
        assert refused(f"update {table} set id = id")
        assert refused(f"delete from {table}")
        assert refused(f"truncate {table} cascade")
        assert refused(f"alter table {table} disable trigger all")
        assert refused("set session_replication_role = replica")


@pytest.mark.parametrize("table", ["reader_study_record", "reader_study_chain"])
def test_the_site_cannot_write_the_chain(table):
    study = a_reading(stage=Stage.UNAIDED).reader.study
    with the_site():
        assert refused(f"update {table} set study_id = study_id")
        assert refused(f"delete from {table}")
        assert refused(f"insert into {table} select * from {table}")
        row = f"{study.pk}::bigint, 'event', 1, array[1::bigint], array[''::bytea]"
        assert refused(f"select reread_append({row})")
        assert refused("create temporary table reader_study_record (number bigint)")


def test_the_site_cannot_read_the_truth():
    reading = a_reading(stage=Stage.UNAIDED)
    load_reference(nodule=Nodule.objects.get(), malignant=True, source="pathology", now=NOW)
    with the_site():
        assert RIGHTS["reader_study_referencestandard"] == NOTHING
        assert refused("select * from reader_study_referencestandard")
        assert refused("select count(*) from reader_study_referencestandard")
        assert refused("insert into reader_study_referencestandard default values")
    assert verify_study(reading.reader.study).counts["reference"] == 1


def test_the_site_cannot_give_a_reading_to_another_reader():
    a_reading(stage=Stage.AIDED)
    with the_site():
        assert refused("update reader_study_reading set reader_id = reader_id")
        assert refused("update reader_study_nodule set label = label")
        for statement in (
            "update reader_study_nodule set x = 0",
            "delete from reader_study_nodule",
        ):
            with pytest.raises(IntegrityError, match="dealt out"), transaction.atomic():
                connection.cursor().execute(statement)


def test_an_answer_the_site_writes_past_the_application_is_chained_too():
    reading = a_reading(stage=Stage.UNAIDED)
    with the_site(), connection.cursor() as cursor:
        cursor.execute(
            "insert into reader_study_answer (reading_id, stage, answers, protocol_hash, locked_at)"
            " values (%s, 'unaided', '{}', 'x', now())",
            [reading.pk],
        )

    broken = verify_study(reading.reader.study).broken
    assert (broken.kind, broken.row_id) == ("answer", Answer.objects.get().pk)
    assert "another protocol" in broken.problem


@pytest.mark.parametrize("table", [*RECORDS, "reader_study_record", "reader_study_chain"])
def test_even_the_owner_cannot_empty_a_table_of_records_by_mistake(table):
    a_prediction(a_reading(stage=Stage.SUBMITTED).case.series.get().nodules.get())
    with connection.cursor() as cursor:
        cursor.execute("set local reread.may_truncate = off")
        cursor.execute("set constraints all immediate")
        with pytest.raises(IntegrityError, match="append-only: truncate refused"):
            cursor.execute(f"truncate {table} cascade")


def test_giving_the_rights_again_changes_nothing_and_takes_back_what_is_too_much():
    give_rights(NAME, "")
    with connection.cursor() as cursor:
        cursor.execute(f"grant update on reader_study_answer to {NAME}")
    give_rights(NAME, "another password")
    with the_site():
        assert refused("update reader_study_answer set id = id")


def test_the_command_wants_two_roles(settings):
    with pytest.raises(CommandError, match="name the same role"):
        call_command("create_roles")
    settings.SITE_DATABASE = {"USER": NAME, "PASSWORD": "x"}
    call_command("create_roles")


def test_a_table_nobody_thought_of_stops_the_command():
    with connection.cursor() as cursor:
        cursor.execute("create table reader_study_new (id bigint)")
    with pytest.raises(CommandError, match="who may use reader_study_new"):
        give_rights(NAME, "")
