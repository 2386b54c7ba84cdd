"""How many transactions a second one study's chain takes: `python -m benchmarks.saves`.

What is timed is a batch of events, as the browser sends them, by 1, 4 and 16 readers at once,
with the chain and without it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

import broker
from benchmarks.verify import CHECKOUT, fill
from launcher.postgres import EmbeddedPostgres, binaries

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
    with tempfile.TemporaryDirectory(prefix="reread-bench-") as name:
        folder = Path(name)
        (folder / "save.sql").write_text(SAVE.format(options.events))
        with EmbeddedPostgres(folder / "pg", folder / "run") as server:
            url = server.url("reread")
            secrets = {"SECRET_KEY": "bench", "SERVICE_TOKEN": "bench", "DATABASE_URL": url}
            subprocess.run(
                [sys.executable, str(CHECKOUT / "manage.py"), "migrate", "--verbosity", "0"],
                env={**os.environ, **secrets},
                check=True,
            )
            fill(url, 2000, 3)
            for state in ("enable", "disable"):
                with psycopg.connect(broker.libpq_dsn(url)) as connection:
                    connection.execute(f"alter table reader_study_event {state} trigger recorded")
                for readers in (1, 4, 16):
                    told = subprocess.run(
                        [
                            *(str(binaries() / "pgbench"), "-n", "-c", str(readers), "-j", "2"),
                            *("-T", str(options.seconds), "-f", str(folder / "save.sql")),
                            *("-h", str(server.socket_dir), "-U", "owner", "reread"),
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
