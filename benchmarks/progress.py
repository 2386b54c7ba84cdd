"""How long the desk's view of progress takes: `python -m benchmarks.progress`.

A study of 200 readers and 2,000 cases, half of it read, is written into a PostgreSQL of its own;
then `progress_of` is called as the page calls it.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

from benchmarks.generated import CHECKOUT, an_empty_site, write_answers, write_study

CALLS = 7


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
        with an_empty_site() as (_, url):
            write_study(url, readers=options.readers, cases=cases, sessions=2)
            write_answers(url, share=0.5, ratings=0)
            code = "from benchmarks.progress import measure; measure()"
            subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True)


if __name__ == "__main__":
    main()
