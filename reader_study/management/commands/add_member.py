"""`manage.py add_member STUDY USER ROLE PSEUDONYM`: somebody's role in a study."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError

from reader_study.actions.accounts import invitation
from reader_study.actions.study import add_member
from reader_study.domain.errors import Refusal
from reader_study.management.commands.import_cases import study_called
from reader_study.models import Role, User


class Command(BaseCommand):
    """Give a user a role."""

    help = "Give a user a role in a study; an account that is missing is made, and invited."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("study", help="the study's name in addresses")
        parser.add_argument("user", help="the name the user logs in with")
        parser.add_argument("role", choices=Role.values)
        parser.add_argument("pseudonym", help="what stands for the user in every export")

    def handle(
        self, *args: Any, study: str, user: str, role: str, pseudonym: str, **options: Any
    ) -> None:
        found = study_called(study)
        account, is_new = User.objects.get_or_create(username=user)
        if is_new:
            account.set_unusable_password()
            account.save(update_fields=["password"])
        try:
            add_member(study=found, user=account, role=Role(role), pseudonym=pseudonym)
        except Refusal as refusal:
            raise CommandError(refusal.detail) from None
        except IntegrityError:
            raise CommandError(f"another member of {study} is called {pseudonym}") from None
        self.stdout.write(f"{pseudonym} is {role} of {study}")
        if not account.has_usable_password():
            self.stdout.write(f"invitation, for a week: {invitation(account)}")
