"""The lock of a study's database: what it asks for, and that nothing is recorded after it."""

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from reader_study.actions.conduct import lock_database, open_points
from reader_study.actions.reading import save_draft
from reader_study.actions.reference import load_reference
from reader_study.actions.verification import verify_study
from reader_study.domain.errors import LockRefused
from reader_study.domain.reading import Stage
from reader_study.exports.tables import write_tables
from reader_study.models import Answer, DatabaseLock, Event, Nodule, Reading, Role, Study
from tests.factories import NOW, PASSWORD, a_member, a_reading, a_study, a_user, answers_of

pytestmark = pytest.mark.django_db

STATEMENT = "The data are complete."


@pytest.fixture
def study():
    """A study with a submitted reading and a coordinator."""
    study = a_study()
    a_reading(stage=Stage.SUBMITTED, study=study)
    a_member(study, Role.COORDINATOR, a_user(username="desk", password=PASSWORD))
    return study


def the_desk(study):
    return study.members.get(role=Role.COORDINATOR).user


def lock(study, **changes):
    return lock_database(
        **{"study": study, "by": the_desk(study), "statement": STATEMENT, "now": NOW, **changes}
    )


def test_a_coordinator_locks_by_password_and_statement_what_has_ended(client, study):
    client.force_login(the_desk(study))
    address = reverse("study-lock", args=[study.slug])
    before = verify_study(study)
    assert "Nothing. Every reading is submitted or skipped." in client.get(address).content.decode()

    refused = client.post(address, {"statement": STATEMENT, "password": "another"})
    assert refused.status_code == 409
    assert "not your password" in refused.content.decode()
    assert not DatabaseLock.objects.exists()
    page = client.post(address, {"statement": STATEMENT, "password": PASSWORD}, follow=True)

    assert STATEMENT in page.content.decode()
    held = DatabaseLock.objects.get()
    assert (held.records, held.head) == (before.length, before.head.hex())
    after = verify_study(study)
    assert (after.broken, after.counts["database_lock"]) == (None, 1)
    assert Study.objects.get(pk=study.pk).is_locked
    assert lock(study).pk == held.pk  # once more changes nothing


def test_what_is_open_is_named_and_stays_open_for_a_reason_only(client, study):
    late = a_reading(stage=Stage.AIDED, study=study)
    by = {"reader": late.reader.user, "reading_id": late.pk, "now": NOW}
    save_draft(**by, stage=Stage.AIDED, version=0, answers=answers_of(late, malignancy=99))
    a_reading(study=study, reader=late.reader)
    kinds = [(point.kind, point.number) for point in open_points(study)]
    assert kinds == [("readings", 2), ("drafts", 1)]
    client.force_login(the_desk(study))
    address = reverse("study-lock", args=[study.slug])
    asked = {"statement": STATEMENT, "password": PASSWORD, "reason-readings": "left the hospital"}

    page = client.post(address, asked).content.decode()

    assert "2 readings are neither submitted nor skipped" in page
    assert f"{late.reader.pseudonym}: 2" in page
    assert "left the hospital</textarea>" in page
    assert not DatabaseLock.objects.exists()
    client.post(address, {**asked, "reason-drafts": "see above"})
    held = DatabaseLock.objects.get()
    assert [(each["kind"], each["reason"]) for each in held.accepted] == [
        ("readings", "left the hospital"),
        ("drafts", "see above"),
    ]
    file = io.BytesIO()
    write_tables(Study.objects.get(pk=study.pk), file)
    exported = json.loads(zipfile.ZipFile(file).read("database_lock.json"))
    assert exported["accepted"] == held.accepted
    assert exported["head"] == held.head


def test_broken_records_are_found_by_the_lock(study):
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        cursor.execute("update reader_study_answer set answers = '{}'")
        cursor.execute("set session_replication_role = origin")

    with pytest.raises(LockRefused, match="the records are broken: answer"):
        lock(study)
    held = lock(study, accepted={"verification": "the reader's answer is on paper too"})
    assert [point["kind"] for point in held.accepted] == ["verification"]


