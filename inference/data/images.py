"""Where a nodule's images come from: folders of DICOM, a DICOMweb server, NIfTI files, crops."""

import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from inference.archive import AIR_HU, DicomWebArchive, Volume, unreadable, volume_from_slices
from inference.data.table import Nodule
from inference.errors import DataUnusable, PredictionImpossible

# Read of each file while a folder is indexed; pixels are left alone.
_HEADER = (
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "Manufacturer",
    "ManufacturerModelName",
    "InstitutionName",
)


class Series(NamedTuple):
    """A CT series of a folder: its files, and the header of its first."""

    uid: str
    files: tuple[Path, ...]
    header: Dataset


class DicomFolder:
    """The CT series below a folder, known by their UID; headers are read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files: dict[str, list[Path]] = {}
        headers: dict[str, Dataset] = {}
        if not folder.is_dir():
            raise DataUnusable(f"There is no folder {folder}.")
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            try:
                header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*_HEADER])
            except (InvalidDicomError, OSError):
                continue
            uid = str(header.get("SeriesInstanceUID", ""))
            if uid and header.get("Modality") == "CT":
                files.setdefault(uid, []).append(path)
                headers.setdefault(uid, header)
        self.series = {uid: Series(uid, tuple(of), headers[uid]) for uid, of in files.items()}

    def volume(self, uid: str) -> Volume:
        """Read one series.

        Raises:
            PredictionImpossible: the folder lacks it, or it is no volume; the detail says why.
        """
        return volume_from_slices(_read(self._found(uid).files))

    def fingerprint(self, uid: str) -> str:
        """Return what changes when a file of the series does, without reading its pixels."""
        state = [(str(p), (s := p.stat()).st_size, s.st_mtime_ns) for p in self._found(uid).files]
        return hashlib.sha256(repr(state).encode()).hexdigest()

    def _found(self, uid: str) -> Series:
        if uid not in self.series:
            raise PredictionImpossible(
                "series_not_found", f"The folder {self.folder} has no CT series {uid}."
            )
        return self.series[uid]


def _read(files: tuple[Path, ...]) -> Iterator[Dataset]:
    for path in files:
        yield pydicom.dcmread(path)


class Images:
    """Gives the volume of a nodule; the last one read is kept, for its other nodules.

    Series are looked for in `dicom`, then on the DICOMweb server; files lie below `tables`.
    """

    def __init__(
        self,
        tables: Path,
        dicom: Path | None = None,
        dicomweb: str | None = None,
        token: str | None = None,
    ) -> None:
        self._tables = tables
        self.folder = DicomFolder(dicom) if dicom else None
        self._server = DicomWebArchive(dicomweb, token) if dicomweb else None
        self.volume_at = functools.lru_cache(maxsize=1)(self._volume_at)

    def volume(self, nodule: Nodule) -> Volume:
        """Return the volume a nodule lies in.

        Raises:
            PredictionImpossible: it is not there or cannot be read; the detail says why.
            ArchiveUnavailable: the server does not answer.
            DataUnusable: series are asked for, and no folder or server was named.
        """
        return self.volume_at(nodule.study, nodule.series, nodule.image)

    def _volume_at(self, study: str, series: str, image: str) -> Volume:
        if not series:
            return read_nifti(self._tables / image)
        if self.folder and (series in self.folder.series or not self._server):
            return self.folder.volume(series)
        if self._server:
            return self._server.read_series(study, series)
        raise DataUnusable(
            "The table names DICOM series: say where they are (a folder, or a DICOMweb server)."
        )

    def fingerprint(self, nodule: Nodule) -> str | None:
        """Return what changes when the nodule's files do; None where only reading tells."""
        if not nodule.series:
            path = self._tables / nodule.image
            state = path.stat() if path.is_file() else None
            return f"{path} {state.st_size} {state.st_mtime_ns}" if state else None
        if self.folder and nodule.series in self.folder.series:
            return self.folder.fingerprint(nodule.series)
        return None

    def crop_file(self, nodule: Nodule) -> Path:
        """Return the file of a crop."""
        return self._tables / nodule.image


def read_nifti(path: Path) -> Volume:
    """Read a CT as NIfTI, whose world is RAS; the volume's is LPS, as everywhere here.

    Raises:
        PredictionImpossible: it is not there, or holds no volume with a place in the patient.
    """
    import nibabel  # takes a while to load, and few need it

    try:
        image: Any = nibabel.load(path)
        stored = np.asanyarray(image.dataobj)
        ras = np.asarray(image.affine, dtype=np.float64)
    except FileNotFoundError as error:
        raise PredictionImpossible("series_not_found", f"There is no file {path}.") from error
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise unreadable(f"The file {path.name} is no NIfTI volume ({error}).") from error
    codes = int(image.header["qform_code"]), int(image.header["sform_code"])
    if stored.ndim != 3 or min(stored.shape) < 2:
        raise unreadable(f"The file {path.name} is {stored.shape}, not a volume of slices.")
    if not any(codes):
        raise unreadable(f"The file {path.name} does not say where it lies in the patient.")
    hu = np.rint(np.clip(stored, AIR_HU, np.iinfo(np.int16).max)).astype(np.int16)
    return Volume(
        hu=np.ascontiguousarray(hu.transpose(2, 1, 0)),
        lps_from_index=np.diag([-1.0, -1.0, 1.0, 1.0]) @ ras,
        study_uid="",
        series_uid=path.name,
        frame_of_reference_uid="",
    )


def content_hash(volume: Volume) -> str:
    """Return the sha256 of a volume's Hounsfield units and of where they lie."""
    digest = hashlib.sha256(repr((volume.hu.shape, str(volume.hu.dtype))).encode())
    digest.update(np.ascontiguousarray(volume.hu).data)
    digest.update(np.round(volume.lps_from_index, 6).tobytes())
    return digest.hexdigest()


def token_of_environment() -> str | None:
    """Return the token for a DICOMweb server; never on a command line, where others see it."""
    return os.environ.get("SERVICE_TOKEN") or None
