"""Every design, from its protocol to its export, by simulated readers over the site's own API."""

import csv
import io
import zipfile
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from reader_study.actions.conduct import open_points
from reader_study.actions.reference import load_reference
from reader_study.actions.verification import verify_study
from reader_study.domain.design import Design
from reader_study.domain.reading import Stage
from reader_study.exports.tables import write_tables
from reader_study.models import EarlyOpening, Event, Nodule, Reading, Role
from tests.conduct import Conductor, a_study_to_conduct
from tests.domain.designs import CROSSOVER, EVERY_DESIGN, HYBRID, THREE_CONDITIONS
from tests.factories import NOW, PASSWORD, a_member, a_user, answers_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def conductor(client, monkeypatch):
    clock = {"now": NOW}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])
    return Conductor(client, clock)


def exported(study):
    file = io.BytesIO()
    write_tables(study, file)
    archive = zipfile.ZipFile(file)
    return {
        name: list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline="")))
        for name in archive.namelist()
        if name.endswith(".csv")
    }


@pytest.mark.parametrize("name", EVERY_DESIGN)
def test_a_study_of_every_design_runs_from_allocation_to_export(conductor, name):
    design = Design.model_validate(EVERY_DESIGN[name])
    training = design.training.cases if design.training else 0
    study = a_study_to_conduct(3, 4 + training, training, design=EVERY_DESIGN[name])
    sessions = sorted(set(Reading.objects.of_study(study).values_list("session", flat=True)))
    for session in sessions:
        for reading in conductor.readings(study, session):
            assert conductor.read(reading, answers_of(reading)) == list(
                design.arm(reading.arm).path
            )
        conductor.wait(days=design.washout)

    assert not Reading.objects.exclude(stage="submitted").exists()
    for reading, stage, could, items in conductor.seen:
        shows = {item.value for item in design.shows(reading.arm, Stage(stage))}
        assert could == bool(shows)
        assert items == shows
    rows = exported(study)["readings.csv"]
    told = {(row["arm"], row["stage"], row["shown"]) for row in rows}
    assert told == {
        (arm.name, step.stage.value, "|".join(step.shows))
        for arm in design.every_arm
        for step in arm.stages
    }
    answers = {(r["reader"], r["case"], r["session"], r["stage"], r["question"]) for r in rows}
    assert len(answers) == len(rows)
    of_repeats = {row["session"] for row in rows if row["repeat"] == "true"}
    assert of_repeats == ({str(design.sessions)} if design.repeats else set())


@pytest.mark.parametrize("design", [CROSSOVER, THREE_CONDITIONS, HYBRID])
def test_a_case_stays_shut_until_its_session_and_its_washout_have_come(conductor, design):
    study = a_study_to_conduct(1, 2, design=design)
    first, second = conductor.readings(study, 1)
    again = Reading.objects.select_related("reader__user").get(case=first.case_id, session=2)
    conductor.read(first, answers_of(first))
    ended = conductor.clock["now"]

    for what, method in (("reading", "get"), ("open", "post")):
        refused = conductor.call(again, what, method)
        assert (refused.status_code, refused.json()["code"]) == (409, "not_open_yet")
        assert "when session 1 is complete" in refused.json()["detail"]
    assert conductor.call(again, "ai", "get").status_code == 404
    page = conductor.client.get(reverse("reading", args=[again.pk]))
    assert page.headers["Location"] == reverse("worklist")

    conductor.read(second, answers_of(second))
    washout = timedelta(days=design["washout_days"])
    conductor.clock["now"] = ended + washout - timedelta(seconds=1)
    refused = conductor.call(again, "open")
    assert refused.json()["not_before"] == (ended + washout).isoformat()
    worklist = conductor.client.get(reverse("worklist")).content.decode()
    assert f"not before {ended + washout:%Y-%m-%d %H:%M} UTC" in worklist
    assert "nothing to read today" in worklist

    conductor.clock["now"] = ended + washout
    assert conductor.call(again, "open").status_code == 200


