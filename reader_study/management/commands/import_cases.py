"""`manage.py import_cases FOLDER --nodules FILE --study SLUG`: cases from a folder.

With `--deidentify`, images are de-identified as the desk does it by default. With `--from-archive`
instead of a folder, the series that the list names are taken from the archive, where they lie
already; the list may then name the originals of what was de-identified. Importing again changes
nothing.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.cases import ImportReport, import_cases, import_from_archive
from reader_study.dicomweb.problems import counted
from reader_study.dicomweb.profile import Profile
from reader_study.domain.errors import Refusal
from reader_study.management.progress import Counter
from reader_study.models import Nodule, Study


class Command(BaseCommand):
    """Import cases with their nodules."""

    help = "Import the CT series of a folder that a list of nodules names."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, nargs="?", help="DICOM files, at any depth")
        parser.add_argument("--nodules", type=Path, required=True, help="a CSV file: one a line")
        parser.add_argument("--study", required=True, help="the short name of the study")
        parser.add_argument(
            "--deidentify", action="store_true", help="remove who the patient is from the headers"
        )
        parser.add_argument(
            "--from-archive", action="store_true", help="the series lie in the archive already"
        )

    def handle(
        self,
        *args: Any,
        folder: Path | None,
        nodules: Path,
        study: str,
        from_archive: bool,
        deidentify: bool,
        **options: Any,
    ) -> None:
        if (folder is None) != from_archive:
            raise CommandError("name either a folder or --from-archive")
        if folder is not None and not folder.is_dir():
            raise CommandError(f"there is no folder {folder}")
        found, now, counter = study_called(study), timezone.now(), Counter(sys.stderr)
        try:
            if folder is None:
                report = import_from_archive(
                    study=found, nodules=nodules, now=now, progress=counter
                )
            else:
                report = import_cases(
                    study=found,
                    folder=folder,
                    nodules=nodules,
                    now=now,
                    progress=counter,
                    profile=Profile() if deidentify else None,
                )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        tell(self, report, study)


def study_called(slug: str) -> Study:
    """Find a study.

    Raises:
        CommandError: there is none; the text names those that are there.
    """
    try:
        return Study.objects.get(slug=slug)
    except Study.DoesNotExist:
        there = ", ".join(Study.objects.values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"there is no study {slug!r}; studies: {there}") from None


def tell(command: BaseCommand, report: ImportReport, slug: str) -> None:
    """Print what was done.

    Raises:
        CommandError: something was refused.
    """
    for line in report.lines():
        command.stdout.write(line)
    nodules = Nodule.objects.filter(series__case__study__slug=slug).count()
    is_in = sum(outcome.is_in for outcome in report.outcomes)
    command.stdout.write(
        f"{is_in} of {len(report.outcomes)} series in; the study has {counted(nodules, 'nodule')}"
    )
    if not report.complete:
        raise CommandError("not everything was imported; see above why")
