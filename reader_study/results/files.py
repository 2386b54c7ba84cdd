"""What the statistics are given: one file a question, in the form their command line reads.

So every number of the results can be computed again by `python -m reader_study.statistics` from
the file that it names, and by any other program.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from reader_study.domain.analysis import Endpoint, as_rating, named_conditions, question_of
from reader_study.domain.design import Design
from reader_study.domain.questionnaire import Question
from reader_study.results.datasets import (
    AI,
    SIZES,
    Data,
    ai_answers,
    answers_of,
    comparable,
    contrasts_of,
    main_question,
    modalities_of,
    names_of,
    rating_of,
    scale_of,
    units_of,
    value_of,
)
from reader_study.results.locked import Locked, Place

RATINGS, SCORES, TIMES, REPEATS = "ratings.csv", "scores.csv", "times.csv", "repeats.csv"


def write_datasets(locked: Locked, folder: Path) -> Data:
    """Write the files of the statistics into `folder`, and return what they hold."""
    plan = locked.protocol.analysis
    found = modalities_of(locked.protocol.design)
    question, unit = main_question(locked)
    subgroups = plan.subgroups if plan and plan.subgroups else (SIZES,)
    data = Data(
        *(locked, folder, plan, found, contrasts_of(found), question, unit),
        units_of(locked, unit, subgroups),
        subgroups,
        answers_of(locked),
    )
    _write(folder / RATINGS, _ratings(data))
    _write(folder / SCORES, _scores(data))
    _write(folder / TIMES, _times(data))
    _write(folder / REPEATS, _repeats(data))
    for each in comparable(data):
        _write(folder / question_file(each.name), _question(data, each))
    for endpoint in plan.endpoints if plan else ():
        _write(folder / endpoint_file(endpoint), endpoint_rows(data, endpoint))
    return data


def question_file(question: str) -> str:
    """Return the name of the file with the answers to `question`."""
    return f"question-{question}.csv"


def endpoint_file(endpoint: Endpoint) -> str:
    """Return the name of the file of a planned endpoint."""
    return f"endpoint-{endpoint.name}.csv"


def endpoint_rows(data: Data, endpoint: Endpoint) -> Iterator[Sequence[Any]]:
    """Yield what one endpoint of the plan is estimated from."""
    yield ("reader", "case", "modality", "truth", "rating", "patient")
    question = question_called(data, endpoint.question)
    units = data.units
    if endpoint.unit != data.unit:
        units = units_of(data.locked, endpoint.unit, ())
    names = named_conditions(data.locked.protocol.design)
    shortest = names_of(data.locked.protocol.design)
    wanted = {shortest[names[name]] for name in endpoint.compare}
    low, high = scale_of(question)
    instead = {"left_out": "", "lowest": low, "highest": high}[endpoint.not_assessed]
    failed = {
        name if endpoint.unit == "nodule" else data.locked.nodules[name].case
        for name in data.locked.failed
        if name in data.locked.nodules
    }
    for each in data.judgements(question, endpoint.unit):
        unit = units.get(each.unit)
        if unit is None or each.repeat or each.modality not in wanted:
            continue
        if endpoint.readings_without_ai == "left_out" and each.unit in failed:
            continue
        value = as_rating(question, value_of(question, each.value)) if each.value else instead
        yield (each.reader, each.unit, each.modality, int(unit.malignant), value, unit.patient)


def question_called(data: Data, name: str) -> Question:
    found = question_of(data.locked.protocol.questionnaire, name)
    assert found is not None  # as the protocol was checked for
    return found[1]


def _ratings(data: Data) -> Iterator[Sequence[Any]]:
    """Ratings of what has a known truth; one that could not be given is empty."""
    groups = [subgroup.name for subgroup in data.subgroups]
    yield (
        *("reader", "case", "modality", "truth", "rating", "patient", "session", "position"),
        *groups,
    )
    for each in data.judgements(data.question, data.unit):
        unit = data.units.get(each.unit)
        if unit is None or each.repeat:
            continue
        value = rating_of(data.question, each.value) if each.value else ""
        yield (
            *(each.reader, each.unit, each.modality, int(unit.malignant), value, unit.patient),
            *(each.session, each.position, *(unit.groups[name] for name in groups)),
        )


def _scores(data: Data) -> Iterator[Sequence[Any]]:
    yield ("case", "truth", "probability", "patient")
    for name, probability in data.scores().items():
        unit = data.units.get(name)
        if unit is not None:
            yield (name, int(unit.malignant), probability, unit.patient)


def _times(data: Data) -> Iterator[Sequence[Any]]:
    """Active seconds of a case until the answer of each modality was locked.

    With the AI in view after an unaided stage the time before counts too: it was needed.
    """
    yield ("reader", "case", "modality", "seconds", "session", "position")
    design = data.locked.protocol.design
    names = {(c.arm, c.stage.value): name for c, name in names_of(design).items()}
    for place, arm in _finished(data.locked.places, design):
        total = 0.0
        for stage in design.arm(arm).path:
            total += data.locked.seconds.get((place, stage.value), 0.0)
            if total > 0:
                at = (place.session, place.position)
                yield (place.reader, place.case, names[arm, stage.value], round(total, 3), *at)


def _finished(places: Iterable[Place], design: Design) -> Iterator[tuple[Place, str]]:
    arms = design.every_arm
    for place in places:
        if not place.training and not place.repeat and place.stage == "submitted":
            yield place, place.arm if len(arms) > 1 else arms[0].name


def _repeats(data: Data) -> Iterator[Sequence[Any]]:
    """Each rating of a hidden repeat beside the first one of the same condition."""
    yield ("reader", "case", "modality", "first", "second")
    first = {modality.name: data.ratings(modality.name) for modality in data.modalities}
    for each in data.judgements(data.question, data.unit):
        before = first[each.modality].get((each.reader, each.unit))
        if each.repeat and each.value and before is not None:
            second = rating_of(data.question, each.value)
            yield (each.reader, each.unit, each.modality, before, second)


def _question(data: Data, question: Question) -> Iterator[Sequence[Any]]:
    """Answers to one question; of a semantic feature the AI's too, as of one more rater."""
    yield ("reader", "case", "modality", "value")
    for each in data.rated[question.name]:
        if not each.repeat and each.value:
            yield (each.reader, each.unit, each.modality, each.value)
    if question.semantic:
        said = ai_answers(data, question)
        for modality in data.modalities:
            for nodule, value in said.items():
                yield (AI, nodule, modality.name, value)


def _write(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