def test_in_an_arm_without_ai_none_is_shown_at_any_time_and_in_one_with_it_from_the_start(
    conductor,
):
    study = a_study_to_conduct(2, 3, design=CROSSOVER)
    for reading in conductor.readings(study, 1):
        conductor.read(reading, answers_of(reading))

    of_arm = {"unaided": set(), "score": set()}
    for reading, stage, could, items in conductor.seen:
        of_arm[reading.arm].add((stage, could, tuple(items)))
    assert of_arm["unaided"] == {("unaided", False, ()), ("submitted", False, ())}
    assert of_arm["score"] == {("aided", True, ("score",)), ("submitted", False, ())}


def test_the_unaided_answer_is_never_asked_where_the_arm_has_none(conductor):
    study = a_study_to_conduct(1, 1, design={**CROSSOVER, "order": "fixed"})
    unaided = next(conductor.readings(study, 1))
    conductor.read(unaided, answers_of(unaided))
    conductor.wait(days=28)
    aided = next(conductor.readings(study, 2))

    opened = conductor.call(aided, "open").json()
    assert (opened["stage"], opened["path"], opened["shows"]) == ("aided", ["aided"], ["score"])
    assert opened["draft"]["answers"] == {"case": {}, "nodules": {}}
    refused = conductor.call(aided, "lock", answers=answers_of(aided))
    assert (refused.status_code, refused.json()["code"]) == (409, "step_not_allowed")
    draft = {"stage": "unaided", "version": 0, "answers": answers_of(aided)}
    assert conductor.call(aided, "draft", "put", **draft).json()["code"] == "step_not_allowed"


def test_what_was_answered_and_shown_in_a_session_cannot_be_read_up_in_the_next(conductor):
    study = a_study_to_conduct(1, 1, design={**CROSSOVER, "order": "latin"})
    reading = next(conductor.readings(study, 1))
    conductor.read(reading, answers_of(reading, malignancy=77))

    shown = conductor.call(reading, "reading", "get")
    assert shown.json()["answers"] == {"unaided": None, "aided": None}
    assert "77" not in str(shown.json()["draft"])
    assert conductor.call(reading, "ai", "get").status_code == 404
    series = shown.json()["series"][0]
    images = f"{series['dicomweb']}/studies/{series['study_uid']}/series/{series['series_uid']}"
    refused = conductor.client.get(f"{images}/metadata")
    assert (refused.status_code, refused.json()["code"]) == (409, "reading_closed")
    page = conductor.client.get(reverse("reading", args=[reading.pk]))
    assert page.headers["Location"] == reverse("worklist")


def test_a_reader_does_not_learn_that_a_case_comes_back(conductor):
    study = a_study_to_conduct(1, 4, design=EVERY_DESIGN["repeats"])
    pseudonyms = {reading.case.pseudonym for reading in conductor.readings(study, 1)}
    for reading in conductor.readings(study, 1):
        conductor.read(reading, answers_of(reading))
    conductor.wait(days=28)
    again = next(conductor.readings(study, 2))

    opened = conductor.call(again, "open")
    page = conductor.client.get(reverse("worklist")).content.decode()

    assert opened.json()["case"] == "Case 2.01"
    assert (opened.json()["position"], opened.json()["of"]) == (1, 2)
    for pseudonym in pseudonyms:
        assert pseudonym not in page + opened.content.decode()
    assert "repeat" not in page + opened.content.decode()


def test_training_comes_first(conductor):
    study = a_study_to_conduct(1, 5, 3, design=EVERY_DESIGN["training"])
    first = next(conductor.readings(study, 1))

    assert "when the training cases are submitted" in conductor.call(first, "open").json()["detail"]
    for reading in conductor.readings(study, 0):
        conductor.read(reading, answers_of(reading))
    assert conductor.call(first, "open").status_code == 200


