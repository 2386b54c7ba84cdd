"""`manage.py compile_protocol FILE`: whether a protocol can be run, and what comes of it.

Nothing is stored: no database is needed. With `--schema` it prints the JSON schema of
protocols instead, which is what `docs/protocol.schema.json` holds.
"""

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from reader_study.dicomweb.nodules import UnreadableList, read_nodules
from reader_study.domain.allocation import Case
from reader_study.domain.design import TRAINING, conditions
from reader_study.domain.dry_run import DryRun, balance, dry_run
from reader_study.domain.errors import AllocationImpossible
from reader_study.domain.protocol import Protocol, protocol_hash, protocol_schema
from reader_study.exports.example import example_table
from reader_study.management.protocol_file import read_file

READERS_SHOWN = 4


class Command(BaseCommand):
    """Validate a protocol and rehearse its plan."""

    help = "Say whether a protocol can be run, and what it comes to: schedule, balance, export."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help="a protocol, YAML or JSON")
        parser.add_argument("--readers", type=int, default=4, help="how many readers (4)")
        parser.add_argument(
            "--cases", default="20", help="how many cases (20), or a CSV file of nodules"
        )
        parser.add_argument(
            "--start", type=date.fromisoformat, default=None, help="first day, YYYY-MM-DD (today)"
        )
        parser.add_argument("--per-day", type=int, default=20, help="cases a reader reads a day")
        parser.add_argument("--schema", action="store_true", help="print the schema of protocols")

    def handle(self, *args: Any, file: Path | None, schema: bool, **options: Any) -> None:
        if schema:
            self.stdout.write(json.dumps(protocol_schema(), indent=2))
            return
        if file is None:
            raise CommandError("name the file of a protocol")
        if options["readers"] < 1 or options["per_day"] < 1:
            raise CommandError("--readers and --per-day are at least 1")
        _, protocol = read_file(file, self.stderr)
        self._say(_title(protocol))
        cases = _cases(options["cases"])
        readers = [f"R{number:02}" for number in range(1, options["readers"] + 1)]
        start = options["start"] or date.today()
        try:
            run = dry_run(protocol, readers, cases, start=start, per_day=options["per_day"])
        except AllocationImpossible as refusal:
            raise CommandError(refusal.detail) from None
        self._say(_schedule(run, len(readers), len(cases), options["per_day"]))
        self._say(_balance(run))
        self._say(_analysis(protocol))
        self._say(_notes(protocol, cases))
        self._say(_export(protocol, run))

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)


def _cases(said: str) -> list[Case]:
    """Return so many cases of unknown truth, or those of a list of nodules."""
    if said.isascii() and said.isdigit() and int(said) > 0:
        return [Case(f"C{n:04}", f"S{n:04}") for n in range(1, int(said) + 1)]
    try:
        rows, _, bad = read_nodules(Path(said))
    except UnreadableList as error:
        raise CommandError(str(error)) from None
    if bad:
        raise CommandError(f"{said}, line {bad[0].line}: {bad[0].detail}")
    found: dict[str, Case] = {}
    for row in rows:
        before = found.get(row.study_uid)
        known = [p for p in (before and before.positive, row.malignant) if p is not None]
        name = before.name if before else f"C{len(found) + 1:04}"
        found[row.study_uid] = Case(name, row.patient, any(known) if known else None)
    return list(found.values())


def _title(protocol: Protocol) -> list[str]:
    design = protocol.design
    arms = len(design.every_arm)
    facts = [f"{design.kind} design", "1 arm" if arms == 1 else f"{arms} arms"]
    facts.append("1 session" if design.sessions == 1 else f"{design.sessions} sessions")
    if design.sessions > 1:
        facts.append(f"washout of {design.washout} days")
    if design.case_sets > 1:
        facts.append(f"split-plot with {design.case_sets} case sets")
    if design.repeats:
        facts.append(f"{design.repeats.cases} hidden repeats")
    if design.training:
        facts.append(f"{design.training.cases} training cases")
    questions = protocol.questionnaire
    lines = [protocol.title, ", ".join(facts), f"hash {protocol_hash(protocol)}", ""]
    lines += ["Conditions"]
    rows = [[c.arm, c.stage.value, ", ".join(c.shows) or "images only"] for c in conditions(design)]
    lines += _table(["arm", "stage", "shown besides the images"], rows)
    asked = f"{len(questions.nodule)} per nodule, {len(questions.case)} per case"
    return [*lines, f"Questions: {asked}", ""]


def _schedule(run: DryRun, readers: int, cases: int, per_day: int) -> list[str]:
    rows = []
    shown = list(dict.fromkeys(sitting.reader for sitting in run.sittings))[:READERS_SHOWN]
    for sitting in run.sittings:
        if sitting.reader in shown:
            arms = ", ".join(f"{arm} {n}" for arm, n in sitting.arms.items())
            name = "training" if sitting.session == TRAINING else str(sitting.session)
            days = [sitting.first_day.isoformat(), sitting.last_day.isoformat()]
            rows.append([sitting.reader, name, str(sitting.readings), arms, *days])
    said = f"{readers} readers, {cases} cases: {len(run.places)} readings"
    lines = [f"Schedule: {said}; at {per_day} cases a day it ends on {run.last_day}"]
    lines += _table(["reader", "session", "readings", "arms", "from", "to"], rows)
    if readers > len(shown):
        lines.append(f"... and {readers - len(shown)} more readers")
    return [*lines, ""]


def _balance(run: DryRun) -> list[str]:
    found = balance(run.places)
    sessions = sorted({session for _, session in found.readings})
    arms = list(dict.fromkeys(arm for arm, _ in found.readings))
    header = ["arm", *(f"session {n}" for n in sessions), "mean place in its session"]
    rows = [
        [
            arm,
            *(str(found.readings.get((arm, n), 0)) for n in sessions),
            f"{found.mean_position[arm]:.3f}",
        ]
        for arm in arms
    ]
    lines = ["Balance: readings", *_table(header, rows), ""]
    if len(arms) > 1:
        ways = [[" → ".join(order), str(n)] for order, n in sorted(found.orders.items())]
        lines += [*_table(["order of arms", "cases of readers"], ways), ""]
    return lines


def _analysis(protocol: Protocol) -> list[str]:
    plan = protocol.analysis
    if plan is None:
        return ["Note: there is no analysis plan; say before the first reading what is tested.", ""]
    rows = []
    for endpoint in plan.endpoints:
        first, second = endpoint.compare
        at = "" if endpoint.threshold is None else f" from {endpoint.threshold} on"
        against: str = endpoint.framework
        if endpoint.margin is not None:
            against += f", margin {endpoint.margin:g}"
        rows.append(
            [
                endpoint.name,
                f"{endpoint.endpoint} of {endpoint.question}{at}",
                f"{first} - {second}",
                against,
                f"{endpoint.method}, {endpoint.effects}",
                f"{endpoint.alpha:g}",
            ]
        )
    header = ["endpoint", "what", "difference", "tested for", "method", "alpha"]
    return ["Analysis: the primary endpoint first", *_table(header, rows), ""]


def _notes(protocol: Protocol, cases: Sequence[Case]) -> list[str]:
    limits = protocol.allocation.restrictions
    if limits and limits.max_positives_in_a_row and all(case.positive is None for case in cases):
        return [
            "Note: no truth is known of these cases, so runs of positive ones are not seen.",
            "",
        ]
    return []


def _export(protocol: Protocol, run: DryRun) -> list[str]:
    example = example_table(protocol, run.places).splitlines()
    return ["Export, readings.csv: first lines with made-up answers", *example]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return ["  " + "  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
