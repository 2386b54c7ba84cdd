"""A CT series, from DICOMweb or from a folder, as a volume with its place in the patient."""

import functools
import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import requests
from dicomweb_client import DICOMwebClient
from numpy.typing import ArrayLike, NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEGLSTransferSyntaxes
from requests.adapters import HTTPAdapter

from inference.errors import ArchiveUnavailable, PredictionImpossible

AIR_HU = -1000
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60
# Positions are written with a few decimals; a missing slice is off by a whole spacing.
SPACING_TOLERANCE = 0.05
SPACING_TOLERANCE_MM = 0.05


@dataclass(frozen=True)
class Volume:
    """A CT series in Hounsfield units.

    Attributes
    ----------
    hu : int16, shape (slices, rows, columns)
        Nothing is below air: what scanners write outside the field of view is no tissue.
    lps_from_index : float64, shape (4, 4)
        Homogeneous; takes (column, row, slice, 1) to LPS millimetres. Its third column is
        the step between slices, so a tilted gantry is a shear and needs no special case.
    decode : takes the numbers of slices, from and up to
        Writes these into `hu`, if they are not there yet; None where all are. Who looks at a
        part of a series alone asks `part` for it, and the other slices are never decoded.
    """

    hu: NDArray[np.int16]
    lps_from_index: NDArray[np.float64]
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    decode: Callable[[int, int], None] | None = None

    def part(self, low: ArrayLike, high: ArrayLike) -> NDArray[np.int16]:
        """Return the voxels from `low` up to and with `high`, each (slice, row, column).

        Raises:
            PredictionImpossible: `series_unreadable`; a slice cannot be decoded.
        """
        first, last = np.asarray(low, dtype=int), np.asarray(high, dtype=int) + 1
        if self.decode is not None:
            self.decode(int(first[0]), int(last[0]))
        return self.hu[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]

    def index_of(self, point_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fractional (column, row, slice) of a point in LPS millimetres."""
        index: NDArray[np.float64] = np.linalg.solve(self.lps_from_index, [*point_mm, 1.0])[:3]
        return index

    def holds(self, point_mm: NDArray[np.float64]) -> bool:
        """Say whether the point lies within half a voxel of a voxel's centre."""
        index = self.index_of(point_mm)
        return bool(np.all(index >= -0.5) and np.all(index <= np.array(self.hu.shape[::-1]) - 0.5))


def unreadable(detail: str) -> PredictionImpossible:
    return PredictionImpossible("series_unreadable", detail)


def read_folder(folder: Path, series_uid: str | None = None) -> Volume:
    """Read the one CT series in `folder`, or the one with `series_uid`.

    Files that are not DICOM are passed over.

    Raises:
        PredictionImpossible: there is no such series, or it cannot be read.
    """
    return volume_from_slices(_of_folder(folder, series_uid))


def _of_folder(folder: Path, series_uid: str | None) -> Iterator[Dataset]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                dataset = pydicom.dcmread(path)
            except InvalidDicomError:
                continue
            if series_uid is None or dataset.get("SeriesInstanceUID") == series_uid:
                yield dataset


class DicomWebArchive:
    """Reads series from a DICOMweb server; keeps the last one decoded.

    The nodules of a case are predicted one after the other, so that one series kept is
    one fetch a case.
    """

    def __init__(self, url: str, token: str | None, *, whole: bool = True) -> None:
        """Know a server; unless `whole`, slices are decoded where somebody looks at them."""
        session = requests.Session()
        session.mount("http://", _PatientAdapter())
        session.mount("https://", _PatientAdapter())
        # Pixels hardly compress by gzip, and Orthanc takes 20 times longer when offered it.
        session.headers["Accept-Encoding"] = "identity"
        if token:
            session.headers["Authorization"] = f"Bearer {token}"
        self._client = DICOMwebClient(url, session=session)
        self._client.set_http_retry_params(retry=False)  # Celery repeats, with longer waits
        self._url = url
        self._whole = whole
        self.read_series = functools.lru_cache(maxsize=1)(self._read_series)

    def _read_series(self, study_uid: str, series_uid: str) -> Volume:
        """Fetch and decode a series.

        Raises:
            ArchiveUnavailable: no answer, or an answer that says to try later.
            PredictionImpossible: the archive lacks the series, refuses it, or what it
                sends cannot be read.
        """
        try:
            return volume_from_slices(
                self._client.iter_series(
                    study_uid, series_uid, media_types=(("application/dicom", "*"),)
                ),
                whole=self._whole,
            )
        except requests.HTTPError as error:
            raise self._refusal(error, series_uid) from error
        except requests.RequestException as error:
            raise ArchiveUnavailable(
                f"The image archive at {self._url} does not answer."
            ) from error
        except (InvalidDicomError, ValueError, EOFError) as error:
            raise unreadable(
                f"What the image archive sent for series {series_uid} is not DICOM."
            ) from error

    def _refusal(self, error: requests.HTTPError, series_uid: str) -> Exception:
        status = 500
        if error.response is not None:
            status = error.response.status_code
            error.response.close()
        if status in {401, 403}:
            return PredictionImpossible(
                "archive_refused",
                f"The image archive at {self._url} refused the worker (HTTP {status}): set "
                "SERVICE_TOKEN to the token the site knows.",
            )
        if status == 404:
            return PredictionImpossible(
                "series_not_found", f"The image archive has no series {series_uid}."
            )
        if status in {408, 425, 429} or status >= 500:
            return ArchiveUnavailable(f"The image archive at {self._url} answered {status}.")
        return unreadable(f"The image archive answered {status} for series {series_uid}.")


class _PatientAdapter(HTTPAdapter):
    """Gives every request a time limit; without one, requests waits for ever."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        return super().send(request, *args, **kwargs)


def volume_from_slices(slices: Iterable[Dataset], *, whole: bool = True) -> Volume:
    """Order, decode and stack the instances of one CT series.

    Each is decoded as it arrives and only its pixels are kept, so that a series needs hardly
    more memory than its volume. Unless `whole`, they are kept as they came, and decoded into the
    volume where somebody looks at it: memory that is never written to costs nothing. Positions
    come from ImagePositionPatient alone: SliceThickness says how thick a slice is, not how far
    the next one.

    Raises:
        PredictionImpossible: `series_unreadable`; the detail says why.
    """
    instances: list[Dataset] = []
    decoded: list[NDArray[np.int16] | None] = []
    encoded: list[Dataset | None] = []
    for one in slices:
        _check_ct(one)
        if whole:
            decoded.append(_given_back_when_freed(_hounsfield(one)))
            instances.append(_without_pixels(one))
        else:
            encoded.append(one)
            instances.append(one)
    _check_one_series(instances)
    first = instances[0]
    row, column = np.array(first.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    normal = np.cross(row, column)
    order = np.argsort([normal @ np.array(one.ImagePositionPatient) for one in instances])
    positions = np.array([instances[place].ImagePositionPatient for place in order], np.float64)
    step = _even_step(positions, normal)

    row_spacing, column_spacing = (float(value) for value in first.PixelSpacing)
    lps_from_index = np.eye(4)
    lps_from_index[:3, 0] = row * column_spacing
    lps_from_index[:3, 1] = column * row_spacing
    lps_from_index[:3, 2] = step
    lps_from_index[:3, 3] = positions[0]

    hu = np.empty((len(instances), int(first.Rows), int(first.Columns)), dtype=np.int16)
    if whole:
        for target, place in zip(hu, order, strict=True):
            target[:] = decoded[place]
            decoded[place] = None  # so that at no time both lie in memory as a whole

    def decode(low: int, high: int) -> None:
        for number in range(low, high):
            one = encoded[order[number]]
            if one is not None:
                hu[number] = _hounsfield(one)
                encoded[order[number]] = None

    return Volume(
        hu=hu,
        lps_from_index=lps_from_index,
        study_uid=str(first.get("StudyInstanceUID", "")),
        series_uid=str(first.get("SeriesInstanceUID", "")),
        frame_of_reference_uid=str(first.get("FrameOfReferenceUID", "")),
        decode=None if whole else decode,
    )


_NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")
_OF_SERIES = ("SeriesInstanceUID", "FrameOfReferenceUID", "Rows", "Columns")


def _check_ct(one: Dataset) -> None:
    name = one.get("SOPInstanceUID", "without a UID")
    if one.get("Modality") != "CT":
        raise unreadable(f"Image {name} is of modality {one.get('Modality')}, not CT.")
    if int(one.get("NumberOfFrames") or 1) > 1:
        raise unreadable(
            f"Image {name} holds several frames; send CT as one image per slice instead."
        )
    for attribute in _NEEDED:
        if one.get(attribute) in (None, ""):
            raise unreadable(f"Image {name} lacks {attribute}.")


def _given_back_when_freed(pixels: NDArray[np.int16]) -> NDArray[np.int16]:
    """Copy a slice into memory of its own; that of the heap would be kept by the allocator."""
    own: NDArray[np.int16] = np.frombuffer(mmap.mmap(-1, pixels.nbytes), np.int16)
    own = own.reshape(pixels.shape)
    own[:] = pixels
    return own


def _without_pixels(one: Dataset) -> Dataset:
    """Return what places an image in its series."""
    kept = Dataset()
    for attribute in (*_NEEDED, *_OF_SERIES, "StudyInstanceUID"):
        if attribute in one:
            setattr(kept, attribute, one[attribute].value)
    return kept


def _check_one_series(instances: list[Dataset]) -> None:
    if len(instances) < 2:
        raise unreadable(
            f"The series has {len(instances)} image(s); a CT volume needs two or more slices."
        )
    for attribute in _OF_SERIES:
        if len({str(one.get(attribute)) for one in instances}) > 1:
            raise unreadable(f"The images of the series differ in {attribute}.")
    for attribute in ("ImageOrientationPatient", "PixelSpacing"):
        values = np.array([one[attribute].value for one in instances], dtype=np.float64)
        if not np.allclose(values, values[0], atol=1e-4):
            raise unreadable(f"The images of the series differ in {attribute}.")


def _even_step(positions: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the step from slice to slice, (3,) in LPS mm; refuse gaps and duplicates."""
    gaps = np.diff(positions @ normal)
    usual = float(np.median(gaps))
    if gaps.min() < 1e-3:
        z = positions[int(gaps.argmin()), 2]
        raise unreadable(f"Two images of the series lie at the same place (z = {z:.1f} mm).")
    worst = int(np.abs(gaps - usual).argmax())
    if abs(gaps[worst] - usual) > max(SPACING_TOLERANCE * usual, SPACING_TOLERANCE_MM):
        raise unreadable(
            f"Slices are missing or unevenly spaced: {gaps[worst]:.2f} mm at "
            f"z = {positions[worst, 2]:.1f} mm where {usual:.2f} mm is usual."
        )
    step: NDArray[np.float64] = (positions[-1] - positions[0]) / (len(positions) - 1)
    return step


@functools.cache
def _decoder_of(syntax: UID) -> str:
    """Return the plugin of pydicom to decode with; none in particular where it is empty."""
    faster = "pyjpegls"  # than the first that pydicom tries, on JPEG-LS by a quarter to a half
    if syntax in JPEGLSTransferSyntaxes and faster in get_decoder(syntax).available_plugins:
        return faster
    return ""


def _hounsfield(one: Dataset) -> NDArray[np.int16]:
    """Decode one slice, (rows, columns); rescaled once, and nothing below air."""
    try:
        one.pixel_array_options(decoding_plugin=_decoder_of(one.file_meta.TransferSyntaxUID))
        stored = one.pixel_array
    except Exception as error:  # decoders raise errors of all kinds
        syntax = one.file_meta.TransferSyntaxUID.name
        raise unreadable(
            f"The pixels of image {one.get('SOPInstanceUID')} ({syntax}) cannot be decoded."
        ) from error
    slope = float(one.get("RescaleSlope", 1))
    intercept = float(one.get("RescaleIntercept", 0))
    if slope == 1 and intercept.is_integer() and stored.dtype.itemsize <= 2:
        whole = stored.astype(np.int32) + int(intercept)
        return whole.clip(AIR_HU, np.iinfo(np.int16).max).astype(np.int16)
    hu = np.rint(np.clip(stored * slope + intercept, AIR_HU, np.iinfo(np.int16).max))
    return hu.astype(np.int16)
