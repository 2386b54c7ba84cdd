"""A locked study in the words of its analysis: conditions, what is diagnosed, and ratings."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from reader_study.domain.analysis import (
    COMPARABLE,
    RATED,
    Analysis,
    Subgroup,
    as_rating,
    named_conditions,
    question_of,
)
from reader_study.domain.design import Condition, Design
from reader_study.domain.questionnaire import Question
from reader_study.results.locked import MALIGNANCY, Locked

# The AI as a rater beside the readers.
AI = "AI"
# Where a protocol names no size groups: solid nodules are managed by these diameters in mm
# (MacMahon 2017; Lung-RADS v2022).
SIZES = Subgroup(name="size", by="diameter_mm", cuts=(6, 8))


class Modality(NamedTuple):
    """A condition under the shortest name a protocol can give it."""

    name: str
    arm: str
    stage: str
    shows: tuple[str, ...]

    @property
    def aided(self) -> bool:
        """Whether anything of the AI is in view."""
        return bool(self.shows)


class Contrast(NamedTuple):
    """Two modalities that are compared: `first` minus `second`."""

    first: str
    second: str

    @property
    def name(self) -> str:
        """Its name in the results."""
        return f"{self.first} - {self.second}"

    @property
    def told(self) -> str:
        """Its name for people, with a minus."""
        return f"{self.first} − {self.second}"


class Rated(NamedTuple):
    """An answer to one question on one nodule, or on a case, under one modality."""

    reader: str
    modality: str
    unit: str  # the nodule, or the case
    value: str  # empty: it cannot be assessed
    session: int
    position: int
    repeat: bool


class Unit(NamedTuple):
    """What is diagnosed: a nodule, or a case by all of its nodules."""

    name: str
    patient: str
    malignant: bool
    groups: dict[str, str]  # subgroup -> group


def names_of(design: Design) -> dict[Condition, str]:
    """Return the shortest name of each condition."""
    found: dict[Condition, str] = {}
    for name, condition in named_conditions(design).items():
        found.setdefault(condition, name)
    return found


def modalities_of(design: Design) -> list[Modality]:
    """Return the conditions under which something is answered, in order."""
    return [
        Modality(name, each.arm, each.stage.value, tuple(item.value for item in each.shows))
        for each, name in names_of(design).items()
    ]


def contrasts_of(found: Sequence[Modality]) -> list[Contrast]:
    """Return what is worth comparing: each aided modality with the unaided one.

    In an arm with both it is the arm's own. Without an unaided modality every two are compared.
    """
    plain = [each for each in found if not each.aided]
    if not plain or len(plain) == len(found):
        return [Contrast(b.name, a.name) for i, a in enumerate(found) for b in found[i + 1 :]]
    pairs = []
    for each in (each for each in found if each.aided):
        own = [other for other in plain if other.arm == each.arm]
        pairs += [Contrast(each.name, other.name) for other in own or plain]
    return pairs


class Data(NamedTuple):
    """A study in the form of the analysis, and where its files are."""

    locked: Locked
    folder: Path
    plan: Analysis | None
    modalities: list[Modality]
    contrasts: list[Contrast]
    question: Question  # what accuracy is measured with
    unit: str  # nodule or case
    units: dict[str, Unit]  # those whose truth is known, by name
    subgroups: tuple[Subgroup, ...]
    rated: dict[str, list[Rated]]  # by question, in order; repeats are among them

    @property
    def readers(self) -> list[str]:
        """Everybody who has rated anything, in order."""
        return sorted({each.reader for each in self.rated.get(self.question.name, [])})

    @property
    def clustered(self) -> bool:
        """Whether a patient has several of what is diagnosed."""
        return len({each.patient for each in self.units.values()}) < len(self.units)

    @property
    def cluster(self) -> str | None:
        """The column that says whose nodule it is, if that matters."""
        return "patient" if self.clustered else None

    @property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest rating there can be."""
        return scale_of(self.question)

    @property
    def threshold(self) -> float:
        """From where on a rating is taken as positive: as planned, or above the middle."""
        for endpoint in self.plan.endpoints if self.plan else ():
            if endpoint.threshold is not None and endpoint.question == self.question.name:
                return as_rating(self.question, endpoint.threshold)
        low, high = self.scale
        middle = (low + high) / 2
        if self.question.kind == "single_choice":
            return float(int(middle) + 1)
        return middle

    def judgements(self, question: Question, unit: str) -> list[Rated]:
        """Return the answers to `question`; of a case the highest of its nodules, if asked for."""
        rated = self.rated.get(question.name, [])
        if unit == "case" and question in self.locked.protocol.questionnaire.nodule:
            return highest_of_cases(self.locked, question, rated)
        return rated

    def ratings(self, modality: str) -> dict[tuple[str, str], float]:
        """Return the ratings under `modality`, by reader and unit, repeats left out."""
        return {
            (each.reader, each.unit): as_rating(self.question, value_of(self.question, each.value))
            for each in self.judgements(self.question, self.unit)
            if each.modality == modality and not each.repeat and each.value
        }

    def scores(self) -> dict[str, float]:
        """Return the AI's probability of malignancy of each unit: of a case its highest."""
        found: dict[str, float] = {}
        for name, said in self.locked.predictions.items():
            if name in self.locked.nodules:
                unit = name if self.unit == "nodule" else self.locked.nodules[name].case
                found[unit] = max(found.get(unit, 0.0), said.probability)
        return dict(sorted(found.items()))


def scale_of(question: Question) -> tuple[float, float]:
    """Return the lowest and the highest rating of a question."""
    if question.scale is not None:
        return question.scale.min, question.scale.max
    return 0.0, float(max(1, len(question.options) - 1))


