"""One address means the same server to Django, to libpq and to the pgmq client."""

import subprocess
import sys
from collections.abc import Iterator

import dj_database_url
import pgmq
import psycopg
import pytest
from kombu.transport import resolve_transport
from kombu.transport.pgmq import Transport as PgmqTransport
from psycopg.conninfo import conninfo_to_dict

import broker
from launcher.postgres import EmbeddedPostgres

URLS = [
    "postgres://owner@%2Ftmp%2FMy%20Folder%2Frun/reread",
    "postgresql://site:p%40ss%3A%2Fw%27o%5Crd@db.example.org:6432/reread",
    "postgres://site:a%20b@[::1]:6432/reread",
    "postgres://site@[fe80::1]/reread",
    "postgres://site:secret@Db.Example.Org/Study%20One",
    "postgres://site:secret@db/reread?sslmode=verify-full&sslrootcert=%2Fetc%2Fmy%20ca.pem",
    "pgmq://site:secret@db:5433/reread",
]


@pytest.mark.parametrize("url", URLS)
def test_the_pgmq_client_connects_where_libpq_does(url: str) -> None:
    config = pgmq.base.PGMQConfig(conn_string=broker.pgmq_dsn(url))

    assert conninfo_to_dict(config.dsn) == conninfo_to_dict(broker.libpq_dsn(url))


@pytest.mark.parametrize("url", [url for url in URLS if not url.startswith("pgmq")])
def test_libpq_reads_an_address_as_django_does(url: str) -> None:
    words = conninfo_to_dict(broker.libpq_dsn(url))
    settings = dj_database_url.parse(url)

    assert str(words.pop("host")).lower() == settings["HOST"].lower()
    assert words.pop("port") == str(settings["PORT"] or 5432)
    assert words.pop("dbname") == settings["NAME"]
    assert words.pop("user") == settings["USER"]
    assert words.pop("password") == settings["PASSWORD"]
    assert words == settings.get("OPTIONS", {})


def test_a_socket_folder_keeps_the_case_of_its_letters() -> None:
    url = "postgres://owner@%2FTmp%2FRun/reread"

    assert conninfo_to_dict(broker.libpq_dsn(url))["host"] == "/Tmp/Run"
    assert dj_database_url.parse(url)["HOST"] == "/Tmp/Run"


@pytest.mark.parametrize("url", ["redis://localhost", "postgres://owner@db", "postgres://db/"])
def test_what_is_no_postgresql_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="not a PostgreSQL address"):
        broker.libpq_dsn(url)


@pytest.mark.parametrize(
    ("broker_url", "database"),
    [
        (None, "postgres://site@db/reread"),
        ("", "postgres://site@db/reread"),
        ("pgmq://", "postgres://site@db/reread"),
        ("postgresql://queues@other/queues", "postgresql://queues@other/queues"),
        ("redis://cache:6379/0", None),
        ("rediss://cache:6379/0", None),
        ("amqp://rabbit//", None),
    ],
)
def test_the_broker_url_says_which_database_holds_the_queues(
    broker_url: str | None, database: str | None
) -> None:
    environment = {"DATABASE_URL": "postgres://site@db/reread"}
    if broker_url is not None:
        environment["BROKER_URL"] = broker_url

    assert broker.queue_database(environment) == database
    settings = broker.celery_settings(environment)
    assert settings["broker_url"] == ("pgmq://postgresql" if database else broker_url)
    assert ("conn_string" in settings["broker_transport_options"]) == (database is not None)


@pytest.mark.parametrize("scheme", ["pgmq", "postgres", "postgresql"])
def test_celerys_command_line_understands_every_way_to_name_postgresql(scheme: str) -> None:
    url = f"{scheme}://site:secret@db/reread"
    broker.celery_settings({"BROKER_URL": url})

    transport: object = resolve_transport(scheme)
    assert transport is PgmqTransport


def test_a_message_stays_taken_for_longer_than_any_task_may_run() -> None:
    assert broker.SOFT_LIMIT_S < broker.HARD_LIMIT_S < broker.VISIBILITY_TIMEOUT_S
    for url in ("pgmq://", "redis://cache"):
        environment = {"DATABASE_URL": "postgres://site@db/reread", "BROKER_URL": url}
        options = broker.celery_settings(environment)["broker_transport_options"]
        assert options["visibility_timeout"] == broker.VISIBILITY_TIMEOUT_S


def test_reading_the_settings_loads_neither_a_database_driver_nor_the_queue_client() -> None:
    check = "import broker, sys; sys.exit(bool({'pgmq', 'psycopg', 'celery'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # The space is there because a checkout may lie in "My Documents".
    folder = tmp_path_factory.mktemp("broker's server")
    with EmbeddedPostgres(folder / "postgres", folder / "run") as server:
        yield server.url("queues")


def read(client: pgmq.PGMQueue) -> int | None:
    message = client.read(broker.INFERENCE_QUEUE, vt=600)
    return message.msg_id if isinstance(message, pgmq.Message) else None


def test_queues_are_installed_once_and_a_dead_workers_message_is_handed_out_again(
    database: str,
) -> None:
    with psycopg.connect(broker.libpq_dsn(database)) as connection:
        broker.install_queues(connection)
        broker.install_queues(connection)

    client = pgmq.PGMQueue(conn_string=broker.pgmq_dsn(database), init_extension=False)
    try:
        sent = client.send(broker.INFERENCE_QUEUE, {"series_uid": "1.2"})
        assert read(client) == sent
        assert read(client) is None

        with psycopg.connect(broker.libpq_dsn(database)) as connection:
            assert broker.hand_out_again(connection, broker.INFERENCE_QUEUE) == 1
            assert broker.hand_out_again(connection, broker.SITE_QUEUE) == 0

        assert read(client) == sent
    finally:
        client.close()
