"""`manage.py lock_database STUDY`: end all recording in a study, for good.

Without --statement it says what is open, and changes nothing.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.conduct import lock_database, open_points
from reader_study.domain.errors import Refusal
from reader_study.management.commands.import_cases import study_called
from reader_study.models import User


def a_reason(text: str) -> tuple[str, str]:
    """Read KIND=REASON."""
    kind, _, reason = text.partition("=")
    return kind, reason


class Command(BaseCommand):
    """Lock the database of a study."""

    help = "Say what is open in a study, and with --statement lock its database for good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's name in addresses")
        parser.add_argument("--by", metavar="USER", help="the coordinator who locks it")
        parser.add_argument("--statement", help="what the coordinator declares")
        parser.add_argument(
            "--accept",
            action="append",
            default=[],
            type=a_reason,
            metavar="KIND=REASON",
            help="why what is open stays so, for instance readings='one reader has left'",
        )

    def handle(
        self,
        *args: Any,
        study: str,
        by: str | None,
        statement: str | None,
        accept: list[tuple[str, str]],
        **options: Any,
    ) -> None:
        found = study_called(study)
        if statement is None:
            for point in open_points(found):
                where = f" ({', '.join(point.where)})" if point.where else ""
                self.stdout.write(f"{point.kind}: {point.detail}{where}")
            self.stdout.write("nothing was changed; --by and --statement lock the database")
            return
        user = User.objects.filter(username=by).first()
        if user is None:
            raise CommandError("--by has to name the coordinator who locks the database")
        try:
            lock = lock_database(
                study=found,
                by=user,
                statement=statement,
                accepted=dict(accept),
                now=timezone.now(),
            )
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        self.stdout.write(f"locked after {lock.records} records; head: {lock.head}")
