"""Rows for tests: each fills in what the test does not care about."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from django.utils import timezone

from reader_study.actions.prediction import record_prediction
from reader_study.actions.reading import lock_unaided, open_reading, submit
from reader_study.actions.study import create_study
from reader_study.domain.reading import Stage
from reader_study.models import (
    Case,
    Job,
    JobStatus,
    Membership,
    ModelVersion,
    Nodule,
    Prediction,
    ProtocolVersion,
    Reading,
    Role,
    Series,
    Study,
    User,
)

DEMONSTRATION = Path(__file__).parent.parent / "reader_study/protocols/demonstration.yaml"
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PASSWORD = "a password of the tests"

_count = itertools.count(1)


def a_protocol(**changes: Any) -> dict[str, Any]:
    """The demonstration's protocol, with `changes` at its top level.

    Its analysis speaks of its design and questions: where those change, it is left out.
    """
    document = yaml.safe_load(DEMONSTRATION.read_text())
    if changes.keys() & {"design", "questionnaire"}:
        del document["analysis"]
    return {**document, **changes}


def free_response(**changes: Any) -> dict[str, Any]:
    """What makes the demonstration's protocol one of free response."""
    ready = yaml.safe_load((DEMONSTRATION.parent / "free_response.yaml").read_text())
    return {name: ready[name] for name in ("findings", "questionnaire")} | changes


def a_mark(
    reading: Reading, point: tuple[float, float, float] = (11.25, -20.5, 30.0), **values: Any
) -> dict[str, Any]:
    """A mark in the first series of a reading's case, rated in full; `values` by question."""
    given = {"rating": 80, "consistency": "solid", "malignancy": 60, **values}
    return {
        "id": str(uuid4()),
        "series": Series.objects.filter(case=reading.case).values_list("pk", flat=True)[0],
        "point_mm": list(point),
        "answers": {name: {"value": value} for name, value in given.items()},
    }


def a_study(*, is_open: bool = True, **changes: Any) -> Study:
    study = create_study(slug=f"study-{next(_count)}", document=a_protocol(**changes), now=NOW)
    if is_open:
        study.allocated_at = study.opened_at = NOW
        study.save()
    return study


def a_user(**fields: Any) -> User:
    return User.objects.create_user(**{"username": f"user{next(_count)}", **fields})


def a_member(study: Study, role: Role = Role.READER, user: User | None = None) -> Membership:
    return Membership.objects.create(
        study=study, user=user or a_user(), role=role, pseudonym=f"R{next(_count):03}"
    )


def a_case(study: Study, nodules: int = 1) -> Case:
    number = next(_count)
    case = Case.objects.create(study=study, pseudonym=f"C{number:04}", subject=f"S{number:04}")
    series = Series.objects.create(
        case=case,
        study_uid=f"1.2.3.{number}",
        series_uid=f"1.2.3.{number}.1",
        frame_of_reference_uid=f"1.2.3.{number}.2",
        slices=60,
    )
    for n in range(1, nodules + 1):
        Nodule.objects.create(series=series, number=n, label=f"N{n}", x=10.0 * n, y=-20.0, z=30.5)
    return case


def a_reading(
    *,
    stage: Stage = Stage.ASSIGNED,
    study: Study | None = None,
    reader: Membership | None = None,
    nodules: int = 1,
) -> Reading:
    """A reading brought to `stage` by the steps a reader takes."""
    reader = reader or a_member(study or a_study())
    reading = Reading.objects.create(
        reader=reader,
        case=a_case(reader.study, nodules),
        position=Reading.objects.filter(reader=reader).count() + 1,
    )
    who: dict[str, Any] = {"reader": reader.user, "reading_id": reading.pk}
    if stage != Stage.ASSIGNED:
        open_reading(**who, now=NOW)
    if stage in {Stage.AIDED, Stage.SUBMITTED}:
        lock_unaided(**who, answers=answers_of(reading), now=NOW + timedelta(minutes=2))
    if stage == Stage.SUBMITTED:
        revised = answers_of(reading, malignancy=70)
        submit(**who, answers=revised, now=NOW + timedelta(minutes=3))
    reading.refresh_from_db()
    return reading


