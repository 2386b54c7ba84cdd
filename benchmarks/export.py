"""How long files of a million ratings take, and in how much memory: `make bench-export`.

Each format is written in a process of its own, so that its peak of memory is its own too.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from reader_study.statistics.formats.files import FORMATS, write_file
from reader_study.statistics.formats.readings import Readings

READERS, MODALITIES = 50, 2


def make_readings(path: Path, n: int) -> None:
    """Write a crossed file of about `n` readings with nine columns."""
    n_cases = max(2, n // (READERS * MODALITIES))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        more = ["patient", "session", "position", "ai_score"]
        writer.writerow(["reader", "case", "modality", "truth", "rating", *more])
        for modality in ("aided", "unaided")[:MODALITIES]:
            for reader in range(READERS):
                for case in range(n_cases):
                    malignant = case % 5 < 2
                    rating = (case * 7919 + reader * 104729) % 80 + 20 * malignant
                    writer.writerow(
                        [
                            f"R{reader:02}",
                            f"case-{case:05}/1",
                            modality,
                            int(malignant),
                            rating,
                            f"P{case:05}",
                            1 + case % 3,
                            case,
                            (case * 31 % 1000) / 1000,
                        ]
                    )


def measure(kind: str, path: Path, out: Path) -> None:
    """Print time, size of the file and peak of memory of one format."""
    start = perf_counter()
    write_file(Readings(path), kind, out)
    print(
        json.dumps(
            {
                "seconds": perf_counter() - start,
                "mb": out.stat().st_size / 1e6,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def main() -> None:
    """Measure every format at a tenth of the readings and at all of them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--readings", type=int, default=1_000_000)
    options.add_argument("--one", nargs=3, metavar=("FORMAT", "DATA", "OUT"))
    chosen = options.parse_args()
    if chosen.one:
        kind, data, out = chosen.one
        measure(kind, Path(data), Path(out))
        return
    sizes = (chosen.readings // 10, chosen.readings)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{n}.csv" for n in sizes]
        for path, n in zip(paths, sizes, strict=True):
            make_readings(path, n)
        print("| format | " + " | ".join(f"{n:,} readings" for n in sizes) + " |")
        print("|---" * (len(sizes) + 1) + "|")
        for kind in FORMATS:
            cells = []
            for path in paths:
                command = [sys.executable, "-m", "benchmarks.export", "--one", kind, str(path)]
                out = str(Path(folder) / "out.xlsx")
                done = subprocess.run([*command, out], check=True, capture_output=True, text=True)
                found = json.loads(done.stdout)
                cells.append(
                    f"{found['seconds']:.1f} s, {found['mb']:.1f} MB, "
                    f"memory {found['peak_mb']:.0f} MB"
                )
            print(f"| {kind} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
