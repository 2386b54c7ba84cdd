"""`manage.py run_system STUDY NAME --python PYTHON`: score a study's series by another system.

NAME is a system with an adapter (`inference/systems`), PYTHON the interpreter of the environment
in which it is installed, and `--with NAME=VALUE` an option of the adapter. Its scores become
predictions of a model of their own, of the version and weights that ran. What has a score is not
asked for again, so that a run that was ended goes on when it is started again.
"""

import csv
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.cases import site_archive
from reader_study.actions.scores import import_scores, read_scores, system_of
from reader_study.dicomweb.errors import ArchiveError
from reader_study.domain.errors import Refusal
from reader_study.management.commands.import_cases import study_called
from reader_study.models import Nodule, Study


class Command(BaseCommand):
    """Run another system."""

    help = "Score the series of a study by a system in an environment of its own, and store that."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the short name of the study")
        parser.add_argument("system", help="a system that has an adapter")
        parser.add_argument("--python", required=True, help="its environment's interpreter")
        parser.add_argument("--model", help="the model's name in the study; the system's otherwise")
        parser.add_argument("--time-limit", type=float, default=600, help="seconds a series")
        parser.add_argument("--with", action="append", default=[], dest="options")

    def handle(
        self,
        *args: Any,
        study: str,
        system: str,
        python: str,
        model: str | None,
        time_limit: float,
        options: list[str],
        **more: Any,
    ) -> None:
        found = study_called(study)
        # Kept, so that what was scored need not be scored again.
        out = Path(settings.VAR_DIR) / "systems" / f"{found.slug}-{model or system}.csv"
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            series = Path(folder) / "series.csv"
            self._write_series(found, series)
            command = [sys.executable, "-m", "inference.systems", system, "--python", python]
            command += ["--series", str(series), "--out", str(out)]
            command += ["--time-limit", str(time_limit)]
            command += [f"--with={option}" for option in options]
            # A process of its own: the site imports nothing of the worker's.
            told = subprocess.run(
                command, stderr=subprocess.PIPE, text=True, cwd=settings.BASE_DIR, env=os.environ
            )
        if told.returncode:
            raise CommandError((told.stderr.strip().splitlines() or [f"{system} failed"])[-1])
        try:
            rows, _ = read_scores(out)
            version, digest = system_of(out)
            stored = import_scores(
                study=found,
                rows=rows,
                digest=digest,
                model=model or system,
                version=version,
                now=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        self.stdout.write(
            f"{model or system} {version}: {stored.stored} stored, {stored.known} were there "
            f"already, {stored.failed} without a score"
        )

    def _write_series(self, study: Study, file: Path) -> None:
        archive = site_archive()
        nodules = Nodule.objects.of_study(study).select_related("series__case")
        with file.open("w", newline="") as table:
            writer = csv.writer(table)
            writer.writerow(["case", "nodule", "folder"])
            for nodule in nodules:
                of = nodule.series
                try:
                    folder = archive.folder(of.study_uid, of.series_uid)
                except ArchiveError as error:
                    raise CommandError(f"{of.case}: {error}") from error
                writer.writerow([of.case.pseudonym, nodule.label, folder])
