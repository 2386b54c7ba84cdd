"""Feedback in training: the truth of a training case that was read, and of nothing else."""

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from reader_study.actions.reference import load_reference
from reader_study.domain.reading import Stage
from reader_study.management import blinding
from reader_study.models import Case, Event, Nodule, Reading, Role, Series
from tests.conduct import Conductor, a_study_to_conduct
from tests.domain.designs import CROSSOVER, SEQUENTIAL
from tests.factories import NOW, a_case, a_member, a_prediction, a_study, answers_of
from tests.management.test_check_blinding import store_images
from tests.test_rights import refused, the_site

pytestmark = pytest.mark.django_db

SOURCE = "pathology 4711"
FEEDBACK = {**SEQUENTIAL, "training": {"cases": 1, "feedback": True}}


@pytest.fixture
def conductor(client, monkeypatch):
    clock = {"now": NOW}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])
    return Conductor(client, clock)


def a_study_with_training(design=FEEDBACK, readers=1):
    study = a_study_to_conduct(readers, 2, 1, design=design)
    for nodule in Nodule.objects.of_study(study):
        load_reference(nodule=nodule, malignant=True, source=SOURCE, now=NOW)
    return study


def truth(conductor, reading):
    return conductor.call(reading, "truth", "get")


@pytest.mark.parametrize(
    "design", [FEEDBACK, {**CROSSOVER, "training": {"cases": 1, "feedback": True}}]
)
def test_a_trainee_sees_the_truth_of_a_training_case_once_it_is_submitted(conductor, design):
    study = a_study_with_training(design)
    for reading in conductor.readings(study, 0):
        opened = conductor.call(reading, "open").json()
        assert opened["feedback"] is True
        assert truth(conductor, reading).status_code == 404
        while opened["stage"] != "submitted":
            what = "lock" if opened["stage"] == "unaided" else "submit"
            opened = conductor.call(reading, what, answers=answers_of(reading)).json()
        nodule = Nodule.objects.get(series__case=reading.case_id)

        told = truth(conductor, reading).json()

        assert told == {
            "nodules": [
                {
                    "nodule": nodule.pk,
                    "number": 1,
                    "centre_mm": list(nodule.centre_mm),
                    "malignant": True,
                    "source": SOURCE,
                }
            ]
        }
        told_of = Event.objects.get(kind="truth_sent", reading=reading)
        assert told_of.data == {"nodules": [nodule.pk]}
    for session in sorted({*Reading.objects.values_list("session", flat=True)} - {0}):
        for reading in conductor.readings(study, session):
            conductor.wait(days=29)
            assert conductor.call(reading, "open").json()["feedback"] is False
            assert truth(conductor, reading).status_code == 404
            conductor.read(reading, answers_of(reading))
            assert truth(conductor, reading).status_code == 404


def test_without_feedback_in_the_protocol_there_is_none(conductor):
    study = a_study_with_training({**SEQUENTIAL, "training": {"cases": 1}})
    reading = next(conductor.readings(study, 0))
    conductor.read(reading, answers_of(reading))

    assert truth(conductor, reading).status_code == 404


def test_nobody_sees_the_truth_by_the_reading_of_another(conductor):
    study = a_study_with_training(readers=2)
    mine, theirs = conductor.readings(study, 0)
    conductor.read(theirs, answers_of(theirs))

    for user in (mine.reader.user, a_member(study, Role.COORDINATOR).user):
        conductor.client.force_login(user)
        address = reverse("api-truth", args=[theirs.pk])
        assert conductor.client.get(address).status_code == 404


def test_a_training_case_whose_truth_was_seen_is_not_reopened(conductor):
    study = a_study_with_training()
    reading = next(conductor.readings(study, 0))
    conductor.read(reading, answers_of(reading))
    conductor.client.force_login(a_member(study, Role.COORDINATOR).user)
    place = {"reader": reading.reader.pseudonym, "session": 0, "position": 1}
    page = conductor.client.post(
        reverse("study-unlock", args=[study.slug]), {**place, "reason": "x"}, follow=True
    )

    assert "has seen the truth" in page.content.decode()


