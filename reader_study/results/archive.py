"""The archive of a study: one ZIP file with its tables, its results, and how to make them again."""

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from reader_study.results.locked import ArchiveUnusable

TABLES, RESULTS, SUMS, README = "tables/", "results/", "SHA256SUMS", "README.md"
# The first moment a ZIP file can tell: the archive of the same study is the same file.
MOMENT = (1980, 1, 1, 0, 0, 0)

HOW = """# Archive of a reader study

| | |
|---|---|
| `tables/` | all that was recorded, and the reference standard; `data_dictionary.csv` and
`archive_dictionary.csv` say what each column means |
| `tables/protocol.json` | the protocol, with the SHA-256 of its canonical JSON |
| `tables/records.csv` | the chain of hashes of all records; its head is in `study.json` |
| `results/` | what was computed after the lock: `results.json`, tables, figures, the report |
| `results/data/` | what the statistics were given, in the form of their command line |
| `results/exports/` | the same readings for iMRMC, RJafroc, MRMCaov, OR-DBM MRMC and R |
| `SHA256SUMS` | of every file (`sha256sum -c SHA256SUMS`) |

## To make the results again

With Reread as `results/manifest.json` names it (`code_hash` and versions), no database and no
settings:

    python -m reader_study.results ARCHIVE.zip FOLDER

It checks the checksums, makes every file of `results/` again in FOLDER, and says which are not
the same, byte for byte.

## To repeat one analysis

    python -m reader_study.statistics mrmc results/data/endpoint-NAME.csv --method or --json OUT
""".replace("and\n`archive", "and `archive")


def sha256(content: bytes) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def checksums(names: Iterable[str], folder: Path) -> str:
    """Return the SHA-256 of files as `sha256sum` prints it, in the order of their names."""
    lines = []
    for name in sorted(names):
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)


def tables_in(folder: Path) -> list[str]:
    """Return the names of the files in `folder`, folders left out."""
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def inputs_hash(folder: Path) -> str:
    """Return the one hash of all tables in `folder`: that of their checksums."""
    return sha256(checksums(tables_in(folder), folder).encode())


def pack(tables: Path, results: Iterable[tuple[str, bytes]], target: IO[bytes]) -> None:
    """Write an archive to `target`: the files in `tables`, and results by their names."""
    sums = [f"{sha256(HOW.encode())}  {README}\n"]
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(_entry(README), HOW.encode())
        for name in tables_in(tables):
            digest = hashlib.sha256()
            entry = _entry(TABLES + name)
            # Of a size that is not known beforehand.
            with (
                (tables / name).open("rb") as source,
                archive.open(entry, "w", force_zip64=True) as file,
            ):
                while part := source.read(1 << 20):
                    digest.update(part)
                    file.write(part)
            sums.append(f"{digest.hexdigest()}  {TABLES}{name}\n")
        for name, content in results:
            archive.writestr(_entry(RESULTS + name), content)
            sums.append(f"{sha256(content)}  {RESULTS}{name}\n")
        archive.writestr(_entry(SUMS), "".join(sums).encode())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, MOMENT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive, and hold every file against its checksum.

    Raises
    ------
    ArchiveUnusable
        If it is none, or a file is missing, not named, or other than it was.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
        sums = (folder / SUMS).read_text(encoding="utf-8")
    except (OSError, zipfile.BadZipFile) as error:
        raise ArchiveUnusable(f"{archive.name} is no archive of a study: {error}") from None
    named = {name: digest for digest, name in (line.split("  ", 1) for line in sums.splitlines())}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if odd := sorted((there - {SUMS}) ^ named.keys()):
        raise ArchiveUnusable(f"{odd[0]} is missing, or was put into the archive afterwards")
    for name in sorted(named):
        with (folder / name).open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != named[name]:
                raise ArchiveUnusable(f"{name} is not as it was put into the archive")
