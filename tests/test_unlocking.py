"""Reopening the last answer of a submitted reading: what stays, what is told, what is refused."""

import io
import zipfile
from csv import DictReader

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from reader_study.actions.verification import verify_study
from reader_study.exports.tables import write_tables
from reader_study.models import Answer, Event, Role, SessionSignature, Unlock
from tests.conduct import Conductor, a_study_to_conduct
from tests.domain.designs import CROSSOVER, HYBRID, SEQUENTIAL
from tests.factories import NOW, PASSWORD, a_member, answers_of

pytestmark = pytest.mark.django_db

REASON = "The reader mistook the side."


@pytest.fixture
def conductor(client, monkeypatch):
    clock = {"now": NOW}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])
    return Conductor(client, clock)


def unlocking(conductor, reading, reason=REASON, role=Role.COORDINATOR, **changes):
    """Ask for `reading` to be reopened, and return the page that comes."""
    study = reading.reader.study
    member = study.members.filter(role=role).first() or a_member(study, role)
    conductor.client.force_login(member.user)
    place = {"reader": reading.reader.pseudonym, "session": reading.session}
    asked = {**place, "position": reading.position, "reason": reason, **changes}
    address = reverse("study-unlock", args=[study.slug])
    return conductor.client.post(address, asked, follow=True)


def exported(study, name):
    file = io.BytesIO()
    write_tables(study, file)
    return list(DictReader(io.StringIO(zipfile.ZipFile(file).read(name).decode(), newline="")))


def test_the_last_answer_is_given_anew_and_the_one_before_stays(conductor):
    study = a_study_to_conduct(1, 1)
    reading = next(conductor.readings(study, 1))
    conductor.read(reading, answers_of(reading, malignancy=30))

    page = unlocking(conductor, reading).content.decode()

    assert REASON in page
    shown = conductor.call(reading, "open").json()
    assert (shown["stage"], shown["reopened"]["reason"]) == ("aided", REASON)
    assert shown["answers"]["unaided"] is not None
    assert shown["draft"]["answers"] == answers_of(reading, malignancy=30)
    worklist = conductor.client.get(reverse("worklist")).content.decode()
    assert f"Reopened by a coordinator: {REASON}" in worklist
    draft = {"stage": "aided", "answers": answers_of(reading, malignancy=80)}
    saved = conductor.call(reading, "draft", "put", version=shown["draft"]["version"], **draft)
    assert saved.status_code == 200
    refused = conductor.call(reading, "lock", answers=answers_of(reading, malignancy=80))
    assert refused.json()["code"] == "answer_locked"
    for _ in range(2):  # a client that lost the response says it again
        sent = conductor.call(reading, "submit", answers=answers_of(reading, malignancy=80))
        assert (sent.json()["stage"], sent.json()["reopened"]) == ("submitted", None)

    revisions = Answer.objects.filter(reading=reading, stage="aided").order_by("revision")
    assert [each.revision for each in revisions] == [1, 2]
    second = revisions[1]
    assert list(Answer.objects.current().filter(stage="aided")) == [second]
    rows = [r for r in exported(study, "readings.csv") if r["question"] == "malignancy"]
    assert {(r["stage"], r["revision"], r["current"], r["value"]) for r in rows} == {
        ("unaided", "1", "true", "30"),
        ("aided", "1", "false", "30"),
        ("aided", "2", "true", "80"),
    }
    (row,) = exported(study, "unlocks.csv")
    assert (row["stage"], row["revision"], row["reason"]) == ("aided", "1", REASON)
    assert Event.objects.get(kind="unlocked").data["reason"] == REASON
    checked = verify_study(study)
    assert (checked.broken, checked.counts["unlock"]) == (None, 1)


