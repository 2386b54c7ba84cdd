"""Searching as QIDO-RS has it (PS3.18 8.3 and 10.6): which attributes, which match."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.tag import Tag

from reader_study.dicomweb.errors import BadSearch

Json = dict[str, Any]


def tag_of(name: str) -> str:
    """Return `PatientID` or `00100020` as `00100020`.

    Raises:
        BadSearch: there is no such attribute.
    """
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return name.upper()
    tag = tag_for_keyword(name)
    if tag is None:
        raise BadSearch(f"there is no attribute {name[:64]!r} to search by")
    return f"{tag:08X}"


def _tags(*keywords: str) -> tuple[str, ...]:
    return tuple(tag_of(keyword) for keyword in keywords)


STUDY_LEVEL = _tags(
    "SpecificCharacterSet",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
SERIES_LEVEL = _tags(
    "Modality",
    "SeriesDescription",
    "BodyPartExamined",
    "SeriesInstanceUID",
    "SeriesNumber",
    "FrameOfReferenceUID",
    "NumberOfSeriesRelatedInstances",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
)
INSTANCE_LEVEL = _tags(
    "SOPClassUID",
    "SOPInstanceUID",
    "InstanceNumber",
    "Rows",
    "Columns",
    "BitsAllocated",
    "NumberOfFrames",
    "AvailableTransferSyntaxUID",
)


class Search(NamedTuple):
    """What is looked for: attribute -> value to match, and which part of the list is wanted."""

    filters: Mapping[str, str] = {}
    limit: int | None = None
    offset: int = 0
    fields: Sequence[str] = ()


def pick(source: Mapping[str, Any], tags: Iterable[str]) -> Json:
    """Return the elements of `tags` that `source` has; the others are there without a value."""
    picked: Json = {}
    for tag in tags:
        if tag in source:
            picked[tag] = source[tag]
        else:
            picked[tag] = {"vr": _vr(tag)}
    return picked


def _vr(tag: str) -> str:
    try:
        return dictionary_VR(Tag(int(tag, 16))).split(" ")[0]
    except KeyError:
        return "UN"


def select(found: Iterable[Json], search: Search) -> list[Json]:
    """Keep what matches, then the part of it that was asked for.

    Raises:
        BadSearch: an attribute is not one of those that can be searched, or a number is bad.
    """
    if search.offset < 0 or (search.limit is not None and search.limit < 0):
        raise BadSearch("limit and offset must not be negative")
    wanted = {tag_of(name): value for name, value in search.filters.items()}
    kept = []
    for attributes in found:
        for tag in wanted:
            if tag not in attributes:
                name = keyword_for_tag(int(tag, 16)) or tag
                raise BadSearch(f"cannot search by {name} at this level")
        if all(matches(attributes[tag], value) for tag, value in wanted.items()):
            kept.append(attributes)
    end = None if search.limit is None else search.offset + search.limit
    return kept[search.offset : end]


def matches(element: Mapping[str, Any], wanted: str) -> bool:
    """Tell whether an element matches a value, a list of UIDs, a wildcard or a range."""
    if wanted in ("", "*"):
        return True
    values = [_text(value) for value in element.get("Value", [])]
    vr = element.get("vr")
    if vr == "UI":
        return any(value in re.split(r"[,\\]", wanted) for value in values)
    if vr in {"DA", "TM", "DT"} and "-" in wanted:
        low, _, high = wanted.partition("-")
        return any((not low or value >= low) and (not high or value <= high) for value in values)
    if vr in {"IS", "DS", "US", "UL", "SS", "SL", "FL", "FD"}:
        return any(_same_number(value, wanted) for value in values)
    pattern = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in wanted)
    flags = re.DOTALL | (re.IGNORECASE if vr == "PN" else 0)
    return any(re.fullmatch(pattern, value, flags) for value in values)


def _same_number(value: str, wanted: str) -> bool:
    try:
        return float(value) == float(wanted)
    except ValueError:
        return False


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return str(value.get("Alphabetic", ""))
    return str(value)
