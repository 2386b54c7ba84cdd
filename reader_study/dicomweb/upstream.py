"""An archive somewhere else: any DICOMweb server, through dicomweb-client.

A series is fetched whole when it is first needed and kept in our folder as an imported one is, so
that afterwards a frame costs what a local one costs, and what readers and model saw does not
change when the server's copy does.
"""

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import requests
from dicomweb_client import DICOMwebClient

from reader_study.dicomweb.archive import Frame, Json, Progress
from reader_study.dicomweb.errors import (
    ArchiveError,
    ArchiveUnavailable,
    CannotStore,
    NotInArchive,
    StoredOtherwise,
    UndecodablePixels,
)
from reader_study.dicomweb.ingest import look_at
from reader_study.dicomweb.local import LocalArchive
from reader_study.dicomweb.pixels import tolerant
from reader_study.dicomweb.search import Search, tag_of
from reader_study.dicomweb.uids import is_uid

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60


class UpstreamArchive:
    """Series of a DICOMweb server, kept in `folder` once fetched. Safe to use from threads."""

    def __init__(self, url: str, headers: Mapping[str, str], folder: Path) -> None:
        self.url = url
        self.kept = LocalArchive(folder)
        self._headers = dict(headers)
        self._fetching: dict[tuple[str, str], threading.Lock] = {}
        self._guard = threading.Lock()
        self._threads = threading.local()

    def search_studies(self, search: Search = Search()) -> list[Json]:  # noqa: B008  immutable
        """Return the matching studies, as the server has them."""
        return self._search(lambda client: client.search_for_studies, search, {})

    def search_series(self, search: Search = Search()) -> list[Json]:  # noqa: B008
        """Return the matching series, as the server has them."""
        return self._search(
            lambda client: client.search_for_series, search, {"0020000D": "study_instance_uid"}
        )

    def search_instances(self, search: Search = Search()) -> list[Json]:  # noqa: B008
        """Return the matching instances, as the server has them."""
        within = {"0020000D": "study_instance_uid", "0020000E": "series_instance_uid"}
        return self._search(lambda client: client.search_for_instances, search, within)

    def series_metadata(self, study: str, series: str) -> Sequence[Json]:
        """Return the headers of a series, fetched if need be."""
        self.fetch(study, series)
        return self.kept.series_metadata(study, series)

    def frame(self, study: str, series: str, instance: str, number: int = 1) -> Frame:
        """Return one frame, fetched with its series if need be."""
        self.fetch(study, series)
        return self.kept.frame(study, series, instance, number)

    def instance(self, study: str, series: str, instance: str) -> bytes:
        """Return a whole instance, fetched with its series if need be."""
        self.fetch(study, series)
        return self.kept.instance(study, series, instance)

    def folder(self, study: str, series: str) -> Path:
        """Return where the files of a series lie, fetched if need be."""
        self.fetch(study, series)
        return self.kept.folder(study, series)

    def store(
        self, study: str, series: str, files: Sequence[Path], progress: Progress | None = None
    ) -> bool:
        """Keep a series beside those that were fetched; the server is not changed."""
        return self.kept.store(study, series, files, progress)

    def fetch(self, study: str, series: str, progress: Progress | None = None) -> None:
        """Fetch a series unless it is here."""
        if self.kept.holds(study, series):
            return
        if not (is_uid(study) and is_uid(series)):
            raise NotInArchive("that is no UID")
        with self._guard:
            lock = self._fetching.setdefault((study, series), threading.Lock())
        with lock:
            if not self.kept.holds(study, series):
                self._fetch(study, series, progress)

    def retrieve(
        self, study: str, series: str, into: Path, progress: Callable[[int], None] | None = None
    ) -> None:
        """Write the files of a series into a folder, as the server has them; nothing is kept here.

        `progress` is called with the number of files so far.
        """
        with self._speaking(f"series {series}") as client, tolerant():
            # `*`: as the server has it; everything is decoded here anyway.
            for number, dataset in enumerate(
                client.iter_series(study, series, media_types=(("application/dicom", "*"),))
            ):
                pydicom.dcmwrite(into / f"{number}.dcm", dataset)
                if progress:
                    progress(number + 1)

    def _fetch(self, study: str, series: str, progress: Progress | None) -> None:
        incoming = self.kept.root / ".incoming" / uuid.uuid4().hex
        try:
            incoming.mkdir(parents=True)
            self.retrieve(study, series, incoming)
            looked = look_at(incoming, slices=incoming / "slices")
            found = [one for one in looked.series if one.series_uid == series]
            if not found:
                raise NotInArchive(f"{self.url} has no CT images in series {series}")
            self.kept.store(study, series, found[0].files, progress)
        except (CannotStore, UndecodablePixels, OSError) as error:
            if isinstance(error, StoredOtherwise):
                return  # another process was faster, with another order of two alike
            raise ArchiveUnavailable(f"series {series} cannot be kept: {error}") from error
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _search(
        self,
        method: Callable[[DICOMwebClient], Callable[..., list[Json]]],
        search: Search,
        within: Mapping[str, str],
    ) -> list[Json]:
        filters = {tag_of(name): value for name, value in search.filters.items()}
        path = {
            argument: filters.pop(tag)
            for tag, argument in within.items()
            if is_uid(filters.get(tag))
        }
        if "series_instance_uid" in path and "study_instance_uid" not in path:
            filters["0020000E"] = path.pop("series_instance_uid")
        with self._speaking("the search") as client:
            found: list[Json] = method(client)(
                **path,
                search_filters=filters,
                limit=search.limit,
                offset=search.offset or None,
                fields=list(search.fields) or None,
            )
        for attributes in found:
            attributes.pop("00081190", None)  # Retrieve URL: ours, not the server's
        return found

    @contextmanager
    def _speaking(self, what: str) -> Iterator[Any]:
        """Lend this thread's client, and put what goes wrong into words."""
        try:
            yield self._client()
        except ArchiveError:
            raise
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in (404, 410):
                raise NotInArchive(f"{self.url} does not have {what}") from error
            raise ArchiveUnavailable(
                f"the archive {self.url} answers {status} to {what}; check ARCHIVE_TOKEN"
                if status in (401, 403)
                else f"the archive {self.url} answers {status} to {what}"
            ) from error
        except requests.RequestException as error:
            raise ArchiveUnavailable(
                f"the archive {self.url} does not answer; check ARCHIVE_URL and that it runs"
            ) from error
        except ValueError as error:
            raise ArchiveUnavailable(
                f"the archive {self.url} answers {what} with something unreadable: {error}"
            ) from error

    def _client(self) -> DICOMwebClient:
        client = getattr(self._threads, "client", None)
        if client is None:
            session = requests.Session()
            # Orthanc compresses every answer for those who would take it, at 50 ms a frame.
            session.headers["Accept-Encoding"] = "identity"
            client = DICOMwebClient(
                self.url,
                session=session,
                headers=self._headers,
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            )
            # Its retries take half a minute, while a reader waits; our callers ask again.
            client.set_http_retry_params(retry=False)
            self._threads.client = client
        return client
