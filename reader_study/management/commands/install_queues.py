"""`manage.py install_queues`: what the queues need, where PostgreSQL holds them."""

import os
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError

import broker


class Command(BaseCommand):
    """Create the queues; those that exist are left alone."""

    help = "Create the queues in PostgreSQL. Needed once, and with no other broker."

    def handle(self, *args: Any, **options: Any) -> None:
        address = broker.queue_database(os.environ)
        if address is None:
            self.stdout.write("The broker makes its queues by itself; nothing to do.")
            return
        try:
            with psycopg.connect(broker.libpq_dsn(address)) as connection:
                broker.install_queues(connection)
        except psycopg.Error as error:
            raise CommandError(f"the queues cannot be created: {error}") from None
        self.stdout.write("The queues are there.")