def asked(reading, user):
    with connection.cursor() as cursor:
        cursor.execute("select * from reread_training_truth(%s, %s)", [reading.pk, user.pk])
        return cursor.fetchall()


def test_the_site_itself_cannot_reach_the_truth_of_a_study_case_by_this_way(conductor):
    study = a_study_with_training()
    training = next(conductor.readings(study, 0))
    of_study = next(conductor.readings(study, 1))
    user = training.reader.user
    with the_site():
        assert asked(training, user) == []
    conductor.read(training, answers_of(training))
    conductor.read(of_study, answers_of(of_study))
    of_study.refresh_from_db()
    nodule = Nodule.objects.get(series__case=of_study.case_id)

    with the_site():
        assert len(asked(training, user)) == 1
        # What was submitted of the study tells nothing, nor does passing it off as training.
        assert asked(of_study, user) == []
        forged = Reading.objects.create(
            reader=of_study.reader,
            case=of_study.case,
            session=0,
            position=9,
            stage=Stage.SUBMITTED,
            version=of_study.version,
            opened_at=NOW,
            submitted_at=NOW,
        )
        assert asked(forged, user) == []
        for statement in (
            f"update reader_study_case set training = true where id = {of_study.case_id}",
            f"update reader_study_reading set session = 0 where id = {of_study.pk}",
            f"update reader_study_reading set case_id = {of_study.case_id}"
            f" where id = {training.pk}",
            f"update reader_study_series set case_id = {training.case_id}"
            f" where case_id = {of_study.case_id}",
            f"update reader_study_nodule set series_id = {training.case.series.get().pk}"
            f" where id = {nodule.pk}",
            "select * from reader_study_referencestandard",
        ):
            assert refused(statement)
        # A training case made for the purpose has nodules of its own, of which nothing is known.
        case = Case.objects.create(study=study, pseudonym="C9", subject="S9", training=True)
        series = Series.objects.get(case=of_study.case_id)
        series.pk, series.case = None, case
        series._state.adding = True
        series.save()
        forged = Reading.objects.create(
            reader=of_study.reader,
            case=case,
            session=0,
            position=10,
            stage=Stage.SUBMITTED,
            version=of_study.version,
            opened_at=NOW,
            submitted_at=NOW,
        )
        assert asked(forged, user) == []
        assert asked(training, a_member(a_study()).user) == []


def test_the_check_of_blinding_walks_as_a_trainee_and_finds_a_leak(monkeypatch, settings, tmp_path):
    monkeypatch.setattr(blinding, "METHODS", ("get",))
    monkeypatch.setattr(blinding._Walk, "_time", lambda walk, visitor: None)
    settings.ARCHIVE_DIR = tmp_path / "archive"
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    study = a_study(design=FEEDBACK)
    case = a_case(study)
    store_images(case, tmp_path / "series")
    a_prediction(case.series.get().nodules.get())

    def findings():
        report = blinding.check_blinding(study, now=NOW, progress=lambda *_: None)
        return list(map(str, report.findings))

    assert findings() == []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select pg_get_functiondef('reread_training_truth'::regproc)")
        (definition,) = cursor.fetchone()
        # Of any case, at any stage; and the application asks for no more than the reader.
        for condition in ("c.training and r.session = 0 and r.stage = 'submitted'",):
            assert condition in definition
            definition = definition.replace(condition, "true")
        cursor.execute(definition)
        monkeypatch.setattr("reader_study.actions.training.truth_is_shown", lambda *a, **b: True)
        leaks = findings()
    assert any("api/readings/<int:reading_id>/truth" in leak for leak in leaks)
    assert any("shows the reference standard" in leak for leak in leaks)
