"""`manage.py check_import FOLDER [--nodules FILE]`: what an import would do, without doing it.

A line per series. The exit status is 0 when everything could be looked at, also when something
would be refused.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from reader_study.actions.cases import check_import, nodule_lines
from reader_study.dicomweb.problems import counted
from reader_study.domain.errors import Refusal
from reader_study.management.progress import Counter


class Command(BaseCommand):
    """Look at a folder of CT."""

    help = "Say for each CT series in a folder whether it can be imported, and if not, why."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="a folder with DICOM files, at any depth")
        parser.add_argument("--nodules", type=Path, help="a CSV file of nodules to look at too")

    def handle(self, *args: Any, folder: Path, nodules: Path | None, **options: Any) -> None:
        if not folder.is_dir():
            raise CommandError(f"there is no folder {folder}")
        try:
            findings, placed = check_import(
                folder=folder, nodules=nodules, progress=Counter(sys.stderr)
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        for line in (*findings.lines(), *map(str, findings.series), *nodule_lines(placed)):
            self.stdout.write(line)
        refused = sum(bool(series.refusals) for series in findings.series)
        said = f"{len(findings.series)} series, {refused} would be refused"
        if nodules is not None:
            accepted = sum(map(len, placed.accepted.values()))
            said += (
                f"; {counted(accepted, 'nodule')} can be imported, {len(placed.refusals)} refused"
            )
        self.stdout.write(said)
        if not findings.looked_at_everything:
            raise CommandError("not everything could be looked at; see above")
