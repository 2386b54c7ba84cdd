"""One file: whether it is a slice of a CT series, and what of it its series is judged by."""

import hashlib
import io
import stat
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from reader_study.dicomweb.errors import UndecodablePixels
from reader_study.dicomweb.metadata import kernel_named
from reader_study.dicomweb.pixels import decode_dataset, tolerant
from reader_study.dicomweb.problems import Problem
from reader_study.dicomweb.uids import is_uid

DEFLATED = b"1.2.840.10008.1.2.1.99"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
MOST_BYTES = 256_000_000  # of one file, also after inflating
TOO_LARGE = f"is larger than the {MOST_BYTES / 1e6:g} MB that one file may have"


class Slice(NamedTuple):
    """What is kept in mind of a file while its series is judged."""

    path: Path
    patient: str
    study: str
    series: str
    instance: str
    frame_of_reference: str
    syntax: str
    rows: int
    columns: int
    place: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness_mm: float
    digest: str
    problems: tuple[Problem, ...]
    day: str
    kernel: str


def content_of(path: Path, name: str) -> bytes | Problem:
    """Return the bytes of a file that can be one slice."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return Problem("not_dicom", "is not a file", name)  # opening a pipe would wait
        if path.stat().st_size > MOST_BYTES:
            return Problem("too_large", TOO_LARGE, name)
        content = path.read_bytes()
    except OSError as error:
        return Problem("unreadable_file", f"cannot be opened: {error.strerror}", name)
    if _inflates_too_far(content):
        return Problem("too_large", "inflates to more than one slice can be", name)
    return content


def read_slice(path: Path, name: str) -> Slice | Problem:
    """Read one file; whatever its bytes do to the reader is a problem of this file."""
    content = content_of(path, name)
    if isinstance(content, Problem):
        return content
    try:
        with tolerant():
            return _read_dataset(pydicom.dcmread(io.BytesIO(content)), path, name, content)
    except InvalidDicomError:
        return Problem("not_dicom", "is not a DICOM file", name)
    except Exception as error:  # noqa: BLE001  damaged bytes raise anything
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        return Problem("not_dicom", f"is a damaged DICOM file ({reason})", name)


def _inflates_too_far(content: bytes) -> bool:
    """Whether a deflated file holds more than can be a slice; what is no deflated file does not.

    The meta information ends where its group length, its first element, says (PS3.10, 7.1).
    """
    if content[128:138] != b"DICM\x02\x00\x00\x00UL" or DEFLATED not in content[138:1000]:
        return False
    begin = 144 + int.from_bytes(content[140:144], "little")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflater.decompress(content[begin:], MOST_BYTES)
    except zlib.error:
        return False
    return bool(inflater.unconsumed_tail)


def is_localizer(dataset: Dataset) -> bool:
    """Tell whether an image is a scout, on which slices are planned."""
    return "LOCALIZER" in [str(word) for word in dataset.get("ImageType", []) or []]


def _read_dataset(dataset: Dataset, path: Path, name: str, content: bytes) -> Slice | Problem:
    modality = str(dataset.get("Modality", ""))
    if modality != "CT":
        return Problem("other_modality", f"is {modality[:16] or 'no image'}, not CT", name)
    if is_localizer(dataset):
        return Problem("localizer", "is a localizer (scout) image", name)
    uids = [str(dataset.get(key, "")) for key in _UIDS]
    if not all(map(is_uid, uids)):
        return Problem("bad_uid", "has no usable study, series and SOP instance UID", name)
    problems = []

    def say(code: str, detail: str) -> None:
        problems.append(Problem(code, detail, name))

    syntax = str(dataset.file_meta.TransferSyntaxUID)
    digest = ""
    if str(dataset.get("SOPClassUID")) != CT_IMAGE_STORAGE or _whole(dataset, "NumberOfFrames") > 1:
        say("unsupported_image", "is neither a CT image nor an Enhanced CT")
    elif (
        _whole(dataset, "SamplesPerPixel") != 1
        or dataset.get("PhotometricInterpretation") != "MONOCHROME2"
    ):
        say("unsupported_image", "is not a grey image")
    else:
        try:
            digest = hashlib.sha256(decode_dataset(dataset).tobytes()).hexdigest()
        except UndecodablePixels as error:
            say("undecodable_pixels", f"its pixels cannot be decoded ({error})")
    if dataset.get("BurnedInAnnotation") == "YES":
        say("burned_in", "says that text is burned into the image, which may name the patient")
    if (
        len(_numbers(dataset, "RescaleSlope") or ()) != 1
        or len(_numbers(dataset, "RescaleIntercept") or ()) != 1
        or dataset.get("RescaleType", "HU") not in {"HU", "US", ""}
    ):
        say("no_hounsfield", "does not say how pixels become Hounsfield units")
    place = _numbers(dataset, "ImagePositionPatient", 3)
    orientation = _numbers(dataset, "ImageOrientationPatient", 6)
    spacing = _numbers(dataset, "PixelSpacing", 2)
    if place is None or orientation is None or spacing is None or min(spacing) <= 0:
        say("no_place", "does not say where in the patient it lies")
    thickness = _numbers(dataset, "SliceThickness")
    frame = str(dataset.get("FrameOfReferenceUID") or "")
    return Slice(
        path=path,
        patient=str(dataset.get("PatientID") or ""),
        study=uids[0],
        series=uids[1],
        instance=uids[2],
        frame_of_reference=frame if is_uid(frame) else "",
        syntax=syntax,
        rows=_whole(dataset, "Rows"),
        columns=_whole(dataset, "Columns"),
        place=place,
        orientation=orientation,
        spacing=spacing,
        thickness_mm=thickness[0] if thickness and thickness[0] > 0 else 1.0,
        digest=digest or hashlib.sha256(content).hexdigest(),
        problems=tuple(problems),
        day=str(dataset.get("StudyDate") or dataset.get("AcquisitionDate") or ""),
        kernel=kernel_named(dataset.get("ConvolutionKernel")),
    )


_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def _whole(dataset: Dataset, keyword: str) -> int:
    try:
        return int(dataset.get(keyword) or 0)
    except (TypeError, ValueError):
        return 0


def _numbers(dataset: Dataset, keyword: str, count: int = 1) -> tuple[float, ...] | None:
    """Return the finite numbers of an element; None unless there are `count`."""
    try:
        values = dataset.get(keyword)
        numbers = tuple(map(float, [values] if count == 1 else values))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None
