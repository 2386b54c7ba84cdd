"""What a reader does, and what is kept of it."""

from uuid import uuid4

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from django.db.models import F

from reader_study.actions.reading import (
    Told,
    lock_unaided,
    open_reading,
    save_draft,
    show_ai,
    store_events,
    submit,
)
from reader_study.domain.blinding import Item
from reader_study.domain.errors import (
    AnswerLocked,
    AnswersIncomplete,
    AnswersInvalid,
    DraftConflict,
    StepNotAllowed,
    StudyNotOpen,
)
from reader_study.domain.reading import Stage
from reader_study.models import Answer, Deviation, Draft, Event, Rating, Reading
from tests.factories import (
    NOW,
    a_member,
    a_prediction,
    a_protocol,
    a_reading,
    a_study,
    answers_of,
)

pytestmark = pytest.mark.django_db


def by(reading):
    return {"reader": reading.reader.user, "reading_id": reading.pk, "now": NOW}


def test_a_reading_from_the_worklist_to_its_submission():
    reading = a_reading(stage=Stage.SUBMITTED, nodules=2)

    assert reading.submitted_at is not None
    assert [a.stage for a in Answer.objects.order_by("pk")] == ["unaided", "aided"]
    # Nine questions on each of two nodules and one on the case, at each of two stages.
    assert Rating.objects.count() == 2 * (2 * 9 + 1)
    rated = Rating.objects.filter(question="malignancy").order_by("answer_id")
    assert [rating.value for rating in rated] == [30, 30, 70, 70]
    told = Event.objects.filter(monotonic_ms=None).values_list("kind", flat=True)
    assert list(told) == ["opened", "lock_unaided", "submit"]


def test_opening_again_goes_on_where_it_was():
    reading = a_reading(stage=Stage.AIDED)

    assert open_reading(**by(reading)).stage == Stage.AIDED


def test_another_readers_reading_does_not_exist():
    reading, other = a_reading(stage=Stage.UNAIDED), a_reading()
    as_other = {**by(reading), "reader": other.reader.user}

    for step in (
        lambda: open_reading(**as_other),
        lambda: lock_unaided(**as_other, answers=answers_of(reading)),
        lambda: save_draft(**as_other, stage=Stage.UNAIDED, version=0, answers={}),
        lambda: show_ai(**as_other),
        lambda: store_events(**as_other, events=[]),
    ):
        with pytest.raises(Reading.DoesNotExist):
            step()


def test_nothing_begins_before_the_study_is_open():
    reading = a_reading(reader=a_member(a_study(is_open=False)))

    with pytest.raises(StudyNotOpen):
        open_reading(**by(reading))


def test_locking_the_same_answer_twice_locks_it_once():
    reading = a_reading(stage=Stage.UNAIDED)

    lock_unaided(**by(reading), answers=answers_of(reading))
    again = lock_unaided(**by(reading), answers=answers_of(reading))

    assert again.stage == Stage.AIDED
    assert Answer.objects.count() == 1


def test_a_locked_answer_cannot_be_replaced():
    reading = a_reading(stage=Stage.AIDED)

    with pytest.raises(AnswerLocked):
        lock_unaided(**by(reading), answers=answers_of(reading, malignancy=99))
    assert Rating.objects.get(question="malignancy").value == 30


def test_a_save_that_is_said_again_is_stored_once_and_acknowledged_as_what_it_was():
    reading, key = a_reading(stage=Stage.UNAIDED), uuid4()
    save = {**by(reading), "stage": Stage.UNAIDED, "answers": answers_of(reading), "key": key}

    first = save_draft(**save, version=0)
    again = save_draft(**save, version=0)

    assert (first.version, again.version, Draft.objects.get().version) == (1, 1, 1)
    other = {**save, "answers": answers_of(reading, malignancy=1), "key": uuid4()}
    with pytest.raises(DraftConflict):
        save_draft(**other, version=0)
    save_draft(**other, version=1)
    # The first one comes late, by another way: it is not taken for something new.
    with pytest.raises(DraftConflict):
        save_draft(**save, version=0)