def many_readings(reader: Membership, *, ended: int, waiting: int) -> None:
    """Further readings of a reader, written as rows: first those that have ended."""
    begin = Reading.objects.filter(reader=reader).count()
    places = range(begin + 1, begin + ended + waiting + 1)
    study = reader.study
    cases = Case.objects.bulk_create(
        Case(study=study, pseudonym=f"M{reader.pk}-{place}", subject=f"S{place}")
        for place in places
    )
    version = ProtocolVersion.objects.get(study=study)
    done = {"stage": Stage.SUBMITTED.value, "version": version, "opened_at": NOW}
    Reading.objects.bulk_create(
        Reading(
            reader=reader,
            case=case,
            position=place,
            **({**done, "submitted_at": NOW + timedelta(minutes=place)} if n < ended else {}),
        )
        for n, (place, case) in enumerate(zip(places, cases, strict=True))
    )


def answers_of(reading: Reading, **changes: Any) -> dict[str, Any]:
    """Complete answers to the demonstration's questions; `changes` are values by question."""
    values = {
        "margin_conspicuity": "well_marginated",
        "margin": "smooth",
        "shape": "round",
        "consistency": "solid",
        "pleural_attachment": "absent",
        "pleural_retraction": "absent",
        "further_features": ["none"],
        "malignancy": 30,
        "confidence": "high",
        **changes,
    }
    given = {name: {"value": value} for name, value in values.items()}
    nodules = Nodule.objects.filter(series__case=reading.case)
    return {
        "case": {"image_quality": {"value": "diagnostic"}},
        "nodules": {str(nodule.pk): given for nodule in nodules},
    }


def a_result(probability: float = 0.73, **changes: Any) -> dict[str, Any]:
    """A worker's answer as it comes off the broker."""
    plane = {
        "weight": 1 / 9,
        "centre_mm": [10.0, -20.0, 30.5],
        "row": [1.0, 0.0, 0.0],
        "column": [0.0, 1.0, 0.0],
        "cell_mm": 7.1,
        "relevance": [[0.0, 0.1], [0.2, 0.4321098]],
    }
    return {
        "status": "done",
        "model": {
            "name": "demonstration",
            "version": "1",
            "hash": "a" * 64,
            "weights_hash": "b" * 64,
            "code_hash": "c" * 64,
            "demonstration": True,
            "title": "Demonstration model",
            "notice": "Not for clinical use.",
            "backbone": "small",
            "token_mm": 7.1,
        },
        "input_hash": "d" * 64,
        "probability_raw": 0.8123457,
        "probability": probability,
        "semantic": {"margin": {"smooth": 0.125, "lobulated": 0.25, "spiculated": 0.625}},
        "planes": [{"name": name, **plane} for name in ("axial", "coronal", "sagittal")],
        "relevance_scale": 0.4321098,
        "faithfulness": {"deletion_drop": 0.31415926, "random_drop": 0.0271828},
        "embedding": [0.5, -0.5],
        "similar": [
            {
                "id": "generated-7",
                "distance": 0.2718281828,
                "malignant": True,
                "truth": "generated",
                "diameter_mm": 12.5,
                "thumbnail": "iVBORw0KGgo=",
            }
        ],
        "likeness": {"distance": 9.8696044, "unlike_above": 8.25, "unlike": True},
        "device": "cpu",
        "seconds": 1.5,
        **changes,
    }


def a_job(nodule: Nodule, **fields: Any) -> Job:
    return Job.objects.create(
        **{"nodule": nodule, "model": "demonstration", "asked_at": NOW, "retry_at": NOW, **fields}
    )


def a_prediction(nodule: Nodule, probability: float = 0.73) -> Prediction:
    """The stored prediction of `nodule`, as the worker's answer makes it."""
    job = a_job(nodule)
    record_prediction(job_id=job.pk, message=a_result(probability), now=timezone.now())
    assert ModelVersion.objects.exists()
    assert Job.objects.get(pk=job.pk).status == JobStatus.DONE
    return Prediction.objects.get(job=job)