def test_only_a_coordinator_locks_a_study_that_has_begun(client, study):
    address = reverse("study-lock", args=[study.slug])
    for role in (Role.READER, Role.INVESTIGATOR):
        client.force_login(a_member(study, role).user)
        assert client.get(address).status_code == client.post(address).status_code == 404
    with pytest.raises(LockRefused, match="Only a coordinator"):
        lock(study, by=a_user(is_superuser=True))
    with pytest.raises(LockRefused, match="A statement"):
        lock(study, statement=" ")
    unopened = a_study(is_open=False)
    a_member(unopened, Role.COORDINATOR)
    with pytest.raises(LockRefused, match="not been opened"):
        lock(unopened)


def test_after_the_lock_the_site_refuses_whatever_a_reader_or_coordinator_would_record(
    client, study
):
    reading = a_reading(stage=Stage.UNAIDED, study=study)
    waiting = a_reading(study=study, reader=reading.reader)
    lock(study, accepted={"readings": "x", "drafts": "x"})
    client.force_login(reading.reader.user)
    answers = answers_of(reading)
    draft = {"stage": "unaided", "version": 0, "answers": answers}
    for what, method, data in (
        ("open", "post", {}),
        ("draft", "put", draft),
        ("lock", "post", {"answers": answers}),
        ("submit", "post", {"answers": answers}),
        ("events", "post", {"events": []}),
    ):
        response = getattr(client, method)(
            reverse(f"api-{what}", args=[reading.pk]), data, content_type="application/json"
        )
        assert (response.status_code, response.json()["code"]) == (409, "study_locked"), what
    page = client.get(reverse("worklist")).content.decode()
    assert "its database is locked" in page
    assert "<form" not in page.split("<main")[1]
    assert reverse("reading", args=[reading.pk]) not in page
    assert client.get(reverse("reading", args=[waiting.pk])).status_code == 302
    skip = {"reading": waiting.pk, "reason": "why"}
    assert "is locked" in client.post(reverse("skip"), skip, follow=True).content.decode()
    client.force_login(the_desk(study))
    early = {"reader": reading.reader.pseudonym, "session": 1, "position": 2, "reason": "why"}
    address = reverse("study-open-early", args=[study.slug])
    assert "is locked" in client.post(address, early, follow=True).content.decode()
    assert not Event.objects.filter(received_at__gt=NOW + timedelta(minutes=5)).exists()


# What somebody could write past the application, with {reading} and {answer} of the study.
WRITES = {
    "an answer": "insert into reader_study_answer "
    "(reading_id, stage, answers, protocol_hash, locked_at) "
    "values ({reading}, 'unaided', '{{}}', 'x', now())",
    "an event": "insert into reader_study_event (reading_id, key, kind, stage, data, received_at) "
    "values ({reading}, gen_random_uuid(), 'slice', 'unaided', '{{}}', now())",
    "a draft": "insert into reader_study_draft (reading_id, stage, version, answers, saved_at) "
    "values ({reading}, 'unaided', 1, '{{}}', now())",
    "a draft that is there": "update reader_study_draft set version = version + 1",
    "a rating": "insert into reader_study_rating (answer_id, question, value, cannot_assess) "
    "values ({answer}, 'late', '1', false)",
    "a mark": "insert into reader_study_mark (answer_id, key, number, series_id, x, y, z) "
    "values ({answer}, gen_random_uuid(), 1, {series}, 0, 0, 0)",
    "a skip": "insert into reader_study_skip (reading_id, reason, at) "
    "values ({reading}, 'x', now())",
    "an early opening": "insert into reader_study_earlyopening (reading_id, by_id, reason, at) "
    "values ({reading}, {user}, 'x', now())",
    "a step": "update reader_study_reading set stage = 'unaided', opened_at = now(), "
    "version_id = (select max(id) from reader_study_protocolversion) where id = {reading}",
    "a version of the protocol": "insert into reader_study_protocolversion (study_id, number, "
    "protocol, hash, source, phase, reason, at) "
    "values ({study}, 2, '{{}}', 'x', '', 'begun', 'x', now())",
    "a protocol": "update reader_study_study set protocol = '{{}}'",
    "a second lock": "insert into reader_study_databaselock "
    "(study_id, by_id, at, statement, accepted, records, head) "
    "values ({study}, {user}, now(), 'x', '[]', 0, '')",
}


