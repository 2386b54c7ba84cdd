"""What a study will test, and how: fixed in its protocol before anything is read."""

import difflib
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from reader_study.domain.design import Condition, Design, conditions
from reader_study.domain.mistakes import Mistakes
from reader_study.domain.questionnaire import Question, Questionnaire
from reader_study.domain.strict import Strict

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]

# An arm and a stage of it. An arm of one stage can stand for it, and so can the stage where
# there is one arm.
ConditionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}(/[a-z]+)?$")]
Pair = tuple[ConditionName, ConditionName]

# Answers of these kinds have an order, so that one can be more suspicious than another.
RATED = ("scale", "number", "measurement", "single_choice")
# Answers of these kinds can agree.
COMPARABLE = (*RATED, "multiple_choice")


class Endpoint(Strict):
    """One comparison of two conditions: what of which question, by which method.

    The difference is that of `compare`: the first condition minus the second, so that the
    one that is hoped to be better stands first. Non-inferiority says that the first is not
    worse by `margin`. `alpha` is two-sided; a margin is tested one-sided at half of it.

    A rating is higher where it is more suspicious: options of a choice count in their order.
    It is positive from `threshold` on. `unit` is what is rated: each nodule by itself, or a
    case by the highest rating of its nodules. `clusters` takes what belongs to one subject
    together. `not_assessed` says what stands for a rating that was given as "cannot be
    assessed"; `readings_without_ai` whether readings stay whose AI could not be computed.
    """

    name: Name
    label: str = Field(default="", max_length=200)
    endpoint: Literal["auc", "sensitivity", "specificity"]
    question: Name
    threshold: float | str | None = None
    compare: Pair
    framework: Literal["superiority", "noninferiority", "equivalence"] = "superiority"
    margin: float | None = Field(default=None, gt=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    method: Literal["or", "dbm", "ustat"] = "or"
    covariance: Literal["jackknife", "delong", "unbiased"] = "jackknife"
    readers: Literal["random", "fixed"] = "random"
    cases: Literal["random", "fixed"] = "random"
    unit: Literal["nodule", "case"] = "nodule"
    clusters: Literal["subject", "none"] = "subject"
    not_assessed: Literal["left_out", "lowest", "highest"] = "left_out"
    readings_without_ai: Literal["kept", "left_out"] = "kept"

    @model_validator(mode="after")
    def _can_be_estimated(self) -> Self:
        wrong = Mistakes()
        if (self.endpoint == "auc") != (self.threshold is None):
            says = (
                "has no use: the AUC looks at every threshold"
                if self.endpoint == "auc"
                else f"is missing: {self.endpoint} needs the rating from which one is positive"
            )
            wrong.at("threshold", says=says)
        if (self.framework == "superiority") != (self.margin is None):
            says = (
                "has no use: superiority is tested against 0"
                if self.framework == "superiority"
                else f"is missing: {self.framework} is tested against a margin"
            )
            wrong.at("margin", says=says)
        if self.readers == self.cases == "fixed":
            wrong.at("cases", says="readers and cases cannot both be fixed: nothing would vary")
        if self.method == "dbm" and self.covariance != "jackknife":
            wrong.at("covariance", says="dbm is made of jackknife pseudovalues; leave it out")
        if self.method == "ustat":
            if "covariance" in self.model_fields_set:
                wrong.at("covariance", says="has no use: U-statistics have their own")
            for effect in ("readers", "cases"):
                if getattr(self, effect) == "fixed":
                    wrong.at(effect, says="must be random: U-statistics know no other")
        wrong.tell()
        return self

    @property
    def effects(self) -> Literal["rrrc", "frrc", "rrfc"]:
        """Which analysis is meant, in the words of the statistics."""
        if self.readers == "fixed":
            return "frrc"
        return "rrfc" if self.cases == "fixed" else "rrrc"


class ReadingTime(Strict):
    """The comparison of reading times, by a mixed model of their logarithm.

    A reader is active for `idle_after_s` after each sign of activity. A reading of more than
    `longest_s` is left out, and counted as such.
    """

    compare: Pair
    idle_after_s: float = Field(default=60, gt=0, le=3600)
    longest_s: float | None = Field(default=None, gt=0)


class Subgroup(Strict):
    """Cases by something that is known of them; `cuts` begin the second group and so on."""

    name: Name
    by: Literal["diameter_mm", "reference_source"]
    cuts: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _parts(self) -> Self:
        wrong = Mistakes()
        if (self.by == "diameter_mm") != bool(self.cuts):
            says = "are missing" if self.by == "diameter_mm" else "have no use: groups have names"
            wrong.at("cuts", says=says)
        if any(a >= b for a, b in pairwise(self.cuts)):
            wrong.at("cuts", says="must rise")
        wrong.tell()
        return self


class Analysis(Strict):
    """The analysis plan.

    `secondary_tests` keeps the error of the secondary endpoints together: `fixed_sequence`
    tests them in their order as long as the primary one and each before was met, `holm` all
    of them, `unadjusted` none. `agreement` names questions for which readers are compared
    with each other, and with the AI where they are semantic ones.
    """

    primary: Endpoint
    secondary: tuple[Endpoint, ...] = ()
    secondary_tests: Literal["fixed_sequence", "holm", "unadjusted"] = "fixed_sequence"
    reading_time: ReadingTime | None = None
    agreement: tuple[Name, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    rationale: str = Field(default="", max_length=5000)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        wrong = Mistakes()
        names = [self.primary.name]
        for number, endpoint in enumerate(self.secondary):
            if endpoint.name in names:
                says = f"there is an endpoint {endpoint.name!r} already"
                wrong.at("secondary", number, "name", says=says)
            names.append(endpoint.name)
        subgroups = [subgroup.name for subgroup in self.subgroups]
        for number, name in enumerate(subgroups):
            if name in subgroups[:number]:
                wrong.at("subgroups", number, "name", says=f"there is a subgroup {name!r} already")
        for number, name in enumerate(self.agreement):
            if name in self.agreement[:number]:
                wrong.at("agreement", number, says=f"{name!r} is named already")
        wrong.tell()
        return self

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint, the primary one first."""
        return (self.primary, *self.secondary)


def named_conditions(design: Design) -> dict[str, Condition]:
    """Return the conditions of a design by every name they have; the first is the shortest."""
    every = conditions(design)
    arms = [condition.arm for condition in every]
    names: dict[str, Condition] = {}
    for condition in every:
        if len(set(arms)) == 1:
            names[condition.stage.value] = condition
        elif arms.count(condition.arm) == 1:
            names[condition.arm] = condition
    return names | {f"{c.arm}/{c.stage.value}": c for c in every}


def question_of(questionnaire: Questionnaire, name: str) -> tuple[str, Question] | None:
    """Return a question and its part, `nodule` or `case`; a nodule's goes first."""
    for part, questions in (("nodule", questionnaire.nodule), ("case", questionnaire.case)):
        for question in questions:
            if question.name == name:
                return part, question
    return None


def as_rating(question: Question, value: Any) -> float:
    """Return an answer as a number that is higher where it is more suspicious.

    An option counts by its place in the list, from 0; a number is what it is.

    Raises:
        ValueError: `value` is no answer to `question`, or its answers have no order.
    """
    if question.kind == "single_choice":
        return float([option.value for option in question.options].index(value))
    if question.kind not in RATED or isinstance(value, str | bool | list):
        raise ValueError(f"{value!r} is no rating of {question.name!r}")
    return float(value)


def check_analysis(analysis: Analysis, design: Design, questionnaire: Questionnaire) -> None:
    """Hold a plan against the design and the questions it speaks of.

    Raises:
        PydanticCustomError: with every mistake and its place in the plan.
    """
    wrong = Mistakes()
    every = named_conditions(design)
    for place, endpoint in [
        (("primary",), analysis.primary),
        *((("secondary", number), each) for number, each in enumerate(analysis.secondary)),
    ]:
        _check_compare(wrong, place, endpoint.compare, every)
        _check_question(wrong, place, endpoint, questionnaire)
    if analysis.reading_time:
        _check_compare(wrong, ("reading_time",), analysis.reading_time.compare, every)
    for number, name in enumerate(analysis.agreement):
        found = question_of(questionnaire, name)
        if found is None:
            wrong.at("agreement", number, says=_no_question(name, questionnaire))
        elif found[1].kind not in COMPARABLE:
            says = f"{name!r} is a {found[1].kind}, whose answers cannot be compared"
            wrong.at("agreement", number, says=says)
    wrong.tell()


def _check_compare(
    wrong: Mistakes, place: tuple[str | int, ...], pair: Pair, every: dict[str, Condition]
) -> None:
    for number, name in enumerate(pair):
        if name not in every:
            shortest = list({c: n for n, c in reversed(every.items())}.values())[::-1]
            says = f"there is no condition {name!r}, but " + ", ".join(shortest)
            wrong.at(*place, "compare", number, says=says)
    first, second = (every.get(name) for name in pair)
    if first is not None and first == second:
        wrong.at(*place, "compare", says="compares a condition with itself")


def _check_question(
    wrong: Mistakes,
    place: tuple[str | int, ...],
    endpoint: Endpoint,
    questionnaire: Questionnaire,
) -> None:
    found = question_of(questionnaire, endpoint.question)
    if found is None:
        says = _no_question(endpoint.question, questionnaire)
        wrong.at(*place, "question", says=says)
        return
    part, question = found
    if question.kind not in RATED:
        says = f"{question.name!r} is a {question.kind}; an endpoint needs answers with an order"
        wrong.at(*place, "question", says=says)
        return
    if question.when or not question.required:
        says = f"{question.name!r} is not always answered; an endpoint needs an answer everywhere"
        wrong.at(*place, "question", says=says)
    if part == "case" and endpoint.unit == "nodule":
        says = f"must be 'case': {question.name!r} is asked once per case"
        wrong.at(*place, "unit", says=says)
    if endpoint.threshold is not None and (detail := _unreachable(question, endpoint.threshold)):
        wrong.at(*place, "threshold", says=detail)


def _unreachable(question: Question, threshold: float | str) -> str | None:
    """Return why a rating can never be on both sides of `threshold`, or None."""
    if question.kind == "single_choice":
        offered = [option.value for option in question.options]
        if threshold not in offered:
            return f"must be an option of {question.name!r}: " + ", ".join(offered)
        if threshold == offered[0]:
            return "is the first option: every rating would be positive"
        return None
    if isinstance(threshold, str):
        return f"must be a number, not {threshold!r}: {question.name!r} is a {question.kind}"
    scale = question.scale
    if scale and not scale.min < threshold <= scale.max:
        return f"must be above {scale.min:g} and at most {scale.max:g}, not {threshold:g}"
    return None


def _no_question(name: str, questionnaire: Questionnaire) -> str:
    every = [question.name for question in (*questionnaire.nodule, *questionnaire.case)]
    close = difflib.get_close_matches(name, every, n=1)
    return f"there is no question {name!r}" + (f"; did you mean {close[0]!r}?" if close else "")


def as_conditions(design: Design, pair: Sequence[str]) -> tuple[Condition, Condition]:
    """Return the two conditions that `compare` names.

    Raises:
        KeyError: there is none of that name, which a protocol is checked for.
    """
    every = named_conditions(design)
    first, second = pair
    return every[first], every[second]
