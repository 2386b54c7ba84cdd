"""The questions of a study, and when an answer fits and is complete."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]

TEXT_LIMIT = 2000


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Option(_Strict):
    """One answer of a choice; an `exclusive` one of several goes with no other."""

    value: Name
    label: str
    exclusive: bool = False


class Scale(_Strict):
    """A range of numbers with the meaning of its ends."""

    min: float = 0
    max: float = 100
    step: float = Field(default=1, gt=0)
    low: str = ""
    high: str = ""

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"the scale ends ({self.max:g}) before it begins ({self.min:g})")
        return self


class Question(_Strict):
    """One question about a nodule or a case.

    `semantic` marks a question in the words of the AI's semantic features, whose
    prediction is then shown beside the reader's rating.
    """

    name: Name
    label: str
    kind: Literal["single_choice", "multiple_choice", "scale", "number", "text"]
    help: str = ""
    required: bool = True
    cannot_assess: bool = False
    options: tuple[Option, ...] = ()
    scale: Scale | None = None
    unit: str | None = None
    semantic: bool = False

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        choice = self.kind in {"single_choice", "multiple_choice"}
        if choice and len(self.options) < 2:
            raise ValueError(f"the choice {self.name!r} needs at least two options")
        if not choice and self.options:
            raise ValueError(f"{self.name!r} is no choice and cannot have options")
        if len({option.value for option in self.options}) != len(self.options):
            raise ValueError(f"{self.name!r} offers an option twice")
        if self.kind == "scale" and self.scale is None:
            raise ValueError(f"the scale {self.name!r} needs its ends")
        return self


class Questionnaire(_Strict):
    """The questions asked once per case, and once per nodule."""

    case: tuple[Question, ...] = ()
    nodule: tuple[Question, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for part in (self.case, self.nodule):
            names = [question.name for question in part]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two questions are named {twice[0]!r}")
        return self


class Problem(NamedTuple):
    """What is wrong with one answer; `nodule` is None for a question about the case."""

    nodule: str | None
    question: str
    detail: str


class Given(NamedTuple):
    """One answer taken apart: exactly one of `value` and `cannot_assess` holds."""

    nodule: str | None
    question: str
    value: Any
    cannot_assess: bool


def find_problems(
    questionnaire: Questionnaire,
    nodules: Sequence[str],
    answers: Mapping[str, Any],
    *,
    complete: bool,
) -> list[Problem]:
    """Return what is wrong with `answers`; with `complete` also which are missing.

    `answers` has the form `{"case": {question: value}, "nodules": {nodule: {question:
    value}}}`, where a value is `{"value": ...}` or `{"cannot_assess": true}`.
    """
    problems = []
    if not isinstance(answers, Mapping) or set(answers) - {"case", "nodules"}:
        return [Problem(None, "", "answers have the parts 'case' and 'nodules'")]
    of_nodules = answers.get("nodules", {})
    if not isinstance(of_nodules, Mapping):
        return [Problem(None, "", "'nodules' holds the answers of each nodule")]
    problems += [
        Problem(str(nodule), "", "there is no such nodule in this reading")
        for nodule in of_nodules
        if nodule not in nodules
    ]
    parts: list[tuple[str | None, Sequence[Question], Any]] = [
        (None, questionnaire.case, answers.get("case", {}))
    ]
    parts += [(nodule, questionnaire.nodule, of_nodules.get(nodule, {})) for nodule in nodules]
    for nodule, questions, given in parts:
        if not isinstance(given, Mapping):
            problems.append(Problem(nodule, "", "answers are given by question"))
            continue
        known = {question.name: question for question in questions}
        for name, answer in given.items():
            if name not in known:
                problems.append(Problem(nodule, str(name), "there is no such question"))
            elif detail := _problem_of(known[name], answer):
                problems.append(Problem(nodule, name, detail))
        if complete:
            problems += [
                Problem(nodule, question.name, f"{question.label}: not answered yet")
                for question in questions
                if question.required and question.name not in given
            ]
    return problems


def _problem_of(question: Question, answer: Any) -> str | None:
    """Return what is wrong with an answer to `question`, or None."""
    if answer == {"cannot_assess": True}:
        return None if question.cannot_assess else "this question has to be assessed"
    if not isinstance(answer, Mapping) or set(answer) != {"value"}:
        return "an answer is a value, or that it cannot be assessed"
    value = answer["value"]
    offered = {option.value for option in question.options}
    match question.kind:
        case "single_choice":
            return None if isinstance(value, str) and value in offered else "not one of the options"
        case "multiple_choice":
            if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
                return "several options are given as a list"
            if len(set(value)) != len(value) or set(value) - offered:
                return "not among the options, or given twice"
            alone = [o.label for o in question.options if o.exclusive and o.value in value]
            if alone and len(value) > 1:
                return f"{alone[0]!r} goes with no other option"
            return None if value or not question.required else "choose at least one option"
        case "text":
            if not isinstance(value, str) or not value.strip():
                return "a text is needed"
            return None if len(value) <= TEXT_LIMIT else f"at most {TEXT_LIMIT} characters"
        case "scale" | "number":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return "a number is needed"
            if not math.isfinite(value):
                return "a number is needed"
            scale = question.scale
            if scale and not scale.min <= value <= scale.max:
                return f"between {scale.min:g} and {scale.max:g}"
            return None


def each_answer(answers: Mapping[str, Any]) -> Iterator[Given]:
    """Take `answers`, which have no problem, apart."""
    parts: list[tuple[str | None, Mapping[str, Any]]] = [(None, answers.get("case", {}))]
    parts += list(answers.get("nodules", {}).items())
    for nodule, given in parts:
        for question, answer in given.items():
            yield Given(nodule, question, answer.get("value"), "cannot_assess" in answer)
