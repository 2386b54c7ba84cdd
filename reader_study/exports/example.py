"""What the export of a study will look like, before anything has been read."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from reader_study.domain.allocation import Place
from reader_study.domain.design import TRAINING
from reader_study.domain.protocol import Protocol, protocol_hash
from reader_study.domain.questionnaire import Question
from reader_study.exports.tables import READINGS

STUDY = "example"


def example_table(protocol: Protocol, places: Sequence[Place]) -> str:
    """Return the first lines of readings.csv: a reading of each arm."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in READINGS])
    study = [place for place in places if place.session != TRAINING]
    first = [next(p for p in study if p.arm == a.name) for a in protocol.design.every_arm]
    writer.writerows(example_rows(protocol, first))
    return text.getvalue()


def example_rows(protocol: Protocol, places: Sequence[Place]) -> Iterator[list[Any]]:
    """Yield the rows of a first nodule or mark in each of `places`; times and the AI stay empty."""
    names = [column.name for column in READINGS]
    digest = protocol_hash(protocol)
    given = protocol.findings.has_given and bool(protocol.questionnaire.nodule)
    for place in places:
        for step in protocol.design.arm(place.arm).stages:
            for question in _first(protocol):
                row = {
                    "study": STUDY,
                    "protocol_hash": digest,
                    "reader": place.reader,
                    "case": place.case,
                    "session": place.session,
                    "position": place.position,
                    "arm": place.arm,
                    "repeat": str(place.repeat).lower(),
                    "nodule": 1 if given else "",
                    "nodule_id": 1 if given else "",
                    "mark": "" if given or not protocol.findings.has_marks else 1,
                    "stage": step.stage.value,
                    "shown": "|".join(step.shows),
                    "question": question.name,
                    "value": _example(question),
                    "cannot_assess": "false",
                    "revision": 1,
                    "current": "true",
                }
                yield [row.get(name, "") for name in names]


def _first(protocol: Protocol) -> Sequence[Question]:
    form = protocol.questionnaire
    about = form.nodule if protocol.findings.has_given else form.of_a_mark
    return about[:1] or form.case[:1]


def _example(question: Question) -> str:
    match question.kind:
        case "single_choice" | "multiple_choice":
            return question.options[0].value
        case "scale":
            assert question.scale is not None  # what a scale has
            return f"{question.scale.min:g}"
        case "number" | "measurement":
            return "8"
    return "text"
