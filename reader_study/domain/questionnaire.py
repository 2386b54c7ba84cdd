"""The questions of a study, and when an answer fits and is complete."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from reader_study.domain.lung_rads import Category, Change, Kind, lung_rads
from reader_study.domain.mistakes import Mistakes
from reader_study.domain.strict import Strict, later

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]

# Of an option: a name, or a number of a scale of words, such as LIDC's.
Value = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]

TEXT_LIMIT = 2000


class Option(Strict):
    """One answer of a choice; an `exclusive` one of several goes with no other."""

    value: Value
    label: str
    exclusive: bool = False


class Scale(Strict):
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


_ONE_OR_SEVERAL = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ]
}


class When(Strict):
    """The answer to an earlier choice with which a question is asked: one of `is`."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    question: Name
    is_: Annotated[tuple[Value, ...], WithJsonSchema(_ONE_OR_SEVERAL)] = Field(
        alias="is", min_length=1
    )

    @field_validator("is_", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    def holds(self, answers: Mapping[str, Any]) -> bool:
        """Tell whether the answer that is given is one of those."""
        answer = answers.get(self.question)
        given = answer.get("value") if isinstance(answer, Mapping) else None
        chosen = given if isinstance(given, list) else [given]
        return any(value in self.is_ for value in chosen)


class LungRads(Strict):
    """Where a Lung-RADS category comes from: the questions with its type, size and change.

    A reader who chooses another category, be it lower or higher, says why in `reason`.
    """

    rule: Literal["lung_rads"]
    type: Name
    diameter_mm: Name
    solid_mm: Name
    change: Name
    reason: Name


class Question(Strict):
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
    when: When | None = later(None)
    computed: LungRads | None = later(None)

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
        if self.scale is not None and self.kind not in {"scale", "number"}:
            raise ValueError(f"{self.name!r} is no number and cannot have a scale")
        if self.computed and self.kind != "single_choice":
            raise ValueError(f"{self.name!r} is computed, and has to be a single choice")
        return self


class Questionnaire(Strict):
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

    @model_validator(mode="after")
    def _conditions_can_hold(self) -> Self:
        wrong = Mistakes()
        for part, questions in (("case", self.case), ("nodule", self.nodule)):
            earlier: dict[str, Question] = {}
            for number, question in enumerate(questions):
                if question.when:
                    _check_condition(wrong, question.when, earlier, part, number)
                if question.computed:
                    every = {each.name: each for each in questions}
                    _check_computed(wrong, question, every, part, number)
                earlier[question.name] = question
        wrong.tell()
        return self


def _check_condition(
    wrong: Mistakes, when: When, earlier: Mapping[str, Question], part: str, number: int
) -> None:
    asked = earlier.get(when.question)
    place = (part, number, "when")
    if asked is None:
        wrong.at(*place, "question", says=f"no question {when.question!r} is asked before")
        return
    offered = {option.value for option in asked.options}
    if not offered:
        wrong.at(*place, "question", says=f"{when.question!r} is no choice")
    elif missing := sorted(set(when.is_) - offered):
        says = f"{missing[0]!r} is no option of {when.question!r}"
        wrong.at(*place, "is", says=says)


def _check_computed(
    wrong: Mistakes, question: Question, every: Mapping[str, Question], part: str, number: int
) -> None:
    assert question.computed is not None  # as the caller knows
    rule = question.computed
    offered = {option.value for option in question.options}
    if missing := [each.value for each in Category if each.value not in offered]:
        wrong.at(part, number, "options", says=f"the category {missing[0]!r} is missing")
    for field, kinds, values in (
        ("type", {"single_choice"}, {kind.value for kind in Kind}),
        ("diameter_mm", {"number", "scale"}, set()),
        ("solid_mm", {"number", "scale"}, set()),
        ("change", {"single_choice"}, {change.value for change in Change}),
        ("reason", {"text", "single_choice", "multiple_choice"}, set()),
    ):
        name = getattr(rule, field)
        source = every.get(name)
        place = (part, number, "computed", field)
        if source is None:
            wrong.at(*place, says=f"there is no question {name!r}")
        elif source.kind not in kinds:
            wrong.at(*place, says=f"{name!r} is of the kind {source.kind}, which cannot be used")
        elif values and not {option.value for option in source.options} & values:
            wrong.at(*place, says=f"{name!r} offers none of " + ", ".join(sorted(values)))


def asked_of(questions: Sequence[Question], answers: Mapping[str, Any]) -> list[Question]:
    """Return the questions that are asked, given the answers so far; what hangs on others last."""
    asked: dict[str, Question] = {}
    for question in questions:
        when = question.when
        if when is None or (when.question in asked and when.holds(answers)):
            asked[question.name] = question
    return list(asked.values())


def only_asked(questionnaire: Questionnaire, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return `answers` without those to questions that are not asked."""

    def kept(questions: Sequence[Question], given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        left_out = {question.name for question in questions}
        left_out -= {question.name for question in asked_of(questions, given)}
        return {name: answer for name, answer in given.items() if name not in left_out}

    if not isinstance(answers, Mapping):
        return answers
    found = dict(answers)
    if "case" in found:
        found["case"] = kept(questionnaire.case, found["case"])
    if isinstance(found.get("nodules"), Mapping):
        found["nodules"] = {
            nodule: kept(questionnaire.nodule, given) for nodule, given in found["nodules"].items()
        }
    return found


def computed_category(rule: LungRads, answers: Mapping[str, Any]) -> Category | None:
    """Return the category that follows from the answers about a nodule; None if none does."""

    def value(name: str) -> Any:
        answer = answers.get(name)
        return answer.get("value") if isinstance(answer, Mapping) else None

    try:
        kind, change = Kind(value(rule.type)), Change(value(rule.change))
        return lung_rads(kind, value(rule.diameter_mm), change, value(rule.solid_mm))
    except (ValueError, TypeError):
        return None


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
            asked = asked_of(questions, given)
            problems += [
                Problem(nodule, question.name, f"{question.label}: not answered yet")
                for question in asked
                if question.required and question.name not in given
            ]
            problems += [
                Problem(nodule, question.name, detail)
                for question in asked
                if question.computed and (detail := _unexplained(question, asked, given))
            ]
    return problems


def _unexplained(
    question: Question, asked: Sequence[Question], given: Mapping[str, Any]
) -> str | None:
    """Return what is wrong if a chosen category is not the computed one and no reason is given."""
    assert question.computed is not None  # as the caller knows
    category = computed_category(question.computed, given)
    chosen = given.get(question.name)
    if category is None or chosen is None or chosen == {"value": category.value}:
        return None
    if question.computed.reason in given:
        return None
    labels = {option.value: option.label for option in question.options}
    reason = next((q.label for q in asked if q.name == question.computed.reason), "the reason")
    return (
        f"By type, size and change this is {labels[category.value]}:"
        f" choose it, or say why not in {reason!r}"
    )


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
