"""The questions of a study."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from reader_study.domain.findings import NO_FINDING, RATING
from reader_study.domain.lung_rads import Category, Change, Kind
from reader_study.domain.mistakes import Mistakes
from reader_study.domain.strict import Strict, later

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]

# Of an option: a name, or a number of a scale of words, such as LIDC's.
Value = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]


# Kinds of questions that are answered with a number.
NUMBERS = frozenset({"scale", "number", "measurement"})


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
    prediction is then shown beside the reader's rating. A `measurement` is a number of
    millimetres that is taken from the viewer, or typed: of a bidirectional measurement
    what it `measures`, of a distance its length.
    """

    name: Name
    label: str
    kind: Literal["single_choice", "multiple_choice", "scale", "number", "measurement", "text"]
    help: str = ""
    required: bool = True
    cannot_assess: bool = False
    options: tuple[Option, ...] = ()
    scale: Scale | None = None
    unit: str | None = None
    semantic: bool = False
    measures: Literal["mean_diameter", "long_axis", "short_axis"] | None = later(None)
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
        if self.scale is not None and self.kind not in NUMBERS:
            raise ValueError(f"{self.name!r} is no number and cannot have a scale")
        if (self.kind == "measurement") != (self.measures is not None):
            raise ValueError(
                f"{self.name!r} needs the kind 'measurement' and what it 'measures', or neither"
            )
        if self.kind == "measurement" and self.unit != "mm":
            raise ValueError(f"the unit of the measurement {self.name!r} is mm")
        if self.computed and self.kind != "single_choice":
            raise ValueError(f"{self.name!r} is computed, and has to be a single choice")
        return self


class Questionnaire(Strict):
    """The questions asked once per case, and once per nodule.

    What a reader has marked is asked about as a nodule is, after the questions of `mark`.
    """

    case: tuple[Question, ...] = ()
    nodule: tuple[Question, ...] = ()
    mark: tuple[Question, ...] = later(())

    @property
    def of_a_mark(self) -> tuple[Question, ...]:
        """The questions asked about a mark."""
        return (*self.mark, *self.nodule)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for part in (self.case, self.of_a_mark):
            names = [question.name for question in part]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two questions are named {twice[0]!r}")
        if any(question.name == NO_FINDING for question in self.case):
            raise ValueError(f"{NO_FINDING!r} is the name of an answer of its own")
        return self

    @model_validator(mode="after")
    def _marks_are_ranked(self) -> Self:
        rating = next((each for each in self.mark if each.name == RATING), None)
        ranks = (
            rating is not None
            and rating.kind == "scale"
            and rating.required
            and not rating.cannot_assess
            and rating.when is None
        )
        if self.mark and not ranks:
            raise ValueError(
                f"marks are ranked by a question {RATING!r}: a scale that is always answered"
            )
        return self

    @model_validator(mode="after")
    def _conditions_can_hold(self) -> Self:
        wrong = Mistakes()
        parts = (("case", self.case), ("nodule", self.nodule), ("mark", self.mark))
        for part, questions in parts:
            check_questions(wrong, part, questions)
        wrong.tell()
        return self


def check_questions(wrong: Mistakes, part: str, questions: Sequence[Question]) -> None:
    """Note in `wrong` which conditions and computed answers of `questions` cannot hold."""
    earlier: dict[str, Question] = {}
    for number, question in enumerate(questions):
        if question.when:
            _check_condition(wrong, question.when, earlier, part, number)
        if question.computed:
            every = {each.name: each for each in questions}
            _check_computed(wrong, question, every, part, number)
        earlier[question.name] = question


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
        ("diameter_mm", NUMBERS, set()),
        ("solid_mm", NUMBERS, set()),
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
