"""Predictions by real workers over a real broker, and what a killed worker costs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

import phantom
from reader_study.actions.cases import import_cases
from reader_study.actions.prediction import request_predictions
from reader_study.models import Job, JobStatus, Nodule, Prediction, Study
from tests.factories import a_study
from tests.stack import Workers, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

RECEIVED = "] received"


@pytest.fixture
def workers(live_server, tmp_path) -> Iterator[Workers]:
    started = Workers(live_server.url, tmp_path)
    yield started
    started.stop()


@pytest.fixture
def study(tmp_path) -> Study:
    """A study of one generated case."""
    folder = tmp_path / "ct"
    (case,) = phantom.demo_cases(1, rows=192)
    phantom.write_case(case, folder)
    phantom.write_nodules_csv([case], folder / "nodules.csv")
    study = a_study(is_open=False)
    import_cases(study=study, folder=folder, nodules=folder / "nodules.csv", now=timezone.now())
    return study


def test_a_worker_killed_in_the_middle_costs_a_repetition_and_nothing_else(
    workers: Workers, study: Study
):
    workers.start_site()
    workers.start_inference()
    asked = request_predictions(study=study, now=timezone.now())
    assert asked == Nodule.objects.count() > 0

    wait_until(lambda: workers.said("inference", RECEIVED) == 1, "the first prediction begins")
    workers.kill("inference")
    assert not Prediction.objects.exists()

    workers.hand_out_again()
    workers.start_inference()
    done = Job.objects.filter(status=JobStatus.DONE)
    wait_until(lambda: done.count() == asked, "all predictions are stored")

    assert Prediction.objects.count() == asked
    assert workers.said("inference", RECEIVED) == asked + 1  # the killed one twice
    for prediction in Prediction.objects.select_related("model_version"):
        assert 0 <= prediction.probability <= 1
        assert prediction.model_version.name == "demonstration"
        assert workers.said("inference", f"{prediction.probability:.4f}"[:6]) == 0


def test_a_site_worker_that_was_away_stores_what_was_predicted_meanwhile(
    workers: Workers, study: Study
):
    workers.start_inference()
    asked = request_predictions(study=study, now=timezone.now())
    wait_until(lambda: workers.said("inference", "succeeded in") == asked, "all are predicted")
    assert not Prediction.objects.exists()

    workers.start_site()

    wait_until(lambda: Prediction.objects.count() == asked, "all are stored")


def test_a_series_that_is_gone_is_a_failure_with_a_reason(workers: Workers, study: Study):
    series = study.cases.get().series.get()
    series.series_uid = "1.2.3.4.5"
    series.save()
    workers.start_site()
    workers.start_inference()

    request_predictions(study=study, now=timezone.now())

    wait_until(lambda: Job.objects.exclude(status=JobStatus.WAITING).exists(), "it has ended")
    job = Job.objects.get()
    assert job.status == JobStatus.FAILED
    assert job.detail
    assert Path(workers.log("inference")).exists()
