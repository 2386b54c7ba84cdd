"""How long the desk's view of progress takes: `python -m benchmarks.progress`.

A study of 200 readers and 2,000 cases, half of it read, is written into a PostgreSQL of its own;
then `progress_of` is called as the page calls it.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

import broker
from benchmarks.site_export import give_protocol
from benchmarks.verify import CHECKOUT
from launcher.postgres import EmbeddedPostgres

FILL = """
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
insert into reader_study_job (nodule_id, model, status, attempts, retry_at, code, detail, asked_at,
    ended_at)
select id, 'demonstration', 'done', 1, now(), '', '', now(), now() from reader_study_nodule;
insert into reader_study_reading (reader_id, case_id, session, position, stage, version_id,
    opened_at, submitted_at)
select m.id, c.id, 1 + c.id %% 2, c.id,
    case when c.id %% 4 < 2 then 'submitted' else 'assigned' end,
    case when c.id %% 4 < 2 then v.id end,
    case when c.id %% 4 < 2 then now() - c.id * interval '20 min' - interval '5 min' end,
    case when c.id %% 4 < 2 then now() - c.id * interval '20 min' end
from reader_study_membership m, reader_study_case c, reader_study_protocolversion v
order by m.id, c.id;
insert into reader_study_readingpace (reading_id, submitted_at, active_s, longest_pause_s,
    ratings_hash, same_in_a_row)
select id, submitted_at, 20 + random() * 200, random() * 605, '', 1 + (random() * 8.01)::int
from reader_study_reading where stage = 'submitted'
"""
CALLS = 7


def fill(url: str, readers: int, cases: int) -> None:
    """Write the study."""
    with psycopg.connect(broker.libpq_dsn(url)) as connection:
        for statement in FILL.split(";\n"):
            connection.execute(statement, {"readers": readers, "cases": cases})
        connection.commit()
        connection.execute("analyze")


def measure() -> None:
    """Call it, in a process with Django's settings."""
    import django

    django.setup()
    from django.utils import timezone

    from reader_study.actions.monitoring import note_paces, progress_of
    from reader_study.models import Study

    study = Study.objects.get(slug="bench")
    took = []
    for _ in range(CALLS):
        began = time.perf_counter()
        found = progress_of(study, timezone.now())
        took.append(time.perf_counter() - began)
    began = time.perf_counter()
    note_paces()
    looked = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(
        f"{found.of:,} readings, {len(found.readers)} readers: median {statistics.median(took):.2f}"
        f" s, slowest {max(took):.2f} s of {CALLS}; looking for new ones {looked:.2f} s; "
        f"peak memory {memory} MB\n"
    )


def main() -> None:
    """Measure once a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--cases", type=int, nargs="+", default=[200, 2_000])
    options = parser.parse_args()
    for cases in options.cases:
        with tempfile.TemporaryDirectory(prefix="reread-bench-") as name:
            folder = Path(name)
            with EmbeddedPostgres(folder / "pg", folder / "run") as server:
                url = server.url("reread")
                os.environ.update(
                    SECRET_KEY="bench",  # noqa: S106
                    SERVICE_TOKEN="bench",  # noqa: S106
                    DATABASE_URL=url,
                    DJANGO_SETTINGS_MODULE="reader_study.settings",
                )
                command = [sys.executable, str(CHECKOUT / "manage.py"), "migrate"]
                subprocess.run([*command, "--verbosity", "0"], check=True)
                fill(url, options.readers, cases)
                give_protocol(url)
                code = "from benchmarks.progress import measure; measure()"
                subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True)


if __name__ == "__main__":
    main()
