"""How long the site's export takes, and in how much memory: `make bench-export`.

A generated study is exported by `manage.py export_readings` as a process of its own; memory must
not grow with the answers.
"""

import argparse
import sys

from benchmarks.generated import RATINGS, an_empty_site, run, write_answers, write_study
from benchmarks.verify import READERS


def main() -> None:
    """Measure once a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--ratings", type=int, default=RATINGS, help="ratings an answer")
    options = parser.parse_args()
    for answers in options.answers:
        with an_empty_site() as (folder, url):
            write_study(url, readers=READERS, cases=max(1, answers // 2 // READERS))
            number = 2 * write_answers(url, ratings=options.ratings)
            target = folder / "export.zip"
            seconds, megabytes = run("export_readings", "bench", str(target))
            size = target.stat().st_size / 1e6
        sys.stdout.write(
            f"{number * options.ratings:,} ratings exported in {seconds:.1f} s, "
            f"{size:.1f} MB, peak memory {megabytes} MB\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