def value_of(question: Question, text: str) -> Any:
    """Return an answer as it was given; the tables hold it as text."""
    return text if question.kind == "single_choice" else float(text)


def threshold_in_words(question: Question, threshold: float | str) -> str:
    """Return a threshold as its readers know it."""
    if question.kind == "single_choice":
        options = {option.value: option.label for option in question.options}
        values = list(options)
        at = threshold if isinstance(threshold, str) else values[int(threshold)]
        return options[at]
    return f"{float(threshold):g}"


def group_of(subgroup: Subgroup, diameter_mm: float | None, source: str) -> str:
    """Return the group of a nodule; groups of a diameter sort in their order."""
    if subgroup.by == "reference_source":
        return source or "not known"
    if diameter_mm is None:
        return "not measured"
    cuts = subgroup.cuts
    if diameter_mm < cuts[0]:
        return f"below {cuts[0]:g} mm"
    for low, high in pairwise(cuts):
        if diameter_mm < high:
            return f"{low:g} to below {high:g} mm"
    return f"{cuts[-1]:g} mm and above"


def main_question(locked: Locked) -> tuple[Question, str]:
    """Return the question accuracy is measured with, and whether of nodules or of cases.

    Raises
    ------
    ValueError
        If no question of the protocol can be rated.
    """
    form, plan = locked.protocol.questionnaire, locked.protocol.analysis
    if plan is not None:
        found = question_of(form, plan.primary.question)
        assert found is not None  # as the protocol was checked for
        return found[1], plan.primary.unit
    every = [("nodule", each) for each in form.nodule] + [("case", each) for each in form.case]
    rated = [(part, each) for part, each in every if each.kind in RATED and not each.semantic]
    rated.sort(key=lambda each: (each[1].name != MALIGNANCY, each[1].kind != "scale"))
    if not rated:
        raise ValueError("no question of the protocol can be rated, so there is no accuracy")
    return rated[0][1], rated[0][0]


def units_of(locked: Locked, unit: str, subgroups: Iterable[Subgroup]) -> dict[str, Unit]:
    """Return the nodules, or the cases, whose truth is known.

    A case is malignant if one of its nodules is, and benign if all are; it is as large as its
    largest nodule.
    """
    subgroups = tuple(subgroups)
    found: dict[str, Unit] = {}
    if unit == "nodule":
        for name, nodule in locked.nodules.items():
            if nodule.malignant is not None:
                groups = {s.name: group_of(s, nodule.diameter_mm, nodule.source) for s in subgroups}
                found[name] = Unit(name, nodule.subject, nodule.malignant, groups)
        return found
    by_case: dict[str, list[Any]] = {}
    for nodule in locked.nodules.values():
        by_case.setdefault(nodule.case, []).append(nodule)
    for case, nodules in by_case.items():
        truths = [nodule.malignant for nodule in nodules]
        if not any(truths) and None in truths:
            continue
        largest = max(nodules, key=lambda nodule: nodule.diameter_mm or 0.0)
        groups = {s.name: group_of(s, largest.diameter_mm, largest.source) for s in subgroups}
        found[case] = Unit(case, nodules[0].subject, any(truths), groups)
    return found


def answers_of(locked: Locked) -> dict[str, list[Rated]]:
    names = {(c.arm, c.stage.value): name for c, name in names_of(locked.protocol.design).items()}
    arms = locked.protocol.design.every_arm
    found: dict[str, list[Rated]] = {}
    for each in locked.answers:
        place = each.place
        if each.nodule and each.nodule not in locked.nodules:
            continue
        # A design of one arm need not name it in its readings.
        arm = place.arm if len(arms) > 1 else arms[0].name
        found.setdefault(each.question, []).append(
            Rated(
                *(place.reader, names[arm, each.stage], each.nodule or place.case, each.value),
                *(place.session, place.position, place.repeat),
            )
        )
    return {name: sorted(answers) for name, answers in found.items()}


def highest_of_cases(locked: Locked, question: Question, rated: list[Rated]) -> list[Rated]:
    """Return for each reading of a case the highest rating of its nodules."""
    best: dict[tuple[Any, ...], Rated] = {}
    for each in rated:
        of_case = each._replace(unit=locked.nodules[each.unit].case)
        key = (each.reader, each.modality, of_case.unit, each.session)
        before = best.get(key)
        if before is None or rating_of(question, before.value) < rating_of(question, each.value):
            best[key] = of_case
    return sorted(best.values())


def rating_of(question: Question, value: str) -> float:
    return as_rating(question, value_of(question, value)) if value else float("-inf")


def comparable(data: Data) -> list[Question]:
    """Return the questions on nodules whose answers can agree: the rated and semantic ones."""
    return [
        question
        for question in data.locked.protocol.questionnaire.nodule
        if question.kind in COMPARABLE
        and question.kind != "multiple_choice"
        and question.name in data.rated
    ]


def features(data: Data) -> list[Question]:
    """Return the semantic features the AI speaks of too."""
    return [question for question in comparable(data) if question.semantic and question.options]


def ai_answers(data: Data, question: Question) -> dict[str, str]:
    """Return the likeliest option of the AI for each nodule; of several the first on the form."""
    found = {}
    for name, prediction in data.locked.predictions.items():
        said = prediction.features.get(question.name)
        if said and name in data.locked.nodules:
            options = [option.value for option in question.options if option.value in said]
            if options:
                found[name] = max(options, key=said.__getitem__)
    return dict(sorted(found.items()))