def test_unlocking_voids_the_signature_until_the_session_is_signed_again(conductor):
    study = a_study_to_conduct(1, 1, conduct={"signature": "required"})
    reading = next(conductor.readings(study, 1))
    user = reading.reader.user
    user.set_password(PASSWORD)
    user.save()
    conductor.read(reading, answers_of(reading))

    def sign():
        conductor.client.force_login(user)
        asked = {"name": "Ada Lovelace", "password": PASSWORD}
        conductor.client.post(reverse("sign", args=[study.slug, 1]), asked)

    def worklist():
        conductor.client.force_login(user)
        return conductor.client.get(reverse("worklist")).content.decode()

    sign()
    page = unlocking(conductor, reading).content.decode()
    assert "Void" in page
    assert "is void" in worklist()
    assert [row["valid"] for row in exported(study, "signatures.csv")] == ["false"]

    conductor.call(reading, "submit", answers=answers_of(reading, malignancy=80))
    assert "Sign again" in worklist()
    sign()
    assert SessionSignature.objects.count() == 2
    assert [row["valid"] for row in exported(study, "signatures.csv")] == ["false", "true"]
    assert "is void" not in worklist()
    assert verify_study(study).broken is None


def test_an_answer_without_ai_is_reopened_only_as_long_as_no_ai_was_shown_of_the_case(conductor):
    study = a_study_to_conduct(1, 1, design={**CROSSOVER, "order": "fixed"})
    unaided, aided = next(conductor.readings(study, 1)), next(conductor.readings(study, 2))
    conductor.read(unaided, answers_of(unaided))
    unlocking(conductor, unaided)
    conductor.wait(days=29)
    assert "when session 1 is complete" in conductor.call(aided, "open").json()["detail"]
    conductor.read(unaided, answers_of(unaided, malignancy=80))
    # The washout counts from the last submission.
    assert "not before" in conductor.call(aided, "open").json()["detail"]
    conductor.wait(days=29)

    conductor.call(aided, "open")
    assert "is under way" in unlocking(conductor, unaided).content.decode()
    conductor.read(aided, answers_of(aided))
    assert "has seen what the AI says" in unlocking(conductor, unaided).content.decode()
    assert Unlock.objects.count() == 1
    unlocking(conductor, aided)
    assert conductor.call(aided, "open").json()["stage"] == "aided"


@pytest.mark.parametrize("design", [SEQUENTIAL, HYBRID])
def test_the_unaided_answer_of_a_sequential_reading_is_never_reopened(conductor, design):
    study = a_study_to_conduct(2, 1, design=design)
    for reading in conductor.readings(study, 1):
        conductor.read(reading, answers_of(reading))
        unlocking(conductor, reading)
        assert conductor.call(reading, "open").json()["stage"] == "aided"
    assert set(Unlock.objects.values_list("stage", flat=True)) == {"aided"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reason": " "}, "A reason"),
        ({"reason": "x" * 1001}, "A reason"),
        ({"position": "2"}, "is not submitted"),
        ({"position": "9"}, "no such reading"),
        ({"session": "x"}, "no such reading"),
    ],
)
def test_what_cannot_be_reopened_is_refused(conductor, changes, says):
    study = a_study_to_conduct(1, 2)
    reading = next(conductor.readings(study, 1))
    conductor.read(reading, answers_of(reading))

    assert says in unlocking(conductor, reading, **changes).content.decode()
    assert not Unlock.objects.exists()


@pytest.mark.parametrize("role", [Role.INVESTIGATOR, Role.READER])
def test_only_coordinators_reopen(conductor, role):
    study = a_study_to_conduct(1, 1)
    reading = next(conductor.readings(study, 1))
    conductor.read(reading, answers_of(reading))

    assert unlocking(conductor, reading, role=role).status_code == 404


def test_an_answer_that_replaces_one_without_an_unlock_is_found(conductor):
    study = a_study_to_conduct(1, 1)
    reading = next(conductor.readings(study, 1))
    conductor.read(reading, answers_of(reading))
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into reader_study_answer"
            " (reading_id, stage, revision, answers, protocol_hash, locked_at)"
            " select reading_id, stage, 2, '{}', protocol_hash, locked_at"
            " from reader_study_answer where stage = 'aided'"
        )

    assert "never unlocked" in verify_study(study).broken.problem