@pytest.mark.parametrize("what", WRITES)
def test_after_the_lock_the_database_itself_refuses(study, what):
    late = a_reading(study=study)
    statement = WRITES[what].format(
        reading=late.pk,
        answer=Answer.objects.first().pk,
        series=late.case.series.get().pk,
        user=the_desk(study).pk,
        study=study.pk,
    )

    def written():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
            assert cursor.rowcount > 0
            transaction.set_rollback(True)

    if what != "a second lock":
        written()
    lock(study, accepted={"readings": "x"})
    with pytest.raises(IntegrityError, match=r"is locked|locked|unique"):
        written()


def test_another_study_goes_on_and_a_truth_may_still_become_known(study):
    lock(study)
    a_reading(stage=Stage.SUBMITTED)
    nodule = Nodule.objects.of_study(study).get()
    load_reference(nodule=nodule, malignant=True, source="follow-up", now=NOW)

    assert verify_study(study).broken is None


def test_an_answer_put_in_behind_the_lock_is_found(study):
    late = a_reading(stage=Stage.UNAIDED, study=study)
    lock(study, accepted={"readings": "x", "drafts": "x"})
    with connection.cursor() as cursor:
        cursor.execute("create temporary table kept as table reader_study_databaselock")
        cursor.execute("set session_replication_role = replica")
        cursor.execute("delete from reader_study_databaselock")
        cursor.execute("set session_replication_role = origin")
        Event.objects.create(
            reading=late,
            key="0b3f8f0e-0000-4000-8000-000000000000",
            kind="slice",
            stage="unaided",
            received_at=NOW,
        )
        cursor.execute("set session_replication_role = replica")
        cursor.execute("insert into reader_study_databaselock select * from kept")
        cursor.execute("set session_replication_role = origin")

    broken = verify_study(study).broken
    assert (broken.kind, broken.problem) == (
        "event",
        "it was recorded after the database was locked",
    )


@pytest.mark.django_db(transaction=True)
def test_what_is_being_written_while_the_database_is_locked_comes_before_the_lock_or_not_at_all(
    study,
):
    late = a_reading(stage=Stage.UNAIDED, study=study)
    row = WRITES["an event"].format(reading=late.pk)

    def write():
        try:
            with connection.cursor() as cursor:
                cursor.execute(row)
        except IntegrityError as error:
            return str(error)
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            held = lock(study, accepted={"readings": "x", "drafts": "x"})
            # It has looked already, or looks once the lock is there: it waits for the chain.
            writing = pool.submit(write)
        assert "is locked" in writing.result(timeout=60)
    assert verify_study(study).length == held.records + 1


def test_the_command_says_what_is_open_and_locks(study):
    a_reading(study=study)
    out = io.StringIO()
    call_command("lock_database", study.slug, stdout=out)
    assert "readings: 1 reading is neither submitted nor skipped" in out.getvalue()
    named = ("--by", "desk", "--statement", STATEMENT)
    with pytest.raises(CommandError, match="cannot be locked yet: 1 reading"):
        call_command("lock_database", study.slug, *named)
    with pytest.raises(CommandError, match="has to name"):
        call_command("lock_database", study.slug, "--by", "nobody", "--statement", STATEMENT)

    call_command("lock_database", study.slug, *named, "--accept", "readings=too late", stdout=out)

    assert f"head: {DatabaseLock.objects.get().head}" in out.getvalue()
    assert Reading.objects.filter(stage=Stage.ASSIGNED).count() == 1