def test_a_coordinator_opens_a_reading_early_for_a_reason_that_is_kept(conductor):
    study = a_study_to_conduct(1, 2, design=CROSSOVER)
    first, second = conductor.readings(study, 1)
    conductor.read(first, answers_of(first))
    conductor.read(second, answers_of(second))
    again = Reading.objects.select_related("reader__user").get(case=first.case_id, session=2)
    desk = a_member(study, role=Role.COORDINATOR).user
    asked = {
        "reader": again.reader.pseudonym,
        "session": "2",
        "position": str(again.position),
        "reason": "The reader leaves the hospital next week.",
    }
    conductor.client.force_login(desk)
    address = reverse("study-open-early", args=[study.slug])

    page = conductor.client.post(address, asked, follow=True).content.decode()

    assert "The reading can be begun" in page
    assert asked["reason"] in page
    assert Event.objects.get(kind="opened_early").data["reason"] == asked["reason"]
    (row,) = exported(study)["early_openings.csv"]
    assert (row["reason"], row["session"]) == (asked["reason"], "2")
    assert conductor.call(again, "open").status_code == 200


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"reason": " "}, "A reason"),
        ({"reason": "x" * 1001}, "A reason"),
        ({"session": "7"}, "no such reading"),
        ({"position": "x"}, "no such reading"),
        ({"reader": "nobody"}, "no such reading"),
        ({"session": "1"}, "open already"),
        ({}, "has not ended"),
    ],
)
def test_an_early_opening_that_may_not_be_is_refused(conductor, change, says):
    study = a_study_to_conduct(1, 1, design=CROSSOVER)
    reading = next(conductor.readings(study, 2))
    asked = {"reader": reading.reader.pseudonym, "session": "2", "position": "1", "reason": "why"}
    conductor.client.force_login(a_member(study, role=Role.COORDINATOR).user)

    page = conductor.client.post(
        reverse("study-open-early", args=[study.slug]), {**asked, **change}, follow=True
    )

    assert says in page.content.decode()
    assert not EarlyOpening.objects.exists()


@pytest.mark.parametrize("role", [Role.READER, Role.INVESTIGATOR])
def test_only_coordinators_open_readings_early(conductor, role):
    study = a_study_to_conduct(1, 1, design=CROSSOVER)
    user = a_member(study, role=role).user
    conductor.client.force_login(user)

    address = reverse("study-open-early", args=[study.slug])
    assert conductor.client.post(address, {"reason": "x"}).status_code == 404


# Skips


def skipping(conductor, reading, reason="The images do not load."):
    conductor.client.force_login(reading.reader.user)
    asked = {"reading": reading.pk, "reason": reason}
    return conductor.client.post(reverse("skip"), asked, follow=True)


def test_a_reading_that_cannot_be_done_is_skipped_for_a_reason_that_is_exported(conductor):
    study = a_study_to_conduct(1, 2, design=CROSSOVER)
    first, second = conductor.readings(study, 1)

    page = skipping(conductor, first).content.decode()
    skipping(conductor, first, "again")

    assert "Skipped: The images do not load." in page
    assert "1 of 4 submitted" in page
    assert conductor.call(first, "open").json()["code"] == "reading_skipped"
    assert conductor.call(second, "open").json()["next"] is None
    assert Event.objects.get(kind="skipped").data == {"reason": "The images do not load."}
    (row,) = exported(study)["skips.csv"]
    assert (row["reason"], row["stage"], row["session"]) == (
        "The images do not load.",
        "assigned",
        "1",
    )


def test_a_skipped_reading_does_not_hold_up_the_next_session(conductor):
    study = a_study_to_conduct(1, 2, design=CROSSOVER)
    first, second = conductor.readings(study, 1)
    skipping(conductor, first)
    conductor.read(second, answers_of(second))
    conductor.wait(days=28)

    for reading in conductor.readings(study, 2):
        assert conductor.call(reading, "open").status_code == 200


