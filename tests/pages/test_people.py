"""Invitations, the truth panel that does not read, and the key of pseudonyms."""

import csv

import pytest
from django.core.cache import cache
from django.db import IntegrityError, InternalError, connection, transaction

from reader_study.actions.reading import open_reading
from reader_study.actions.verification import verify_study
from reader_study.domain.errors import TruthIsKnown
from reader_study.models import Case, KeyAccess, Membership, Reading, Role, Series, User, Waiver
from tests.factories import NOW, PASSWORD, a_member, a_reading, a_study, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return a_study()


@pytest.fixture
def desk(client, study):
    """The study's page of people, as its coordinator."""
    user = a_user(username="desk", password=PASSWORD)
    a_member(study, role=Role.COORDINATOR, user=user)
    client.force_login(user)
    return f"/studies/{study.slug}/people"


def same_case_elsewhere(reading, role=Role.TRUTH_PANEL):
    """Make the reader of `reading` a member of another study that has the same series."""
    other = a_study()
    series = reading.case.series.get()
    case = Case.objects.create(study=other, pseudonym="X1", subject=reading.case.subject)
    Series.objects.create(
        case=case,
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        frame_of_reference_uid=series.frame_of_reference_uid,
        slices=series.slices,
    )
    a_member(other, role=role, user=reading.reader.user)


def begin(reading):
    return open_reading(reader=reading.reader.user, reading_id=reading.pk, now=NOW)


def test_whoever_helps_to_find_the_truth_of_a_case_cannot_read_it(study):
    reading = a_reading(study=study)
    another = a_reading(study=study, reader=reading.reader)
    same_case_elsewhere(reading)

    with pytest.raises(TruthIsKnown, match="truth panel of this case"):
        begin(reading)

    assert Reading.objects.get(pk=reading.pk).stage == "assigned"
    assert begin(another).stage == "unaided"  # of this one they know nothing


def test_who_only_coordinates_elsewhere_knows_no_truth(study):
    reading = a_reading(study=study)
    same_case_elsewhere(reading, role=Role.COORDINATOR)

    assert begin(reading).stage == "unaided"


def test_a_waiver_lets_them_read_and_stays_recorded(client, desk, study):
    reading = a_reading(study=study)
    same_case_elsewhere(reading)
    reader = reading.reader

    page = client.get(desk).content.decode()
    assert f"{reader.pseudonym}: 1 case" in page
    refused = client.post(f"{desk}/waive", {"reader": reader.pk, "reason": " "}, follow=True)
    assert "A reason of at most 1000 characters is needed." in refused.content.decode()
    assert not Waiver.objects.exists()
    client.post(f"{desk}/waive", {"reader": reader.pk, "reason": "no other reader speaks Czech"})

    assert begin(reading).stage == "unaided"
    result = verify_study(study)
    assert (result.counts["waiver"], result.broken) == (1, None)
    with pytest.raises((InternalError, IntegrityError)), transaction.atomic():
        Waiver.objects.update(reason="another")


def test_nothing_is_waived_for_a_reader_who_knows_no_truth(client, desk, study):
    reading = a_reading(study=study)

    said = client.post(
        f"{desk}/waive", {"reader": reading.reader.pk, "reason": "why not"}, follow=True
    )

    assert "on the truth panel of none of these cases" in said.content.decode()
    assert not Waiver.objects.exists()


def test_the_key_is_given_for_a_reason_and_after_the_password(client, desk, study):
    reading = a_reading(study=study)
    key = f"{desk}/key"

    for given in ({"reason": "", "password": PASSWORD}, {"reason": "audit", "password": "x"}):
        assert client.post(key, given).headers["Location"] == desk
    assert not KeyAccess.objects.exists()
    answer = client.post(key, {"reason": "audit of 3 March", "password": PASSWORD})

    rows = list(csv.DictReader(answer.content.decode().splitlines()))
    who = {row["pseudonym"]: row["who"] for row in rows}
    assert reading.reader.user.username in who[reading.reader.pseudonym]
    assert who[reading.case.pseudonym] == reading.case.series.get().study_uid
    page = client.get(desk).content.decode()
    assert "audit of 3 March" in page
    assert reading.reader.user.username not in page
    result = verify_study(study)
    assert (result.counts["key_access"], result.broken) == (1, None)
    refused = pytest.raises((InternalError, IntegrityError))
    with connection.cursor() as cursor, refused, transaction.atomic():
        cursor.execute("delete from reader_study_keyaccess")


def test_after_five_wrong_passwords_the_right_one_is_not_looked_at_either(client, desk, study):
    key = f"{desk}/key"
    for _ in range(5):
        assert "not your password" in wrong_key(client, key, "x")
    for password in ("x", PASSWORD):
        assert "5 times" in wrong_key(client, key, password)
    assert not KeyAccess.objects.exists()

    cache.clear()
    assert client.post(key, {"reason": "audit", "password": PASSWORD}).status_code == 200


def wrong_key(client, address, password):
    asked = {"reason": "audit", "password": password}
    return client.post(address, asked, follow=True).content.decode()


@pytest.mark.parametrize("role", [Role.READER, Role.INVESTIGATOR, Role.TRUTH_PANEL])
def test_the_page_is_for_coordinators(client, study, role):
    client.force_login(a_member(study, role=role).user)

    for path, method in (("", client.get), ("/key", client.post), ("/invite", client.post)):
        assert method(f"/studies/{study.slug}/people{path}").status_code == 404
    assert not KeyAccess.objects.exists()


def test_somebody_is_invited_with_a_link_that_is_shown_once(client, desk, study):
    asked = {"name": "clara", "email": "c@h.example", "role": "investigator", "pseudonym": "I01"}

    page = client.post(f"{desk}/invite", asked).content.decode()

    assert "/account/invitation/" in page
    member = Membership.objects.get(study=study, pseudonym="I01")
    assert (member.user.username, member.user.email) == ("clara", "c@h.example")
    assert not member.user.has_usable_password()
    assert "/account/invitation/" not in client.get(desk).content.decode()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, "A user name and a pseudonym are needed."),
        ({"name": "a b;c"}, "Enter a valid username."),
        ({"email": "nowhere"}, "Enter a valid email address."),
        ({"pseudonym": "R9"}, "Another member of this study is called R9."),
        ({"role": "king"}, "Choose a role."),
        ({"role": "reader"}, "The cases are dealt out"),
    ],
)
def test_who_cannot_be_invited_is_said_and_no_account_is_made(client, desk, study, change, says):
    Membership.objects.create(study=study, user=a_user(), role=Role.INVESTIGATOR, pseudonym="R9")
    asked = {"name": "clara", "email": "", "role": "investigator", "pseudonym": "I01", **change}

    said = client.post(f"{desk}/invite", asked, follow=True).content.decode()

    assert says in said
    assert not User.objects.filter(username=asked["name"]).exists()
