"""Feedback in training: the reference standard of a training case once it has been read."""

from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from django.db import connection, transaction

from reader_study.actions.accesses import note_access
from reader_study.actions.locked import must_not_be_locked
from reader_study.domain.blinding import truth_is_shown
from reader_study.domain.design import TRAINING
from reader_study.domain.reading import Stage
from reader_study.models import Accessed, Event, Reading, User


class Truth(NamedTuple):
    """What is known of one nodule; `centre_mm` are LPS millimetres."""

    nodule: int
    number: int
    centre_mm: tuple[float, float, float]
    malignant: bool | None
    source: str


@transaction.atomic
def show_truth(*, reader: User, reading_id: int, now: datetime) -> list[Truth]:
    """Return the truth of a training case that `reader` has read, and note that it is handed out.

    The reference standard itself is out of reach here: the rows come from a function of the
    database that returns those of training cases only, and has the same conditions.

    Raises:
        Reading.DoesNotExist: `reader` has no such reading, or no truth may be seen in it.
        StudyLocked: the study's database is locked.
    """
    reading = (
        Reading.objects.of(reader)
        .select_related("reader__study__database_lock", "case")
        .select_for_update(of=("self",))
        .get(pk=reading_id)
    )
    training = reading.reader.study.rules.design.training
    if not truth_is_shown(
        Stage(reading.stage),
        in_training=reading.session == TRAINING,
        of_training=reading.case.training,
        feedback=training is not None and training.feedback,
    ):
        raise Reading.DoesNotExist
    must_not_be_locked(reading.reader.study)
    note_access(Accessed.TRUTH, user=reader, reading=reading, now=now)
    with connection.cursor() as cursor:
        cursor.execute("select * from reread_training_truth(%s, %s)", [reading.pk, reader.pk])
        truths = [
            Truth(nodule, number, (x, y, z), malignant, source)
            for nodule, number, x, y, z, malignant, source in cursor
        ]
    Event.objects.create(
        reading=reading,
        key=uuid4(),
        kind="truth_sent",
        stage=reading.stage,
        data={"nodules": [each.nodule for each in truths]},
        received_at=now,
    )
    return truths