def test_only_ones_own_open_and_unfinished_readings_are_skipped_and_for_a_reason(conductor):
    study = a_study_to_conduct(2, 1, design=CROSSOVER)
    mine, theirs = conductor.readings(study, 1)
    later = next(r for r in conductor.readings(study, 2) if r.reader_id == mine.reader_id)
    conductor.client.force_login(mine.reader.user)

    foreign = {"reading": theirs.pk, "reason": "why"}
    assert conductor.client.post(reverse("skip"), foreign).status_code == 404
    assert "A reason of at most" in skipping(conductor, mine, " ").content.decode()
    assert "when session 1 is complete" in skipping(conductor, later).content.decode()
    conductor.read(mine, answers_of(mine))
    assert "is submitted" in skipping(conductor, mine).content.decode()
    assert not Event.objects.filter(kind="skipped").exists()


def test_what_is_recorded_of_a_conducted_study_holds_together(conductor):
    study = a_study_to_conduct(2, 2, design=HYBRID)
    for reading in conductor.readings(study, 1):
        conductor.read(reading, answers_of(reading))

    assert verify_study(study).broken is None


def test_a_study_runs_with_everything_a_protocol_can_ask_of_its_conduct(conductor):
    study = a_study_to_conduct(
        2,
        4,
        1,
        design={**CROSSOVER, "training": {"cases": 1, "feedback": True}},
        conduct={
            "signature": "before_next_session",
            "navigation": "forward_only",
            "breaks": {"after_minutes": 5, "minutes": 5, "enforced": True},
            "readings_a_day": 3,
        },
    )
    desk = a_member(study, Role.COORDINATOR, a_user(password=PASSWORD)).user
    for nodule in Nodule.objects.of_study(study):
        load_reference(nodule=nodule, malignant=True, source="pathology", now=NOW)
    for member in study.members.readers():
        member.user.set_password(PASSWORD)
        member.user.save()

    def finish(reading):
        while conductor.call(reading, "open").status_code == 409:  # a break, or another day
            assert conductor.call(reading, "open").json()["code"] == "not_open_yet"
            conductor.wait(hours=1)
        conductor.read(reading, answers_of(reading))

    for session in (0, 1, 2):
        for reading in conductor.readings(study, session):
            finish(reading)
        for member in study.members.readers() if session else ():
            conductor.client.force_login(member.user)
            asked = {"name": "A Reader", "password": PASSWORD}
            conductor.client.post(reverse("sign", args=[study.slug, session]), asked)
        conductor.wait(days=28)
    last = Reading.objects.select_related("reader__user").filter(session=2, arm="score").first()
    conductor.client.force_login(desk)
    place = {"reader": last.reader.pseudonym, "session": 2, "position": last.position}
    conductor.client.post(
        reverse("study-unlock", args=[study.slug]), {**place, "reason": "the wrong side"}
    )
    finish(last)
    conductor.client.force_login(desk)
    statement = {"statement": "All is done.", "password": PASSWORD}
    address = reverse("study-lock", args=[study.slug])
    assert "1 session is not signed" in conductor.client.post(address, statement).content.decode()
    points = open_points(study)
    reasons = {f"reason-{point.kind}": "the reader has left" for point in points}
    conductor.client.post(address, {**statement, **reasons})

    tables = exported(study)
    assert [row["valid"] for row in tables["signatures.csv"]].count("false") == 1
    assert [row["kind"] for row in tables["deviations.csv"]] == [
        "unlock",
        *(["open_at_lock"] * len(points)),
    ]
    replaced = [row for row in tables["readings.csv"] if row["current"] == "false"]
    assert {(row["reader"], row["revision"]) for row in replaced} == {(place["reader"], "1")}
    checked = verify_study(study)
    assert checked.broken is None
    assert (checked.counts["signature"], checked.counts["database_lock"]) == (4, 1)
