"""What the demonstration finds when it starts: a port, a database, a broker."""

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg

import broker
from launcher.problem import LaunchProblem

HOST = "127.0.0.1"
DEFAULT_PORTS = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}


def refuse_a_busy_port(port: int) -> None:
    """Raise LaunchProblem when nobody could listen on `port`, and name one that is free."""
    if _is_free(port):
        return
    free = next((other for other in range(port + 1, min(port + 100, 65536)) if _is_free(other)), 0)
    raise LaunchProblem(
        f"port {port} of {HOST} is in use by another program: choose another one, "
        f"as in `make demo PORT={free or 'number'}`"
    )


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except PermissionError:
            raise LaunchProblem(
                f"port {port} is reserved for root: choose one above 1023, as in "
                "`make demo PORT=8000`"
            ) from None
        except OSError:
            return False
    return True


@contextlib.contextmanager
def connected(name: str, address: str) -> Iterator[psycopg.Connection]:
    try:
        connection = psycopg.connect(broker.libpq_dsn(address), connect_timeout=10)
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise LaunchProblem(f"the PostgreSQL of {name} does not let us in: {said}") from error
    with connection:
        try:
            yield connection
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            raise LaunchProblem(f"the PostgreSQL of {name} refused: {said}") from error


def check_broker(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS:
        raise LaunchProblem(
            f"BROKER_URL starts with {parts.scheme}://, and pgmq://, postgres://, redis:// and "
            "amqp:// are known"
        )
    place = (parts.hostname or "localhost", parts.port or DEFAULT_PORTS[parts.scheme])
    try:
        socket.create_connection(place, timeout=5).close()
    except OSError as error:
        raise LaunchProblem(
            f"the broker of BROKER_URL does not answer at {place[0]}:{place[1]} "
            f"({error.strerror or error}): start it, or unset BROKER_URL to use PostgreSQL"
        ) from error
