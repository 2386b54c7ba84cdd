"""Clinical models as models of a study: computed here, from a table of clinical variables."""

import csv
import functools
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from reader_study.actions.scores import Imported, Score, store_scores
from reader_study.domain import comparators, lung_rads
from reader_study.domain.comparators import (
    COMPARATORS,
    FIELDS,
    Comparator,
    NoScore,
    Value,
    read_values,
)
from reader_study.domain.errors import ScoresInvalid
from reader_study.models import Nodule, Study

CASE, NODULE, SIZE = "case", "nodule", "diameter_mm"


class Clinical(NamedTuple):
    """What a table says of one nodule, or where `nodule` is empty of all nodules of a case."""

    line: int
    case: str
    nodule: str
    texts: dict[str, str]


def read_clinical(file: Path) -> list[Clinical]:
    """Return the lines of a table of clinical variables.

    Raises:
        ScoresInvalid: it cannot be read, has no column `case`, or one that means nothing.
    """
    try:
        content = file.read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(content.splitlines())
        columns = list(reader.fieldnames or ())
        lines = list(enumerate(reader, start=2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScoresInvalid(f"{file} cannot be read: {error}.") from error
    if CASE not in columns:
        raise ScoresInvalid(f"{file} lacks the column {CASE}.")
    if unknown := [name for name in columns if name not in {CASE, NODULE, *FIELDS}]:
        raise ScoresInvalid(
            f"{file}: no clinical variable is called {unknown[0]}; known: {', '.join(FIELDS)}."
        )
    return [
        Clinical(
            line,
            (row[CASE] or "").strip(),
            (row.get(NODULE) or "").strip(),
            {name: (row.get(name) or "").strip() for name in FIELDS},
        )
        for line, row in lines
    ]


def apply_comparator(
    *, study: Study, name: str, clinical: list[Clinical], now: datetime
) -> Imported:
    """Compute a clinical model for every nodule of a study, and store it as a model of its own.

    What a nodule's own line says goes before what the line of its case says, and that before
    the diameter that came with the nodule. A nodule it cannot be computed for has failed, with
    the reason; computed again with more known, it has a score.

    Raises:
        ScoresInvalid: a line names no nodule of the study, or one twice; or another score is
            stored already.
    """
    comparator = COMPARATORS[name]
    nodules = list(Nodule.objects.of_study(study).select_related("series__case"))
    said = _by_place(clinical, nodules)
    rows: list[Score] = []
    inputs: dict[tuple[str, str], dict[str, Value]] = {}
    for nodule in nodules:
        case = nodule.series.case.pseudonym
        own, of_case = said.get((case, nodule.label), {}), said.get((case, ""), {})
        texts = {field: own.get(field) or of_case.get(field) or "" for field in FIELDS}
        if not texts[SIZE] and nodule.diameter_mm is not None:
            texts[SIZE] = repr(nodule.diameter_mm)
        try:
            known = read_values(comparator, texts)
            score, reason = comparator.score(known), ""
            inputs[case, nodule.label] = known
        except NoScore as error:
            score, reason = None, f"{comparator.title}: {error}."
        rows.append(Score(0, case, nodule.label, score, reason))
    message = partial(_message, name=name, comparator=comparator, inputs=inputs)
    return store_scores(study=study, rows=rows, model=name, message=message, now=now)


def _by_place(
    clinical: list[Clinical], nodules: list[Nodule]
) -> dict[tuple[str, str], dict[str, str]]:
    places = {(nodule.series.case.pseudonym, nodule.label) for nodule in nodules}
    places |= {(case, "") for case, _ in places}
    said: dict[tuple[str, str], dict[str, str]] = {}
    for line in clinical:
        place = (line.case, line.nodule)
        what = f"nodule {line.nodule} in case {line.case}" if line.nodule else f"case {line.case}"
        if place not in places:
            raise ScoresInvalid(f"Line {line.line}: the study has no {what}.")
        if place in said:
            raise ScoresInvalid(f"Line {line.line}: {what} is there twice.")
        said[place] = line.texts
    return said


def _message(
    row: Score,
    *,
    name: str,
    comparator: Comparator,
    inputs: Mapping[tuple[str, str], dict[str, Value]],
) -> dict[str, Any]:
    if row.score is None:
        return {"status": "failed", "code": "not_computable", "detail": row.reason}
    given = inputs[row.case, row.nodule]
    known_as = f"{name}\n{comparator.version}"
    return {
        "status": "done",
        "model": {
            "name": name,
            "version": comparator.version,
            "hash": _sha256(known_as),
            "weights_hash": _sha256(known_as),
            "code_hash": _code_hash(),
            "demonstration": False,
            "title": comparator.title,
            "notice": comparator.notice,
            "backbone": "formula",
            "token_mm": 0.0,
        },
        "input_hash": _sha256(json.dumps(given, sort_keys=True)),
        "inputs": given,
        "probability_raw": row.score,
        "probability": row.score,
    }


@functools.cache
def _code_hash() -> str:
    """Return the SHA-256 of the formulas as they are written."""
    files = [Path(str(module.__file__)) for module in (comparators, lung_rads)]
    return hashlib.sha256(b"\n".join(file.read_bytes() for file in files)).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
