"""`manage.py export_sr STUDY FOLDER`: marks and measurements as DICOM structured reports."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from reader_study.actions.cases import site_archive
from reader_study.dicomweb.errors import ArchiveError
from reader_study.exports.sr import reports
from reader_study.models import Study


class Command(BaseCommand):
    """Export marks and measurements as DICOM SR (TID 1500)."""

    help = "Write a DICOM structured report for every locked answer with marks or measurements."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's name in addresses")
        parser.add_argument("folder", type=Path, help="where the reports are put, a file each")
        parser.add_argument(
            "--as-in-archive",
            action="store_true",
            help="name the patient as the archive does, in place of the case's pseudonym: "
            "for a PACS, which files reports by patient",
        )

    def handle(
        self, *args: Any, study: str, folder: Path, as_in_archive: bool, **options: Any
    ) -> None:
        found = Study.objects.filter(slug=study).first()
        if found is None:
            known = ", ".join(Study.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"there is no study {study!r}; the studies here: {known}")
        count = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, report in reports(found, site_archive(), as_in_archive=as_in_archive):
                report.save_as(folder / name, enforce_file_format=True)
                count += 1
        except ArchiveError as error:
            raise CommandError(f"after {count} reports: {error}") from None
        except OSError as error:
            raise CommandError(f"{folder}: {error.strerror}") from None
        self.stdout.write(f"{count} reports in {folder}")
