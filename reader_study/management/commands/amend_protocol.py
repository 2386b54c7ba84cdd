"""`manage.py amend_protocol STUDY FILE --reason TEXT`: another version of a protocol.

With `--show` it prints the versions that there are, and what each changed, instead.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from reader_study.actions.protocol import amend_protocol, history
from reader_study.domain.errors import AmendmentRefused, ProtocolInvalid, Refusal
from reader_study.domain.protocol_file import read_with_lines
from reader_study.management.commands.import_cases import study_called
from reader_study.management.protocol_file import read_file, told
from reader_study.models import Study, User


class Command(BaseCommand):
    """Amend a protocol."""

    help = (
        "Put another version of a study's protocol in force. Until the cases are dealt out it "
        "may be any; afterwards it may change what leaves the plan as it is, for a reason."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's name in addresses")
        parser.add_argument("file", type=Path, nargs="?", help="the protocol, YAML or JSON")
        parser.add_argument("--reason", default="", help="why; needed once cases are dealt out")
        parser.add_argument("--by", default="", metavar="USER", help="whose amendment it is")
        parser.add_argument("--show", action="store_true", help="print the versions there are")

    def handle(
        self,
        *args: Any,
        study: str,
        file: Path | None,
        reason: str,
        by: str,
        show: bool,
        **options: Any,
    ) -> None:
        found = study_called(study)
        if show:
            self._show(found)
            return
        if file is None:
            raise CommandError("name the file of the protocol, or say --show")
        user = User.objects.filter(username=by).first()
        if by and user is None:
            raise CommandError(f"there is no user {by!r}")
        text, protocol = read_file(file, self.stderr)
        _, lines = read_with_lines(text)
        try:
            version = amend_protocol(
                study=found,
                document=protocol.model_dump(mode="json"),
                source=text,
                lines=lines,
                reason=reason,
                by=user,
                now=timezone.now(),
            )
        except (AmendmentRefused, ProtocolInvalid) as refusal:
            if not refusal.more["problems"]:
                raise CommandError(refusal.detail) from None
            raise told(file, refusal, self.stderr) from None
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        self.stdout.write(f"{found.slug}: version {version.number}, protocol {version.hash}")

    def _show(self, study: Study) -> None:
        for each in history(study):
            version = each.version
            by = f" by {version.by.get_username()}" if version.by else ""
            self.stdout.write(
                f"{version.number}  {version.at:%Y-%m-%d %H:%M} UTC{by}  {version.hash}"
            )
            if version.reason:
                self.stdout.write(f"   {version.reason} (study: {version.phase})")
            if each.plan_changed_late:
                self.stdout.write("   the analysis plan was changed after the first reading")
            for change in each.changes:
                self.stdout.write(f"   {change}")
