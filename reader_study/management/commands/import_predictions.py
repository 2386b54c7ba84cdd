"""`manage.py import_predictions STUDY FILE.csv --model NAME --version V`: another system's scores.

A line a nodule: `case` (its name in the study) and `nodule` (its label), `score` from 0 to 1, and
where there is no score `reason`. Importing the same again changes nothing; another score for a
nodule that has one is refused.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.scores import import_scores, read_scores
from reader_study.domain.errors import Refusal
from reader_study.management.commands.import_cases import study_called


class Command(BaseCommand):
    """Import predictions of another system."""

    help = "Import the scores another system gave the nodules of a study, as a model of its own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the short name of the study")
        parser.add_argument("file", type=Path, help="CSV: case, nodule, score, reason")
        parser.add_argument("--model", required=True, help="the system's name")
        # Django's commands have a --version of their own.
        parser.add_argument("--model-version", required=True, help="its version")

    def handle(
        self,
        *args: Any,
        study: str,
        file: Path,
        model: str,
        model_version: str,
        **options: Any,
    ) -> None:
        try:
            rows, digest = read_scores(file)
            told = import_scores(
                study=study_called(study),
                rows=rows,
                digest=digest,
                model=model,
                version=model_version,
                now=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        self.stdout.write(
            f"{model} {model_version}: {told.stored} stored, {told.known} were there already, "
            f"{told.failed} without a score, {told.missing} nodules not in the file"
        )
