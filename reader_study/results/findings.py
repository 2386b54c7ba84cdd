"""Everything that is asked of a locked study, in the order in which it is told."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from reader_study.results import (
    accuracy,
    flow,
    groups,
    planned,
    raters,
    reliance,
    seen,
    standalone,
    times,
)
from reader_study.results.datasets import Data
from reader_study.results.files import write_datasets
from reader_study.results.locked import read_locked
from reader_study.results.sections import EXPLORATORY, PRE_SPECIFIED, Section, Table, capital

Progress = Callable[[str, int, int], None]


class Findings(NamedTuple):
    """What a study found. `endpoints` is None where the protocol plans no analysis."""

    data: Data
    endpoints: Table | None
    sections: list[Section]  # the pre-specified ones first
    flow: list[Table]
    deviations: list[Table]

    @property
    def planned(self) -> list[Section]:
        """What the protocol asked for."""
        return [section for section in self.sections if section.standing == PRE_SPECIFIED]

    @property
    def exploratory(self) -> list[Section]:
        """Everything else."""
        return [section for section in self.sections if section.standing == EXPLORATORY]

    @property
    def tables(self) -> list[Table]:
        """Every table, in order."""
        found = [table for section in self.sections for table in section.tables]
        first = [self.endpoints] if self.endpoints else []
        return [*first, *found, *self.flow, *self.deviations]


def find(folder: Path, work: Path, progress: Progress) -> Findings:
    """Analyse the tables in `folder`; what the statistics read is written into `work`.

    Raises
    ------
    ArchiveUnusable
        If a table is missing or cannot be understood.
    ValueError
        If nothing can be rated in the study.
    """
    progress("reading the tables", 0, 1)
    data = write_datasets(read_locked(folder), work)
    outcomes = planned.outcomes(data, data.plan) if data.plan else []
    sections: list[Section] = []
    steps = list(_steps(data))
    for number, (name, step) in enumerate(steps):
        progress(name, number, len(steps))
        try:
            sections += step()
        except ValueError as error:  # too few cases, all alike, no truth: it is said in its place
            says = f"Could not be analysed: {error}."
            key = name.replace(" ", "-").lower()
            sections.append(Section(key, capital(name), EXPLORATORY, [says]))
    sections = [
        *(planned.section(data, outcome, place) for place, outcome in enumerate(outcomes)),
        *(section for section in sections if section.standing == PRE_SPECIFIED),
        *(section for section in sections if section.standing == EXPLORATORY),
    ]
    return Findings(
        data,
        planned.summary(outcomes, data.plan) if data.plan else None,
        sections,
        [flow.flow(data), flow.cases(data)],
        flow.deviations(data),
    )


Step = Callable[[], list[Section]]


def _steps(data: Data) -> Iterator[tuple[str, Step]]:
    """Yield what is asked besides the endpoints. A section that has no answer is left out."""
    plan = data.plan

    def maybe(found: Section | None) -> list[Section]:
        return [found] if found else []

    planned_time = plan.reading_time if plan else None
    yield "reading times", lambda: maybe(times.reading_time(data, planned_time))
    named = plan.agreement if plan else ()
    semantic = tuple(
        question.name
        for question in data.locked.protocol.questionnaire.nodule
        if question.semantic and question.name in named
    )
    rated = tuple(name for name in named if name not in semantic)
    standing = PRE_SPECIFIED if semantic else EXPLORATORY
    yield "features", lambda: maybe(raters.concordance(data, semantic, standing))
    if rated:
        yield "agreement", lambda: maybe(raters.of_ratings(data, rated, PRE_SPECIFIED))
    for subgroup in data.subgroups:
        standing_of = PRE_SPECIFIED if plan and plan.subgroups else EXPLORATORY
        yield (
            f"subgroups by {subgroup.name}",
            lambda subgroup=subgroup, standing=standing_of: [  # type: ignore[misc]
                groups.subgroups(data, subgroup, standing)
            ],
        )
    yield "seen or not", lambda: maybe(seen.seen_or_not(data))
    yield "dwell maps", lambda: maybe(seen.dwell_maps(data))
    yield "curves", lambda: [accuracy.curves(data)]
    yield "thresholds", lambda: [accuracy.at_threshold(data)]
    yield "methods", lambda: [accuracy.methods(data)]
    yield "the AI", lambda: maybe(standalone.calibration(data))
    yield "decision curve", lambda: maybe(standalone.decision_curve(data))
    yield "the AI against readers", lambda: maybe(standalone.against_readers(data))
    yield "switches", lambda: reliance.switches(data)
    yield "advice", lambda: maybe(reliance.weight(data))
    yield "disagreements", lambda: maybe(reliance.disagreements(data))
    if data.question.name not in rated:
        yield "ratings", lambda: maybe(raters.of_ratings(data, (data.question.name,), EXPLORATORY))
    yield "repeats", lambda: maybe(raters.with_themselves(data))
    yield "order", lambda: maybe(groups.order(data))
    yield "course", lambda: maybe(times.tiredness(data))


def as_document(found: Findings) -> dict[str, Any]:
    """Return findings as a document: what pages and the report show, and every number."""
    return {
        "study": found.data.locked.study | {"protocol_hash": found.data.locked.protocol_hash},
        "endpoints": _table(found.endpoints) if found.endpoints else None,
        "sections": [
            {
                "name": section.name,
                "title": section.title,
                "standing": section.standing,
                "text": section.text,
                "figures": [
                    {"name": figure.name, "title": figure.title, "alt": figure.alt}
                    for figure in section.figures
                ],
                "tables": [_table(table) for table in section.tables],
                "source": section.source,
                "numbers": bool(section.document),
                "methods": section.methods,
            }
            for section in found.sections
        ],
        "flow": [_table(table) for table in found.flow],
        "deviations": [_table(table) for table in found.deviations],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "caption": table.caption,
        "columns": [{"label": c.label, "kind": c.kind} for c in table.columns],
        "rows": table.shown(),
        "notes": table.notes,
    }


def text_of(document: Any) -> str:
    """Return a document as text; the same findings give the same text."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