def test_a_lock_that_was_pressed_long_ago_does_not_pass_over_what_was_filled_in_since():
    reading, key = a_reading(stage=Stage.UNAIDED), uuid4()
    step = {**by(reading), "answers": answers_of(reading), "key": key}
    newer = answers_of(reading, malignancy=99)
    save_draft(**by(reading), stage=Stage.UNAIDED, version=0, answers=newer)

    with pytest.raises(DraftConflict):
        lock_unaided(**step, version=0)
    lock_unaided(**step, version=1)
    lock_unaided(**step, version=0)  # its acknowledgement was lost: said again, it is done already

    assert Rating.objects.get(question="malignancy").value == 30
    assert Event.objects.get(key=key).kind == "lock_unaided"


def test_what_follows_a_save_whose_acknowledgement_was_lost_is_no_conflict():
    reading, first = a_reading(stage=Stage.UNAIDED), uuid4()
    save = {**by(reading), "stage": Stage.UNAIDED, "version": 0}
    save_draft(**save, answers=answers_of(reading), key=first)

    later = answers_of(reading, malignancy=31)
    assert save_draft(**save, answers=later, key=uuid4(), sent=[first]).version == 2
    assert not Deviation.objects.exists()


def test_a_save_that_was_overtaken_and_arrives_late_changes_nothing_and_is_no_deviation():
    reading, late = a_reading(stage=Stage.UNAIDED), uuid4()
    save = {**by(reading), "stage": Stage.UNAIDED}
    newer = answers_of(reading, malignancy=31)
    save_draft(**save, version=0, answers=answers_of(reading), key=uuid4())
    save_draft(**save, version=1, answers=newer, key=uuid4(), sent=[late])
    newest = answers_of(reading, malignancy=33)
    save_draft(**save, version=2, answers=newest, key=uuid4())

    held = save_draft(**save, version=1, answers=answers_of(reading, malignancy=29), key=late)

    assert (held.version, held.answers) == (3, newest)
    assert not Deviation.objects.exists()


def test_the_key_of_an_event_cannot_stop_a_lock():
    reading, key = a_reading(stage=Stage.UNAIDED), uuid4()
    store_events(**by(reading), events=[Told(key, "slice", "unaided", 1.0, {})])

    lock_unaided(**by(reading), answers=answers_of(reading), key=key)

    assert Event.objects.get(key=key).kind == "slice"
    assert Event.objects.filter(kind="lock_unaided").count() == 1


def test_an_unfinished_form_cannot_be_locked_and_says_what_is_missing():
    reading = a_reading(stage=Stage.UNAIDED)
    answers = answers_of(reading)
    nodule = next(iter(answers["nodules"]))
    del answers["nodules"][nodule]["malignancy"]

    with pytest.raises(AnswersIncomplete) as refusal:
        lock_unaided(**by(reading), answers=answers)

    assert [p["question"] for p in refusal.value.more["problems"]] == ["malignancy"]
    reading.refresh_from_db()
    assert reading.stage == Stage.UNAIDED


def test_the_ai_is_handed_out_after_the_lock_only_and_this_is_noted():
    reading = a_reading(stage=Stage.UNAIDED)
    with pytest.raises(StepNotAllowed):
        show_ai(**by(reading))

    prediction = a_prediction(reading.case.series.get().nodules.get())
    lock_unaided(**by(reading), answers=answers_of(reading))
    _, items = show_ai(**by(reading))

    assert items == (Item.SCORE, Item.SEMANTIC, Item.SALIENCY, Item.SIMILAR)
    assert Event.objects.get(kind="ai_sent").data == {
        "items": ["score", "semantic", "saliency", "similar"],
        "bundles": {str(prediction.job.nodule_id): prediction.bundle_hash},
    }


def test_submitting_needs_a_locked_unaided_answer():
    reading = a_reading(stage=Stage.UNAIDED)

    with pytest.raises(StepNotAllowed):
        submit(**by(reading), answers=answers_of(reading))


