"""`manage.py allocate STUDY`: deal the cases of a study out, once.

It is a command, and no page, because it may look at the reference standard, which the web
server has no right to.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.prediction import request_predictions
from reader_study.actions.study import allocate_readings, mark_training
from reader_study.domain.errors import Refusal
from reader_study.management.commands.import_cases import study_called


class Command(BaseCommand):
    """Deal the cases out."""

    help = "Deal the cases of a study out to its readers, once, and ask for the AI's predictions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's name in addresses")
        parser.add_argument(
            "--training",
            nargs="+",
            default=[],
            metavar="CASE",
            help="read by all before the others",
        )

    def handle(self, *args: Any, study: str, training: list[str], **options: Any) -> None:
        found, now = study_called(study), timezone.now()
        try:
            if training:
                mark_training(study=found, cases=training)
            count = allocate_readings(study=found, now=now)
            asked = request_predictions(study=found, now=now)
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        self.stdout.write(f"{count} readings are dealt out; {asked} predictions were asked for")
