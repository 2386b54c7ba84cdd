"""A site in its production configuration on this machine, for `make bench-site`.

PostgreSQL, gunicorn as the image starts it, and nginx with docker/nginx.conf; what is measured is
generated. `python -m benchmarks.site readers|frames|scale` does one part.
"""

import argparse
import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.generated import CHECKOUT, PROTOCOL, an_empty_site

PARTS = {"readers": "site_readers", "frames": "site_frames", "scale": "site_scale"}


class Site(NamedTuple):
    """Where it is: through nginx, and its web server alone; the process of each part."""

    folder: Path
    url: str
    web: str
    processes: dict[str, int]


@contextmanager
def a_database() -> Iterator[tuple[Path, str]]:
    """Start PostgreSQL and Django on it, with all tables; yield a folder and its address."""
    with an_empty_site() as (folder, url):
        import django

        django.setup()
        yield folder, url


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    """Start the web server and nginx."""
    from tests.nginx import Nginx

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    web = f"http://127.0.0.1:{port}"
    command = ["-m", "gunicorn", "reader_study.wsgi", "--config", "python:reader_study.server"]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=CHECKOUT,
            env={**os.environ, "BIND": f"127.0.0.1:{port}"},
            stdout=log,
            stderr=log,
        )
    static = f"location /bare/ {{ alias {folder}/bare/; }}"
    nginx = Nginx(folder / "nginx", web, folder / "frames", more=static)
    try:
        until = time.monotonic() + 60
        while not _answers(web):
            if time.monotonic() > until or process.poll() is not None:
                raise SystemExit((folder / "web.log").read_text()[-2000:])
            time.sleep(0.2)
        nginx.start()
        database = int((folder / "pg" / "postmaster.pid").read_text().split()[0])
        processes = {"web server": process.pid, "nginx": nginx.pid, "PostgreSQL": database}
        yield Site(folder, nginx.url, web, processes)
    finally:
        nginx.stop()
        process.terminate()
        process.wait(30)


def _answers(web: str) -> bool:
    try:
        with urllib.request.urlopen(f"{web}/health/live", timeout=5):  # noqa: S310
            return True
    except OSError:
        return False


def a_study(folder: Path, *, readers: int, cases: int) -> Any:
    """Make a study that is open: generated CT, an account a reader, every prediction."""
    import yaml
    from django.utils import timezone

    import phantom
    from reader_study.actions.cases import site_archive
    from reader_study.actions.study import add_member, allocate_readings, create_study
    from reader_study.dicomweb.ingest import look_at
    from reader_study.models import Case, Nodule, Role, Series, User
    from tests.factories import a_prediction

    now = timezone.now()
    study = create_study(slug="bench", document=yaml.safe_load(PROTOCOL.read_text()), now=now)
    for number in range(1, readers + 1):
        user = User.objects.create_user(username=f"reader{number}")
        add_member(study=study, user=user, role=Role.READER, pseudonym=f"R{number:03}")
    for number, drawn in enumerate(phantom.demo_cases(cases), start=1):
        incoming = folder / "incoming"
        phantom.write_case(drawn, incoming)
        (found,) = look_at(incoming).series
        site_archive().store(found.study_uid, found.series_uid, found.files)
        shutil.rmtree(incoming)
        case = Case.objects.create(study=study, pseudonym=f"C{number:04}", subject=f"S{number:04}")
        series = Series.objects.create(
            case=case,
            study_uid=found.study_uid,
            series_uid=found.series_uid,
            frame_of_reference_uid=found.frame_of_reference_uid,
            slices=len(found.files),
        )
        nodule = Nodule.objects.create(series=series, number=1, label="N1", x=0, y=0, z=0)
        a_prediction(nodule)
    allocate_readings(study=study, now=now)
    study.refresh_from_db()
    study.opened_at = now
    study.save(update_fields=["opened_at"])
    return study


def session_of(user: Any) -> str:
    """Log a user in; return the cookie of their session."""
    from django.test import Client

    client = Client()
    client.force_login(user)
    return str(client.cookies["sessionid"].value)


def cpu_seconds(processes: dict[str, int]) -> dict[str, float]:
    """Return what each process and those it has started have used of a processor since."""
    parents, used = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        pid = int(stat.parent.name)
        parents[pid] = int(fields[1])
        # its own, and that of the children it has waited for
        used[pid] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def below(pid: int) -> float:
        return used.get(pid, 0) + sum(below(each) for each, of in parents.items() if of == pid)

    return {name: below(pid) for name, pid in processes.items()}


def busy_seconds() -> float:
    """Return for how long the machine's processors have worked, for whomever."""
    user, nice, system, _idle, _wait, *rest = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, *rest[:2]))) / os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """Say on what is measured, and how busy it is with other things."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load before: {load:.1f}"


def say(**what: Any) -> None:
    """Print a line of results."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Do one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    options, rest = parser.parse_known_args()
    sys.argv = [f"benchmarks.{PARTS[options.part]}", *rest]
    importlib.import_module(f"benchmarks.{PARTS[options.part]}").main()


if __name__ == "__main__":
    main()
