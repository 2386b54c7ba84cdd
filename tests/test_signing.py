"""Electronic signatures of sessions: what they ask for, and what they are bound to."""

import io
import zipfile

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from reader_study.actions.conduct import open_points
from reader_study.actions.verification import verify_study
from reader_study.domain.conduct import MEANING
from reader_study.domain.protocol import find_mistakes
from reader_study.exports.tables import write_tables
from reader_study.models import Role, SessionSignature
from tests.conduct import Conductor, a_study_to_conduct
from tests.domain.designs import CROSSOVER
from tests.factories import NOW, PASSWORD, a_member, a_protocol, answers_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def conductor(client, monkeypatch):
    clock = {"now": NOW}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])
    return Conductor(client, clock)


def a_signed_study(readers=1, cases=2, signature="before_next_session", design=CROSSOVER):
    study = a_study_to_conduct(readers, cases, design=design, conduct={"signature": signature})
    for member in study.members.readers():
        member.user.set_password(PASSWORD)
        member.user.save()
    return study


def signing(conductor, reading, session=1, **changes):
    conductor.client.force_login(reading.reader.user)
    address = reverse("sign", args=[reading.reader.study.slug, session])
    asked = {"name": "Dr.  Ada Lovelace", "password": PASSWORD, **changes}
    return conductor.client.post(address, asked, follow=True)


def worklist(conductor, reading):
    conductor.client.force_login(reading.reader.user)
    return conductor.client.get(reverse("worklist")).content.decode()


def test_a_session_is_signed_with_name_meaning_and_password_before_the_next_begins(conductor):
    study = a_signed_study()
    first, second = conductor.readings(study, 1)
    again = next(conductor.readings(study, 2))
    conductor.read(first, answers_of(first))
    assert "neither submitted nor skipped" in signing(conductor, first).content.decode()
    skip = {"reading": second.pk, "reason": "The images do not load."}
    conductor.client.post(reverse("skip"), skip)
    conductor.wait(days=29)
    assert "Sign session 1" in worklist(conductor, first)
    assert "when session 1 is signed" in conductor.call(again, "open").json()["detail"]
    page = conductor.client.get(reverse("sign", args=[study.slug, 1])).content.decode()
    assert "1 case submitted, 1 skipped" in page
    assert MEANING in page

    wrong = signing(conductor, first, password="another")
    assert (wrong.status_code, "not your password" in wrong.content.decode()) == (409, True)
    assert "full name is needed" in signing(conductor, first, name=" ").content.decode()
    assert not SessionSignature.objects.exists()
    signing(conductor, first)
    signing(conductor, first)

    signature = SessionSignature.objects.get()
    assert (signature.name, signature.meaning, signature.at) == (
        "Dr. Ada Lovelace",
        MEANING,
        conductor.clock["now"],
    )
    assert "Signed by Dr. Ada Lovelace" in worklist(conductor, first)
    assert conductor.call(again, "open").status_code == 200
    assert verify_study(study).broken is None
    assert verify_study(study).counts["signature"] == 1


def test_the_coordinator_and_the_export_see_signatures_by_pseudonym_only(conductor):
    study = a_signed_study(signature="required")
    for reading in conductor.readings(study, 1):
        conductor.read(reading, answers_of(reading))
    signing(conductor, reading)
    conductor.client.force_login(a_member(study, Role.COORDINATOR).user)

    page = conductor.client.get(reverse("study-conduct", args=[study.slug])).content.decode()
    file = io.BytesIO()
    write_tables(study, file)
    table = zipfile.ZipFile(file).read("signatures.csv").decode()

    for text in (page, table):
        assert reading.reader.pseudonym in text
        assert "Lovelace" not in text
    assert "Valid" in page
    assert table.splitlines()[1].endswith(",true")
    (unsigned,) = [point for point in open_points(study) if point.kind == "signatures"]
    assert unsigned.where == [f"{reading.reader.pseudonym}, session 2"]


def test_where_it_is_only_required_the_next_session_does_not_wait(conductor):
    study = a_signed_study(cases=1, signature="required")
    first = next(conductor.readings(study, 1))
    conductor.read(first, answers_of(first))
    conductor.wait(days=29)

    assert conductor.call(next(conductor.readings(study, 2)), "open").status_code == 200


def test_nobody_signs_for_another_reader_training_or_where_nothing_is_asked(conductor):
    study = a_signed_study(readers=2, cases=1)
    mine, theirs = conductor.readings(study, 1)
    conductor.read(mine, answers_of(mine))
    conductor.read(theirs, answers_of(theirs))
    signing(conductor, mine)
    assert SessionSignature.objects.get().reader_id == mine.reader_id
    assert signing(conductor, mine, session=0).status_code == 404
    assert signing(conductor, mine, session=9).status_code == 404
    conductor.client.force_login(a_member(study, Role.COORDINATOR).user)
    assert conductor.client.get(reverse("sign", args=[study.slug, 1])).status_code == 404
    silent = a_study_to_conduct(1, 1)
    assert signing(conductor, next(conductor.readings(silent, 1))).status_code == 404


def test_an_account_without_a_password_is_told_to_set_one(conductor):
    study = a_signed_study(cases=1)
    reading = next(conductor.readings(study, 1))
    reading.reader.user.set_unusable_password()
    reading.reader.user.save()
    conductor.read(reading, answers_of(reading))

    assert "has no password" in signing(conductor, reading).content.decode()
    assert not SessionSignature.objects.exists()


@pytest.mark.parametrize(
    "forgery",
    [
        "update reader_study_answer set answers = '{}' where id = "
        "(select min(id) from reader_study_answer)",
        "update reader_study_sessionsignature set digest = repeat('0', 64)",
        "update reader_study_sessionsignature set name = 'Somebody else'",
    ],
)
def test_a_signature_that_does_not_belong_to_what_it_signs_is_found(conductor, forgery):
    study = a_signed_study(cases=1)
    reading = next(conductor.readings(study, 1))
    conductor.read(reading, answers_of(reading))
    signing(conductor, reading)
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        cursor.execute(forgery)
        cursor.execute("set session_replication_role = origin")

    assert verify_study(study).broken is not None


def test_words_to_sign_where_nothing_is_signed_are_a_mistake():
    (mistake,) = find_mistakes(a_protocol(conduct={"meaning": "I have read."}))
    assert mistake.place == ("conduct", "meaning")
