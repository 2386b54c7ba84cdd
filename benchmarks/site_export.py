"""How long the site's export takes, and in how much memory: `make bench-export`.

The generated study of `benchmarks.verify` is exported by `manage.py export_readings` as a
process of its own; memory must not grow with the answers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import yaml

import broker
from benchmarks.verify import CHECKOUT, fill
from launcher.postgres import EmbeddedPostgres
from reader_study.domain.protocol import parse_protocol

PROTOCOL = CHECKOUT / "reader_study" / "protocols" / "demonstration.yaml"


def give_protocol(url: str) -> None:
    """Put the demonstration's protocol in place of the empty one: the export reads it."""
    protocol = parse_protocol(yaml.safe_load(PROTOCOL.read_text(encoding="utf-8")))
    text = json.dumps(protocol.model_dump(mode="json"))
    with psycopg.connect(broker.libpq_dsn(url)) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update reader_study_study set protocol = %s", [text])
        connection.execute("update reader_study_protocolversion set protocol = %s", [text])


def measure(environment: dict[str, str], target: Path) -> tuple[float, int]:
    """Export; return seconds and peak memory in MB."""
    began = time.monotonic()
    command = [sys.executable, str(CHECKOUT / "manage.py"), "export_readings", "bench", str(target)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the export failed")
    return time.monotonic() - began, usage.ru_maxrss // 1024


def main() -> None:
    """Measure once a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--ratings", type=int, default=10, help="ratings an answer")
    options = parser.parse_args()
    for answers in options.answers:
        with tempfile.TemporaryDirectory(prefix="reread-bench-") as name:
            folder = Path(name)
            with EmbeddedPostgres(folder / "pg", folder / "run") as server:
                url = server.url("reread")
                secrets = {"SECRET_KEY": "bench", "SERVICE_TOKEN": "bench", "DATABASE_URL": url}
                environment = {**os.environ, **secrets}
                migrate = [sys.executable, str(CHECKOUT / "manage.py"), "migrate"]
                subprocess.run([*migrate, "--verbosity", "0"], env=environment, check=True)
                fill(url, answers, options.ratings)
                give_protocol(url)
                target = folder / "export.zip"
                seconds, megabytes = measure(environment, target)
                size = target.stat().st_size / 1e6
        sys.stdout.write(
            f"{answers * options.ratings:,} ratings exported in {seconds:.1f} s, "
            f"{size:.1f} MB, peak memory {megabytes} MB\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
