"""`manage.py rehearse STUDY|PROTOCOL`: a study by simulated readers, taken back afterwards."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.study import cases_to_read
from reader_study.domain.errors import Refusal
from reader_study.management.commands.import_cases import study_called
from reader_study.management.progress import Counter
from reader_study.management.protocol_file import read_file
from reader_study.management.rehearsal import RehearsalFailed, rehearse


class Command(BaseCommand):
    """Rehearse a study."""

    help = (
        "Let simulated readers take a whole study over the site's own API, in a copy with "
        "made-up cases that is taken back; say what came of it, and how its export begins."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="a study's name in addresses, or a file of a protocol")
        parser.add_argument("--readers", type=int, help="how many (those of the study, or 4)")
        parser.add_argument("--cases", type=int, help="how many (those of the study, or 10)")
        parser.add_argument("--seed", type=int, default=1, help="of the simulated ratings (1)")

        parser.add_argument(
            "--archive",
            type=Path,
            metavar="FILE",
            help="lock the copy's database too, and write its archive with results and report",
        )

    def handle(
        self,
        *args: Any,
        study: str,
        readers: int | None,
        cases: int | None,
        seed: int,
        archive: Path | None,
        **options: Any,
    ) -> None:
        there = 4, 10
        if Path(study).is_file():
            _, protocol = read_file(Path(study), self.stderr)
        else:
            found = study_called(study)
            protocol = found.rules
            counts = found.members.readers().count(), cases_to_read(found).count()
            there = counts[0] or there[0], counts[1] or there[1]
        readers, cases = readers or there[0], cases or there[1]
        if readers < 1 or cases < 2:
            raise CommandError("a rehearsal needs at least one reader and two cases")
        try:
            came = rehearse(
                protocol,
                readers=readers,
                cases=cases,
                seed=seed,
                now=timezone.now(),
                progress=Counter(sys.stderr),
                archive=archive,
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        except RehearsalFailed as failure:
            raise CommandError(f"the rehearsal stopped: {failure}") from None
        self.stdout.write(
            f"{protocol.title}: {readers} readers, {cases} cases, {came.readings} readings with "
            f"{came.answers} answers and {came.signatures} signatures in {came.days} days; "
            f"{came.calls} calls in {came.seconds:.1f} s"
        )
        if came.broken:
            raise CommandError(f"what was recorded does not hold: {came.broken}")
        self.stdout.write(f"{came.records} records hold; everything was taken back")
        self.stdout.write("Export, readings.csv:")
        for line in came.lines:
            self.stdout.write(line)
