"""`manage.py create_study NAME FILE`: a study from its protocol."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_slug
from django.utils import timezone

from reader_study.actions.study import create_study
from reader_study.domain.errors import StudyFrozen
from reader_study.management.protocol_file import read_file


class Command(BaseCommand):
    """Create a study."""

    help = "Create a study from a protocol, YAML or JSON; the same again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the study's name in addresses: letters, digits, -, _")
        parser.add_argument("file", type=Path, help="a protocol, YAML or JSON")

    def handle(self, *args: Any, name: str, file: Path, **options: Any) -> None:
        try:
            validate_slug(name)
        except ValidationError as error:
            raise CommandError(f"{name!r} cannot be a name in addresses") from error
        source, protocol = read_file(file, self.stderr)
        try:
            study = create_study(
                slug=name,
                document=protocol.model_dump(mode="json"),
                source=source,
                now=timezone.now(),
            )
        except StudyFrozen as refusal:
            raise CommandError(refusal.detail) from None
        self.stdout.write(f"{study.slug}: {study.title}, protocol {study.protocol_hash}")
