"""What readers marked and measured, as tables: places are LPS millimetres."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from reader_study.domain.measuring import Tool, values
from reader_study.exports.columns import ROWS_AT_ONCE, Column, text_of, time_of
from reader_study.models import Answer, Mark, Nodule, Series, Study
from reader_study.models.reading import replaced

_WHOSE = (
    Column("study", "text", "the study's name in addresses"),
    Column("reader", "text", "the reader's pseudonym"),
    Column("case", "text", "the case's pseudonym"),
    Column("session", "integer", "the session, from 1; 0: training"),
    Column("position", "integer", "order on the reader's worklist in this session, from 1"),
    Column("arm", "text", "the way of reading, as the protocol names it"),
    Column("stage", "text", "unaided: before the lock, without AI; aided: with AI in view"),
    Column("locked_at", "time, UTC", "when this stage's answer was locked"),
    Column("revision", "integer", "1, and one more each time the answer was reopened"),
    Column("current", "boolean", "true: the answer that counts; false: replaced by a later one"),
)

_SERIES = Column("series", "integer", "the series in whose coordinates it is, as in dwell.csv")

MARKS = (
    *_WHOSE,
    Column("mark", "integer", "the mark's number in this answer, from 1"),
    Column("mark_id", "text", "the mark, also in readings.csv; it stays from stage to stage"),
    Column("x_mm", "number, mm", "towards the patient's left"),
    Column("y_mm", "number, mm", "towards the back"),
    Column("z_mm", "number, mm", "towards the head"),
    _SERIES,
)

QUANTITIES = ("length", "long_axis", "short_axis", "mean_diameter", "area")

MEASUREMENTS = (
    *_WHOSE,
    Column("measurement_id", "text", "the measurement; it stays from stage to stage"),
    Column("nodule", "integer", "the number of the nodule it belongs to, if any"),
    Column("mark", "integer", "the number of the mark it belongs to, if any"),
    Column("kind", "text", "length, bidirectional, ellipse or arrow"),
    Column("plane", "text", "the plane in which it was made"),
    *(
        Column(name, "number, mm2" if name == "area" else "number, mm", meaning)
        for name, meaning in zip(
            QUANTITIES,
            (
                "the distance",
                "the longer axis",
                "the shorter axis",
                "the mean of both axes, each rounded to one decimal before",
                "the area of the ellipse",
            ),
            strict=True,
        )
    ),
    Column("questions", "text", "the questions that were answered with it, separated by |"),
    Column("text", "text", "what the reader wrote at an arrow"),
    Column("points_mm", "text", "its points, x y z each, separated by |"),
    _SERIES,
    Column("examination", "text", "current, or prior: made in an earlier examination"),
)


def _whose(answer: Answer, *, is_replaced: bool) -> list[Any]:
    reading = answer.reading
    return [
        reading.reader.study.slug,
        reading.reader.pseudonym,
        reading.case.pseudonym,
        reading.session,
        reading.position,
        reading.arm,
        answer.stage,
        time_of(answer.locked_at),
        answer.revision,
        text_of(not is_replaced),
    ]


def mark_rows(study: Study) -> Iterator[list[Any]]:
    """Yield a row per mark of a locked answer."""
    marks = (
        Mark.objects.filter(answer__reading__reader__study=study)
        .annotate(replaced=replaced("answer__"))
        .select_related("answer__reading__reader__study", "answer__reading__case")
        .order_by("answer_id", "number")
    )
    for mark in marks.iterator(ROWS_AT_ONCE):
        yield [
            *_whose(mark.answer, is_replaced=mark.replaced),
            mark.number,
            str(mark.key),
            *mark.point_mm,
            mark.series_id,
        ]


def measurement_rows(study: Study) -> Iterator[list[Any]]:
    """Yield a row per measurement of a locked answer, computed again from its points."""
    numbers = {
        str(key): number
        for key, number in Nodule.objects.of_study(study).values_list("pk", "number")
    }
    priors = set(Series.objects.filter(case__study=study, prior=True).values_list("pk", flat=True))
    answers = (
        QuerySet(Answer)
        .annotate(replaced=replaced())
        .filter(reading__reader__study=study, answers__measurements__0__isnull=False)
        .select_related("reading__reader__study", "reading__case")
        .order_by("pk")
    )
    for answer in answers.iterator(ROWS_AT_ONCE):
        form = answer.answers
        marks = {mark["id"]: number for number, mark in enumerate(form.get("marks", []), start=1)}
        for each in form["measurements"]:
            found = values(Tool(each["kind"]), each["points_mm"])
            yield [
                *_whose(answer, is_replaced=answer.replaced),
                each["id"],
                numbers.get(each["nodule"]),
                marks.get(each["nodule"]),
                each["kind"],
                each["plane"],
                *(found.get(quantity) for quantity in QUANTITIES),
                "|".join(_questions(form, each)),
                each.get("text", ""),
                "|".join(" ".join(map(str, point)) for point in each["points_mm"]),
                each["series"],
                "prior" if each["series"] in priors else "current",
            ]


def _questions(form: dict[str, Any], measurement: dict[str, Any]) -> Iterator[str]:
    sections = [*form.get("nodules", {}).values()]
    sections += [mark["answers"] for mark in form.get("marks", [])]
    for section in sections:
        for question, answer in section.items():
            if answer.get("measurement") == measurement["id"]:
                yield question
