"""`manage.py create_demo`: a study that can be read at once.

Ten generated cases, or the user's own CT, with an account for every role. Running it
again changes nothing; the last line it prints is JSON for the program that started it.
"""

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.cases import import_cases
from reader_study.actions.prediction import request_predictions
from reader_study.actions.study import (
    add_member,
    allocate_readings,
    create_study,
    open_if_ready,
)
from reader_study.dicomweb.errors import ArchiveError
from reader_study.dicomweb.nodules import UnreadableList
from reader_study.domain.errors import Refusal, StudyFrozen
from reader_study.models import Nodule, Role, Study, User

PROTOCOL = Path(__file__).parents[2] / "protocols" / "demonstration.yaml"
CASES = 10
# User name, role, pseudonym.
MEMBERS = (
    ("reader1", Role.READER, "R01"),
    ("reader2", Role.READER, "R02"),
    ("coordinator", Role.COORDINATOR, "Coordinator"),
    ("investigator", Role.INVESTIGATOR, "Investigator"),
)
ADMINISTRATOR = "admin"


class Command(BaseCommand):
    """Create the demonstration study."""

    help = "Create a study with cases, one account a role, and everything needed to read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dicom", type=Path, help="a folder of CT instead of generated cases")
        parser.add_argument("--nodules", type=Path, help="the nodules of that CT, as CSV")

    def handle(self, *args: Any, dicom: Path | None, nodules: Path | None, **options: Any) -> None:
        if (dicom is None) != (nodules is None):
            raise CommandError("name both: the folder of CT (DICOM) and its nodules (NODULES)")
        document = yaml.safe_load(PROTOCOL.read_text())
        slug = "demonstration"
        if dicom is not None and nodules is not None:
            slug = own_slug(dicom, nodules)
            document["title"] = f"Your cases: {dicom.name}"
        try:
            study = create_study(slug=slug, document=document, now=timezone.now())
            users = {name: self._user(name) for name, *_ in MEMBERS}
            for name, role, pseudonym in MEMBERS:
                add_member(study=study, user=users[name], role=role, pseudonym=pseudonym)
            self._user(ADMINISTRATOR, is_staff=True, is_superuser=True)
            if study.allocated_at is None:
                self._bring_in(study, dicom, nodules)
            allocate_readings(study=study, now=timezone.now())
            request_predictions(study=study, now=timezone.now())
            study.refresh_from_db()
            open_if_ready(study=study, now=timezone.now())
        except StudyFrozen as refusal:
            raise CommandError(
                f"{refusal.detail} To begin anew, move {settings.VAR_DIR} away; "
                "what was recorded stays in it."
            ) from None
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        except (UnreadableList, ArchiveError) as error:
            raise CommandError(str(error)) from None
        logins = [(name, role.label) for name, role, _ in MEMBERS]
        logins.append((ADMINISTRATOR, "Administrator"))
        said = [
            {"role": role, "username": name, "password": demo_password(name)}
            for name, role in logins
        ]
        self.stdout.write(json.dumps({"logins": said, "study": study.title}))

    def _user(self, name: str, **fields: Any) -> User:
        user, created = User.objects.get_or_create(username=name, defaults=fields)
        if created:
            user.set_password(demo_password(name))
            user.save()
        return user

    def _bring_in(self, study: Study, dicom: Path | None, nodules: Path | None) -> None:
        if dicom is not None and nodules is not None:
            if not dicom.is_dir():
                raise CommandError(f"there is no folder {dicom}")
            self._import(study, dicom, nodules)
            return
        # A name of its own, so that what an interrupted start left is cleared away.
        folder = settings.VAR_DIR / "generated"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            generate(folder)
            self._import(study, folder, folder / "nodules.csv")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _import(self, study: Study, folder: Path, nodules: Path) -> None:
        begun: list[str] = []

        def tell(what: str, _done: int, of: int) -> None:
            # Once a series: its slices are soon done.
            if what not in begun:
                begun.append(what)
                number = len(begun) - 1
                said = f"storing series {number}: {of} slices" if number else f"reading {of} files"
                self.stdout.write(said)
                self.stdout.flush()

        report = import_cases(
            study=study, folder=folder, nodules=nodules, now=timezone.now(), progress=tell
        )
        lines = [] if report.complete else report.lines()
        nodules_in = Nodule.objects.of_study(study).count()
        lines.append(f"imported: cases {study.cases.count()}, nodules {nodules_in}")
        for line in lines:
            self.stdout.write(line)
        if not Nodule.objects.of_study(study).exists():
            raise CommandError(f"no nodule of {nodules} could be brought in; see above why")


def generate(folder: Path) -> None:
    """Write the generated cases into `folder`.

    In a process of its own: what it needs of memory is free again afterwards.

    Raises:
        CommandError: it failed; what it said is above.
    """
    command = [sys.executable, "-m", "phantom", str(folder), "--cases", str(CASES), "--jobs", "2"]
    done = subprocess.run(command, cwd=settings.BASE_DIR, check=False)
    if done.returncode != 0:
        raise CommandError("the demonstration cases could not be generated; see above why")


def own_slug(dicom: Path, nodules: Path) -> str:
    """Return the name of the study of these files: the same files are the same study."""
    text = f"{dicom.resolve()}\n{nodules.resolve()}"
    return f"own-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def demo_password(name: str) -> str:
    """Return the password an account of the demonstration starts with.

    It is made from the site's secret, so that it can be shown again and is kept nowhere.
    """
    key = f"{settings.SECRET_KEY}:demonstration".encode()
    digest = hmac.digest(key, name.encode(), "sha256")
    return base64.b32encode(digest).decode().lower()[:12]
