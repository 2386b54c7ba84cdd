"""Predictions by real workers over a real broker, and what a killed worker costs."""

import os
import re
import subprocess
import sys
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


def test_the_command_and_the_worker_are_killed_and_the_command_begun_again_does_the_rest(
    workers: Workers, study: Study
):
    """`manage.py predict`: what is there stays, what is missing comes, what failed says why."""
    first = Nodule.objects.get()
    places = {"near": 2.0, "nearer": 1.0, "beside": 3.0, "outside": 5000.0}
    for number, (label, away) in enumerate(places.items(), start=2):
        Nodule.objects.create(
            series=first.series, number=number, label=label, x=first.x + away, y=first.y, z=first.z
        )
    command = [sys.executable, "manage.py", "predict", study.slug, "--model", "demonstration"]
    workers.start_site()
    workers.start_inference()
    killed = subprocess.Popen(
        command, env=workers.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: Prediction.objects.exists(), "the first prediction is stored")
    killed.kill()
    killed.wait()
    workers.kill("inference")
    early = dict(Prediction.objects.values_list("job__nodule", "bundle_hash"))

    workers.hand_out_again()
    workers.start_inference()
    screen, terminal = os.openpty()  # progress is shown to people alone
    told = subprocess.run(
        command,
        env=workers.environment,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        timeout=300,
        check=False,
    )
    shown = os.read(screen, 100_000).decode()
    os.close(terminal)
    os.close(screen)

    assert "demonstration: asked for 0 predictions that were missing" in told.stdout
    assert "4 of 5 done, 0 waiting, 1 failed" in told.stdout
    assert "nodule 5: The nodule at" in told.stdout
    assert "(nodule_outside_volume)" in told.stdout
    assert told.returncode == 1
    assert "1 failed; by the protocol, readers are told that there is none" in shown
    assert re.search(r"\rpredicted: [1-4] of 5", shown)
    found = dict(Prediction.objects.values_list("job__nodule", "bundle_hash"))
    assert len(found) == 4
    assert early.items() <= found.items()
