"""`manage.py restore BACKUP`: a backup into an empty database and an empty archive."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from reader_study.management.backup import restore
from reader_study.management.progress import Counter


class Command(BaseCommand):
    """Restore a site and verify every study of it."""

    help = "Bring a backup into an empty place, and verify the records of every study."
    # Nothing is there yet that could be checked.
    requires_migrations_checks = False
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", type=Path, help="the folder that `backup` named")
        parser.add_argument(
            "--other-secret",
            action="store_true",
            help="restore although SECRET_KEY is not the one of the backed-up site",
        )

    def handle(self, *args: Any, backup: Path, other_secret: bool, **options: Any) -> None:
        found = restore(backup.absolute(), Counter(sys.stderr), other_secret=other_secret)
        for study in found:
            self.stdout.write(
                f"{study.slug}: {study.verification.length} records hold, "
                f"head {study.verification.head.hex()}"
            )
        self.stdout.write("restored; now `manage.py migrate` and `manage.py create_roles`")
