"""Many readers at once at a site in its production configuration: `make bench-site PART=readers`.

Each has a browser's conversation with the site, through nginx: the worklist, a reading with its
headers and every image, drafts while it is filled in, events, the lock, the AI, the submission.
The pauses are those of somebody who reads. The readers are a process of their own on the same
machine.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.site import CHECKOUT, a_database, a_site, a_study, machine, session_of


def main() -> int:
    """Measure, and exit with 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=120)
    options = parser.parse_args()
    print(f"{options.readers} readers, {machine()}", flush=True)
    with a_database() as folder:
        study = a_study(folder, readers=options.readers, cases=options.cases)
        plan = folder / "plan.json"
        plan.write_text(json.dumps({"readers": _readers(study), "seconds": options.seconds}))
        with a_site(folder) as site:
            command = [sys.executable, "-m", "benchmarks.site_client", str(plan), site.url]
            done = subprocess.run(command, cwd=CHECKOUT, check=False)
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


def _explain(folder: Path) -> None:
    """Show what nginx and the web server complained of."""
    for log in (folder / "nginx" / "error.log", folder / "web.log"):
        lines = [line for line in log.read_text(errors="replace").splitlines() if "rror" in line]
        for line in lines[:5]:
            print(f"  {log.name}: {line[:300]}")


if __name__ == "__main__":
    main()
