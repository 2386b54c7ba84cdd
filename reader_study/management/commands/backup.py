"""`manage.py backup FOLDER`: the database and the images, as they are now."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from reader_study.management.backup import back_up
from reader_study.management.progress import Counter
from reader_study.models import BackupMade


class Command(BaseCommand):
    """Back a site up while it runs."""

    help = "Back up the database and the images; only images that are new are copied."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="where backups are kept, on another disk")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        now = timezone.now()
        made = back_up(folder.absolute(), now, Counter(sys.stderr))
        BackupMade.objects.create(at=now)
        self.stdout.write(f"backed up: {made}")
        self.stdout.write("SECRET_KEY is not in it: keep it elsewhere, or pseudonyms change")
