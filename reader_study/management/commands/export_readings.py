"""`manage.py export_readings STUDY FILE`: what was recorded, as a ZIP archive of CSV tables."""

import tempfile
import zipfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from reader_study.exports.events import IDLE_AFTER_S
from reader_study.exports.tables import write_tables
from reader_study.models import Study


class Command(BaseCommand):
    """Export a study."""

    help = "Write what was recorded in a study: readings, predictions and a data dictionary."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's name in addresses")
        parser.add_argument(
            "target", type=Path, help="a .zip file, or a folder for the tables one by one"
        )

        parser.add_argument(
            "--idle-after",
            type=float,
            default=IDLE_AFTER_S,
            metavar="SECONDS",
            help="for how long a sign of activity counts as reading (default: %(default)g)",
        )

    def handle(
        self, *args: Any, study: str, target: Path, idle_after: float, **options: Any
    ) -> None:
        found = Study.objects.filter(slug=study).first()
        if found is None:
            known = ", ".join(Study.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"there is no study {study!r}; the studies here: {known}")
        try:
            counts = _write(found, target, idle_after)
        except OSError as error:
            raise CommandError(f"{target}: {error.strerror}") from None
        for name, rows in counts.items():
            self.stdout.write(f"{name}: {rows} rows")


def _write(study: Study, target: Path, idle_after_s: float) -> dict[str, int]:
    if target.suffix != ".zip":
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile() as file:
            counts = write_tables(study, file, idle_after_s=idle_after_s)
            zipfile.ZipFile(file).extractall(target)
        return counts
    # Whoever looks at the target sees the whole export or none.
    partial = target.with_suffix(".partial")
    with partial.open("wb") as file:
        counts = write_tables(study, file, idle_after_s=idle_after_s)
    partial.replace(target)
    return counts
