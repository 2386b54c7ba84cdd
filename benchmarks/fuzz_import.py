"""The import of DICOM against damaged files: `make fuzz-import INPUTS=20000 DICOM=FOLDER`.

Real files are mutated by a numbered seed and looked at, and stored where they are found
sound, thousands after one another in a process of their own. Said is what killed the process,
what took longer than the limit, and how its memory grew. Exit status 1 when there is any of it.

`--first 5000 --inputs 2500` does a part of a campaign, `--only SEED` one input again.
"""

import argparse
import multiprocessing
import random
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import phantom
from reader_study.dicomweb.errors import CannotStore, UndecodablePixels
from reader_study.dicomweb.ingest import look_at
from reader_study.dicomweb.local import LocalArchive

LIMIT_S = 20.0
AT_ONCE = 2_500  # inputs a process: a leak shows in the long run only
WARMED_UP = 250  # inputs after which all libraries are loaded and their caches are filled
GROWTH_LIMIT_BYTES = 64 << 20
# Above what the libraries themselves need: a decoder that believes a length of 4 GB dies of it.
MEMORY_BYTES = 6 << 30
INTERESTING = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0xFFFFFFFE,
    0xFFFFFFFF,
)


class Done(NamedTuple):
    """What one process did."""

    outcomes: dict[str, int]
    before: int  # resident bytes when it was warmed up ...
    after: int  # ... and at its end
    slowest_s: float
    slowest: int  # the seed that took so long


def main() -> int:
    """Fuzz, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--dicom", type=Path, help="a folder of files to begin with")
    parser.add_argument("--first", type=int, default=0, help="the seed to begin with")
    parser.add_argument("--only", type=int, help="one seed, in this process")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        samples = read_samples(options.dicom, Path(folder))
        print(f"{len(samples)} files to begin with")
        if options.only is not None:
            print(one(samples, options.only, Path(folder)))
            return 0
        last = options.first + options.inputs
        return campaign(samples, range(options.first, last), Path(folder))


def read_samples(dicom: Path | None, folder: Path) -> list[bytes]:
    """Return the files of a folder, or of a generated series where none is named."""
    if dicom is None:
        dicom = folder / "generated"
        phantom.write_case(phantom.demo_cases(1)[0], dicom)
    files = sorted(path for path in dicom.rglob("*.dcm") if path.is_file())
    if not files:
        raise SystemExit(f"there is no .dcm file in {dicom}")
    return [path.read_bytes() for path in files[:: max(1, len(files) // 40)]]


def campaign(samples: Sequence[bytes], seeds: range, folder: Path) -> int:
    """Run all inputs, a process for `AT_ONCE` of them, and print the result."""
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    began = time.monotonic()
    seed = seeds.start
    context = multiprocessing.get_context("spawn")
    while seed < seeds.stop:
        ours, theirs = context.Pipe()
        batch = range(seed, min(seed + AT_ONCE, seeds.stop))
        process = context.Process(target=work, args=(samples, batch, folder, theirs))
        process.start()
        theirs.close()
        at, done = follow(ours, batch.start)
        if done is None:
            reason = f"no answer in {LIMIT_S:g} s" if process.is_alive() else "the process died"
            process.kill()
            process.join()
            failures.append(f"input {at}: {reason} (exit status {process.exitcode})")
            seed = at + 1
            continue
        process.join()
        outcomes.update(done.outcomes)
        growth = done.after - done.before
        print(
            f"{batch.start} to {batch.stop - 1}: memory {done.before >> 20} -> "
            f"{done.after >> 20} MB, slowest {done.slowest_s:.1f} s (input {done.slowest})",
            flush=True,
        )
        if growth > GROWTH_LIMIT_BYTES:
            failures.append(f"inputs {batch.start} to {batch.stop - 1}: grew by {growth >> 20} MB")
        seed = batch.stop
    seconds = time.monotonic() - began
    print(f"{len(seeds)} inputs in {seconds:.0f} s: {dict(outcomes.most_common())}")
    for failure in failures:
        print(failure)
    print(f"{len(failures)} crashes, hangs or leaks")
    return 1 if failures else 0


def follow(connection: Connection, first: int) -> tuple[int, Done | None]:
    """Return the last input a process began, and what it did unless it died or hangs."""
    at = first
    while connection.poll(LIMIT_S + 20):  # it imports its libraries first
        try:
            said = connection.recv()
        except EOFError:
            return at, None
        if isinstance(said, Done):
            return at, said
        at = said
    return at, None


def work(samples: Sequence[bytes], batch: range, folder: Path, out: Connection) -> None:
    """Do a batch of inputs, telling of each before it is begun."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    outcomes: Counter[str] = Counter()
    before = 0
    slowest = (0.0, batch.start)
    for count, seed in enumerate(batch):
        out.send(seed)
        began = time.monotonic()
        outcomes[one(samples, seed, folder)] += 1
        slowest = max(slowest, (time.monotonic() - began, seed))
        if count == WARMED_UP:
            before = resident()
    out.send(Done(dict(outcomes), before or resident(), resident(), *slowest))


def one(samples: Sequence[bytes], seed: int, folder: Path) -> str:
    """Look at one damaged file among two sound ones, store what can be; return the outcome."""
    chance = random.Random(seed)  # noqa: S311 (to be repeated, not to be secret)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        incoming = Path(place) / "in"
        incoming.mkdir()
        (incoming / "damaged.dcm").write_bytes(mutated(chance.choice(samples), chance))
        for number in range(2):
            (incoming / f"{number}.dcm").write_bytes(chance.choice(samples))
        findings = look_at(incoming)
        archive = LocalArchive(Path(place) / "archive")
        for series in findings.series:
            if series.refusals:
                continue
            try:
                archive.store(series.study_uid, series.series_uid, series.files)
            except (CannotStore, UndecodablePixels) as refusal:
                return f"{type(refusal).__name__}"
    codes = [problem.code for problem in findings.set_aside]
    codes += [problem.code for series in findings.series for problem in series.problems]
    return codes[0] if codes else "sound"


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Damage a file: bits, lengths, numbers, pieces, its end; the header more than the pixels."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        reach = len(data) if chance.random() < 0.4 else min(len(data), 4000)
        if reach < 16:
            break
        at = chance.randrange(reach - 8)
        kind = chance.randrange(7)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.randrange(256)
        elif kind == 2:
            width = chance.choice(("<H", "<I", ">H", ">I"))
            value = chance.choice(INTERESTING) & (0xFFFF if width[1] == "H" else 0xFFFFFFFF)
            struct.pack_into(width, data, at, value)
        elif kind == 3:
            del data[at : at + chance.choice((1, 2, 7, 64, 1000))]
        elif kind == 4:
            piece = bytes(data[at : at + chance.choice((2, 8, 64, 512))])
            data[at:at] = piece * chance.choice((1, 3))
        elif kind == 5:
            other = chance.randrange(reach - 8)
            data[at : at + 8], data[other : other + 8] = data[other : other + 8], data[at : at + 8]
        else:
            del data[chance.randrange(len(data)) :]
    return bytes(data)


def resident() -> int:
    """Return this process's resident memory, bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
