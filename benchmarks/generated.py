"""What the benchmarks share: an empty site, a study as large as is wanted, a command's cost.

A study is written as rows, by SQL, through the triggers that make the chain of its records: half as
many readings as answers, three events and two answers a reading, a rating a question.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import yaml

import broker
from launcher.postgres import EmbeddedPostgres

CHECKOUT = Path(__file__).resolve().parent.parent
PROTOCOL = CHECKOUT / "reader_study" / "protocols" / "demonstration.yaml"
AT_ONCE = 25_000  # readings: what a trigger is given at once, it holds in memory
RATINGS = 10  # an answer: as many as the demonstration's form has questions


@contextmanager
def an_empty_site() -> Iterator[tuple[Path, str]]:
    """Start a PostgreSQL with the site's tables; yield a folder and the database's address.

    Processes that are started meanwhile find it, by the environment.
    """
    with tempfile.TemporaryDirectory(prefix="reread-bench-") as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "pg", folder / "run") as server:
            url = server.url("reread")
            os.environ.update(
                SECRET_KEY="bench",  # noqa: S106
                SERVICE_TOKEN="bench",  # noqa: S106
                DATABASE_URL=url,
                VAR_DIR=str(folder / "var"),
                FRAMES_DIR=str(folder / "frames"),
                LOG_FORMAT="json",
                LEAST_FREE_GB="0",
                DJANGO_SETTINGS_MODULE="reader_study.settings",
            )
            (folder / "var" / "static").mkdir(parents=True)
            run("migrate")
            yield folder, url


def run(*words: str) -> tuple[float, int]:
    """Run a command of manage.py; return seconds and peak memory in MB.

    Raises:
        SystemExit: it failed.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(CHECKOUT / "manage.py"), *words], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{words[0]} failed")
    return time.monotonic() - began, usage.ru_maxrss // 1024


def demonstration() -> str:
    """Return the demonstration's protocol as the database keeps it."""
    from reader_study.domain.protocol import parse_protocol

    protocol = parse_protocol(yaml.safe_load(PROTOCOL.read_text(encoding="utf-8")))
    return json.dumps(protocol.model_dump(mode="json"))


