"""What the desk asks the worker for, with the rights that each of the two roles has."""

from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.urls import reverse

from reader_study.actions.desk import request_allocation, resend_lost_desk_tasks, run_desk_task
from reader_study.actions.plan import schedule_of
from reader_study.actions.reference import load_reference
from reader_study.domain.errors import DeskTaskRefused, StudyFrozen
from reader_study.management.commands.create_roles import give_rights
from reader_study.models import Case, DeskTask, Nodule, Reading, Role, Study
from reader_study.models.rights import RIGHTS, RIGHTS_OF_THE_WORKER
from tests.factories import NOW, PASSWORD, a_case, a_member, a_study, a_user
from tests.test_rights import refused

pytestmark = pytest.mark.django_db

SITE, WORKER = "reread_site_of_the_desk", "reread_worker_of_the_desk"
RESTRICTED = {"seed": 7, "restrictions": {"max_positives_in_a_row": 2}}


@contextmanager
def as_role(name, rights):
    give_rights(name, "a password", rights)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"set local role {name}")
        yield
        cursor.execute("reset role")


@pytest.fixture
def study(client):
    """A study with cases of known truth whose order depends on it, and its desk logged in."""
    study = a_study(is_open=False, allocation=RESTRICTED)
    for number in range(6):
        a_case(study)
        nodule = Nodule.objects.of_study(study).order_by("-pk")[0]
        load_reference(nodule=nodule, malignant=number < 2, source="pathology 4711", now=NOW)
    for _ in range(2):
        a_member(study)
    desk = a_user(username="desk", password=PASSWORD)
    a_member(study, Role.COORDINATOR, desk)
    client.force_login(desk)
    return study


def test_the_web_server_asks_and_the_worker_deals_out_by_the_truth(client, study):
    address = reverse("study-allocation", args=[study.slug])
    with as_role(SITE, RIGHTS):
        assert client.post(address).status_code == 302
        page = client.get(address).content.decode()
        assert refused("select payload from reader_study_desktask")
        assert refused("update reader_study_desktask set status = 'done'")
    assert "The worker deals the cases out; asked for by desk" in page
    assert "Deal the cases out</button>" not in page
    with as_role(WORKER, RIGHTS_OF_THE_WORKER):
        run_desk_task(task_id=DeskTask.objects.get().pk, now=NOW)
        run_desk_task(task_id=DeskTask.objects.get().pk, now=NOW)  # told twice, done once
        assert refused("update reader_study_referencestandard set malignant = null")
        assert refused("delete from reader_study_reading")

    task = DeskTask.objects.get()
    assert (task.status, task.outcome) == ("done", {"readings": 12, "predictions": 6})
    assert Reading.objects.count() == 12
    with as_role(SITE, RIGHTS):
        page = client.get(address).content.decode()
    assert "12 readings; 6 predictions were asked for" in page
    assert "pathology" not in page
    assert "malignant" not in page
    assert [(each.session, each.readings) for each in schedule_of(study)] == [(1, 6), (1, 6)]


def test_a_worker_without_a_role_of_its_own_says_what_it_needs(client, study):
    task = request_allocation(study=study, training=[], by=a_user(), now=NOW)
    shared = RIGHTS | {"reader_study_desktask": RIGHTS_OF_THE_WORKER["reader_study_desktask"]}
    with as_role(WORKER, shared):
        run_desk_task(task_id=task.pk, now=NOW)

    task = DeskTask.objects.get()
    assert task.status == "failed"
    assert "WORKER_DATABASE_URL" in task.detail
    assert not Reading.objects.exists()
    page = client.get(reverse("study-allocation", args=[study.slug])).content.decode()
    assert "They were not dealt out: This part of the site may not see" in page
    assert "Deal the cases out</button>" in page  # asked for again once that is mended


def test_it_is_asked_for_once_and_training_cases_are_marked_on_the_way(study):
    case = Case.objects.filter(study=study).first()
    document = {**study.protocol, "design": {**study.protocol["design"], "training": {"cases": 1}}}
    Study.objects.filter(pk=study.pk).update(protocol=document)
    task = request_allocation(study=study, training=[case.pseudonym], by=a_user(), now=NOW)
    with pytest.raises(DeskTaskRefused):
        request_allocation(study=study, training=[], by=a_user(), now=NOW)

    with as_role(WORKER, RIGHTS_OF_THE_WORKER):
        run_desk_task(task_id=task.pk, now=NOW)

    assert Case.objects.get(training=True) == case
    assert DeskTask.objects.defer(None).get().payload == {}
    assert {each.session for each in schedule_of(study)} == {0, 1}
    study.refresh_from_db()
    with pytest.raises(StudyFrozen):
        request_allocation(study=study, training=[], by=a_user(), now=NOW)


def test_a_plan_that_cannot_be_made_leaves_nothing_and_is_told(study):
    task = request_allocation(study=study, training=["nobody"], by=a_user(), now=NOW)
    run_desk_task(task_id=task.pk, now=NOW)

    task.refresh_from_db(fields=["status", "detail"])
    assert (task.status, task.detail) == ("failed", "The study has no case nobody.")
    assert not Case.objects.filter(training=True).exists()


def test_what_no_worker_ever_does_has_failed_in_the_end(study):
    request_allocation(study=study, training=[], by=a_user(), now=NOW)
    DeskTask.objects.update(retry_at=NOW, attempts=4)

    assert resend_lost_desk_tasks(now=NOW) == 0
    assert DeskTask.objects.get().detail == "No worker did it in 4 attempts."


@pytest.mark.parametrize("role", [Role.READER, Role.TRUTH_PANEL, Role.INVESTIGATOR])
def test_only_the_desk_asks(client, study, role):
    client.force_login(a_member(study, role).user)
    address = reverse("study-allocation", args=[study.slug])

    assert client.post(address).status_code == 404
    assert client.get(address).status_code == (200 if role == Role.INVESTIGATOR else 404)
    assert not DeskTask.objects.exists()
