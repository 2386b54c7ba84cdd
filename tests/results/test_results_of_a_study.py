"""Results come after the lock and no earlier, are kept as they were, and reach no reader."""

import io
import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.urls import reverse

from reader_study.actions.computation import compute_results
from reader_study.actions.results import request_results
from reader_study.domain.errors import ResultsSealed
from reader_study.exports.archive import reference_rows
from reader_study.models import Membership, ResultDocument, ResultsJob, ResultsStatus, Role
from tests.factories import NOW, a_member, a_study
from tests.results.locked import SOURCE, a_read_study, lock
from tests.test_rights import the_site

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=31)
ADDRESSES = ("study-results", "study-results-file")


@pytest.fixture(scope="module")
def study(django_db_setup, django_db_blocker):
    """A study that was read, locked and computed; made once, and taken back."""
    with django_db_blocker.unblock(), transaction.atomic():
        made = a_read_study()
        lock(made)
        with the_site():
            compute_results(study=made, now=LATER)
        yield made
        transaction.set_rollback(True)


def addresses(study):
    files = [each.name for each in study.results.all()]
    return [
        reverse("study-results", args=[study.slug]),
        *(reverse("study-results-file", args=[study.slug, name]) for name in files),
    ]


def test_the_truth_is_sealed_by_the_database_until_the_lock():
    study = a_read_study(readers=1, cases=2)
    other = a_study()
    with the_site(), pytest.raises(ProgrammingError, match="sealed"), transaction.atomic():
        list(reference_rows(study))
    with pytest.raises(ResultsSealed):
        compute_results(study=study, now=LATER)
    with pytest.raises(ResultsSealed):
        request_results(study=study, now=LATER)

    lock(study)

    with the_site():
        truths = [row[3] for row in reference_rows(study)]
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute("select * from reader_study_referencestandard")
        # The lock of one study opens no other.
        with pytest.raises(ProgrammingError, match="sealed"), transaction.atomic():
            list(reference_rows(other))
    assert sorted(truths) == ["benign", "malignant"]


def test_the_lock_asks_for_the_results(django_capture_on_commit_callbacks, monkeypatch):
    sent = []
    monkeypatch.setattr("reader_study.actions.results._send", lambda job: sent.append(job.study))
    study = a_read_study(readers=1, cases=2)

    with django_capture_on_commit_callbacks(execute=True):
        lock(study)

    assert sent == [study]
    assert ResultsJob.objects.get(study=study).status == ResultsStatus.WAITING


def test_what_was_computed_stays_and_is_the_same_again(study):
    before = {each.name: bytes(each.content) for each in study.results.all()}

    with the_site():
        again = compute_results(study=study, now=LATER + timedelta(days=1))

    assert {each.name: bytes(each.content) for each in again} == before
    assert {each.computed_at for each in again} == {LATER}
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        ResultDocument.objects.update(content=b"")


def test_investigators_and_coordinators_see_every_file(study, client):
    member = a_member(study, role=Role.INVESTIGATOR)
    client.force_login(member.user)

    for address in addresses(study):
        response = client.get(address)
        assert response.status_code == 200, address
        assert "no-store" in response.headers["Cache-Control"]
    page = client.get(addresses(study)[0]).content.decode()
    assert page.index("Pre-specified analysis") < page.index('<h2 id="exploratory">')
    assert "AUC of the likelihood of malignancy" in page
    assert study.protocol_hash[:12] in page
    member.delete()


def test_readers_never_see_any_of_it(study, client):
    readers = Membership.objects.filter(study=study, role=Role.READER)
    stranger = a_member(a_study(), role=Role.INVESTIGATOR)
    administrator = readers.first().user
    administrator.is_superuser = True
    administrator.save()

    for user in (readers.last().user, administrator, stranger.user):
        client.force_login(user)
        for address in addresses(study):
            assert client.get(address).status_code == 404, address
    client.logout()
    assert all(client.get(address).status_code == 302 for address in addresses(study))


def test_before_the_lock_the_page_shows_nothing_even_if_there_are_documents(client):
    study = a_study()
    ResultDocument.objects.create(
        study=study, inputs_hash="a", code_hash="b", name="results.json", content_hash="c",
        media_type="application/json", content=b"secret", computed_at=LATER,
    )  # fmt: skip
    client.force_login(a_member(study, role=Role.INVESTIGATOR).user)

    page, file = (client.get(address) for address in addresses(study))

    assert "only once the database of the study is locked" in page.content.decode()
    assert file.status_code == 404


def test_a_page_says_how_far_the_computation_is_and_why_it_failed(client):
    study = a_read_study(readers=1, cases=2)
    client.force_login(lock(study))
    address = reverse("study-results", args=[study.slug])

    ResultsJob.objects.update(step="drawing roc", done=3, of=9)
    assert "drawing roc" in client.get(address).content.decode()

    ResultsJob.objects.update(status="failed", detail="no rating", ended_at=LATER)
    assert "could not be computed: no rating" in client.get(address).content.decode()


def test_results_name_neither_a_user_nor_a_number_that_is_none(study):
    names = {member.user.get_username() for member in study.members.select_related("user")}
    for each in study.results.all():
        content = bytes(each.content)
        if each.media_type in {"application/json", "text/csv"}:
            assert b"NaN" not in content, each.name
            assert not [name for name in names if f'"{name}"'.encode() in content]
    document = json.load(io.BytesIO(bytes(study.results.get(name="results.json").content)))
    assert document["study"]["head"] == study.database_lock.head
    assert SOURCE.encode() not in bytes(study.results.get(name="data/ratings.csv").content)
