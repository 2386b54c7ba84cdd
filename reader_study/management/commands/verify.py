"""`manage.py verify STUDY`: whether the study's records are as they were recorded.

The exit status is 0 when they are, and 1 when something is broken: the first such row is named.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from reader_study.actions.verification import verify_study
from reader_study.management.commands.import_cases import study_called
from reader_study.management.progress import Counter


def a_hash(text: str) -> bytes:
    """Read a SHA-256 in hexadecimal."""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise ArgumentTypeError("a head is 64 hexadecimal digits, as this command prints it")
    return digest


class Command(BaseCommand):
    """Verify a study."""

    help = "Check a study's chain of records and what follows from them; name what is broken."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's name in addresses")
        parser.add_argument(
            "--noted",
            type=a_hash,
            metavar="HEAD",
            help="a head this command printed before, which the chain has to hold",
        )

    def handle(self, *args: Any, study: str, noted: bytes | None, **options: Any) -> None:
        result = verify_study(study_called(study), noted=noted, progress=Counter(sys.stderr))
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(result.counts.items()))
        if result.broken is not None:
            self.stdout.write(f"{result.length} records hold before it: {kinds or 'none'}")
            raise CommandError(f"broken: {result.broken}")
        self.stdout.write(f"{result.length} records hold: {kinds or 'none'}")
        self.stdout.write(
            "ratings, bundles, stages of readings and the protocol's hash follow from them"
        )
        self.stdout.write(f"head: {result.head.hex()}")
