"""An archive in a folder: `<study>/<series>/`, a DICOM file per slice and an index beside them.

A series is written beside the archive and moved in as a whole, and never changes afterwards. A
frame is served by opening its file and reading from a known place: no DICOM is parsed then.
"""

import errno
import hashlib
import io
import json
import os
import shutil
import time
import uuid
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from reader_study.dicomweb.archive import Frame, Json, Progress
from reader_study.dicomweb.errors import (
    ArchiveUnavailable,
    CannotStore,
    NotInArchive,
    StoredOtherwise,
)
from reader_study.dicomweb.metadata import header_as_json, value_of
from reader_study.dicomweb.pixels import (
    JPEG_LS,
    LOSSY_SYNTAXES,
    PixelFormat,
    decode_dataset,
    encode,
    format_kept,
    tolerant,
)
from reader_study.dicomweb.search import (
    INSTANCE_LEVEL,
    SERIES_LEVEL,
    STUDY_LEVEL,
    Search,
    pick,
    select,
    tag_of,
)
from reader_study.dicomweb.uids import is_uid

_INCOMING: Final = ".incoming"
INDEX: Final = "index.json"
_HEADERS: Final = "headers.json"
_FORGOTTEN_AFTER_S: Final = 24 * 3600.0
_FORMAT: Final = 1


class _Stored(NamedTuple):
    """Where one slice lies."""

    instance: str
    offset: int
    length: int
    pixels: PixelFormat
    digest: str  # of the pixels and their place


class _Index(NamedTuple):
    """What is known of a series without its headers."""

    study: Json
    series: Json
    instances: list[Json]
    stored: dict[str, _Stored]


