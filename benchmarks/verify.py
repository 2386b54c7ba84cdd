"""How long `manage.py verify` takes, and what it needs of memory: `make bench-verify`.

A study of generated answers is written into a PostgreSQL of its own, through the triggers that
make the chain: half as many readings as answers, three events and two answers a reading, a
rating a question. Then the command runs as a process, and its time and peak memory are taken.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

import broker
from launcher.postgres import EmbeddedPostgres

CHECKOUT = Path(__file__).resolve().parent.parent
READERS = 20
AT_ONCE = 25_000

# Protocol and hash are those of an empty document: what is timed does not depend on them.
STUDY = """
insert into reader_study_study (slug, title, protocol, protocol_hash, created_at, allocated_at,
    opened_at)
values ('bench', 'Bench', '{}', encode(sha256('{}'), 'hex'), now(), now(), now());
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
insert into reader_study_reading (reader_id, case_id, session, position, stage, version_id,
    opened_at, submitted_at)
select m.id, c.id, 1, c.id, 'submitted', v.id, now(), now()
from reader_study_membership m, reader_study_case c, reader_study_protocolversion v
order by m.id, c.id;
"""

STEP = """
insert into reader_study_event (reading_id, key, kind, stage, data, received_at)
select id, gen_random_uuid(), %(kind)s, %(stage)s, '{}', now() from reader_study_reading
where id between %(first)s and %(last)s
"""

ANSWER = """
insert into reader_study_answer (reading_id, stage, answers, protocol_hash, locked_at)
select r.id, %(stage)s, jsonb_build_object('case', '{}'::jsonb, 'nodules', jsonb_build_object(n.id,
    (select jsonb_object_agg('question_' || q, jsonb_build_object('value', (r.id + q) %% 100))
     from generate_series(1, %(ratings)s) q))), encode(sha256('{}'), 'hex'), r.submitted_at
from reader_study_reading r join reader_study_series s on s.case_id = r.case_id
join reader_study_nodule n on n.series_id = s.id
where r.id between %(first)s and %(last)s
"""

# The checks of foreign keys would take most of the time.
RATINGS = """
set local session_replication_role = replica;
insert into reader_study_rating (answer_id, nodule_id, question, value, cannot_assess)
select a.id, n.key::bigint, q.key, q.value -> 'value', false
from reader_study_answer a, jsonb_each(a.answers -> 'nodules') n, jsonb_each(n.value) q
where a.reading_id between {first} and {last} and a.stage = '{stage}';
set local session_replication_role = origin;
"""


def fill(url: str, answers: int, ratings: int) -> None:
    """Write the study."""
    cases = max(1, answers // 2 // READERS)
    with psycopg.connect(broker.libpq_dsn(url)) as connection:
        for statement in STUDY.split(";\n"):
            if statement.strip():
                connection.execute(statement, {"readers": READERS, "cases": cases})
        connection.commit()
        found = connection.execute("select min(id), max(id) from reader_study_reading").fetchone()
        assert found is not None
        for first in range(found[0], found[1] + 1, AT_ONCE):
            of = {"first": first, "last": first + AT_ONCE - 1, "ratings": ratings}
            steps = [("opened", "unaided"), ("lock_unaided", "unaided"), ("submit", "aided")]
            for kind, stage in steps:
                if kind != "opened":
                    connection.execute(ANSWER, {**of, "stage": stage})
                    connection.execute(RATINGS.format(**of, stage=stage))
                connection.execute(STEP, {**of, "kind": kind, "stage": stage})
            connection.commit()
        connection.execute("analyze")


def measure(environment: dict[str, str]) -> tuple[float, int]:
    """Run the command; return seconds and peak memory in MB.

    Raises:
        SystemExit: it found something broken.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(CHECKOUT / "manage.py"), "verify", "bench"], env=environment
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("what was just written does not hold")
    return time.monotonic() - began, usage.ru_maxrss // 1024


def main() -> None:
    """Measure once a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, nargs="+", default=[10_000])
    parser.add_argument("--ratings", type=int, default=10, help="ratings an answer")
    options = parser.parse_args()
    for answers in options.answers:
        with tempfile.TemporaryDirectory(prefix="reread-bench-") as name:
            folder = Path(name)
            with EmbeddedPostgres(folder / "pg", folder / "run") as server:
                url = server.url("reread")
                secrets = {"SECRET_KEY": "bench", "SERVICE_TOKEN": "bench", "DATABASE_URL": url}
                environment = {**os.environ, **secrets}
                subprocess.run(
                    [sys.executable, str(CHECKOUT / "manage.py"), "migrate", "--verbosity", "0"],
                    env=environment,
                    check=True,
                )
                began = time.monotonic()
                fill(url, answers, options.ratings)
                written = time.monotonic() - began
                seconds, megabytes = measure(environment)
        sys.stdout.write(
            f"{answers} answers with {options.ratings} ratings each: written in {written:.1f} s, "
            f"verified in {seconds:.1f} s, peak memory {megabytes} MB\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
