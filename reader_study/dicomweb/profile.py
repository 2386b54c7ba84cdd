"""What de-identification does to a header: the basic profile of DICOM PS3.15, and its options.

Table E.1-1 says of some 650 attributes whether they are removed, emptied, replaced; it comes
from dicom-anonymizer, edition 2026c. What the table does not name is removed too, unless it is
in `KEPT` below with a value that scanners write: any text may have been typed in any field.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from dicomanonymizer.simpledicomanonymizer import initialize_actions

EDITION = "2026c"


class Dates(StrEnum):
    """What becomes of the dates of an examination."""

    REMOVED = "removed"
    SHIFTED = "shifted"  # by so many days per patient: the time between two examinations stays


@dataclass(frozen=True)
class Profile:
    """The basic profile with the options that were chosen (PS3.15 E.3)."""

    dates: Dates = Dates.SHIFTED
    device: bool = True  # retain maker and model of the scanner
    characteristics: bool = False  # retain sex, age, size and weight of the patient
    descriptors: bool = True  # retain of descriptions the words that every scanner writes

    @classmethod
    def of(cls, said: dict[str, Any]) -> Self:
        """Make it from what `as_json` returned."""
        return cls(
            dates=Dates(said["dates"]),
            device=bool(said["device"]),
            characteristics=bool(said["characteristics"]),
            descriptors=bool(said["descriptors"]),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @property
    def codes(self) -> tuple[tuple[str, str], ...]:
        """Codes and meanings of profile and options (PS3.16 CID 7050)."""
        chosen = [
            ("113100", "Basic Application Confidentiality Profile"),
            ("113103", "Clean Graphics Option"),
            ("113104", "Clean Structured Content Option"),
        ]
        if self.descriptors:
            chosen.append(("113105", "Clean Descriptors Option"))
        if self.dates == Dates.SHIFTED:
            meaning = "Retain Longitudinal Temporal Information Modified Dates Option"
            chosen.append(("113107", meaning))
        if self.characteristics:
            chosen.append(("113108", "Retain Patient Characteristics Option"))
        if self.device:
            chosen.append(("113109", "Retain Device Identity Option"))
        return tuple(chosen)

    def __str__(self) -> str:
        return ", ".join(meaning for _, meaning in self.codes)


Rule = Callable[[Sequence[Any]], bool]


def _numbers(most: int = 1) -> Rule:
    def rule(values: Sequence[Any]) -> bool:
        try:
            sizes = [abs(float(value)) for value in values]
            return len(values) <= most and all(n == 0 or 1e-9 < n < 1e9 for n in sizes)
        except (TypeError, ValueError, OverflowError):
            return False

    return rule


def _words(*allowed: str) -> Rule:
    return lambda values: all(str(value) in allowed for value in values)


def _pattern(pattern: str) -> Rule:
    return lambda values: all(re.fullmatch(pattern, str(value), re.ASCII) for value in values)


_YES_NO = _words("YES", "NO")

# What neither the table nor the study has anything against. Values that do not pass are removed.
KEPT: dict[str, Rule] = {
    "ImageType": _words(
        *("ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL", "LOCALIZER", "OTHER", "MPR"),
        *("REFORMATTED", "AVERAGE", "MIN_IP", "MAX_IP", "HELIX", "CT_SOM5 SPI", "SPI"),
    ),
    "SOPClassUID": _pattern(r"1\.2\.840\.10008\.[0-9.]{1,50}"),
    "Modality": _words("CT"),
    "LossyImageCompression": _words("00", "01"),
    "LossyImageCompressionRatio": _numbers(8),
    "PatientPosition": _pattern(r"(HF|FF)(S|P|DL|DR)"),
    "BodyPartExamined": _words("CHEST", "THORAX", "LUNG", "CHESTABDOMEN", "CHESTABDPELVIS"),
    # Siemens, GE, Canon and Philips; B70f, Br59d\3, LUNG, FC51, YA.
    "ConvolutionKernel": _pattern(
        r"[BDHIQ][a-z]?\d\d[a-z]?(_[A-Z]{1,4})?|[1-9]|FC\d\d|[A-DL]|Y[A-E]|"
        r"STANDARD|LUNG|BONE|BONEPLUS|SOFT|DETAIL|CHEST|EDGE|ULTRA"
    ),
    "ContentQualification": _words("PRODUCT", "RESEARCH", "SERVICE"),
    "ContrastBolusIngredient": _words("IODINE", "BARIUM", "CARBON DIOXIDE"),
    "ScanOptions": _words("HELICAL MODE", "HELIX", "AXIAL MODE", "HELICAL", "CINE MODE"),
    "RotationDirection": _words("CW", "CC"),
    "ExposureModulationType": _words("NONE", "ANGULAR", "XYZ_EC", "Z_EC", "XY_EC"),
    "PositionReferenceIndicator": _words("", "SN", "XY", "OM"),
    "SeriesNumber": _numbers(),
    "AcquisitionNumber": _numbers(),
    "InstanceNumber": _numbers(),
    "TemporalPositionIndex": _numbers(),
    "ImagePositionPatient": _numbers(3),
    "ImageOrientationPatient": _numbers(6),
    "SliceLocation": _numbers(),
    "SliceThickness": _numbers(),
    "SpacingBetweenSlices": _numbers(),
    "PixelSpacing": _numbers(2),
    "KVP": _numbers(),
    "DataCollectionDiameter": _numbers(),
    "ReconstructionDiameter": _numbers(),
    "DistanceSourceToDetector": _numbers(),
    "DistanceSourceToPatient": _numbers(),
    "GantryDetectorTilt": _numbers(),
    "TableHeight": _numbers(),
    "TableSpeed": _numbers(),
    "TableFeedPerRotation": _numbers(),
    "SpiralPitchFactor": _numbers(),
    "RevolutionTime": _numbers(),
    "SingleCollimationWidth": _numbers(),
    "TotalCollimationWidth": _numbers(),
    "ExposureTime": _numbers(),
    "XRayTubeCurrent": _numbers(),
    "Exposure": _numbers(),
    "ExposureInuAs": _numbers(),
    "CTDIvol": _numbers(),
    "GeneratorPower": _numbers(),
    "FocalSpots": _numbers(4),
    "SamplesPerPixel": _numbers(),
    "PhotometricInterpretation": _words("MONOCHROME1", "MONOCHROME2"),
    "NumberOfFrames": _numbers(),
    "Rows": _numbers(),
    "Columns": _numbers(),
    "BitsAllocated": _numbers(),
    "BitsStored": _numbers(),
    "HighBit": _numbers(),
    "PixelRepresentation": _numbers(),
    "SmallestImagePixelValue": _numbers(),
    "LargestImagePixelValue": _numbers(),
    "PixelPaddingValue": _numbers(),
    "PixelPaddingRangeLimit": _numbers(),
    "BurnedInAnnotation": _YES_NO,
    "WindowCenter": _numbers(16),
    "WindowWidth": _numbers(16),
    "RescaleIntercept": _numbers(),
    "RescaleSlope": _numbers(),
    "RescaleType": _words("HU", "US", ""),
    "VOILUTFunction": _words("LINEAR", "LINEAR_EXACT", "SIGMOID"),
}

# What the options retain beside it, each as long as its value passes.
OF_THE_DEVICE: dict[str, Rule] = {
    "Manufacturer": _words(
        *("GE MEDICAL SYSTEMS", "GE Healthcare", "SIEMENS", "Siemens", "Siemens Healthineers"),
        *("SIEMENS HEALTHINEERS", "Philips", "PHILIPS", "Philips Medical Systems", "TOSHIBA"),
        *("CANON_MEC", "Canon Medical Systems", "Hitachi Medical Corporation", "HITACHI"),
        *("FUJIFILM Corporation", "UIH", "NeuroLogica", "NMS", "Picker International, Inc."),
    ),
    "ManufacturerModelName": _pattern(
        r"(LightSpeed|BrightSpeed|Discovery|Optima|Revolution|SOMATOM|Sensation|Definition|Emotion|"
        r"Volume Zoom|NAEOTOM|Brilliance|Ingenuity|iCT|IQon|Spectral CT|Aquilion|Access|Biograph|"
        r"Scope|Perspective|Force|Drive|Edge|Go|Flash|Alpha|Prime|ONE|PRIME|Genesis|Apex|EVO|Plus|"
        r"Pro|Pro16|Ultra|VCT|CT|CT750|HD|Power|AS|AS\+|GSI|QX/i|PET/CT|Big Bore|[A-Z]?\d{1,4}|"
        r"[ ./+-])+"
    ),
}
OF_THE_PATIENT: dict[str, Rule] = {
    "PatientSex": _words("M", "F", "O"),
    "PatientAge": lambda values: len(values) == 1 and _pattern(r"\d{3}[DWMY]")(values),
    "PatientSize": _numbers(),
    "PatientWeight": _numbers(),
}
DESCRIPTIONS = frozenset({"StudyDescription", "SeriesDescription", "ProtocolName"})
_DESCRIPTIVE = """
    AXIAL AX CORONAL COR SAGITTAL SAG THIN THICK CHEST THORAX LUNG LUNGS MEDIASTINUM BONE SOFT
    TISSUE CT LDCT LOW DOSE HIGH RESOLUTION HR HRCT WITH WITHOUT CONTRAST WO W IV STANDARD RECON
    SCREENING FOLLOW UP INSPIRATION EXPIRATION INSP EXP PRONE SUPINE HELICAL SPIRAL MM KV KVP MIP
    MPR NODULE NODULES ROUTINE VOLUME
"""
DESCRIPTIVE = frozenset(_DESCRIPTIVE.split())
# The oldest are few: HIPAA (45 CFR 164.514) makes one group of them.
OLDEST_YEARS = 90

_ACTIONS = initialize_actions(f"dicomfields_{EDITION}")
TABLE: dict[tuple[int, int], str] = {
    (tag[0], tag[1]): action.__name__ for tag, action in _ACTIONS.items() if len(tag) == 2
}
REPEATING: tuple[tuple[int, int, int, int], ...] = tuple(
    (tag[0], tag[1], tag[2], tag[3]) for tag in _ACTIONS if len(tag) == 4
)


def described(text: str) -> str:
    """Return the words of a description that every scanner writes, and its short numbers."""
    words = re.findall(r"[A-Za-z]+|\d+(?:\.\d+)?", text)
    return " ".join(
        word
        for word in words
        if word.upper() in DESCRIPTIVE or re.fullmatch(r"\d{1,2}(\.\d{1,2})?", word)
    )[:64]
