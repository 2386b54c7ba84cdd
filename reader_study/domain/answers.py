"""The answers of a form: when they fit its questions, when they are complete, and what they say.

`{"case": {question: answer}, "nodules": {nodule: {question: answer}}, "marks": [...],
"no_finding": true, "measurements": [...]}`, where an answer is `{"value": ...}` or
`{"cannot_assess": true}`; one that is taken from the viewer names its `measurement` besides.
Marks are described in `findings`, measurements in `measuring`.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reader_study.domain import findings as marking
from reader_study.domain import measuring
from reader_study.domain.findings import NO_FINDING, Findings, marks_of
from reader_study.domain.lung_rads import Category, Change, Kind, lung_rads
from reader_study.domain.measuring import Volume
from reader_study.domain.questionnaire import NUMBERS, LungRads, Question, Questionnaire

TEXT_LIMIT = 2000

PARTS = frozenset({"case", "nodules", "marks", NO_FINDING, "measurements"})


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
    if isinstance(found.get("marks"), list):
        found["marks"] = [
            {**mark, "answers": kept(questionnaire.of_a_mark, mark.get("answers"))}
            if isinstance(mark, Mapping)
            else mark
            for mark in found["marks"]
        ]
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
    """What is wrong with one answer: on a nodule, a mark, or, without either, the case."""

    nodule: str | None
    question: str
    detail: str
    mark: str | None = None


class Given(NamedTuple):
    """One answer taken apart: exactly one of `value` and `cannot_assess` holds."""

    nodule: str | None
    question: str
    value: Any
    cannot_assess: bool
    mark: str | None = None


class _Section(NamedTuple):
    """The answers on one nodule, one mark or the case."""

    nodule: str | None
    mark: str | None
    questions: Sequence[Question]
    given: Any

    def problem(self, question: str, detail: str) -> Problem:
        return Problem(self.nodule, question, detail, self.mark)


def find_problems(
    questionnaire: Questionnaire,
    nodules: Sequence[str],
    answers: Mapping[str, Any],
    *,
    complete: bool,
    findings: Findings = Findings.GIVEN,
    volumes: Mapping[int, Volume | None] | None = None,
    priors: Collection[int] = (),
    locked: Mapping[str, Any] | None = None,
) -> list[Problem]:
    """Return what is wrong with `answers`; with `complete` also which are missing.

    Parameters
    ----------
    nodules : the nodules that the reader is given
    findings : what the reader rates
    volumes : the series of the case, and where each lies as far as is known
    priors : which of them are of earlier examinations
    locked : the answers that were locked before, whose marks stay where they are
    """
    if not isinstance(answers, Mapping) or set(answers) - PARTS:
        parts = ", ".join(repr(part) for part in sorted(PARTS))
        return [Problem(None, "", f"answers have no other parts than {parts}")]
    of_nodules = answers.get("nodules", {})
    if not isinstance(of_nodules, Mapping):
        return [Problem(None, "", "'nodules' holds the answers of each nodule")]
    problems = [
        Problem(str(nodule), "", "there is no such nodule in this reading")
        for nodule in of_nodules
        if nodule not in nodules
    ]
    volumes = volumes or {}
    marked = [
        *_of_marks(answers, findings, volumes, priors, locked or {}, complete=complete),
        *_of_measurements(answers, nodules, volumes, priors),
    ]
    if any(problem.question in {"marks", "measurements"} for problem in marked):
        return problems + marked  # what follows counts on their form
    measurements = {each["id"]: each for each in answers.get("measurements", [])}
    sections = [_Section(None, None, questionnaire.case, answers.get("case", {}))]
    for nodule in nodules:
        sections.append(_Section(nodule, None, questionnaire.nodule, of_nodules.get(nodule, {})))
    for mark in marks_of(answers):
        sections.append(_Section(None, mark["id"], questionnaire.of_a_mark, mark["answers"]))
    for section in sections:
        problems += _of_section(section, measurements, complete=complete)
    return problems + marked


def _of_section(
    section: _Section, measurements: Mapping[str, Mapping[str, Any]], *, complete: bool
) -> Iterator[Problem]:
    given = section.given
    if not isinstance(given, Mapping):
        yield section.problem("", "answers are given by question")
        return
    known = {question.name: question for question in section.questions}
    for name, answer in given.items():
        if name not in known:
            yield section.problem(str(name), "there is no such question")
        elif detail := _problem_of(known[name], answer):
            yield section.problem(name, detail)
        elif "measurement" in answer:
            measurement = measurements.get(answer["measurement"])
            belongs = measurement and measurement["nodule"] == (section.nodule or section.mark)
            if not measurement or not belongs:
                yield section.problem(name, "it is taken from no measurement of this nodule")
            elif answer["value"] != measuring.taken(measurement, known[name].measures or ""):
                yield section.problem(name, "it is not what its measurement comes to")
    if not complete:
        return
    asked = asked_of(section.questions, given)
    for question in asked:
        if question.required and question.name not in given:
            yield section.problem(question.name, f"{question.label}: not answered yet")
    for question in asked:
        if question.computed and (detail := _unexplained(question, asked, given)):
            yield section.problem(question.name, detail)


def _of_marks(
    answers: Mapping[str, Any],
    findings: Findings,
    volumes: Mapping[int, Volume | None],
    priors: Collection[int],
    locked: Mapping[str, Any],
    *,
    complete: bool,
) -> Iterator[Problem]:
    marks, none = answers.get("marks", []), answers.get(NO_FINDING, False)
    if not findings.has_marks:
        if marks or none:
            yield Problem(None, "marks", "this study has no marks")
        return
    if not isinstance(marks, list) or len(marks) > marking.MOST_MARKS:
        yield Problem(None, "marks", f"'marks' is a list of at most {marking.MOST_MARKS}")
        return
    wrong = [detail for mark in marks if (detail := marking.problem_of(mark, volumes, priors))]
    for detail in wrong:
        yield Problem(None, "marks", detail)
    if wrong:
        return
    if len({mark["id"] for mark in marks}) != len(marks):
        yield Problem(None, "marks", "two marks have one id")
    for mark in marking.moved(marks, marks_of(locked)):
        yield Problem(None, "marks", "a mark of the locked answer stays where it is", mark)
    if not isinstance(none, bool):
        yield Problem(None, NO_FINDING, "that there is no finding is true, or left out")
    elif none and marks:
        yield Problem(None, NO_FINDING, "there is a mark, and no finding cannot be said as well")
    elif complete and not none and not marks:
        yield Problem(None, NO_FINDING, "mark what you find, or say that there is no finding")


def _of_measurements(
    answers: Mapping[str, Any],
    nodules: Sequence[str],
    volumes: Mapping[int, Volume | None],
    priors: Collection[int],
) -> Iterator[Problem]:
    measurements = answers.get("measurements", [])
    most = measuring.MOST_MEASUREMENTS
    if not isinstance(measurements, list) or len(measurements) > most:
        yield Problem(None, "measurements", f"'measurements' is a list of at most {most}")
        return
    subjects = {*nodules, *(str(mark.get("id")) for mark in marks_of(answers))}
    wrong = [
        detail
        for each in measurements
        if (detail := measuring.problem_of(each, subjects, volumes, priors))
    ]
    for detail in wrong:
        yield Problem(None, "measurements", detail)
    if not wrong and len({each["id"] for each in measurements}) != len(measurements):
        yield Problem(None, "measurements", "two measurements have one id")


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
    parts = {"value", "measurement"} if question.kind == "measurement" else {"value"}
    if not isinstance(answer, Mapping) or "value" not in answer or set(answer) - parts:
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
    assert question.kind in NUMBERS  # no other kind is left
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "a number is needed"
    scale = question.scale
    if scale and not scale.min <= value <= scale.max:
        return f"between {scale.min:g} and {scale.max:g}"
    if question.kind == "measurement" and not value > 0:
        return "more than 0 mm"
    return None


def each_answer(answers: Mapping[str, Any]) -> Iterator[Given]:
    """Take `answers`, which have no problem, apart."""
    parts: list[tuple[str | None, str | None, Mapping[str, Any]]]
    parts = [(None, None, answers.get("case", {}))]
    parts += [(nodule, None, given) for nodule, given in answers.get("nodules", {}).items()]
    parts += [(None, mark["id"], mark["answers"]) for mark in answers.get("marks", [])]
    for nodule, mark, given in parts:
        for question, answer in given.items():
            yield Given(nodule, question, answer.get("value"), "cannot_assess" in answer, mark)
    if answers.get(NO_FINDING):
        yield Given(None, NO_FINDING, True, False)
