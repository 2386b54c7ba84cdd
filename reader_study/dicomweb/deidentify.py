"""A DICOM file of a patient -> one of nobody: headers by `profile`, UIDs and dates by a key.

The same original gives the same UIDs, patient and dates again, so that files that come later
find their series, and a list that names originals its nodules; without the key nobody gets back.
"""

import base64
import hashlib
import hmac
import io
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import pydicom
from dicomanonymizer.simpledicomanonymizer import empty_element, replace_element
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.uid import UID

from reader_study.dicomweb.metadata import pseudonymous_uid
from reader_study.dicomweb.pixels import tolerant
from reader_study.dicomweb.profile import (
    DESCRIPTIONS,
    EDITION,
    KEPT,
    OF_THE_DEVICE,
    OF_THE_PATIENT,
    OLDEST_YEARS,
    REPEATING,
    TABLE,
    Dates,
    Profile,
    Rule,
    described,
)
from reader_study.dicomweb.uids import is_uid

PIXEL_DATA: Final = 0x7FE00010
# Years back, never forward: no examination gets a date that has not come.
SHIFT_DAYS: Final = (365, 4 * 365)
OWN_UIDS: Final = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
)
# What CT Image Storage requires, if only empty (PS3.3 A.3).
REQUIRED: Final = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName", "StudyID", "Manufacturer"),
)


class Keys(NamedTuple):
    """Patients, UIDs and dates are replaced with the help of `secret`, which stays on the site."""

    secret: bytes

    def uid(self, original: str) -> str:
        """Return what stands for a UID."""
        return pseudonymous_uid(self.secret, original)

    def patient(self, original: str) -> str:
        """Return what stands for a patient's identifier; an empty one stays empty."""
        digest = self._digest("patient", original)
        return base64.b32encode(digest[:10]).decode() if original.strip() else ""

    def days_back(self, patient: str) -> int:
        """Return by how many days the dates of `patient` are moved back."""
        low, high = SHIFT_DAYS
        number = int.from_bytes(self._digest("dates", patient)[:8], "big")
        return low + number % (high - low)

    def _digest(self, what: str, text: str) -> bytes:
        return hmac.digest(self.secret, f"{what}:{text.strip()}".encode(), "sha256")


class Doubt(NamedTuple):
    """Why somebody has to look at an image before it is taken in."""

    code: str
    detail: str


def doubts_of(dataset: Dataset) -> list[Doubt]:
    """Return why the pixels of an original may show who the patient is.

    PS3.15 leaves that to people (Clean Pixel Data); a header tells where to look: annotation said
    to be burned in, a screen capture, graphics drawn over the image.
    """
    found = []
    words = [str(word).upper() for word in _values(dataset.get("ImageType"))]
    if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES":
        found.append(Doubt("burned_in", "says that text is burned into the image"))
    if "SECONDARY" in words or "SCREEN SAVE" in words or dataset.get("ConversionType"):
        found.append(Doubt("secondary", "is a secondary capture or a derived image"))
    if any(0x6000 <= tag.group <= 0x60FF for tag in dataset.keys()):  # noqa: SIM118
        found.append(Doubt("overlay", "has graphics drawn over it, which are removed"))
    if str(dataset.get("RecognizableVisualFeatures", "")).upper() == "YES":
        found.append(Doubt("recognizable", "says that the patient can be recognised in it"))
    return found


def deidentified(dataset: FileDataset, profile: Profile, keys: Keys) -> FileDataset:
    """Return `dataset` without anything that tells who the patient is.

    Pixels are taken along as they are, but for graphics in their unused bits.

    Raises:
        ValueError: it has no usable study, series or SOP instance UID.
    """
    uids = {name: str(dataset.get(name, "")) for name in OWN_UIDS}
    if not all(is_uid(uids[name]) for name in OWN_UIDS[:3]):
        raise ValueError("it has no usable study, series and SOP instance UID")
    patient = str(dataset.get("PatientID") or "")
    made = FileDataset("", {}, file_meta=_meta(dataset, keys), preamble=b"\0" * 128)
    made.SpecificCharacterSet = "ISO_IR 192"
    with tolerant():
        for tag in dataset.keys():  # noqa: SIM118  a dataset iterates over elements
            if tag.is_private or tag.group <= 0x0002 or tag == PIXEL_DATA or _repeats(tag):
                continue
            element = _kept(dataset, tag, profile, keys.days_back(patient))
            if element is not None:
                made.add(element)
    for name, uid in uids.items():
        if is_uid(uid):
            setattr(made, name, keys.uid(uid))
    for name in REQUIRED:
        if name not in made:
            setattr(made, name, "")
    # The patient is whoever has this number; CT needs no other name.
    made.PatientID = made.PatientName = keys.patient(patient)
    _record(made, profile)
    if PIXEL_DATA in dataset:
        made.add(_pixels(dataset))
    return made


def _kept(dataset: Dataset, tag: Any, profile: Profile, days_back: int) -> DataElement | None:
    """Return what becomes of one element; None where it is removed."""
    try:
        element = dataset[tag]
        values = _values(element.value)
    except Exception:  # noqa: BLE001  damaged values raise anything, and are not kept
        return None
    name = element.keyword
    if not name or element.VR == "SQ":
        return None  # of what CT needs nothing is a sequence
    if name in OWN_UIDS:
        return None  # made anew
    if element.VR in {"DA", "TM", "DT"}:
        return _dated(element, values, profile, days_back)
    if (rule := _retained(name, profile)) is not None:
        if not rule(values):
            return None
        return _plain(element, [_of_the_oldest(values[0])] if name == "PatientAge" else values)
    if name in DESCRIPTIONS and profile.descriptors:
        return DataElement(tag, element.VR, described(" ".join(map(str, values))))
    action = TABLE.get((tag.group, tag.element))
    if action is not None:
        return _by_table(element, action)
    if name in KEPT and KEPT[name](values):
        return _plain(element, values)
    return None


