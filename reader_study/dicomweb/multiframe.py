"""A CT in one file, taken apart into a file per slice: the rest of the software knows no other.

Enhanced CT (PS3.3 A.38) says in functional groups what a CT image says of itself: those of all
frames once, and those that differ once per frame. A slice gets both, under the names that a CT
image has for them, and its pixels uncompressed. Its UID follows from that of the file and the
number of the frame, so that the same file gives the same slices again.
"""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pydicom
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, ExplicitVRLittleEndian

from reader_study.dicomweb.pixels import tolerant
from reader_study.dicomweb.problems import Problem
from reader_study.dicomweb.slices import CT_IMAGE_STORAGE, content_of

# Enhanced CT, and what is made of single CT images after the fact.
ENHANCED: Final = frozenset({"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"})
# Of all slices together, uncompressed.
MOST_PIXEL_BYTES: Final = 4_000_000_000
_GROUPS: Final = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
    "CTImageFrameTypeSequence",
    "CTReconstructionSequence",
    "CTXRayDetailsSequence",
)
_OF_THE_FILE: Final = (
    "PixelData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "NumberOfFrames",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "DimensionOrganizationSequence",
    "DimensionIndexSequence",
    "DimensionOrganizationType",
)


def is_enhanced(source: Path | bytes) -> bool:
    """Tell whether a file holds a CT of several frames; what cannot be read does not."""
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with tolerant():
            header = pydicom.dcmread(opened, stop_before_pixels=True, specific_tags=["SOPClassUID"])
    except Exception:  # noqa: BLE001  damaged bytes raise anything
        return False
    return str(header.get("SOPClassUID", "")) in ENHANCED


def slices_of(content: bytes, name: str) -> Iterator[bytes] | Problem:
    """Return the slices of a file: itself, unless it is a CT of several frames.

    What is wrong with a file is a problem as soon as it is known; raised are, while slices are
    made, errors of any kind by damaged pixels.
    """
    if not is_enhanced(content):
        return iter([content])
    try:
        with tolerant():
            dataset = pydicom.dcmread(io.BytesIO(content))
            frames = int(dataset.NumberOfFrames)
            per_frame = dataset.PerFrameFunctionalGroupsSequence
            size = frames * int(dataset.Rows) * int(dataset.Columns) * 2
    except (InvalidDicomError, AttributeError, TypeError, ValueError) as error:
        return Problem("unreadable_file", f"its frames cannot be told apart ({error})", name)
    if len(per_frame) != frames or frames < 1:
        said = f"says {frames} frames and describes {len(per_frame)}"
        return Problem("unreadable_file", said, name)
    if size > MOST_PIXEL_BYTES:
        most = f"{MOST_PIXEL_BYTES / 1e9:g} GB"
        return Problem("too_large", f"holds more than {most} of slices", name)
    return _apart(dataset)


def write_slices(file: Path, name: str, into: Path, stem: str) -> list[Path] | Problem:
    """Write the slices of a CT of several frames into a folder, whole or not at all."""
    content = content_of(file, name)
    made = content if isinstance(content, Problem) else slices_of(content, name)
    if isinstance(made, Problem):
        return made
    into.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        for number, one in enumerate(made):
            written.append(into / f"{stem}_{number:05}.dcm")
            written[-1].write_bytes(one)
    except Exception as error:  # noqa: BLE001  damaged pixels raise anything
        for path in written:
            path.unlink(missing_ok=True)
        return cannot_be_taken_apart(error, name)
    return written


def cannot_be_taken_apart(error: Exception, name: str) -> Problem:
    """Say that the frames of a file cannot be decoded."""
    why = " ".join(str(error).split())[:120] or type(error).__name__
    return Problem("unreadable_file", f"its frames cannot be decoded ({why})", name)


def _apart(dataset: FileDataset) -> Iterator[bytes]:
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    common = _of_all_frames(dataset, shared)
    with tolerant():
        frames = iter_pixels(dataset, raw=True)
        for number, (own, pixels) in enumerate(
            zip(dataset.PerFrameFunctionalGroupsSequence, frames, strict=True), start=1
        ):
            one = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
            one.update(common)
            _flatten(own, one)
            one.SOPInstanceUID = _uid(str(dataset.SOPInstanceUID), number)
            one.InstanceNumber = number
            one.file_meta.MediaStorageSOPClassUID = UID(CT_IMAGE_STORAGE)
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
            one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            one.BitsAllocated = 8 * pixels.dtype.itemsize
            one.add_new("PixelData", "OW", pixels.tobytes())
            made = io.BytesIO()
            pydicom.dcmwrite(made, one, enforce_file_format=True)
            yield made.getvalue()


def _of_all_frames(dataset: FileDataset, shared: Dataset) -> Dataset:
    common = Dataset()
    for element in dataset:
        if element.keyword not in _OF_THE_FILE and element.tag.group != 0x0002:
            common.add(element)
    common.SOPClassUID = CT_IMAGE_STORAGE
    _flatten(shared, common)
    return common


def _flatten(groups: Dataset, into: Dataset) -> None:
    """Take what functional groups say into a header, as a CT image says it."""
    for name in _GROUPS:
        items = groups.get(name)
        for element in items[0] if items else ():
            if element.keyword == "FrameType":
                into.ImageType = element.value
            elif element.VR != "SQ":
                into.add(element)


def _uid(file: str, number: int) -> str:
    """PS3.5 B.2: a UID by 128 bits that follow from the file's and the frame's number."""
    digest = hashlib.sha256(f"{file} {number}".encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
