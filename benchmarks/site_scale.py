"""A large study on a site: `make bench-site PART=scale`.

200 readers x 2,000 cases with two answers of ten ratings to every reading, and a tenth of it (20
readers x 2,000 cases): how long allocation, every page of the desk and of a reader, the export and
`verify` take, in how much memory, and how each grows. What is read is written as rows, through the
chain; a reader who has half of it still to read is left for the pages.
"""

import argparse
import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.generated import CHECKOUT, PROTOCOL, RATINGS, run, write_answers
from benchmarks.site import a_database, machine

SLOW_S = 1.0  # what a page may take


def main() -> None:
    """Measure all sizes, and compare the first with the last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--pages", action="store_true", help="without answers, verify and export")
    parser.add_argument("--only", type=int, help="one size, in this process")
    options = parser.parse_args()
    if options.only:
        sys.stdout.write(json.dumps(one(options.only, options.cases, options.pages)) + "\n")
        return
    print(machine(), flush=True)
    began = time.monotonic()
    found = []
    for readers in options.readers:
        command = [sys.executable, "-m", "benchmarks.site_scale", "--only", str(readers)]
        done = subprocess.run(
            [*command, "--cases", str(options.cases), *["--pages"] * options.pages],
            cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        found.append(json.loads(done.stdout.splitlines()[-1]))
    sizes = [f"{readers} x {options.cases}" for readers in options.readers]
    print(f"{'':<44}" + "".join(f"{size:>26}" for size in sizes) + "    growth")
    for name in found[-1]:
        cells = [_cell(each.get(name, {})) for each in found]
        few, much = (each.get(name, {}).get("seconds") for each in (found[0], found[-1]))
        growth = f"{much / few:8.1f} x" if few and much else ""
        print(f"{name:<44}" + "".join(f"{cell:>26}" for cell in cells) + growth)
    print(f"all of it took {time.monotonic() - began:.0f} s")
    slow = [name for name, row in found[-1].items() if row.get("page") and row["seconds"] > SLOW_S]
    print(f"pages slower than {SLOW_S:g} s: {', '.join(slow) or 'none'}")
    sys.exit(int(bool(slow)))


def _cell(row: dict[str, Any]) -> str:
    parts = []
    if "seconds" in row:
        parts.append(f"{row['seconds']:.2f} s")
    if "queries" in row:
        parts.append(f"{row['queries']} q {row['kb']:.0f} kB")
    if "mb" in row:
        parts.append(f"{row['mb']:.0f} MB")
    return " ".join(parts)


def one(readers: int, cases: int, pages: bool) -> dict[str, dict[str, Any]]:
    """Measure one size."""
    with a_database() as (folder, url):
        logging.disable(logging.WARNING)  # a line a request
        found: dict[str, dict[str, Any]] = {}

        def note(name: str, **row: Any) -> None:
            found[name] = row
            print(f"  {readers} x {cases}, {name}: {_cell(row)}", file=sys.stderr, flush=True)

        number, seconds = _allocated(readers, cases)
        note("allocation", seconds=seconds, readings=number)
        began = time.monotonic()
        write_answers(url, ratings=0 if pages else RATINGS)
        note("(writing of answers, by SQL)", seconds=time.monotonic() - began)
        note("database", mb=_database_mb())
        if not pages:
            _records(note, folder)
        _pages(note)
    return found


def _records(note: Any, folder: Path) -> None:
    for name, words in (
        ("verify", ["verify", "bench"]),
        ("export", ["export_readings", "bench", str(folder / "export.zip")]),
    ):
        seconds, megabytes = run(*words)
        note(name, seconds=seconds, mb=megabytes)
    note("file of the export", mb=(folder / "export.zip").stat().st_size / 1e6)


def _allocated(readers: int, cases: int) -> tuple[int, float]:
    """Make the study, and deal it out by the site's own action; return how many, and seconds."""
    import yaml
    from django.db import connection
    from django.utils import timezone

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
    seconds = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute("update reader_study_study set opened_at = now()")
    return count, seconds


def _pages(note: Any) -> None:
    """Ask for every page of the desk and of a reader, twice: the first call loads templates."""
    from django.urls import get_resolver, reverse

    from reader_study.actions.study import add_member
    from reader_study.management.blinding_addresses import addresses
    from reader_study.models import Membership, Reading, Role, Study, User

    study = Study.objects.get(slug="bench")
    desk = User.objects.create(username="coordinator")
    add_member(study=study, user=desk, role=Role.COORDINATOR, pseudonym="Coordinator")
    reader = Membership.objects.filter(study=study, role=Role.READER)[0]
    reading = _half_read(reader)
    for address in addresses(get_resolver().url_patterns):
        name = address.name
        if address.parts == {"slug"} and name.startswith("study") and name not in FILES:
            _page(note, desk, name, reverse(name, args=["bench"]))
    _page(note, reader.user, "worklist", reverse("worklist"))
    _page(note, reader.user, "session-cases", reverse("session-cases", args=["bench", 1]))
    _page(note, reader.user, "reading", reverse("reading", args=[reading.pk]))
    _page(note, reader.user, "api-open", reverse("api-open", args=[reading.pk]), method="post")
    assert Reading.objects.get(pk=reading.pk).stage == "unaided"


# Made of all readings in pieces, or of what only a locked study has.
FILES = {"study-export", "study-archive", "study-accesses-csv", "study-results"}


def _half_read(reader: Any) -> Any:
    """Have one reader's second half still to be read; return the next reading."""
    from django.db import connection

    from reader_study.models import Reading

    mine = Reading.objects.filter(reader=reader)
    later = mine.filter(position__gt=mine.count() // 2)
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        later.update(stage="assigned", version=None, opened_at=None, submitted_at=None)
        cursor.execute("set session_replication_role = origin")
    return later.order_by("position")[0]


def _page(note: Any, user: Any, name: str, path: str, method: str = "get") -> None:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client: Any = Client(HTTP_HOST="localhost", raise_request_exception=True)
    client.force_login(user)
    ask = getattr(client, method)
    if ask(path).status_code != 200:
        return  # a page of other times of a study, or one that only takes forms
    began = time.perf_counter()
    with CaptureQueriesContext(connection) as queries:
        answer = ask(path)
    seconds, size = time.perf_counter() - began, len(answer.content) / 1e3
    note(f"page {name}", seconds=seconds, queries=len(queries), kb=size, page=True)


def _database_mb() -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select pg_database_size(current_database())")
        (size,) = cursor.fetchone() or (0,)
    return float(size) / 1e6


if __name__ == "__main__":
    main()