class LocalArchive:
    """Series in a folder of this machine. Safe to use from several threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # Reading

    def search_studies(self, search: Search = Search()) -> list[Json]:  # noqa: B008  immutable
        """Return the matching studies."""
        studies: dict[str, list[_Index]] = {}
        for study, _, index in self._all():
            studies.setdefault(study, []).append(index)
        return select(map(_study_attributes, studies.values()), search)

    def search_series(self, search: Search = Search()) -> list[Json]:  # noqa: B008
        """Return the matching series."""
        return select(
            ({**index.study, **index.series} for _, _, index in self._all(search)), search
        )

    def search_instances(self, search: Search = Search()) -> list[Json]:  # noqa: B008
        """Return the matching instances."""
        return select(
            (
                {**index.study, **index.series, **instance}
                for _, _, index in self._all(search)
                for instance in index.instances
            ),
            search,
        )

    def series_metadata(self, study: str, series: str) -> Sequence[Json]:
        """Return the headers of a series, along the normal of its slices."""
        path = self._path(study, series) / _HEADERS
        return _read_headers(path, _written_at(path, series))

    def frame(self, study: str, series: str, instance: str, number: int = 1) -> Frame:
        """Return one frame as it is stored."""
        stored = self._index(study, series).stored.get(instance)
        if stored is None or number != 1:
            raise NotInArchive(f"the series {series} has no frame {number} of {instance[:64]}")
        path = self._path(study, series) / f"{instance}.dcm"
        try:
            with path.open("rb") as file:
                file.seek(stored.offset)
                data = file.read(stored.length)
        except OSError as error:
            raise ArchiveUnavailable(f"cannot read {path}: {error.strerror}") from error
        if len(data) != stored.length:
            raise ArchiveUnavailable(f"{path} is shorter than when it was written; import it again")
        return Frame(data, JPEG_LS, stored.pixels)

    def instance(self, study: str, series: str, instance: str) -> bytes:
        """Return a whole instance as a DICOM file."""
        if instance not in self._index(study, series).stored:
            raise NotInArchive(f"the series {series} has no instance {instance[:64]}")
        path = self._path(study, series) / f"{instance}.dcm"
        try:
            return path.read_bytes()
        except OSError as error:
            raise ArchiveUnavailable(f"cannot read {path}: {error.strerror}") from error

    def folder(self, study: str, series: str) -> Path:
        """Return where the files of a series lie."""
        self._index(study, series)
        return self._path(study, series)

    def holds(self, study: str, series: str) -> bool:
        """Tell whether the series is here."""
        return is_uid(study) and is_uid(series) and self._path(study, series).is_dir()

    def _path(self, study: str, series: str) -> Path:
        if not (is_uid(study) and is_uid(series)):
            raise NotInArchive("that is no UID")
        return self.root / study / series

    def _index(self, study: str, series: str) -> _Index:
        path = self._path(study, series) / INDEX
        return _read_index(path, _written_at(path, series))

    def _all(self, search: Search = Search()) -> list[tuple[str, str, _Index]]:  # noqa: B008
        """Return every series, or those that the filters name, in the order of their UIDs."""
        wanted = {tag_of(name): value for name, value in search.filters.items()}
        studies = _named(self.root, wanted.get("0020000D"))
        found = []
        for study in studies:
            for series in _named(self.root / study, wanted.get("0020000E")):
                try:
                    found.append((study, series, self._index(study, series)))
                except NotInArchive:
                    continue  # removed meanwhile
        return found

    # Writing

    def store(
        self, study: str, series: str, files: Sequence[Path], progress: Progress | None = None
    ) -> bool:
        """Store a series whole or not at all; return whether it was not here before.

        Parameters
        ----------
        files : DICOM files of the series, along the normal of its slices.
        progress : called with (slices done, slices in all).

        Raises:
            UndecodablePixels: the pixels of a file cannot be read.
            StoredOtherwise: the series is here with other slices or pixels.
            CannotStore: the disk is full or refuses; nothing was kept.
        """
        target = self._path(study, series)
        incoming = self.root / _INCOMING / uuid.uuid4().hex
        try:
            if target.is_dir():
                return self._hold_against(study, series, files, progress)
            self._remove_what_was_forgotten()
            incoming.mkdir(parents=True)
            self._write(study, series, files, incoming, progress)
            return self._move_in(incoming, target, study, series)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                free = "make room there and import again"
                raise CannotStore(f"the disk of {self.root} is full: {free}") from error
            raise CannotStore(f"cannot write to {self.root}: {error.strerror or error}") from error
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _hold_against(
        self, study: str, series: str, files: Sequence[Path], progress: Progress | None
    ) -> bool:
        """Return False when the files are what is stored."""
        digests = {}
        for done, file in enumerate(files):
            with tolerant():
                dataset = pydicom.dcmread(file)
            pixels = decode_dataset(dataset)
            kept = format_kept(pixels, int(dataset.BitsStored))
            digests[str(dataset.SOPInstanceUID)] = _digest(header_as_json(dataset), pixels, kept)
            if progress:
                progress(done + 1, len(files))
        self._refuse_unless_same(study, series, digests)
        return False

    def _refuse_unless_same(self, study: str, series: str, digests: dict[str, str]) -> None:
        stored = {one.instance: one.digest for one in self._index(study, series).stored.values()}
        if stored != digests:
            raise StoredOtherwise(
                f"series {series} is already in the archive with other slices or pixels, "
                "and a stored series never changes; give the new one a UID of its own"
            )

    def _write(
        self,
        study: str,
        series: str,
        files: Sequence[Path],
        folder: Path,
        progress: Progress | None,
    ) -> None:
        headers, rows = [], []
        for done, file in enumerate(files):
            with tolerant():
                dataset = pydicom.dcmread(file)
            whose = (dataset.get("StudyInstanceUID"), dataset.get("SeriesInstanceUID"))
            instance = str(dataset.get("SOPInstanceUID"))
            if whose != (study, series) or not is_uid(instance):
                raise CannotStore(f"{file} does not belong to series {series}")
            written = _as_stored(dataset, file)
            _write_durably(folder / f"{instance}.dcm", written.content)
            headers.append(written.header)
            rows.append([instance, written.offset, written.length, written.pixels, written.digest])
            if progress:
                progress(done + 1, len(files))
        if len({row[0] for row in rows}) != len(rows) or not rows:
            raise CannotStore(f"series {series} has no slices, or two with one UID")
        first = headers[0]
        index = {
            "format": _FORMAT,
            "study": pick(first, STUDY_LEVEL),
            "series": {
                **pick(first, SERIES_LEVEL),
                tag_of("NumberOfSeriesRelatedInstances"): {"vr": "IS", "Value": [len(rows)]},
            },
            "instances": [pick(header, INSTANCE_LEVEL) for header in headers],
            "stored": rows,
        }
        _write_durably(folder / _HEADERS, json.dumps(headers, allow_nan=False).encode())
        _write_durably(folder / INDEX, json.dumps(index, allow_nan=False).encode())
        _sync_folder(folder)

    def _move_in(self, incoming: Path, target: Path, study: str, series: str) -> bool:
        target.parent.mkdir(exist_ok=True)
        try:
            # A folder with something in it is not replaced: of two imports at once, one is first.
            incoming.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            ours = {row[0]: row[4] for row in json.loads((incoming / INDEX).read_bytes())["stored"]}
            self._refuse_unless_same(study, series, ours)
            return False
        _sync_folder(target.parent)
        _sync_folder(self.root)
        return True

    def _remove_what_was_forgotten(self) -> None:
        """Remove what an import that was killed left behind."""
        before = time.time() - _FORGOTTEN_AFTER_S
        folder = self.root / _INCOMING
        for left in folder.iterdir() if folder.is_dir() else ():
            if left.stat().st_mtime < before:
                shutil.rmtree(left, ignore_errors=True)


class _Written(NamedTuple):
    content: bytes
    header: Json
    offset: int
    length: int
    pixels: PixelFormat
    digest: str


def _as_stored(dataset: Dataset, file: Path) -> _Written:
    """Return a slice as the archive keeps it: its own header, the pixels as JPEG-LS."""
    source_syntax = str(dataset.file_meta.TransferSyntaxUID)
    pixels = decode_dataset(dataset)
    frame, kept = encode(pixels, int(dataset.BitsStored))
    try:
        with tolerant():
            for tag in [element.tag for element in dataset[0x7FE00000:]]:
                del dataset[tag]  # the pixels, and what may trail behind them
            dataset.BitsStored = kept.bits_stored
            dataset.HighBit = kept.bits_stored - 1
            if source_syntax in LOSSY_SYNTAXES:
                dataset.LossyImageCompression = "01"
            dataset.add_new(0x7FE00010, "OB", encapsulate([frame]))
            dataset["PixelData"].is_undefined_length = True
            dataset.file_meta.TransferSyntaxUID = UID(JPEG_LS)
            dataset.AvailableTransferSyntaxUID = JPEG_LS
            header = header_as_json(dataset)
            del dataset.AvailableTransferSyntaxUID  # said by the archive, not by the file
            buffer = io.BytesIO()
            pydicom.dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise CannotStore(f"{file} cannot be written again: {reason}") from error
    content = buffer.getvalue()
    # The frame is the last thing in the file but for the sequence delimiter.
    offset = len(content) - 8 - len(frame)
    if content[offset : offset + len(frame)] != frame:
        raise CannotStore(f"{file} cannot be written again: its pixels are not where they belong")
    digest = _digest(header, pixels, kept)
    return _Written(content, header, offset, len(frame), kept, digest)


def _digest(header: Json, pixels: NDArray[np.generic], kept: PixelFormat) -> str:
    """Return what must be equal for two slices to be the same: pixels, units and place."""
    said = [
        header.get(tag_of(name), {}).get("Value")
        for name in (
            "SOPInstanceUID",
            "RescaleSlope",
            "RescaleIntercept",
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "PixelSpacing",
        )
    ]
    digest = hashlib.sha256(json.dumps([said, kept]).encode())
    digest.update(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named(folder: Path, wanted: str | None) -> list[str]:
    """Return the UIDs that are folders in `folder`; only `wanted` if it is one UID."""
    if wanted is not None and is_uid(wanted):
        return [wanted] if (folder / wanted).is_dir() else []
    try:
        return sorted(entry.name for entry in os.scandir(folder) if is_uid(entry.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArchiveUnavailable(f"cannot read {folder}: {error.strerror}") from error


def _written_at(path: Path, series: str) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        raise NotInArchive(f"the archive has no series {series}") from None
    except OSError as error:
        raise ArchiveUnavailable(f"cannot read {path}: {error.strerror}") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ArchiveUnavailable(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ArchiveUnavailable(
            f"{path} is damaged; remove its folder and import again"
        ) from error


@lru_cache(maxsize=512)
def _read_index(path: Path, _written_at: int) -> _Index:
    found = _read_json(path)
    stored = {
        row[0]: _Stored(row[0], row[1], row[2], PixelFormat(*row[3]), row[4])
        for row in found["stored"]
    }
    return _Index(found["study"], found["series"], found["instances"], stored)


@lru_cache(maxsize=8)
def _read_headers(path: Path, _written_at: int) -> Sequence[Json]:
    return tuple(_read_json(path))


def _study_attributes(series: Sequence[_Index]) -> Json:
    modalities = sorted({str(value_of(index.series, "00080060")) for index in series})
    instances = sum(len(index.stored) for index in series)
    return {
        **series[0].study,
        tag_of("ModalitiesInStudy"): {"vr": "CS", "Value": modalities},
        tag_of("NumberOfStudyRelatedSeries"): {"vr": "IS", "Value": [len(series)]},
        tag_of("NumberOfStudyRelatedInstances"): {"vr": "IS", "Value": [instances]},
    }
