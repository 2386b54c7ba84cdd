"""Scores of other systems, imported from a file as predictions of a model of their own."""

import csv
import hashlib
import math
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from django.db import transaction

from reader_study.actions.prediction import record_prediction
from reader_study.domain.errors import ScoresInvalid
from reader_study.models import Job, JobStatus, Nodule, Prediction, Study

COLUMNS = ("case", "nodule", "score")
NO_REASON = "The system gave no score."


class Score(NamedTuple):
    """A line of the file: a score from 0 to 1, or why there is none."""

    line: int
    case: str
    nodule: str
    score: float | None
    reason: str


class Imported(NamedTuple):
    """What became of a file."""

    stored: int
    known: int  # stored by an earlier import, and equal
    failed: int
    missing: int  # nodules of the study that the file says nothing of


def read_scores(file: Path) -> tuple[list[Score], str]:
    """Return the lines of a file, and the SHA-256 of its content.

    Raises:
        ScoresInvalid: it cannot be read, lacks a column, or a score is not from 0 to 1.
    """
    try:
        content = file.read_bytes()
        reader = csv.DictReader(content.decode("utf-8-sig").splitlines())
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        lines = list(enumerate(reader, start=2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScoresInvalid(f"{file} cannot be read: {error}.") from error
    if missing:
        raise ScoresInvalid(f"{file} lacks the column {', '.join(missing)}.")
    return [_score(line, row) for line, row in lines], hashlib.sha256(content).hexdigest()


def system_of(file: Path) -> tuple[str, str]:
    """Return the version that a file of `inference.systems` says, and a hash of what ran.

    Raises:
        ScoresInvalid: it does not say, or says two.
    """
    with file.open(newline="", encoding="utf-8") as table:
        ran = {(row["system"], row["version"], row["weights"]) for row in csv.DictReader(table)}
    if len(ran) != 1:
        raise ScoresInvalid(f"{file} holds scores of {len(ran)} versions of a system, not of one.")
    system, version, weights = ran.pop()
    return f"{version} ({weights})"[:64], _sha256("\n".join((system, version, weights)))


def _score(line: int, row: dict[str, Any]) -> Score:
    text = (row["score"] or "").strip()
    try:
        score = float(text) if text else None
    except ValueError:
        score = math.nan
    if score is not None and not 0 <= score <= 1:
        raise ScoresInvalid(f"Line {line}: the score {text} is no number from 0 to 1.")
    reason = (row.get("reason") or "").strip() or NO_REASON
    return Score(line, (row["case"] or "").strip(), (row["nodule"] or "").strip(), score, reason)


def import_scores(
    *,
    study: Study,
    rows: Iterable[Score],
    digest: str,
    model: str,
    version: str,
    now: datetime,
) -> Imported:
    """Store scores as predictions of `model`; `digest` is known as its weights.

    Raises:
        ScoresInvalid: as `store_scores`.
    """
    message = partial(_message, digest=digest, model=model, version=version)
    return store_scores(study=study, rows=rows, model=model, message=message, now=now)


@transaction.atomic
def store_scores(
    *,
    study: Study,
    rows: Iterable[Score],
    model: str,
    message: Callable[[Score], dict[str, Any]],
    now: datetime,
) -> Imported:
    """Store scores as predictions of `model`, each as the `message` of a worker would be.

    Raises:
        ScoresInvalid: a line names no nodule of the study, or one twice; another score is
            stored already; or the name is that of a model which the worker runs here.
    """
    nodules = {
        (nodule.series.case.pseudonym, nodule.label): nodule
        for nodule in Nodule.objects.of_study(study).select_related("series__case")
    }
    seen: set[tuple[str, str]] = set()
    jobs = {
        job.nodule_id: job for job in Job.objects.filter(nodule__in=nodules.values(), model=model)
    }
    known_scores = dict(
        Prediction.objects.filter(job__in=jobs.values()).values_list(
            "job__nodule_id", "probability"
        )
    )
    stored = known = failed = 0
    for row in rows:
        place = (row.case, row.nodule)
        if place not in nodules:
            raise ScoresInvalid(
                f"Line {row.line}: the study has no nodule {row.nodule} in case {row.case}."
            )
        if place in seen:
            raise ScoresInvalid(
                f"Line {row.line}: nodule {row.nodule} of case {row.case} is there twice."
            )
        seen.add(place)
        nodule = nodules[place]
        if nodule.pk in known_scores:
            if known_scores[nodule.pk] != row.score:
                where = f"Line {row.line}: " if row.line else ""
                raise ScoresInvalid(
                    f"{where}{model} has another score of nodule {row.nodule} of case "
                    f"{row.case} already, and a prediction does not change: import the file under "
                    "another name."
                )
            known += 1
            continue
        job = jobs.get(nodule.pk)
        if job is not None and job.status == JobStatus.WAITING:
            raise ScoresInvalid(
                f"{model} is being asked for here: import the file under another name."
            )
        job = job or Job.objects.create(nodule=nodule, model=model, asked_at=now, retry_at=now)
        record_prediction(job_id=job.pk, message=message(row), now=now)
        if row.score is None:
            failed += 1
        else:
            stored += 1
    return Imported(stored, known, failed, len(nodules) - len(seen))


def _message(row: Score, *, digest: str, model: str, version: str) -> dict[str, Any]:
    if row.score is None:
        return {"status": "failed", "code": "no_score", "detail": row.reason}
    known_as = f"{model}\n{version}"
    return {
        "status": "done",
        "model": {
            "name": model,
            "version": version,
            "hash": _sha256(f"{known_as}\n{digest}"),
            "weights_hash": digest,
            "code_hash": _sha256(known_as),
            "demonstration": False,
            "title": model,
            "notice": "",
            "backbone": "imported",
            "token_mm": 0.0,
        },
        "input_hash": _sha256(f"{row.case}\n{row.nodule}"),
        "probability_raw": row.score,
        "probability": row.score,
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
