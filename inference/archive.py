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
# Further apart than so many usual distances, slices are missing between them.
GAP_FROM = 1.5
# How far aside of the others a slice may lie, of a pixel; how many slices for each there is.
SHIFTED_PIXELS = 0.5
MOST_ADDED = 8


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
    gaps : pairs of slice indices between which slices are missing, in whole or in part
        What lies there in `hu` is drawn from one side to the other: nothing was measured.
    decode : takes the numbers of slices, from and up to
        Writes these into `hu`, if they are not there yet; None where all are. Who looks at a
        part of a series alone asks `part` for it, and the other slices are never decoded.
    """

    hu: NDArray[np.int16]
    lps_from_index: NDArray[np.float64]
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    gaps: tuple[tuple[float, float], ...] = ()
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

    def gap_mm(self, point_mm: NDArray[np.float64]) -> float:
        """Return how far a point is from where slices are missing, across them; inf if none are."""
        across = np.linalg.inv(self.lps_from_index)[2, :3]  # change of the index per millimetre
        index = self.index_of(point_mm)[2]
        apart = [max(first - index, index - last, 0.0) for first, last in self.gaps]
        return float(min(apart, default=np.inf) / np.linalg.norm(across))

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
        else:
            encoded.append(one)
        instances.append(_without_pixels(one))
    _check_one_series(instances)
    first = instances[0]
    row, column = np.array(first.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    normal = np.cross(row, column)
    order = np.argsort([normal @ np.array(one.ImagePositionPatient) for one in instances])
    positions = np.array([instances[place].ImagePositionPatient for place in order], np.float64)
    step, at, gaps = _even_steps(positions, normal, float(min(first.PixelSpacing)))

    row_spacing, column_spacing = (float(value) for value in first.PixelSpacing)
    lps_from_index = np.eye(4)
    lps_from_index[:3, 0] = row * column_spacing
    lps_from_index[:3, 1] = column * row_spacing
    lps_from_index[:3, 2] = step
    lps_from_index[:3, 3] = positions[0]

    hu = np.empty((len(at), int(first.Rows), int(first.Columns)), dtype=np.int16)
    if not whole and (gaps or not np.array_equal(at, np.arange(len(instances)))):
        # Slices in between are made of two: such series are few, and decoded as a whole.
        decoded = [_given_back_when_freed(_hounsfield(one)) for one in encoded if one is not None]
        whole = True
    if whole:
        _lay_out(decoded, order, at, hu)

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
        gaps=gaps,
        decode=None if whole else decode,
    )


def _lay_out(
    decoded: list[NDArray[np.int16] | None],
    order: NDArray[np.intp],
    at: NDArray[np.float64],
    hu: NDArray[np.int16],
) -> None:
    """Write slices into a volume, each where it lies; between two of them, what is in between.

    `at` are fractional indices into `order`. What is passed is freed, so that at no time both lie
    in memory as a whole.
    """
    done = 0
    for target, place in zip(hu, at, strict=True):
        below = int(place)
        while done < below:
            decoded[order[done]] = None
            done += 1
        target[:] = decoded[order[below]]
        if share := place - below:
            further = decoded[order[below + 1]]
            assert further is not None  # only what was passed is gone
            target[:] = np.rint(target + share * (further.astype(np.float32) - target))


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
            f"The series has {len(instances)} slice(s); the model needs a volume of two or more."
        )
    for attribute in _OF_SERIES:
        if len({str(one.get(attribute)) for one in instances}) > 1:
            raise unreadable(f"The images of the series differ in {attribute}.")
    for attribute in ("ImageOrientationPatient", "PixelSpacing"):
        values = np.array([one[attribute].value for one in instances], dtype=np.float64)
        if not np.allclose(values, values[0], atol=1e-4):
            raise unreadable(f"The images of the series differ in {attribute}.")


def _even_steps(
    positions: NDArray[np.float64], normal: NDArray[np.float64], pixel_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[tuple[float, float], ...]]:
    """Lay an even row of slices through those that there are.

    Parameters
    ----------
    positions : shape (n, 3), of the first voxel of each slice, LPS mm, in order

    Returns
    -------
    step : shape (3,), from slice to slice of the row
    at : shape (m,), where each lies among the slices that there are, as a fractional index
    gaps : between which indices of the row slices are missing

    Raises:
        PredictionImpossible: slices lie at one place, or in no row.
    """
    along = (positions - positions[0]) @ normal
    apart = np.diff(along)
    if apart.min() < 1e-3:
        z = positions[int(apart.argmin()), 2]
        raise unreadable(f"Two images of the series lie at the same place (z = {z:.1f} mm).")
    way = (positions[-1] - positions[0]) / along[-1]  # per millimetre across the slices
    aside = np.linalg.norm(positions - positions[0] - along[:, None] * way, axis=1)
    if aside.max() > SHIFTED_PIXELS * pixel_mm:
        z = positions[int(aside.argmax()), 2]
        raise unreadable(f"A slice lies {aside.max():.1f} mm aside of the others (z = {z:.1f} mm).")
    usual = float(np.median(apart))
    if np.abs(apart - usual).max() <= max(SPACING_TOLERANCE * usual, SPACING_TOLERANCE_MM):
        each = np.arange(len(positions), dtype=np.float64)
        return (positions[-1] - positions[0]) / (len(positions) - 1), each, ()
    count = round(along[-1] / usual) + 1
    if count > MOST_ADDED * len(positions):
        raise unreadable(f"Slices are {apart.min():.2f} to {apart.max():.2f} mm apart: no volume.")
    row = np.linspace(0, along[-1], count)
    at = np.interp(row, along, np.arange(len(positions)))
    step_mm = along[-1] / (count - 1)
    gaps = tuple(
        (float(along[i] / step_mm), float(along[i + 1] / step_mm))
        for i in np.flatnonzero(apart > GAP_FROM * usual)
    )
    return way * step_mm, at, gaps


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
