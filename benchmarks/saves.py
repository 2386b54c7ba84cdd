"""How many transactions a second one study's chain takes: `python -m benchmarks.saves`.

What is timed is a batch of events, as the browser sends them, by 1, 4 and 16 readers at once,
with the chain and without it.
"""

import argparse
import subprocess
import sys

import psycopg

import broker
from benchmarks.generated import an_empty_site, write_answers, write_study
from benchmarks.verify import READERS
from launcher.postgres import binaries

SAVE = r"""
\set reading random(1, 900)
begin;
select id from reader_study_reading where id = :reading for update;
insert into reader_study_event (reading_id, key, kind, stage, data, received_at)
select :reading, gen_random_uuid(), 'slice', 'unaided', '{{}}', now() from generate_series(1, {});
commit;
"""


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20, help="events a batch")
    parser.add_argument("--seconds", type=int, default=6)
    options = parser.parse_args()
    with an_empty_site() as (folder, url):
        (folder / "save.sql").write_text(SAVE.format(options.events))
        write_study(url, readers=READERS, cases=50)
        write_answers(url, ratings=3)
        for state in ("enable", "disable"):
            with psycopg.connect(broker.libpq_dsn(url)) as connection:
                connection.execute(f"alter table reader_study_event {state} trigger recorded")
            for readers in (1, 4, 16):
                told = subprocess.run(
                    [
                        *(str(binaries() / "pgbench"), "-n", "-c", str(readers), "-j", "2"),
                        *("-T", str(options.seconds), "-f", str(folder / "save.sql")),
                        *("-h", str(folder / "run"), "-U", "owner", "reread"),
                    ],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                figures = [line for line in told.splitlines() if "tps" in line or "lat" in line]
                chain = "with" if state == "enable" else "without"
                sys.stdout.write(f"{chain} the chain, {readers} at once: {figures}\n")


if __name__ == "__main__":
    main()
