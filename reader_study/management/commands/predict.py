"""`manage.py predict STUDY --model MODEL`: ask a model for what it has not said yet.

The worker does the work; this command waits, shows how far it is, and may be stopped and
started again at any time. What failed is listed with its reason, and with what the protocol
says happens then; `--again` asks once more for what has failed.

The models `brock`, `mayo`, `lung-rads` and `diameter` are formulas: they are computed at once,
from the table `--clinical` and the diameters that came with the nodules. Its columns are `case`,
`nodule` (empty: all nodules of the case) and any of the variables of `domain/comparators.py`.
"""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.comparators import apply_comparator, read_clinical
from reader_study.actions.prediction import ask_again, request_predictions, standing
from reader_study.domain.comparators import COMPARATORS
from reader_study.domain.errors import Refusal
from reader_study.management.commands.import_cases import study_called
from reader_study.management.progress import Counter
from reader_study.models import Study

POLL_S = 1.0
RULES = {
    "read_and_tell": "readers are told that there is none",
    "keep_closed": "the study does not open",
}


class Command(BaseCommand):
    """Predict what is missing."""

    help = "Ask a model for the predictions of a study that are missing, and wait for them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the short name of the study")
        parser.add_argument("--model", help="the model's name; without it, the protocol's")
        parser.add_argument("--clinical", type=Path, help="CSV of clinical variables")
        parser.add_argument("--again", action="store_true", help="also what has failed before")
        parser.add_argument("--no-wait", action="store_true", help="do not wait for the worker")

    def handle(
        self,
        *args: Any,
        study: str,
        model: str | None,
        clinical: Path | None,
        again: bool,
        no_wait: bool,
        **options: Any,
    ) -> None:
        found = study_called(study)
        name = model or found.rules.ai.model
        if name in COMPARATORS:
            self._compute(found, name, clinical)
        elif clinical:
            raise CommandError(
                f"{name} looks at images; --clinical is for {', '.join(COMPARATORS)}"
            )
        else:
            if again:
                ask_again(study=found, model=name, now=timezone.now())
            asked = request_predictions(study=found, now=timezone.now(), model=name)
            self.stdout.write(f"{name}: asked for {asked} predictions that were missing")
        counter = Counter(sys.stderr)
        now = standing(study=found, model=name)
        while now.waiting and not no_wait:
            counter("predicted", now.done + len(now.failed), now.nodules)
            time.sleep(POLL_S)
            now = standing(study=found, model=name)
        counter("predicted", now.nodules, now.nodules)
        self.stdout.write(
            f"{now.done} of {now.nodules} done, {now.waiting} waiting, {len(now.failed)} failed"
        )
        rule = RULES[found.rules.ai.when_inference_failed]
        for job in now.failed:
            self.stdout.write(f"  {job.nodule.series.case} {job.nodule}: {job.detail} ({job.code})")
        if now.failed and name == found.rules.ai.model:
            raise CommandError(f"{len(now.failed)} failed; by the protocol, {rule}")

    def _compute(self, study: Study, name: str, clinical: Path | None) -> None:
        try:
            lines = read_clinical(clinical) if clinical else []
            told = apply_comparator(study=study, name=name, clinical=lines, now=timezone.now())
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        self.stdout.write(
            f"{name} {COMPARATORS[name].version}: {told.stored} computed, {told.known} were there "
            f"already, {told.failed} not computable"
        )
