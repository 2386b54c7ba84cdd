"""What was recorded is chained, and whoever changes it is found."""

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from reader_study.actions.protocol import amend_protocol
from reader_study.actions.reading import Told, show_ai, store_events
from reader_study.actions.reference import load_reference
from reader_study.actions.verification import verify_study
from reader_study.domain.reading import Stage
from reader_study.models import Answer, Chain, Event, Nodule, Prediction, Record
from reader_study.models.record import CONTENTS
from tests.factories import NOW, a_prediction, a_protocol, a_reading, a_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    """Three readings: one with a prediction that was shown and a reference, and two more.

    Then the protocol is amended, and a fourth reading is opened.
    """
    study = a_study()
    seen = a_reading(stage=Stage.AIDED, study=study)
    nodule = Nodule.objects.get()
    a_prediction(nodule)
    load_reference(nodule=nodule, malignant=True, source="pathology", now=NOW)
    show_ai(reader=seen.reader.user, reading_id=seen.pk, now=NOW)
    a_reading(stage=Stage.SUBMITTED, study=study)
    a_reading(stage=Stage.SUBMITTED, study=study)
    amended = a_protocol(title="Another title")
    amend_protocol(study=study, document=amended, reason="a typing error", by=None, now=NOW)
    a_reading(stage=Stage.UNAIDED, study=study)
    study.refresh_from_db()
    return study


@contextmanager
def as_superuser():
    """What somebody who owns the database can do, the triggers switched off."""
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        yield cursor.execute
        cursor.execute("set session_replication_role = origin")


def test_all_that_is_recorded_is_in_the_chain_and_holds(study):
    result = verify_study(study)

    assert result.broken is None
    # Opened four times, locked three times, submitted twice, and the AI sent once; the amendment
    # after the first reading is a deviation.
    kinds = {"answer": 5, "deviation": 1, "event": 10, "prediction": 1, "protocol": 2}
    assert result.counts == {**kinds, "reference": 1}
    assert result.length == Record.objects.count() == 20
    assert bytes(Chain.objects.get(study=study).head) == result.head


def test_each_study_has_its_own_chain(study):
    other = a_reading(stage=Stage.SUBMITTED).reader.study

    assert verify_study(study).length == 20
    assert verify_study(other).counts == {"answer": 2, "event": 3, "protocol": 1}


def test_an_empty_study_holds():
    assert verify_study(a_study()).broken is None


