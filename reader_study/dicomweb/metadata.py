"""Headers: all of one as DICOM JSON for services, and the little of it that a reader gets."""

import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from pydicom import Dataset
from pydicom.dataelem import DataElement

from reader_study.dicomweb.pixels import JPEG_LS, tolerant
from reader_study.dicomweb.uids import is_uid

Json = dict[str, Any]

# Bytes are fetched, not described.
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def header_as_json(dataset: Dataset) -> Json:
    """Return a header as DICOM JSON (PS3.18 F), without pixels or other bytes.

    An element whose value cannot be read is left out.
    """
    found: Json = {}
    with tolerant():
        for tag in sorted(dataset.keys()):
            if tag.group in (0x0002, 0x7FE0):
                continue
            try:
                element = dataset[tag]
                if element.VR in _BINARY:
                    continue
                value = element.to_json_dict(None, 1 << 20)
                json.dumps(value, allow_nan=False)
            except Exception:  # noqa: BLE001, S112  damaged values raise anything
                continue
            found[f"{tag:08X}"] = _of_the_right_sign(value, element, dataset)
    return found


def _of_the_right_sign(value: Json, element: DataElement, dataset: Dataset) -> Json:
    """Scanners write Pixel Padding Value as unsigned beside signed pixels; say what is meant."""
    if element.keyword not in {"PixelPaddingValue", "PixelPaddingRangeLimit"}:
        return value
    signed = dataset.get("PixelRepresentation") == 1
    bits = int(dataset.get("BitsAllocated") or 16)
    numbers = [int(number) % (1 << bits) for number in value.get("Value", [])]
    if signed:
        numbers = [n - (1 << bits) if n >= 1 << (bits - 1) else n for n in numbers]
    return {"vr": "SS" if signed else "US", "Value": numbers}


def value_of(instance: Mapping[str, Any], tag: str) -> Any:
    """Return the first value of an element in DICOM JSON; None when there is none."""
    values = instance.get(tag, {}).get("Value") or [None]
    return values[0]


# What a viewer needs of a header to draw a slice in its place, and nothing else passes. The
# rule of each element looks at the value too, since any text may have been typed in any field.
def _numbers(count: int | None = None) -> Callable[[list[Any]], bool]:
    def rule(values: list[Any]) -> bool:
        return (count is None or len(values) == count) and all(
            isinstance(value, int | float) and math.isfinite(value) for value in values
        )

    return rule


def _one_of(*allowed: str) -> Callable[[list[Any]], bool]:
    return lambda values: len(values) == 1 and values[0] in allowed


def _standard_uid(values: list[Any]) -> bool:
    return len(values) == 1 and is_uid(values[0]) and values[0].startswith("1.2.840.10008.")


# Kernels as vendors name them: B30f, Br40d, I31f (Siemens), STANDARD, BONEPLUS (GE), FC51
# (Canon), B, YC (Philips). The field takes any text.
_KERNELS = re.compile(
    r"[BHITU][a-z]?\d{2}[a-z]{0,2}|FC\d{2}[A-Z]?|Y?[A-L]|"
    r"STANDARD|SOFT|DETAIL|LUNG|CHST|BONE|BONEPLUS|EDGE|ULTRA"
)


def kernel_named(value: Any) -> str:
    """Return a reconstruction kernel if it is called as vendors do, else an empty text."""
    first = str(value if isinstance(value, str) or not value else value[0])
    return first if _KERNELS.fullmatch(first) else ""


def day_of(text: str) -> date | None:
    """Return the day that a DICOM date names; None if it names none."""
    try:
        return datetime.strptime(text.strip()[:8], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None


_POSITIONS = re.compile(r"(HF|FF)(S|P|DL|DR)")

ALLOWED: dict[str, Callable[[list[Any]], bool]] = {
    "00080016": _standard_uid,  # SOP Class UID
    "00080060": _one_of("CT"),  # Modality
    "00180050": _numbers(1),  # Slice Thickness
    "00180088": _numbers(1),  # Spacing Between Slices
    "00185100": lambda values: (
        len(values) == 1  # Patient Position
        and _POSITIONS.fullmatch(str(values[0])) is not None
    ),
    "00200032": _numbers(3),  # Image Position (Patient)
    "00200037": _numbers(6),  # Image Orientation (Patient)
    "00280002": _numbers(1),  # Samples per Pixel
    "00280004": _one_of("MONOCHROME1", "MONOCHROME2"),  # Photometric Interpretation
    "00280010": _numbers(1),  # Rows
    "00280011": _numbers(1),  # Columns
    "00280030": _numbers(2),  # Pixel Spacing
    "00280100": _numbers(1),  # Bits Allocated
    "00280101": _numbers(1),  # Bits Stored
    "00280102": _numbers(1),  # High Bit
    "00280103": _numbers(1),  # Pixel Representation
    "00280120": _numbers(1),  # Pixel Padding Value
    "00281050": _numbers(),  # Window Center
    "00281051": _numbers(),  # Window Width
    "00281052": _numbers(1),  # Rescale Intercept
    "00281053": _numbers(1),  # Rescale Slope
    "00281054": _one_of("HU"),  # Rescale Type
    "00281056": _one_of("LINEAR", "LINEAR_EXACT", "SIGMOID"),  # VOI LUT Function
    "00282110": _one_of("00", "01"),  # Lossy Image Compression
}
STUDY_UID, SERIES_UID, SOP_UID, FRAME_OF_REFERENCE_UID = (
    "0020000D",
    "0020000E",
    "00080018",
    "00200052",
)


def for_reader(instance: Mapping[str, Any], number: int, pseudonym: Callable[[str], str]) -> Json:
    """Return what a reader's viewer gets of one slice, under pseudonymous UIDs.

    Parameters
    ----------
    instance : DICOM JSON of the slice, as the archive has it.
    number : its place in the series, from 1; the instance number of the source is not passed on.
    pseudonym : a UID of the source -> the UID a reader sees.
    """
    seen: Json = {}
    for tag, rule in ALLOWED.items():
        element = instance.get(tag) or {}
        values = element.get("Value")
        if values and isinstance(values, list) and rule(values):
            seen[tag] = {"vr": str(element["vr"])[:2], "Value": list(values)}
    for tag in (STUDY_UID, SERIES_UID, SOP_UID):
        seen[tag] = {"vr": "UI", "Value": [pseudonym(str(value_of(instance, tag)))]}
    # Without a frame of reference a series stands for itself.
    frame = value_of(instance, FRAME_OF_REFERENCE_UID) or value_of(instance, SERIES_UID)
    seen[FRAME_OF_REFERENCE_UID] = {"vr": "UI", "Value": [pseudonym(str(frame))]}
    seen["00200013"] = {"vr": "IS", "Value": [number]}
    seen["00083002"] = {"vr": "UI", "Value": [JPEG_LS]}  # Available Transfer Syntax UID
    return dict(sorted(seen.items()))


def pseudonymous_uid(key: bytes, uid: str) -> str:
    """Return a UID that stands for `uid` and cannot be led back to it without `key`.

    PS3.5 B.2: 2.25 followed by a 128-bit number; here the number is an HMAC-SHA-256, cut.
    """
    digest = hmac.new(key, uid.encode(), hashlib.sha256).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