def _retained(name: str, profile: Profile) -> Rule | None:
    if profile.device and name in OF_THE_DEVICE:
        return OF_THE_DEVICE[name]
    if profile.characteristics and name in OF_THE_PATIENT:
        return OF_THE_PATIENT[name]
    return None


def _plain(element: DataElement, values: Sequence[Any]) -> DataElement:
    """Return a new element: numbers as such, so that no text travels beside their values."""
    if element.VR in {"DS", "IS"}:
        kind = float if element.VR == "DS" else int
        values = [kind(float(value)) for value in values]
        if element.VR == "DS":
            values = [pydicom.valuerep.DSfloat(value, auto_format=True) for value in values]
    kept = list(values)
    return DataElement(element.tag, element.VR, kept[0] if len(kept) == 1 else kept)


def _of_the_oldest(age: str) -> str:
    """Return an age as DICOM writes it; the oldest are of one age."""
    return f"{OLDEST_YEARS:03}Y" if age[3] == "Y" and int(age[:3]) > OLDEST_YEARS else age


def _by_table(element: DataElement, action: str) -> DataElement | None:
    """Do what the table says; what may be removed or emptied is, and nothing gets a random UID."""
    if "UID" in action or action == "delete":
        return None
    made = DataElement(element.tag, element.VR, None)
    try:
        (replace_element if action == "replace" else empty_element)(made)
    except NotImplementedError:
        return None
    return made


def _dated(
    element: DataElement, values: Sequence[Any], profile: Profile, days_back: int
) -> DataElement | None:
    """Move a date of the examination back; every other date is removed."""
    of_examination = element.keyword.startswith(("Study", "Series", "Acquisition", "Content"))
    if profile.dates != Dates.SHIFTED or not of_examination or len(values) != 1:
        return None
    text = str(values[0])
    if element.VR == "TM":
        time = re.match(r"([01]\d|2[0-3])[0-5]\d([0-5]\d)?", text)
        return DataElement(element.tag, "TM", time[0]) if time else None
    match = re.match(r"(\d{4})(\d\d)(\d\d)((?:[01]\d|2[0-3])[0-5]\d[0-5]\d)?", text)
    if match is None or (element.VR == "DA" and len(text.strip()) != 8):
        return None
    try:
        moved = date(*map(int, match.groups()[:3])) - timedelta(days=days_back)
    except (ValueError, OverflowError):
        return None
    return DataElement(element.tag, element.VR, f"{moved:%Y%m%d}{match[4] or ''}")


def _repeats(tag: Any) -> bool:
    """Tell whether the table removes the group of `tag`: curves and overlays."""
    return any(
        tag.group & mask == group & mask and tag.element & within == number & within
        for group, number, mask, within in REPEATING
    ) or (0x6000 <= tag.group <= 0x60FF)


def _meta(dataset: FileDataset, keys: Keys) -> FileMetaDataset:
    meta = FileMetaDataset()
    said = getattr(dataset, "file_meta", Dataset())
    meta.MediaStorageSOPClassUID = UID(str(dataset.get("SOPClassUID", "")))
    meta.MediaStorageSOPInstanceUID = UID(keys.uid(str(dataset.SOPInstanceUID)))
    meta.TransferSyntaxUID = UID(str(said.get("TransferSyntaxUID", "1.2.840.10008.1.2.1")))
    meta.ImplementationClassUID = pydicom.uid.PYDICOM_IMPLEMENTATION_UID
    return meta


def _record(made: Dataset, profile: Profile) -> None:
    """Write into the file what was done to it (PS3.15 E.1.1, steps 4 to 6)."""
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = [f"PS3.15 {EDITION} Table E.1-1", "Reread"]
    made.DeidentificationMethodCodeSequence = []
    for code, meaning in profile.codes:
        item = Dataset()
        item.CodeValue = code
        item.CodingSchemeDesignator = "DCM"
        item.CodeMeaning = meaning
        made.DeidentificationMethodCodeSequence.append(item)
    shifted = profile.dates == Dates.SHIFTED
    made.LongitudinalTemporalInformationModified = "MODIFIED" if shifted else "REMOVED"


def _pixels(dataset: FileDataset) -> DataElement:
    """Return the pixels; bits above those of the image, where old scanners drew, are cleared."""
    element = dataset[PIXEL_DATA]
    drawn = any(
        tag.element == 0x0102 and 0x6000 <= tag.group <= 0x60FF and dataset[tag].value
        for tag in dataset.keys()  # noqa: SIM118
    )
    stored = int(dataset.get("BitsStored") or 16)
    plain = not dataset.file_meta.TransferSyntaxUID.is_encapsulated
    if not drawn or not plain or stored >= 16 or dataset.get("BitsAllocated") != 16:
        return DataElement(PIXEL_DATA, element.VR, element.value)
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
    spare = 16 - stored
    signed = "i" if dataset.get("PixelRepresentation") == 1 else "u"
    pixels = np.frombuffer(element.value, f"{order}u2") << spare
    cleared = (pixels.view(f"{order}{signed}2") >> spare).astype(f"{order}{signed}2")
    return DataElement(PIXEL_DATA, "OW", cleared.tobytes())


def _values(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, MultiValue | list | tuple) else [value]


def as_file(dataset: FileDataset) -> bytes:
    """Return the bytes of a DICOM file."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def content_hash(content: bytes) -> str:
    """Return the name under which the bytes of a file are kept while they are imported."""
    return hashlib.sha256(content).hexdigest()
