"""The form of the truth panel as a page sends it, and what it shows of answers."""

from typing import Any, NamedTuple

from django.http import QueryDict

from reader_study.domain.panel_form import PanelForm
from reader_study.domain.questionnaire import NUMBERS, Question

PREFIX = "q-"


def answers_sent(form: PanelForm, sent: QueryDict) -> dict[str, Any]:
    """Return the answers to the questions of `form`; what was left open is absent."""
    found = {each.name: _answer(each, sent) for each in form.questions}
    return {name: answer for name, answer in found.items() if answer is not None}


def _answer(question: Question, sent: QueryDict) -> dict[str, Any] | None:
    name = f"{PREFIX}{question.name}"
    if f"{name}-cannot" in sent:
        return {"cannot_assess": True}
    if question.kind == "multiple_choice":
        chosen = sent.getlist(name)
        return {"value": chosen} if chosen else None
    text = sent.get(name, "").replace("\0", "").strip()
    if not text:
        return None
    return {"value": _number(text) if question.kind in NUMBERS else text}


def _number(text: str) -> int | float | str:
    """Return a number as JSON has it; what is none, as it is, for the rules to refuse."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


class Field(NamedTuple):
    """A question as the page shows it, with what was given."""

    question: Question
    name: str
    chosen: list[str]
    cannot_assess: bool

    @property
    def when(self) -> str:
        """With which answer to which question it is asked, as the script reads it."""
        when = self.question.when
        return f"{PREFIX}{when.question} {' '.join(when.is_)}" if when else ""


def fields_of(form: PanelForm, sent: QueryDict) -> list[Field]:
    """Return the questions of `form`, filled in with what was sent."""
    return [
        Field(
            each,
            f"{PREFIX}{each.name}",
            sent.getlist(f"{PREFIX}{each.name}"),
            f"{PREFIX}{each.name}-cannot" in sent,
        )
        for each in form.questions
    ]
