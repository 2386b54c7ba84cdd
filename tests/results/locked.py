"""A study that was read by simulated readers through the site's own actions, and locked."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np

from reader_study.actions.conduct import lock_database
from reader_study.actions.reading import Told, lock_unaided, open_reading, store_events, submit
from reader_study.actions.reference import load_reference
from reader_study.actions.study import allocate_readings
from reader_study.models import Nodule, Reading, Role, Study, User
from tests.factories import NOW, a_case, a_member, a_prediction, a_study, answers_of

SOURCE = "pathology of the tests"


def a_read_study(readers: int = 3, cases: int = 8, seed: int = 5, **changes) -> Study:
    """A study of the demonstration's protocol whose readings are all submitted."""
    rng = np.random.default_rng(seed)
    study = a_study(is_open=False, **changes)
    for number in range(cases):
        nodules = Nodule.objects.filter(series__case=a_case(study))
        nodules.update(diameter_mm=5.0 + number)
    members = [a_member(study) for _ in range(readers)]
    allocate_readings(study=study, now=NOW)
    truth = {}
    for number, nodule in enumerate(Nodule.objects.of_study(study)):
        truth[nodule.series.case_id] = malignant = number % 2 == 0
        a_prediction(
            nodule, round(float(np.clip(rng.normal(0.3 + 0.4 * malignant, 0.15), 0, 1)), 4)
        )
        load_reference(nodule=nodule, malignant=malignant, source=SOURCE, now=NOW)
    Study.objects.filter(pk=study.pk).update(opened_at=NOW)
    study.refresh_from_db()
    for member in members:
        for reading in Reading.objects.filter(reader=member).order_by("position"):
            _read(reading, truth[reading.case_id], rng)
    return study


def _read(reading: Reading, malignant: bool, rng: np.random.Generator) -> None:
    begin = NOW + timedelta(hours=reading.position)
    by: dict[str, Any] = {"reader": reading.reader.user, "reading_id": reading.pk}
    felt = int(np.clip(rng.normal(35 + 25 * malignant, 18), 0, 100))
    told = int(np.clip(felt + rng.normal(20 * malignant - 10, 5), 0, 100))
    seconds = float(rng.uniform(20, 60))
    open_reading(**by, now=begin)
    _tell(by, "unaided", 0, seconds, begin)
    lock_unaided(**by, answers=_answers(reading, felt, rng), now=begin + timedelta(minutes=2))
    _tell(by, "aided", seconds, 0.4 * seconds, begin)
    submit(**by, answers=_answers(reading, told, rng), now=begin + timedelta(minutes=3))


def _answers(reading, malignancy, rng):
    margin = str(rng.choice(["smooth", "lobulated", "spiculated"], p=[0.2, 0.2, 0.6]))
    return answers_of(reading, malignancy=malignancy, margin=margin)


def _tell(by, stage, begin_s, seconds, at):
    """Let the browser tell of the reader's activity every five seconds."""
    events = []
    for i, second in enumerate(np.arange(begin_s, begin_s + seconds, 5)):
        key = UUID(int=by["reading_id"] * 10**6 + (stage == "aided") * 10**4 + i)
        events.append(Told(key, "slice", stage, 1000.0 * float(second), {"page": "a"}))
    store_events(**by, events=events, now=at + timedelta(minutes=1))


def lock(study: Study) -> User:
    """Lock the database of `study` as its coordinator; return who did."""
    coordinator = a_member(study, role=Role.COORDINATOR).user
    lock_database(
        study=study, by=coordinator, statement="All is done.", now=NOW + timedelta(days=30)
    )
    study.refresh_from_db()
    return coordinator
