"""A large study on a site: `make bench-site PART=scale`.

200 readers x 2,000 cases with two answers to every reading, and a tenth of it (20 readers x 2,000
cases): how long allocation, the coordinator's pages, the export and `verify` take, and in how
much memory.
"""

import argparse
import logging
import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.site import CHECKOUT, a_database, machine


def main() -> None:
    """Measure both sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--only", type=int, help="one size, in this process")
    options = parser.parse_args()
    if options.only:
        one(options.only, options.cases)
        return
    print(machine(), flush=True)
    for readers in options.readers:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.site_scale", "--only", str(readers),
             "--cases", str(options.cases)],
            cwd=CHECKOUT, check=True,
        )  # fmt: skip


def one(readers: int, cases: int) -> None:
    """Measure one size."""
    with a_database() as folder:
        logging.disable(logging.INFO)  # a line a request
        print(f"{readers} readers x {cases} cases", flush=True)
        _filled(readers, cases)
        _page()
        for name, words in (
            ("export", ["export_readings", "bench", str(folder / "export.zip")]),
            ("verify", ["verify", "bench"]),
        ):
            seconds, megabytes = _command(*words)
            _row(name, seconds, megabytes)
        size = (folder / "export.zip").stat().st_size / 1e6
        print(f"  the export has {size:.1f} MB, the database {_database_mb():.0f} MB", flush=True)


def _filled(readers: int, cases: int) -> None:
    """Allocate by the site's own action; then write answers as fast as the chain takes them."""
    import yaml
    from django.db import connection
    from django.utils import timezone

    from benchmarks.site import PROTOCOL
    from reader_study.actions.reference import load_reference
    from reader_study.actions.study import add_member, allocate_readings, create_study
    from reader_study.models import Case, Nodule, Role, Series, User

    now = timezone.now()
    study = create_study(slug="bench", document=yaml.safe_load(PROTOCOL.read_text()), now=now)
    for number in range(readers):
        user = User.objects.create(username=f"reader{number}")
        add_member(study=study, user=user, role=Role.READER, pseudonym=f"R{number:03}")
    rows = [Case(study=study, pseudonym=f"C{n:05}", subject=f"S{n:05}") for n in range(cases)]
    Case.objects.bulk_create(rows)
    Series.objects.bulk_create(
        Series(case=case, study_uid=f"1.{case.pk}", series_uid=f"2.{case.pk}",
               frame_of_reference_uid=f"3.{case.pk}", slices=60)
        for case in rows
    )  # fmt: skip
    Nodule.objects.bulk_create(
        Nodule(series=series, number=1, label="N1", x=1, y=2, z=3)
        for series in Series.objects.filter(case__study=study)
    )
    for nodule in Nodule.objects.of_study(study):
        load_reference(nodule=nodule, malignant=nodule.pk % 3 == 0, source="bench", now=now)
    began = time.perf_counter()
    count = allocate_readings(study=study, now=now)
    _row(f"allocation ({count} readings)", time.perf_counter() - began)
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("update reader_study_study set opened_at = now()")
        cursor.execute(
            "update reader_study_reading set stage = 'submitted', opened_at = now(), "
            "submitted_at = now(), version_id = (select max(id) from reader_study_protocolversion)"
        )
        # Two answers of ten questions a reading, as the chain records them.
        for stage in ("unaided", "aided"):
            cursor.execute(ANSWERS, {"stage": stage, "hash": study.protocol_hash})
            cursor.execute("set session_replication_role = replica")
            cursor.execute(RATINGS, {"stage": stage})
            cursor.execute("set session_replication_role = origin")
        for kind, stage in (
            ("opened", "unaided"),
            ("lock_unaided", "unaided"),
            ("submit", "aided"),
        ):
            cursor.execute(EVENTS, {"kind": kind, "stage": stage})
        cursor.execute("analyze")
    _row(f"written: {2 * count} answers, {3 * count} events", time.perf_counter() - began)


ANSWERS = """
insert into reader_study_answer (reading_id, stage, answers, protocol_hash, locked_at)
select r.id, %(stage)s, jsonb_build_object('case', '{}'::jsonb, 'nodules', jsonb_build_object(n.id,
    (select jsonb_object_agg('question_' || q, jsonb_build_object('value', (r.id + q) %% 100))
     from generate_series(1, 9) q) || jsonb_build_object('malignancy',
     jsonb_build_object('value', r.id %% 100)))), %(hash)s, now()
from reader_study_reading r join reader_study_series s on s.case_id = r.case_id
join reader_study_nodule n on n.series_id = s.id
"""
RATINGS = """
insert into reader_study_rating (answer_id, nodule_id, question, value, cannot_assess)
select a.id, n.key::bigint, q.key, q.value -> 'value', false
from reader_study_answer a, jsonb_each(a.answers -> 'nodules') n, jsonb_each(n.value) q
where a.stage = %(stage)s
"""
EVENTS = """
insert into reader_study_event (reading_id, key, kind, stage, data, received_at)
select id, gen_random_uuid(), %(kind)s, %(stage)s, '{}', now() from reader_study_reading
"""


def _page() -> None:
    """Ask for the coordinator's pages, twice: the first call also loads templates."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from reader_study.actions.study import add_member
    from reader_study.models import Membership, Role, Study, User

    study = Study.objects.get(slug="bench")
    desk = User.objects.create(username="coordinator")
    add_member(study=study, user=desk, role=Role.COORDINATOR, pseudonym="Coordinator")
    reader = Membership.objects.filter(study=study, role=Role.READER)[0].user
    pages = [
        (desk, reverse("study", args=["bench"])),
        (desk, reverse("study-conduct", args=["bench"])),
        (desk, reverse("study-people", args=["bench"])),
        (reader, reverse("worklist")),
    ]
    for user, path in pages:
        client: Any = Client(HTTP_HOST="localhost")
        client.force_login(user)
        client.get(path)
        began = time.perf_counter()
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(path)
        seconds = time.perf_counter() - began
        size = len(answer.content) / 1e3
        _row(f"page {path} ({answer.status_code}, {len(queries)} queries, {size:.0f} kB)", seconds)


def _command(*words: str) -> tuple[float, int]:
    """Run a command of manage.py; return seconds and peak memory in MB."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(CHECKOUT / "manage.py"), *words], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{words[0]} failed")
    return time.monotonic() - began, usage.ru_maxrss // 1024


def _database_mb() -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select pg_database_size(current_database())")
        (size,) = cursor.fetchone() or (0,)
    return float(size) / 1e6


def _row(what: str, seconds: float, megabytes: int | None = None) -> None:
    peak = f", peak memory {megabytes} MB" if megabytes else ""
    print(f"  {what}: {seconds:.2f} s{peak}", flush=True)


if __name__ == "__main__":
    main()
