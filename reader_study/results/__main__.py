"""`python -m reader_study.results ARCHIVE FOLDER`: make the results of an archive again.

It needs neither a database nor the settings of a site. The exit status is 0 when every file is
the same as in the archive, 1 when one is not, 2 when the archive cannot be used.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from reader_study.results.archive import RESULTS, TABLES, unpack
from reader_study.results.make import MANIFEST, Made, make


def main(arguments: list[str] | None = None) -> int:
    """Make the results again, and say what is not the same."""
    parser = argparse.ArgumentParser(
        prog="python -m reader_study.results",
        description="Make the results of a study's archive again, and compare them.",
    )
    parser.add_argument("archive", type=Path, help="the ZIP file of the study")
    parser.add_argument("folder", type=Path, help="where the results go")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        unpacked, work = Path(name) / "archive", Path(name) / "work"
        work.mkdir()
        try:
            unpack(asked.archive, unpacked)
            made = make(unpacked / TABLES, work, _tell)
        except ValueError as error:
            print(f"{asked.archive}: {error}", file=sys.stderr)
            return 2
        for file, content in made.files.items():
            target = asked.folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return _compare(unpacked / RESULTS, made)


def _tell(step: str, done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{step} {done}/{of}", end="", file=sys.stderr, flush=True)


def _compare(before: Path, made: Made) -> int:
    """Print which files differ from those in `before`, and why that may be."""
    if not (before / MANIFEST).exists():
        print(f"{len(made.files)} files made; the archive holds no results to compare them with")
        return 0
    there = {
        path.relative_to(before).as_posix(): path for path in before.rglob("*") if path.is_file()
    }
    differing = sorted(
        name
        for name in there.keys() | made.files.keys()
        if name not in there or there[name].read_bytes() != made.files.get(name)
    )
    if not differing:
        print(f"{len(made.files)} files made, each the same as in the archive, byte for byte")
        return 0
    for name in differing:
        print(f"not the same: {name}")
    said = json.loads((before / MANIFEST).read_text(encoding="utf-8"))
    if said["code_hash"] != made.code_hash:
        print(f"the program is another one: {made.code_hash}, in the archive {said['code_hash']}")
    now = json.loads(made.files[MANIFEST])["versions"]
    for name, number in said["versions"].items():
        if now.get(name) != number:
            print(f"{name} is {now.get(name)}, in the archive {number}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