STUDY = """
insert into reader_study_study (slug, title, protocol, protocol_hash, created_at, allocated_at,
    opened_at)
select 'bench', 'Bench', p.protocol, encode(sha256(convert_to(p.protocol::text, 'UTF8')), 'hex'),
    now(), now(), now() from (select %(protocol)s::jsonb as protocol) p;
insert into reader_study_protocolversion (study_id, number, protocol, hash, source, phase, reason,
    at)
select id, 1, protocol, protocol_hash, '', 'draft', '', now() from reader_study_study;
insert into reader_study_user (username, password, is_superuser, first_name, last_name, email,
    is_staff, is_active, date_joined)
select 'u' || i, '', false, '', '', '', false, true, now() from generate_series(1, %(readers)s) i;
insert into reader_study_membership (study_id, user_id, role, pseudonym)
select s.id, u.id, 'reader', 'R' || u.id from reader_study_study s, reader_study_user u;
insert into reader_study_case (study_id, pseudonym, subject)
select s.id, 'C' || i, 'S' || i from reader_study_study s, generate_series(1, %(cases)s) i;
insert into reader_study_series (case_id, study_uid, series_uid, frame_of_reference_uid, slices)
select id, '1.' || id, '2.' || id, '3.' || id, 60 from reader_study_case;
insert into reader_study_nodule (series_id, number, label, x, y, z)
select id, 1, 'N1', 1, 2, 3 from reader_study_series;
insert into reader_study_reading (reader_id, case_id, session, position, stage)
select m.id, c.id, 1 + c.id %% %(sessions)s, c.id, 'assigned'
from reader_study_membership m, reader_study_case c
order by m.id, c.id
"""
# Those of the later positions remain to be read.
READ = """
update reader_study_reading r set stage = 'submitted', version_id = v.id,
    opened_at = now() - r.position * interval '20 min' - interval '5 min',
    submitted_at = now() - r.position * interval '20 min'
from reader_study_protocolversion v
where r.position <= %(share)s * (select count(*) from reader_study_case)
"""
STEP = """
insert into reader_study_event (reading_id, key, kind, stage, data, received_at)
select id, gen_random_uuid(), %(kind)s, %(stage)s, '{}', submitted_at from reader_study_reading
where stage = 'submitted' and id between %(first)s and %(last)s
"""
ANSWER = """
insert into reader_study_answer (reading_id, stage, answers, protocol_hash, locked_at)
select r.id, %(stage)s, jsonb_build_object('case', '{}'::jsonb, 'nodules', jsonb_build_object(n.id,
    (select jsonb_object_agg('question_' || q, jsonb_build_object('value', (r.id + q) %% 100))
     from generate_series(2, %(ratings)s) q) || jsonb_build_object('malignancy',
     jsonb_build_object('value', r.id %% 100)))), v.hash, r.submitted_at
from reader_study_reading r join reader_study_protocolversion v on v.id = r.version_id
join reader_study_series s on s.case_id = r.case_id
join reader_study_nodule n on n.series_id = s.id
where r.stage = 'submitted' and r.id between %(first)s and %(last)s
"""
# The checks of foreign keys would take most of the time.
RATING = """
set local session_replication_role = replica;
insert into reader_study_rating (answer_id, nodule_id, question, value, cannot_assess)
select a.id, n.key::bigint, q.key, q.value -> 'value', false
from reader_study_answer a, jsonb_each(a.answers -> 'nodules') n, jsonb_each(n.value) q
where a.reading_id between {first} and {last} and a.stage = '{stage}';
set local session_replication_role = origin;
"""
PACE = """
insert into reader_study_readingpace (reading_id, submitted_at, active_s, longest_pause_s,
    ratings_hash, same_in_a_row)
select id, submitted_at, 20 + random() * 200, random() * 605, '', 1 + (random() * 8.01)::int
from reader_study_reading where stage = 'submitted'
"""


def write_study(url: str, *, readers: int, cases: int, sessions: int = 1) -> None:
    """Write a study of the demonstration's protocol, allocated and open, nothing of it read."""
    asked = {"protocol": demonstration(), "readers": readers, "cases": cases, "sessions": sessions}
    with psycopg.connect(broker.libpq_dsn(url)) as connection:
        for statement in STUDY.split(";\n"):
            connection.execute(statement, asked)
        connection.commit()
        connection.execute("analyze")


def write_answers(url: str, *, share: float = 1, ratings: int = RATINGS) -> int:
    """Have a `share` of each reader's readings read; return how many that are.

    Without `ratings` nothing is recorded of them but that they are.
    """
    with psycopg.connect(broker.libpq_dsn(url)) as connection:
        connection.execute(READ, {"share": share})
        connection.commit()
        first, last, number = _row(
            connection,
            "select min(id), max(id), count(*) filter (where stage = 'submitted') "
            "from reader_study_reading",
        )
        for begin in range(first, last + 1, AT_ONCE) if ratings else ():
            of: dict[str, Any] = {"first": begin, "last": begin + AT_ONCE - 1, "ratings": ratings}
            steps = [("opened", "unaided"), ("lock_unaided", "unaided"), ("submit", "aided")]
            for kind, stage in steps:
                if kind != "opened":
                    connection.execute(ANSWER, {**of, "stage": stage})
                    connection.execute(RATING.format(**of, stage=stage))
                connection.execute(STEP, {**of, "kind": kind, "stage": stage})
            connection.commit()
        connection.execute(PACE)
        connection.commit()
        connection.execute("analyze")
    return int(number)


def _row(connection: psycopg.Connection[Any], query: str) -> Any:
    found = connection.execute(query.encode()).fetchone()
    assert found is not None
    return found
