"""`python -m phantom FOLDER`: write the demonstration cases."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from phantom.case import Case, demo_cases, earlier_examination
from phantom.dicom import write_case, write_nodules_csv


def main() -> int:
    """Write FOLDER/<patient>/*.dcm and FOLDER/nodules.csv, with a line for every case."""
    parser = argparse.ArgumentParser(
        prog="python -m phantom", description="Draw chest CT with nodules and write it as DICOM."
    )
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--cases", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    options = parser.parse_args()
    if options.cases < 1 or options.jobs < 1:
        parser.error("--cases and --jobs must be at least 1")
    folder: Path = options.folder
    began = time.monotonic()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        cases = demo_cases(options.cases)
        cases += [prior for prior in map(earlier_examination, cases) if prior]
        for done, (case, slices) in enumerate(_write(cases, folder, options.jobs), start=1):
            print(
                f"{case.patient_id}{', earlier' * bool(case.prior_of)}: {slices} slices,"
                f" {len(case.nodules)} nodules"
                f" ({done} of {len(cases)}, {time.monotonic() - began:.0f} s)",
                flush=True,
            )
        write_nodules_csv(cases, folder / "nodules.csv")
    except OSError as error:
        print(f"Cannot write the cases to {folder}: {error.strerror or error}.", file=sys.stderr)
        return 1
    return 0


def _write(cases: list[Case], folder: Path, jobs: int) -> Iterator[tuple[Case, int]]:
    """Write the cases and yield each with its number of slices as soon as it is there."""
    if jobs == 1:
        for case in cases:
            yield case, len(write_case(case, _folder(folder, case)))
        return
    # One thread a process: the numerical libraries would otherwise compete for the same cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(write_case, case, _folder(folder, case)): case for case in cases}
        for future in as_completed(running):
            yield running[future], len(future.result())


def _folder(folder: Path, case: Case) -> Path:
    return folder / (case.patient_id + ("-prior" if case.prior_of else ""))


if __name__ == "__main__":
    sys.exit(main())