def test_a_draft_is_kept_and_counts_its_saves():
    reading = a_reading(stage=Stage.UNAIDED)
    answers = {"case": {}, "nodules": {}}

    first = save_draft(**by(reading), stage=Stage.UNAIDED, version=0, answers=answers)
    answers = answers_of(reading)
    second = save_draft(**by(reading), stage=Stage.UNAIDED, version=1, answers=answers)

    assert (first.version, second.version) == (1, 2)
    assert Draft.objects.get(reading=reading).answers == answers


def test_a_draft_sent_twice_is_saved_once():
    reading = a_reading(stage=Stage.UNAIDED)
    save = {**by(reading), "stage": Stage.UNAIDED, "version": 0, "answers": answers_of(reading)}

    assert save_draft(**save).version == save_draft(**save).version == 1


def test_two_tabs_do_not_overwrite_each_other():
    reading = a_reading(stage=Stage.UNAIDED)
    save_draft(**by(reading), stage=Stage.UNAIDED, version=0, answers=answers_of(reading))

    with pytest.raises(DraftConflict) as refusal:
        save_draft(**by(reading), stage=Stage.UNAIDED, version=0, answers={"case": {}})

    assert refusal.value.more == {"version": 1}


def test_a_stale_tab_cannot_save_into_a_locked_stage():
    reading = a_reading(stage=Stage.AIDED)

    with pytest.raises(AnswerLocked):
        save_draft(**by(reading), stage=Stage.UNAIDED, version=0, answers={})


def test_a_draft_may_be_unfinished_but_not_wrong():
    reading = a_reading(stage=Stage.UNAIDED)
    wrong = {"case": {"image_quality": {"value": "superb"}}}

    with pytest.raises(AnswersInvalid):
        save_draft(**by(reading), stage=Stage.UNAIDED, version=0, answers=wrong)


def test_the_revision_starts_as_the_locked_answer():
    reading = a_reading(stage=Stage.AIDED)

    assert Draft.objects.get(reading=reading, stage=Stage.AIDED).answers == answers_of(reading)


def test_an_event_told_twice_is_kept_once():
    reading = a_reading(stage=Stage.UNAIDED)
    event = Told(uuid4(), "first_image", "unaided", 812.5, {"slice": 40})

    store_events(**by(reading), events=[event])
    store_events(**by(reading), events=[event, event._replace(key=uuid4())])

    assert Event.objects.filter(kind="first_image").count() == 2


@pytest.mark.parametrize("change", ["update", "delete"])
@pytest.mark.parametrize("table", ["answer", "rating", "event", "prediction", "modelversion"])
def test_what_is_recorded_cannot_be_changed_in_the_database(table, change):
    reading = a_reading(stage=Stage.SUBMITTED)
    a_prediction(reading.case.series.get().nodules.get())
    rows = apps.get_model("reader_study", table).objects.all()
    assert rows.exists()

    alter = {
        "update": lambda: rows.update(id=F("id")),
        "delete": lambda: rows._raw_delete(using="default"),
    }[change]
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        alter()


def test_answers_to_questions_that_are_not_asked_stay_in_the_draft_and_out_of_the_lock():
    form = a_protocol()["questionnaire"]
    form["nodule"].append(
        {
            "name": "solid_part",
            "label": "Solid part",
            "kind": "number",
            "unit": "mm",
            "when": {"question": "consistency", "is": "part_solid"},
        }
    )
    reading = a_reading(stage=Stage.UNAIDED, study=a_study(questionnaire=form))
    answers = answers_of(reading, solid_part=5)
    save_draft(**by(reading), stage=Stage.UNAIDED, version=0, answers=answers)

    for _ in range(2):  # as a client that lost the response does
        lock_unaided(**by(reading), answers=answers)

    assert Draft.objects.get(stage="unaided").answers == answers
    assert Answer.objects.get().answers == answers_of(reading)
    assert not Rating.objects.filter(question="solid_part").exists()
    assert Draft.objects.get(stage="aided").answers == answers_of(reading)
