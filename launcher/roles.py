"""Two roles in one PostgreSQL: the owner of the tables, and the one that the site logs in as."""

from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg import sql

import broker
from launcher.problem import LaunchProblem

SITE_ROLE = "reread_site"
WORKER_ROLE = "reread_worker"
QUEUES = "queues"


def as_role(url: str, role: str, database: str = "") -> str:
    """Return the address `url` for another role, and for another database if one is named."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    path = f"/{quote(database, safe='')}" if database else parts.path
    return parts._replace(netloc=f"{quote(role, safe='')}@{place}", path=path).geturl()


def role_of(url: str) -> str:
    """Return the role that `url` logs in as."""
    return unquote(urlsplit(url).username or "")


def make_queues(owner_url: str, site_url: str) -> str:
    """Return the address of a database for the queues, which belongs to the site's role.

    In a database of its own that role may do what a broker does, which includes making tables,
    without any right more where the study is. It is made when it does not exist.

    Raises:
        LaunchProblem: the owner may not make it.
    """
    name = f"{unquote(urlsplit(site_url).path.lstrip('/'))}_{QUEUES}"
    try:
        with psycopg.connect(broker.libpq_dsn(owner_url), autocommit=True) as connection:
            known = "select 1 from pg_database where datname = %s"
            if connection.execute(known, [name]).fetchone() is None:
                connection.execute(
                    sql.SQL("create database {} owner {}").format(
                        sql.Identifier(name), sql.Identifier(role_of(site_url))
                    )
                )
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise LaunchProblem(
            f"the role of OWNER_DATABASE_URL cannot make the database {name} for the queues "
            f"({said}): make it, owned by {role_of(site_url)}, or name a broker in BROKER_URL"
        ) from error
    parts = urlsplit(site_url)
    return parts._replace(path=f"/{quote(name, safe='')}").geturl()


def of_the_site(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that serves readers.

    The addresses of the owner and of the worker, who may see the truth, are not in it.
    """
    hidden = {"OWNER_DATABASE_URL", "WORKER_DATABASE_URL"}
    return {name: value for name, value in environment.items() if name not in hidden}


def of_the_worker(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the site's worker, which logs in as a role of its own."""
    own = environment.get("WORKER_DATABASE_URL") or environment["DATABASE_URL"]
    return {**of_the_site(environment), "DATABASE_URL": own}


def owner_of(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the setting that names the owner's address, and the address."""
    name = "OWNER_DATABASE_URL" if environment.get("OWNER_DATABASE_URL") else "DATABASE_URL"
    return name, environment[name]


def has_two(environment: Mapping[str, str]) -> bool:
    """Whether the site logs in as another role than the owner of its tables."""
    return owner_of(environment)[0] == "OWNER_DATABASE_URL"
