"""`manage.py create_roles`: the database roles of the web server and of the site's worker.

Their names and passwords are those of DATABASE_URL and WORKER_DATABASE_URL; without the latter the
worker logs in as the web server does, and what needs the truth is done by command. This command
logs in with OWNER_DATABASE_URL.
It is run after every `migrate`, since new tables give no right to anybody.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from psycopg import sql

from reader_study.models.rights import FUNCTIONS, RIGHTS, RIGHTS_OF_THE_WORKER


class Command(BaseCommand):
    """Create the role, or give it its rights anew."""

    help = "Create the database role that serves readers, with the rights it has on each table."

    def handle(self, *args: Any, **options: Any) -> None:
        site, owner = settings.SITE_DATABASE, settings.DATABASES["default"]
        if site["USER"] == owner["USER"]:
            raise CommandError(
                "DATABASE_URL and OWNER_DATABASE_URL name the same role: name in DATABASE_URL "
                "the one to be created, and in OWNER_DATABASE_URL the one that owns the tables"
            )
        worker = settings.WORKER_DATABASE
        if worker is not None and worker["USER"] in {site["USER"], owner["USER"]}:
            raise CommandError("WORKER_DATABASE_URL has to name a role of its own")
        give_rights(site["USER"], site["PASSWORD"])
        self.stdout.write(
            f"{site['USER']} may read and add to what is recorded, change none of it, "
            "and not read the reference standard"
        )
        if worker is not None:
            give_rights(worker["USER"], worker["PASSWORD"], RIGHTS_OF_THE_WORKER)
            self.stdout.write(f"{worker['USER']} may besides read and load the reference standard")


@transaction.atomic
def give_rights(name: str, password: str, rights_by_table: Mapping[str, str] = RIGHTS) -> None:
    """Create the role `name` if it is missing, and give it these rights and no other.

    Raises:
        CommandError: a table has no entry in `RIGHTS`.
    """
    tables = {table for table in connection.introspection.table_names() if _is_ours(table)}
    unnamed = sorted(tables - set(RIGHTS))
    if unnamed:
        raise CommandError(f"models/rights.py does not say who may use {', '.join(unnamed)}")
    role = sql.Identifier(name)
    with connection.cursor() as cursor:
        cursor.execute("select current_database(), current_schema()")
        database, schema = map(sql.Identifier, cursor.fetchone() or ())
        cursor.execute("select 1 from pg_roles where rolname = %s", [name])
        verb = "create" if cursor.fetchone() is None else "alter"
        login = "login nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls"
        statements = [sql.SQL(f"{verb} role {{}} {login}").format(role)]
        if password:
            # Only its verifier goes to the server, and so to no log of statements.
            verifier = cursor.connection.pgconn.encrypt_password(
                password.encode(), name.encode(), b"scram-sha-256"
            )
            statements.append(
                sql.SQL("alter role {} password {}").format(role, sql.Literal(verifier.decode()))
            )
        statements += [
            sql.SQL("revoke all on all tables in schema {} from {}").format(schema, role),
            sql.SQL("revoke all on all sequences in schema {} from {}").format(schema, role),
            sql.SQL("revoke create on schema {} from public").format(schema),
            sql.SQL("revoke temporary on database {} from public").format(database),
            sql.SQL("grant connect on database {} to {}").format(database, role),
            sql.SQL("grant usage on schema {} to {}").format(schema, role),
        ]
        for table in sorted(tables):
            if rights_by_table[table]:
                rights = sql.SQL(rights_by_table[table])
                statements.append(
                    sql.SQL("grant {} on {} to {}").format(rights, sql.Identifier(table), role)
                )
            if "insert" in rights_by_table[table]:
                statements += [
                    sql.SQL("grant usage on sequence {} to {}").format(
                        sql.Identifier(sequence["name"]), role
                    )
                    for sequence in connection.introspection.get_sequences(cursor, table)
                ]
        # Their names and types are ours.
        statements += [
            sql.SQL(f"grant execute on function {function} to {{}}").format(role)
            for function in FUNCTIONS
        ]
        for statement in statements:
            cursor.execute(statement)


def _is_ours(table: str) -> bool:
    prefixes = ("reader_study_", "auth_", "django_", "account_", "mfa_", "socialaccount_")
    return table.startswith(prefixes)
