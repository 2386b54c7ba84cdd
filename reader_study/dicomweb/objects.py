"""An archive in an object storage: Amazon's S3, or any server that speaks its language.

`<study>/<series>/index.json` says of every file of a series under which object it is:
`<study>/<series>/<SHA-256>`. The index is written last, and only where there is none: so a series
appears whole or not at all, of two imports at once one is first, and what is read is what was
written. What has been read is kept in a folder of bounded size on this machine, in the form
of a local archive.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from reader_study.dicomweb.archive import Frame, Json, Progress
from reader_study.dicomweb.errors import ArchiveUnavailable, CannotStore, NotInArchive
from reader_study.dicomweb.local import INDEX, LocalArchive, _Index
from reader_study.dicomweb.search import Search, tag_of
from reader_study.dicomweb.shelf import Shelf
from reader_study.dicomweb.uids import is_uid

AT_ONCE: Final = 8
TIMEOUT: Final = "30s"


class Stored(NamedTuple):
    """An object: its name, and how many bytes it has."""

    name: str
    size: int


class ObjectArchive(LocalArchive):
    """Series in a bucket, kept in `folder` once read. Safe to use from threads and processes."""

    def __init__(self, url: str, token: str, folder: Path, most_bytes: float) -> None:
        """Open the bucket at `url`; nothing is asked yet.

        Parameters
        ----------
        url : `s3://BUCKET/PREFIX?endpoint=https://host&region=...`; without an endpoint, Amazon's.
        token : `KEY:SECRET`; empty: what this machine is given (a role, `AWS_...` variables).
        """
        super().__init__(folder)
        self.url = url.partition("?")[0]
        self._shelf = Shelf(folder, most_bytes)
        self._store = _open(url, token)

    # Reading

    def series_metadata(self, study: str, series: str) -> Sequence[Json]:
        """Return the headers of a series, along the normal of its slices."""
        self._bring(study, series, "headers.json")
        return super().series_metadata(study, series)

    def frame(self, study: str, series: str, instance: str, number: int = 1) -> Frame:
        """Return one frame as it is stored."""
        self._bring(study, series, f"{instance}.dcm")
        return super().frame(study, series, instance, number)

    def instance(self, study: str, series: str, instance: str) -> bytes:
        """Return a whole instance as a DICOM file."""
        self._bring(study, series, f"{instance}.dcm")
        return super().instance(study, series, instance)

    def folder(self, study: str, series: str) -> Path:
        """Return where the files of a series lie on this machine, fetched if need be."""
        names = self._objects(study, series)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: self._bring(study, series, name), names))
        return super().folder(study, series)

    def holds(self, study: str, series: str) -> bool:
        """Tell whether the series is in the bucket."""
        try:
            self._index(study, series)
        except NotInArchive:
            return False
        return True

    def _index(self, study: str, series: str) -> _Index:
        self._bring_index(study, series)
        return super()._index(study, series)

    def _objects(self, study: str, series: str) -> dict[str, str]:
        """Return the SHA-256 of every file of a series, by the file's name."""
        path = self._bring_index(study, series)
        try:
            return _read_objects(path, path.stat().st_mtime_ns)
        except FileNotFoundError:  # forgotten just now
            path = self._bring_index(study, series)
            return _read_objects(path, path.stat().st_mtime_ns)

    def _bring_index(self, study: str, series: str) -> Path:
        path = self._path(study, series) / INDEX
        if path.exists():
            return path
        content = self.read(f"{study}/{series}/{INDEX}")
        return self._shelf.put(f"{study}/{series}", INDEX, content)

    def _bring(self, study: str, series: str, name: str) -> None:
        """Have a file of a series here, unless it is.

        Raises:
            NotInArchive: there is no such series, or file in it.
            ArchiveUnavailable: the storage does not answer, or with other bytes than were written.
        """
        key = f"{study}/{series}"
        self._path(study, series)  # refuses what is no UID
        if self._shelf.place(key, name).exists():
            self._shelf.use(key)
            self._bring_index(study, series)
            return
        digest = self._objects(study, series).get(name)
        if digest is None:
            raise NotInArchive(f"the series {series} has no {name[:80]}")
        content = self.read(f"{key}/{digest}")
        if hashlib.sha256(content).hexdigest() != digest:
            raise ArchiveUnavailable(f"{self.url}/{key}/{digest} is damaged: its hash is another")
        self._shelf.put(key, name, content)

    def _all(self, search: Search = Search()) -> list[tuple[str, str, _Index]]:  # noqa: B008
        wanted = {tag_of(name): value for name, value in search.filters.items()}
        found = []
        for study in self._named("", wanted.get("0020000D")):
            for series in self._named(study, wanted.get("0020000E")):
                try:
                    found.append((study, series, self._index(study, series)))
                except NotInArchive:
                    continue  # one that is being written
        return found

    def _named(self, prefix: str, wanted: str | None) -> list[str]:
        """Return the UIDs below `prefix`; only `wanted` if it is one UID."""
        if wanted is not None and is_uid(wanted):
            return [wanted]
        with self._speaking(prefix or "the search"):
            below = obstore.list_with_delimiter(self._store, prefix or None)["common_prefixes"]
        names = (path.rstrip("/").rpartition("/")[2] for path in below)
        return sorted(name for name in names if is_uid(name))

    # Writing

    def store(
        self, study: str, series: str, files: Sequence[Path], progress: Progress | None = None
    ) -> bool:
        """Store a series whole or not at all; return whether it was not here before."""
        here = self.root / ".incoming" / uuid.uuid4().hex
        staged = LocalArchive(here)
        try:
            staged.store(study, series, files, progress)
            folder = staged.folder(study, series)
            digests = {
                one.instance: one.digest for one in staged._index(study, series).stored.values()
            }
            if self.holds(study, series):
                self._refuse_unless_same(study, series, digests)
                return False
            names = sorted(path.name for path in folder.iterdir() if path.name != INDEX)

            def send(name: str) -> tuple[str, str]:
                content = (folder / name).read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                self.write(f"{study}/{series}/{digest}", content)
                return name, digest

            with ThreadPoolExecutor(AT_ONCE) as pool:
                objects = dict(pool.map(send, names))
            index = {**json.loads((folder / INDEX).read_bytes()), "objects": objects}
            name = f"{study}/{series}/{INDEX}"
            if not self.write(name, json.dumps(index, allow_nan=False).encode()):
                self._refuse_unless_same(study, series, digests)
                return False
        except ArchiveUnavailable as error:
            raise CannotStore(f"series {series} cannot be kept: {error}") from error
        finally:
            shutil.rmtree(here, ignore_errors=True)
        return True

    # Objects as they are, for backups

    def read(self, name: str) -> bytes:
        """Return an object.

        Raises:
            NotInArchive: there is none of that name.
        """
        with self._speaking(name):
            return bytes(obstore.get(self._store, name).bytes())

    def write(self, name: str, content: bytes) -> bool:
        """Write an object; return False, and change nothing, where there is one."""
        with self._speaking(name):
            try:
                obstore.put(self._store, name, content, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def everything(self) -> Iterator[Stored]:
        """Yield every object, indices after what they name."""
        with self._speaking("the list of images"):
            last = []
            for page in obstore.list(self._store):
                for one in page:
                    stored = Stored(str(one["path"]), int(one["size"]))
                    if stored.name.endswith(INDEX):
                        last.append(stored)
                    else:
                        yield stored
            yield from last

    @contextmanager
    def _speaking(self, what: str) -> Iterator[None]:
        """Put what goes wrong into words."""
        try:
            yield
        except FileNotFoundError as error:
            raise NotInArchive(f"{self.url} does not have {what}") from error
        except (BaseError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ArchiveUnavailable(
                f"the storage {self.url} does not give {what}; check ARCHIVE_URL, ARCHIVE_TOKEN "
                f"and that it runs: {reason}"
            ) from error


def _open(url: str, token: str) -> S3Store:
    parts = urlsplit(url)
    words = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = words.keys() - {"endpoint", "region"}
    if unknown or not parts.netloc:
        raise ArchiveUnavailable(
            "ARCHIVE_URL has to be s3://BUCKET/PREFIX, with ?endpoint= and &region= if need be"
        )
    config: dict[str, Any] = {"region": words.get("region", "us-east-1")}
    if endpoint := words.get("endpoint"):
        config |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
    if token:
        key, _, secret = token.partition(":")
        config |= {"access_key_id": key, "secret_access_key": secret}
    return S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        client_options={"timeout": TIMEOUT, "allow_http": True},
        retry_config={"max_retries": 2},
        **config,
    )


@lru_cache(maxsize=512)
def _read_objects(path: Path, _written_at: int) -> dict[str, str]:
    return dict(json.loads(path.read_bytes())["objects"])
