"""How long `manage.py verify` takes, and what it needs of memory: `make bench-verify`.

A study of generated answers is written into a PostgreSQL of its own, through the triggers that
make the chain. Then the command runs as a process, and its time and peak memory are taken.
"""

import argparse
import sys
import time

from benchmarks.generated import RATINGS, an_empty_site, run, write_answers, write_study

READERS = 20


def main() -> None:
    """Measure once a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, nargs="+", default=[10_000])
    parser.add_argument("--ratings", type=int, default=RATINGS, help="ratings an answer")
    options = parser.parse_args()
    for answers in options.answers:
        with an_empty_site() as (_, url):
            began = time.monotonic()
            write_study(url, readers=READERS, cases=max(1, answers // 2 // READERS))
            number = 2 * write_answers(url, ratings=options.ratings)
            written = time.monotonic() - began
            seconds, megabytes = run("verify", "bench")
        sys.stdout.write(
            f"{number} answers with {options.ratings} ratings each: written in {written:.1f} s, "
            f"verified in {seconds:.1f} s, peak memory {megabytes} MB\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
