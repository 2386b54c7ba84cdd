"""What the end of a study asks for besides its readings: reviews, truths, and a second person."""

import pytest
from django.urls import reverse

from reader_study.actions.conduct import lock_database, open_points
from reader_study.actions.home import desks_of
from reader_study.actions.planning import FITS, TEMPLATES
from reader_study.actions.prediction import record_prediction
from reader_study.actions.reference import load_reference
from reader_study.actions.schedule import skip_reading
from reader_study.actions.verification import verify_study
from reader_study.domain.errors import LockRefused
from reader_study.domain.reading import Stage
from reader_study.management.commands.create_roles import give_rights
from reader_study.models import DatabaseLock, DeviationReview, LockProposal, Nodule, Role, Study
from tests.factories import NOW, PASSWORD, a_job, a_member, a_reading, a_study, a_user
from tests.test_rights import NAME, the_site

pytestmark = pytest.mark.django_db

STATEMENT = "The data are complete."


def a_read_study(**changes):
    study = a_study(**changes)
    a_reading(stage=Stage.SUBMITTED, study=study)
    return study


def a_desk(study, name, role=Role.COORDINATOR):
    user = a_user(username=name, password=PASSWORD)
    a_member(study, role, user)
    return user


def test_a_deviation_is_open_until_the_desk_has_reviewed_it(client):
    study = a_read_study()
    desk = a_desk(study, "desk")
    left = a_reading(study=study)
    skip_reading(reader=left.reader.user, reading_id=left.pk, reason="no images", now=NOW)
    (point,) = open_points(study)
    assert (point.kind, point.where) == ("deviations", ["a reading was skipped: 1"])
    client.force_login(desk)
    review = reverse("study-review", args=[study.slug])
    pk = study.deviations.get().pk

    client.post(review, {"deviation": pk, "note": " "})
    assert not DeviationReview.objects.exists()
    page = client.post(review, {"deviation": pk, "note": "images came later"}, follow=True)

    assert "images came later" in page.content.decode()
    assert open_points(study) == []
    client.post(review, {"deviation": pk, "note": "another"})
    assert DeviationReview.objects.get().note == "images came later"
    assert verify_study(study).counts["deviation_review"] == 1


def test_a_missing_truth_is_open_where_the_protocol_wants_it_and_is_counted_without_it():
    study = a_read_study(truth={"complete_before": "lock"})
    give_rights(NAME, "a password")
    with the_site():
        (point,) = open_points(study)
    assert (point.kind, point.number) == ("truth", 1)
    load_reference(nodule=Nodule.objects.get(), malignant=True, source="pathology", now=NOW)
    assert open_points(study) == []
    assert open_points(a_read_study()) == []


def test_what_failed_is_told_and_needs_no_reason_where_the_protocol_has_a_rule(client):
    study = a_read_study()
    job = a_job(Nodule.objects.get())
    answer = {"status": "failed", "code": "outside", "detail": "outside of the lung"}
    record_prediction(job_id=job.pk, message=answer, now=NOW)
    (point,) = open_points(study)
    assert (point.kind, point.needs_reason) == ("failed", False)

    lock = lock_database(study=study, by=a_desk(study, "desk"), statement=STATEMENT, now=NOW)

    assert [(each["kind"], each["reason"]) for each in lock.accepted] == [("failed", "")]


def test_two_lock_where_the_protocol_asks_for_two(client):
    study = a_read_study(conduct={"lock_by": "two"})
    a_reading(study=study)
    one, other = a_desk(study, "one"), a_desk(study, "other", Role.INVESTIGATOR)
    address = reverse("study-lock", args=[study.slug])
    asked = {"statement": STATEMENT, "password": PASSWORD, "reason-readings": "left the hospital"}
    client.force_login(other)
    assert client.post(address, asked).status_code == 409  # an investigator proposes nothing
    client.force_login(one)
    assert client.post(address, {**asked, "reason-readings": ""}).status_code == 409
    assert not LockProposal.objects.exists()
    client.post(address, asked)
    client.post(address, asked)  # who has proposed it cannot confirm it
    assert (LockProposal.objects.count(), DatabaseLock.objects.count()) == (2, 0)
    with pytest.raises(LockRefused, match="asks for two"):
        lock_database(study=study, by=one, statement=STATEMENT, now=NOW)

    client.force_login(other)
    page = client.get(address).content.decode()
    assert "one proposed the lock" in page
    assert "left the hospital</textarea>" in page
    assert desks_of(other)[0].needs == ["confirm the lock of the database"]
    assert client.post(address, {**asked, "password": "wrong"}).status_code == 409
    client.post(address, {"statement": STATEMENT, "password": PASSWORD})

    lock = DatabaseLock.objects.get()
    assert (lock.by, lock.accepted[0]["reason"]) == (other, "left the hospital")
    result = verify_study(Study.objects.get(pk=study.pk))
    assert (result.broken, result.counts["lock_proposal"]) == (None, 2)


def test_the_web_server_locks_although_it_cannot_see_the_truth(client):
    study = a_read_study()
    load_reference(nodule=Nodule.objects.get(), malignant=True, source="pathology", now=NOW)
    client.force_login(a_desk(study, "desk"))
    with the_site():
        answer = client.post(
            reverse("study-lock", args=[study.slug]),
            {"statement": STATEMENT, "password": PASSWORD},
        )
        seen = verify_study(study)
    assert answer.status_code == 302
    assert DatabaseLock.objects.exists()
    assert (seen.broken, seen.unseen) == (
        None,
        frozenset({"reference", "panel_read", "panel_decision"}),
    )
    assert verify_study(study).unseen == frozenset()


def test_home_says_what_waits_and_what_each_template_fits(client):
    study = a_study(is_open=False)
    desk = a_desk(study, "desk")
    assert desks_of(desk)[0].needs == ["import cases", "invite readers"]
    a_reading(study=study)
    assert desks_of(desk)[0].needs == ["deal the cases out"]
    client.force_login(desk)
    assert client.get(reverse("home")).status_code == 302  # to the only one
    another = a_read_study()
    a_member(another, Role.COORDINATOR, desk)
    page = client.get(reverse("home")).content.decode()
    assert "Deal the cases out" in page
    assert "Lock its database" in page
    new = client.get(reverse("study-new")).content.decode()
    assert TEMPLATES.keys() == FITS.keys()
    assert all(name in new for name in TEMPLATES)
    exports = client.get(reverse("study-exports", args=[study.slug])).content.decode()
    assert "The archive" in exports
