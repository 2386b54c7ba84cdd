"""`manage.py check_blinding STUDY`: whether any reader can see what they must not.

The exit status is 0 when nothing was found, and 1 when something was: a line each.
"""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.dicomweb.errors import ArchiveError
from reader_study.management.blinding import check_blinding
from reader_study.management.blinding_http import check_server
from reader_study.management.commands.import_cases import study_called
from reader_study.management.progress import Counter


class Command(BaseCommand):
    """Check the blinding of a study."""

    help = "Call every address of the site as every kind of reader at every stage, and search."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's name in addresses")
        parser.add_argument(
            "--server", metavar="URL", help="ask this running server instead, as it is reached"
        )

    def handle(self, *args: Any, study: str, server: str | None, **options: Any) -> None:
        if server:
            return self._ask(study, server)
        try:
            report = check_blinding(
                study_called(study), now=timezone.now(), progress=Counter(sys.stderr)
            )
        except (ValueError, ArchiveError) as error:
            raise CommandError(f"nothing can be checked: {error}") from None
        for finding in report.findings:
            self.stdout.write(str(finding))
        did = (
            f"{report.addresses} addresses as {report.visitors} kinds of visitor, "
            f"{report.calls} calls, {report.files} static files"
        )
        if report.findings:
            raise CommandError(f"{len(report.findings)} leaks found in {did}; see above")
        self.stdout.write(f"no leak found: {did}; everything taken back")
        return None

    def _ask(self, study: str, server: str) -> None:
        try:
            report = check_server(study_called(study), server)
        except (ValueError, ArchiveError) as error:
            raise CommandError(f"nothing can be checked: {error}") from None
        for finding in report.findings:
            self.stdout.write(str(finding))
        did = (
            f"{report.calls} calls over HTTP as {report.readers} readers on {report.readings} "
            f"readings before the AI, {report.files} static files"
        )
        if report.findings:
            raise CommandError(f"{len(report.findings)} leaks found in {did}; see above")
        self.stdout.write(f"no leak found: {did}")
