"""Many readers at once at a site in its production configuration: `make bench-site PART=readers`.

Each has a browser's conversation with the site, through nginx: the worklist, a reading with its
headers and every image, drafts while it is filled in, events, the lock, the AI, the submission.
The pauses are those of somebody who reads fast: a minute and a half for a case, and something to
be saved every four seconds. The readers are a process of their own on the same machine.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.generated import CHECKOUT
from benchmarks.site import (
    a_database,
    a_site,
    a_study,
    busy_seconds,
    cpu_seconds,
    machine,
    session_of,
)


def main() -> int:
    """Measure, and exit with 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=150)
    options = parser.parse_args()
    print(f"{options.readers} readers, {machine()}", flush=True)
    with a_database() as (folder, _):
        study = a_study(folder, readers=options.readers, cases=options.cases)
        plan = folder / "plan.json"
        plan.write_text(json.dumps({"readers": _readers(study), "seconds": options.seconds}))
        with a_site(folder) as site:
            command = [sys.executable, "-m", "benchmarks.site_client", str(plan), site.url]
            before, began = _used(site.processes), time.monotonic()
            done = subprocess.run(command, cwd=CHECKOUT, check=False)
            after, seconds = _used(site.processes), time.monotonic() - began
            _shares({name: (after[name] - before[name]) / seconds for name in after})
            _explain(folder)
    sys.exit(done.returncode)


def _readers(study: Any) -> list[dict[str, Any]]:
    from reader_study.models import Membership, Reading
    from tests.factories import answers_of

    found = []
    for member in Membership.objects.filter(study=study).select_related("user"):
        readings = Reading.objects.filter(reader=member).order_by("position")
        answers = {each.pk: answers_of(each) for each in readings}
        found.append({"session": session_of(member.user), "answers": answers})
    return found


def _used(processes: dict[str, int]) -> dict[str, float]:
    client = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = {**cpu_seconds(processes), "the readers' one process": client.ru_utime + client.ru_stime}
    return {**used, "anything else": busy_seconds() - sum(used.values())}


def _shares(used: dict[str, float]) -> None:
    """Say how busy each part was: neither the readers nor others may be what is slow."""
    told = ", ".join(f"{name} {each:.2f}" for name, each in used.items())
    print(f"processors used, of {os.cpu_count()}: {told}", flush=True)


def _explain(folder: Path) -> None:
    """Show what nginx and the web server complained of."""
    for log in (folder / "nginx" / "error.log", folder / "web.log"):
        lines = [line for line in log.read_text(errors="replace").splitlines() if "rror" in line]
        for line in lines[:5]:
            print(f"  {log.name}: {line[:300]}")


if __name__ == "__main__":
    main()
