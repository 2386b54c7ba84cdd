"""`manage.py archive_study STUDY FILE`: all of a locked study as one ZIP file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from reader_study.actions.archive import write_archive
from reader_study.domain.errors import ResultsSealed
from reader_study.management.commands.import_cases import study_called


class Command(BaseCommand):
    """Archive a study."""

    help = "Write the archive of a study whose database is locked, with its results."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's name in addresses")
        parser.add_argument("target", type=Path, help="a .zip file")

    def handle(self, *args: Any, study: str, target: Path, **options: Any) -> None:
        # Whoever looks at the target sees the whole archive or none.
        partial = target.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                write_archive(study_called(study), file)
            partial.replace(target)
        except ResultsSealed as refusal:
            partial.unlink()
            raise CommandError(refusal.detail) from None
        except OSError as error:
            raise CommandError(f"{target}: {error.strerror}") from None
        self.stdout.write(f"{target}: {target.stat().st_size} bytes")
