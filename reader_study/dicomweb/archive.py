"""Where images are fetched from: one interface, our own folder or a DICOMweb server behind it."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from reader_study.dicomweb.pixels import PixelFormat, decode_frame
from reader_study.dicomweb.search import Search

Json = dict[str, Any]
Progress = Callable[[int, int], None]  # (done, in all)


class Frame(NamedTuple):
    """One image as it is stored, and how to read it."""

    data: bytes
    transfer_syntax: str
    pixels: PixelFormat

    def decoded(self) -> bytes:
        """Return little-endian numbers, row by row.

        Raises:
            UndecodablePixels: the stored bytes are damaged.
        """
        return decode_frame(self.data, self.transfer_syntax, self.pixels)


class Archive(Protocol):
    """CT series by their UIDs.

    Every method raises `ArchiveUnavailable` when the archive does not answer, and
    `NotInArchive` for what it does not hold; UIDs that are no UIDs are not held.
    """

    def __hash__(self) -> int:
        """Return the identity: an archive is the key of what is kept of it."""

    def search_studies(self, search: Search = ...) -> list[Json]:
        """Return the matching studies as DICOM JSON."""

    def search_series(self, search: Search = ...) -> list[Json]:
        """Return the matching series of all studies, or of the one named in the filters."""

    def search_instances(self, search: Search = ...) -> list[Json]:
        """Return the matching instances."""

    def series_metadata(self, study: str, series: str) -> Sequence[Json]:
        """Return the headers of a series as DICOM JSON, along the normal of its slices."""

    def frame(self, study: str, series: str, instance: str, number: int = 1) -> Frame:
        """Return one frame, counted from 1, as it is stored."""

    def instance(self, study: str, series: str, instance: str) -> bytes:
        """Return a whole instance as a DICOM file."""

    def folder(self, study: str, series: str) -> Path:
        """Return where the files of a series lie on this machine, fetched if need be."""

    def store(
        self, study: str, series: str, files: Sequence[Path], progress: Progress | None = None
    ) -> bool:
        """Keep the files of a series, in their order; False when it was here before."""


@cache
def open_archive(
    *, url: str, token: str, folder: Path, most_bytes: float = float("inf")
) -> Archive:
    """Open the archive that the settings name: ours in `folder`, or the server at `url`.

    An `s3://` one is an object storage, of which `folder` keeps up to `most_bytes`.

    The same archive is opened once a process: it keeps connections.
    """
    # Here, so that each kind of archive may import this interface.
    from reader_study.dicomweb.local import LocalArchive

    if not url:
        return LocalArchive(folder)
    if url.startswith("s3://"):
        from reader_study.dicomweb.objects import ObjectArchive

        return ObjectArchive(url, token, folder, most_bytes)
    from reader_study.dicomweb.upstream import UpstreamArchive

    # A token of two words is a scheme and its credentials, as in `Basic dXNlcjpwYXNz`.
    headers = {"Authorization": token if " " in token else f"Bearer {token}"} if token else {}
    return UpstreamArchive(url, headers, folder)
