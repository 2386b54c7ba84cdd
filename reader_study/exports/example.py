"""What the export of a study will look like, before anything has been read."""

from collections.abc import Iterator, Sequence
from typing import Any

from reader_study.domain.allocation import Place
from reader_study.domain.protocol import Protocol, protocol_hash
from reader_study.domain.questionnaire import Question
from reader_study.exports.tables import READINGS

STUDY = "example"


def example_rows(protocol: Protocol, places: Sequence[Place]) -> Iterator[list[Any]]:
    """Yield the rows of a first nodule in each of `places`; times and the AI stay empty."""
    names = [column.name for column in READINGS]
    digest = protocol_hash(protocol)
    for place in places:
        for step in protocol.design.arm(place.arm).stages:
            for question in protocol.questionnaire.nodule[:1] or protocol.questionnaire.case[:1]:
                row = {
                    "study": STUDY,
                    "protocol_hash": digest,
                    "reader": place.reader,
                    "case": place.case,
                    "session": place.session,
                    "position": place.position,
                    "arm": place.arm,
                    "repeat": str(place.repeat).lower(),
                    "nodule": 1 if protocol.questionnaire.nodule else "",
                    "nodule_id": 1 if protocol.questionnaire.nodule else "",
                    "stage": step.stage.value,
                    "shown": "|".join(step.shows),
                    "question": question.name,
                    "value": _example(question),
                    "cannot_assess": "false",
                }
                yield [row.get(name, "") for name in names]


def _example(question: Question) -> str:
    match question.kind:
        case "single_choice" | "multiple_choice":
            return question.options[0].value
        case "scale":
            assert question.scale is not None  # what a scale has
            return f"{question.scale.min:g}"
        case "number":
            return "8"
    return "text"
