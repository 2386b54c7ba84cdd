"""Predictions are asked for, stored once, and asked for again when they are lost."""

import pytest
from kombu.exceptions import OperationalError

from reader_study.actions import prediction as actions
from reader_study.actions.prediction import (
    HANDING_OVER,
    MAX_ATTEMPTS,
    PATIENCE,
    bundle_hash,
    record_prediction,
    request_predictions,
    resend_lost,
)
from reader_study.models import Job, JobStatus, ModelVersion, Nodule, Prediction
from tests.factories import NOW, a_case, a_job, a_member, a_result, a_study

pytestmark = pytest.mark.django_db

LATER = NOW + PATIENCE * 3


@pytest.fixture
def sent(monkeypatch):
    """The jobs that go to the broker; the broker itself is tested in test_worker."""
    jobs = []
    monkeypatch.setattr(actions, "send", jobs.append)
    return jobs


def a_nodule():
    return a_case(a_study()).series.get().nodules.get()


def test_every_nodule_is_asked_for_once(sent, django_capture_on_commit_callbacks):
    study = a_study()
    a_case(study, nodules=2)

    with django_capture_on_commit_callbacks(execute=True):
        assert request_predictions(study=study, now=NOW) == 2
        assert request_predictions(study=study, now=NOW) == 0

    assert len(sent) == 2


def test_a_prediction_is_stored_with_its_hashes():
    job = a_job(a_nodule())

    assert record_prediction(job_id=job.pk, message=a_result(0.25), now=NOW)

    stored = Prediction.objects.get(job=job)
    assert (stored.probability, stored.input_hash) == (0.25, "d" * 64)
    assert (stored.model_version.hash, stored.model_version.code_hash) == ("a" * 64, "c" * 64)
    assert stored.bundle_hash == bundle_hash(stored.bundle)


def test_the_bundles_hash_knows_its_content_and_not_its_running_time():
    bundle = {"probability": 0.5, "seconds": 1.0, "device": "cpu"}

    assert bundle_hash(bundle) == bundle_hash({**bundle, "seconds": 9.0, "device": "cuda"})
    assert bundle_hash(bundle) != bundle_hash({**bundle, "probability": 0.6})


def test_the_first_of_two_answers_is_kept():
    job = a_job(a_nodule())

    assert record_prediction(job_id=job.pk, message=a_result(0.25), now=NOW)
    assert not record_prediction(job_id=job.pk, message=a_result(0.75), now=NOW)

    assert Prediction.objects.get(job=job).probability == 0.25
    assert ModelVersion.objects.count() == 1


def test_a_failure_is_stored_with_its_reason_and_gives_way_to_a_prediction():
    job = a_job(a_nodule())
    failure = {"status": "failed", "code": "series_unreadable", "detail": "No images."}

    record_prediction(job_id=job.pk, message=failure, now=NOW)
    job.refresh_from_db()
    assert (job.status, job.code, job.detail) == ("failed", "series_unreadable", "No images.")

    record_prediction(job_id=job.pk, message=a_result(), now=NOW)
    job.refresh_from_db()
    assert (job.status, job.code) == ("done", "")


@pytest.mark.parametrize(
    "message",
    [None, [], {}, {"status": "done"}, a_result(probability=1.5), a_result(input_hash="short")],
)
def test_an_answer_that_cannot_be_read_is_a_failure(message):
    job = a_job(a_nodule())

    record_prediction(job_id=job.pk, message=message, now=NOW)

    job.refresh_from_db()
    assert (job.status, job.code) == (JobStatus.FAILED, "answer_unreadable")


def test_a_lost_job_is_sent_again_when_it_is_overdue(sent, django_capture_on_commit_callbacks):
    job = a_job(a_nodule(), attempts=1, retry_at=NOW + PATIENCE)

    with django_capture_on_commit_callbacks(execute=True):
        assert resend_lost(now=NOW) == 0
        assert resend_lost(now=LATER) == 1
        assert resend_lost(now=LATER) == 0

    assert [each.pk for each in sent] == [job.pk]


def test_a_job_the_broker_did_not_take_is_sent_by_the_next_sweep(
    monkeypatch, django_capture_on_commit_callbacks
):
    study = a_study()
    answered, unsent = (a_case(study).series.get().nodules.get() for _ in range(2))
    record_prediction(job_id=a_job(answered).pk, message=a_result(), now=NOW)
    sent = []

    def refuse(job):
        raise OperationalError("connection refused")

    monkeypatch.setattr(actions, "send", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        request_predictions(study=study, now=NOW)
    monkeypatch.setattr(actions, "send", sent.append)
    with django_capture_on_commit_callbacks(execute=True):
        assert resend_lost(now=NOW + HANDING_OVER) == 1

    assert [job.nodule_id for job in sent] == [unsent.pk]
    assert Job.objects.get(nodule=unsent).attempts == 1


def test_a_job_that_is_merely_behind_others_is_not_sent_again(sent):
    study = a_study()
    first, second = (a_case(study).series.get().nodules.get() for _ in range(2))
    a_job(first, attempts=1)
    record_prediction(job_id=a_job(second).pk, message=a_result(), now=LATER)

    assert resend_lost(now=LATER) == 0


def test_a_job_nobody_answers_fails_in_the_end(sent):
    job = a_job(a_nodule(), attempts=MAX_ATTEMPTS)

    resend_lost(now=LATER)

    job.refresh_from_db()
    assert (job.status, job.code) == ("failed", "no_answer")


def test_a_study_that_opens_when_ready_opens_with_the_last_prediction(
    django_capture_on_commit_callbacks,
):
    study = a_study(is_open=False)
    a_member(study)
    a_case(study, nodules=2)
    study.allocated_at = NOW
    study.save()
    jobs = [a_job(nodule) for nodule in Nodule.objects.of_study(study)]
    opened = []

    for job in jobs:
        with django_capture_on_commit_callbacks(execute=True):
            record_prediction(job_id=job.pk, message=a_result(), now=NOW)
        study.refresh_from_db()
        opened.append(study.opened_at is not None)

    assert opened == [False, True]
    assert Job.objects.filter(status=JobStatus.DONE).count() == 2
