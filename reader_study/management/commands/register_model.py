"""`manage.py register_model MODEL`: a model version that this site may be asked for.

MODEL is a model's folder, where the inference worker's packages are installed as well; or a file
with what `python -m inference.selftest FOLDER` printed on the worker's machine. Registering
again changes nothing.
"""

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from pydantic import ValidationError

from reader_study.actions.prediction import register_model
from reader_study.domain.errors import Refusal
from reader_study.payloads import parse_registration


class Command(BaseCommand):
    """Register a model."""

    help = "Register a model once its self-test gives the scores that are kept with it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", type=Path, help="a folder, or the self-test's JSON")

    def handle(self, *args: Any, model: Path, **options: Any) -> None:
        text = self._tested(model) if model.is_dir() else self._read(model)
        try:
            registration = parse_registration(json.loads(text))
            version, added = register_model(registration=registration, now=timezone.now())
        except (json.JSONDecodeError, ValidationError) as error:
            raise CommandError(f"{model} holds no result of inference.selftest") from error
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        self.stdout.write(
            f"{version.name} {version.version}, {version.hash[:12]}: "
            + ("registered" if added else "was registered already")
        )

    def _read(self, file: Path) -> str:
        try:
            return file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read") from error

    def _tested(self, folder: Path) -> str:
        # A process of its own: the site loads no networks.
        told = subprocess.run(
            [sys.executable, "-m", "inference.selftest", str(folder.resolve())],
            capture_output=True,
            text=True,
        )
        if told.returncode:
            lines = told.stderr.strip().splitlines() or ["inference.selftest failed"]
            raise CommandError(lines[-1])
        return told.stdout
