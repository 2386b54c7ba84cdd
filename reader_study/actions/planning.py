"""What a protocol comes to in its study: the plan, dry-run with who and what is there."""

from datetime import date
from pathlib import Path
from typing import NamedTuple

from reader_study.actions.study import cases_to_read
from reader_study.domain.allocation import Case
from reader_study.domain.dry_run import DryRun, dry_run
from reader_study.domain.errors import Refusal
from reader_study.domain.protocol import Protocol
from reader_study.models import Study

PER_DAY = 20
READERS, CASES = 4, 20
# What comes along to start from, by name.
TEMPLATES = {file.stem: file for file in (Path(__file__).parents[1] / "protocols").glob("*.yaml")}
# Which question each of them fits, for whoever chooses; those that are told first come first.
FITS = {
    "demonstration": (
        "Does the AI change what a reader says of the same case, at once? Sequential: one reading,"
        " without and then with AI; the fewest readings, and the first answer is in mind."
    ),
    "lidc": (
        "Do readers with AI differ from readers without it? Crossover: each case twice, four weeks"
        " apart, on the nine scales of LIDC."
    ),
    "hybrid": (
        "How much of a change is the AI's, and how much a second look's? Hybrid: each case once"
        " without AI, and once without and then with it."
    ),
    "split_plot": (
        "The same as a crossover, with more cases than one reader can read: two sets of readers"
        " and cases, each read under both arms."
    ),
    "lung_rads": (
        "Does the AI change the category and the management? Sequential, with Lung-RADS v2022"
        " computed from measurements."
    ),
    "free_response": (
        "Does the AI help to find nodules? Free response: readers mark what they find, and nobody"
        " tells them where to look."
    ),
}


class Plan(NamedTuple):
    """A dry run, and of how many readers and cases; `made_up` where the study has none yet."""

    run: DryRun
    readers: int
    cases: int
    made_up: bool


def plan(study: Study, rules: Protocol, *, start: date, per_day: int = PER_DAY) -> Plan:
    """Dry-run `rules` with the study's readers and cases, or with made-up ones.

    Raises:
        AllocationImpossible: the plan cannot be made of these.
    """
    readers = [each.pseudonym for each in study.members.readers()]
    cases = [Case(each.pseudonym, each.subject) for each in cases_to_read(study)]
    made_up = not readers or not cases
    if made_up:
        readers = [f"R{number:02}" for number in range(1, READERS + 1)]
        cases = [Case(f"C{number:04}", f"S{number:04}") for number in range(1, CASES + 1)]
    run = dry_run(rules, readers, cases, start=start, per_day=per_day)
    return Plan(run, len(readers), len(cases), made_up)


def template(name: str) -> str:
    """Return the text of a protocol that comes along.

    Raises:
        Refusal: there is none of that name.
    """
    if name not in TEMPLATES:
        raise Refusal(f"Choose a protocol to start from: {', '.join(sorted(TEMPLATES))}.")
    return TEMPLATES[name].read_text()