# What a forger does, and the row that is named.
FORGERIES = {
    "an answer that is changed": (
        "update reader_study_answer set answers = jsonb_set(answers, '{case}', '{}') "
        "where id = {answer}",
        "answer",
    ),
    "an answer that is locked at another time": (
        "update reader_study_answer set locked_at = locked_at - interval '1 microsecond' "
        "where id = {answer}",
        "answer",
    ),
    "an answer that is deleted with its ratings": (
        "delete from reader_study_rating where answer_id = {answer}; "
        "delete from reader_study_answer where id = {answer}",
        "answer",
    ),
    "two answers that change places": (
        "update reader_study_answer set id = -id; "
        "update reader_study_answer set id = case -id when {answer} then {other} "
        "when {other} then {answer} else -id end",
        "answer",
    ),
    "a reading given to another reader": (
        "update reader_study_reading set reader_id = (select max(reader_id) "
        "from reader_study_reading), position = 99 "
        "where id = (select reading_id from reader_study_answer where id = {answer})",
        "answer",
    ),
    "a reading moved to another arm": (
        "update reader_study_reading set arm = 'other' "
        "where id = (select reading_id from reader_study_answer where id = {answer})",
        "answer",
    ),
    "a repeat that is passed off as none": (
        "update reader_study_reading set repeat = not repeat "
        "where id = (select reading_id from reader_study_answer where id = {answer})",
        "answer",
    ),
    "a rating that is changed": (
        "update reader_study_rating set value = '99' "
        "where answer_id = {answer} and question = 'malignancy'",
        "answer",
    ),
    "two ratings that are swapped": (
        "update reader_study_rating r set value = s.value from reader_study_rating s "
        "where r.answer_id = s.answer_id and r.answer_id = {answer} "
        "and (r.question, s.question) in (values ('shape', 'margin'), ('margin', 'shape'))",
        "answer",
    ),
    "a rating that is left out": (
        "delete from reader_study_rating where answer_id = {answer} and question = 'margin'",
        "answer",
    ),
    "an event that is changed": (
        "update reader_study_event set data = '{}' where id = {event}",
        "event",
    ),
    "an event that is told of another reading": (
        "update reader_study_event set reading_id = (select max(reading_id) "
        "from reader_study_event) where id = {event}",
        "event",
    ),
    "a bundle that says something else": (
        "update reader_study_prediction set bundle = jsonb_set(bundle, '{probability}', '0.5')",
        "prediction",
    ),
    "a prediction that says something else than its bundle": (
        "update reader_study_prediction set probability = 0.5",
        "prediction",
    ),
    "a prediction of another model": (
        "update reader_study_modelversion set version = '2'",
        "prediction",
    ),
    "a truth that is changed": (
        "update reader_study_referencestandard set malignant = not malignant",
        "reference",
    ),
    "a nodule that is moved": ("update reader_study_nodule set z = z + 1", "reference"),
    "an answer put in beside the others": (
        "insert into reader_study_answer (reading_id, stage, answers, protocol_hash, locked_at) "
        "select reading_id, 'aided', answers, protocol_hash, locked_at "
        "from reader_study_answer where id = {answer}",
        "answer",
    ),
    "a reading that is set back": (
        "update reader_study_reading set stage = 'unaided', submitted_at = null "
        "where stage = 'submitted'",
        "reading",
    ),
    "a reading submitted at another time": (
        "update reader_study_reading set submitted_at = now() where stage = 'submitted'",
        "reading",
    ),
    "a protocol that is changed": (
        "update reader_study_study set protocol = jsonb_set(protocol, '{title}', '\"x\"')",
        "study",
    ),
    "a version that is changed": (
        "update reader_study_protocolversion set protocol = "
        "jsonb_set(protocol, '{title}', '\"x\"'); "
        "update reader_study_study set protocol = jsonb_set(protocol, '{title}', '\"x\"')",
        "protocol",
    ),
    "a version's reason that is changed": (
        "update reader_study_protocolversion set reason = 'x'",
        "protocol",
    ),
    "a version that is taken out": (
        "update reader_study_reading set version_id = (select max(id) "
        "from reader_study_protocolversion) where version_id is not null; "
        "delete from reader_study_protocolversion where number = 1",
        "protocol",
    ),
    "a reading put under another version": (
        "update reader_study_reading set version_id = (select max(id) "
        "from reader_study_protocolversion) "
        "where id = (select reading_id from reader_study_answer where id = {answer})",
        "answer",
    ),
    "a reading without answers put under another version": (
        "update reader_study_reading set version_id = (select min(id) "
        "from reader_study_protocolversion) where stage = 'unaided'",
        "reading",
    ),
    "a record that is taken out": ("delete from reader_study_record where number = 3", "chain"),
    "records taken from the end": ("delete from reader_study_record where number > 17", "chain"),
    "records that change places": (
        "update reader_study_record set number = case number when 3 then 4 else 3 end + 100 "
        "where number in (3, 4); "
        "update reader_study_record set number = number - 100 where number > 100",
        None,
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_found_and_named(study, forgery):
    statement, kind = FORGERIES[forgery]
    first, other, *_ = Answer.objects.order_by("pk")
    event = Event.objects.get(kind="ai_sent")
    with as_superuser() as execute:
        for part in statement.split("; "):
            for name, row in (("answer", first), ("other", other), ("event", event)):
                part = part.replace(f"{{{name}}}", str(row.pk))
            execute(part)

    found = verify_study(study).broken

    assert found is not None
    if kind is not None:
        assert found.kind == kind
    if kind == "answer" and forgery != "an answer put in beside the others":
        assert found.row_id == first.pk
    if kind == "event":
        assert found.row_id == event.pk
    if forgery.startswith("records that change"):
        assert found.number == 3


def test_a_chain_made_anew_does_not_hold_the_head_that_was_noted_down(study):
    noted = verify_study(study).head
    assert verify_study(study, noted=noted).broken is None
    a_reading(stage=Stage.SUBMITTED, study=study)
    assert verify_study(study, noted=noted).broken is None

    with as_superuser() as execute:
        # The forger recomputes everything, as whoever owns the database can.
        execute("update reader_study_answer set locked_at = locked_at - interval '1 hour'")
        execute("update reader_study_reading set submitted_at = submitted_at - interval '1 hour'")
        rows = taken_apart(execute)
    made_anew(study, rows)

    assert verify_study(study).broken is None
    assert verify_study(study, noted=noted).broken.kind == "chain"


def taken_apart(execute):
    """Delete the chain; return what it led to."""
    rows = list(Record.objects.order_by("number").values_list("kind", "row_id"))
    execute("delete from reader_study_record")
    execute("delete from reader_study_chain")
    return rows


def made_anew(study, rows):
    with connection.cursor() as cursor:
        for kind, row_id in rows:
            content = CONTENTS[kind, 1]
            columns = ", ".join(content.columns)
            cursor.execute(
                f"select reread_append(%s, '{kind}', 1, array[t.id], array[sha256(convert_to("
                f"jsonb_build_array('{kind}', 1, {columns})::text, 'UTF8'))]) "
                f"from {content.source} where t.id = %s",
                [study.pk, row_id],
            )


def test_what_was_sent_of_the_ai_is_recorded_by_its_hash_and_has_to_be_stored(study):
    event, prediction = Event.objects.get(kind="ai_sent"), Prediction.objects.get()
    assert event.data["bundles"] == {str(prediction.job.nodule_id): prediction.bundle_hash}

    with as_superuser() as execute:
        execute("update reader_study_prediction set bundle_hash = %s", ["f" * 64])
        rows = taken_apart(execute)
    made_anew(study, rows)

    assert verify_study(study).broken.kind == "prediction"


def test_the_command_says_what_holds_and_names_what_does_not(study):
    out = io.StringIO()
    call_command("verify", study.slug, stdout=out)
    assert (
        "20 records hold: 5 answer, 1 deviation, 10 event, 1 prediction, 2 protocol, 1 reference"
        in out.getvalue()
    )
    head = verify_study(study).head.hex()
    assert f"head: {head}" in out.getvalue()
    call_command("verify", study.slug, "--noted", head, stdout=out)

    answer = Answer.objects.order_by("pk").last()
    with as_superuser() as execute:
        execute("update reader_study_answer set answers = '{}' where id = %s", [answer.pk])
    with pytest.raises(
        CommandError, match=rf"broken: answer {answer.pk} \(record 16\): its content"
    ):
        call_command("verify", study.slug, stdout=out)


@pytest.mark.parametrize("table", ["record", "chain", "referencestandard"])
def test_chain_and_truth_cannot_be_taken_away(study, table):
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"delete from reader_study_{table}")


@pytest.mark.django_db(transaction=True)
def test_readers_who_save_at_once_make_one_chain_without_a_gap():
    study = a_study()
    readings = [a_reading(stage=Stage.UNAIDED, study=study) for _ in range(4)]

    def tell(reading):
        try:
            for _ in range(25):
                event = Told(uuid4(), "slice", "unaided", 1.0, {})
                store_events(
                    reader=reading.reader.user,
                    reading_id=reading.pk,
                    events=[event, event._replace(key=uuid4())],
                    now=NOW,
                )
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(tell, readings))

    result = verify_study(study)
    assert (result.broken, result.length) == (None, 1 + 4 + 4 * 25 * 2)


@pytest.mark.django_db(transaction=True)
def test_what_was_recorded_before_there_was_a_chain_enters_it():
    study = a_reading(stage=Stage.SUBMITTED).reader.study
    load_reference(nodule=Nodule.objects.get(), malignant=True, source="pathology", now=NOW)
    a_prediction(Nodule.objects.get())
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes("reader_study")
    try:
        MigrationExecutor(connection).migrate([("reader_study", "0002_append_only")])
    finally:
        MigrationExecutor(connection).migrate(latest)

    result = verify_study(study)
    assert result.broken is None
    kinds = {"answer": 2, "event": 3, "prediction": 1, "protocol": 1, "reference": 1}
    assert result.counts == kinds
