"""`manage.py compute_results STUDY`: compute what a study found, after its database is locked."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.computation import compute_results
from reader_study.domain.errors import ResultsSealed
from reader_study.management.commands.import_cases import study_called


class Command(BaseCommand):
    """Compute the results of a study."""

    help = "Compute and keep the results of a study whose database is locked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's name in addresses")

    def handle(self, *args: Any, study: str, **options: Any) -> None:
        try:
            documents = compute_results(study=study_called(study), now=timezone.now())
        except ResultsSealed as refusal:
            raise CommandError(refusal.detail) from None
        except ValueError as error:
            raise CommandError(f"the results could not be computed: {error}") from None
        first = documents[0]
        self.stdout.write(
            f"{len(documents)} files, computed {first.computed_at:%Y-%m-%d %H:%M} UTC\n"
            f"tables: {first.inputs_hash}\nprogram: {first.code_hash}"
        )
