"""De-identification: what is stored tells nobody who the patient is."""

import io
import struct
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import keyword_for_tag
from pydicom.tag import Tag

from reader_study.dicomweb.deidentify import Keys, as_file, deidentified, doubts_of
from reader_study.dicomweb.ingest import look_at
from reader_study.dicomweb.local import LocalArchive
from reader_study.dicomweb.pixels import tolerant
from reader_study.dicomweb.profile import KEPT, TABLE, Dates, Profile, described
from tests.dicomweb.series import SERIES, STUDY, a_series, a_slice, noise, setting

KEYS = Keys(b"a key of the tests")
NAME, UID = b"DOEJANE", b"1.2.826.9.77665544.1"
LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT", "SV", "UV"}
# What an image cannot do without stays what it is; everything else says the name.
OF_THE_IMAGE = {
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("SamplesPerPixel", "PhotometricInterpretation", "ImagePositionPatient", "Modality"),
    *("ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept", "PixelData"),
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
}


def element(group: int, number: int, vr: str, value: bytes) -> bytes:
    """An element as explicit little-endian bytes, whatever may be in it."""
    value += b"\0" * (len(value) % 2)
    head = struct.pack("<HH", group, number) + vr.encode()
    size = struct.pack("<HI", 0, len(value)) if vr in LONG else struct.pack("<H", len(value))
    return head + size + value


def planted(number: int) -> bytes:
    """A slice all else of which names the patient: every VR, private attributes, sequences."""
    source = a_slice(number, series=f"{UID.decode()}.3", study=UID.decode())
    buffer = io.BytesIO()
    only = pydicom.Dataset()
    for one in source:
        if one.keyword in OF_THE_IMAGE:
            only.add(one)
    pydicom.dcmwrite(buffer, only, implicit_vr=False, little_endian=True)
    of_the_image = {one.tag: one for one in only}
    parts: dict[int, bytes] = {}
    for tag, (vr, *_) in DicomDictionary.items():
        vr = vr.split(" ")[0]
        if tag in of_the_image or Tag(tag).group < 8 or vr in {"NONE", "US", "SS", "UL", "SL"}:
            continue
        value = {"UI": UID, "DA": b"20010101" + NAME, "PN": b"Doe^Jane^" + NAME}.get(vr, NAME)
        if vr == "SQ":
            item = element(0x0010, 0x0010, "PN", NAME) + element(0x0008, 0x1155, "UI", UID)
            value = struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
        parts[tag] = element(Tag(tag).group, Tag(tag).element, vr, value)
    for group in (0x0009, 0x0029, 0x6001):
        parts[group << 16 | 0x0010] = element(group, 0x0010, "LO", b"DOEJANE CREATOR")
        parts[group << 16 | 0x1001] = element(group, 0x1001, "UN", NAME)
    parts[0x60003000] = element(0x6000, 0x3000, "OW", NAME)
    parts[0x50003000] = element(0x5000, 0x3000, "OW", NAME)
    for tag, one in of_the_image.items():
        lone = pydicom.Dataset()
        lone.add(one)
        out = io.BytesIO()
        pydicom.dcmwrite(out, lone, implicit_vr=False, little_endian=True)
        parts[int(tag)] = out.getvalue()
    meta = io.BytesIO()
    pydicom.dcmwrite(meta, source, enforce_file_format=True)
    end = 144 + int.from_bytes(meta.getvalue()[140:144], "little")
    body = b"".join(parts[tag] for tag in sorted(parts))
    return (NAME * 19)[:128] + meta.getvalue()[128:end] + body


@pytest.mark.parametrize(
    "profile",
    [Profile(), Profile(Dates.REMOVED, device=False, characteristics=True, descriptors=False)],
    ids=["as proposed", "otherwise"],
)
def test_a_name_in_every_attribute_is_nowhere_in_what_is_stored(tmp_path: Path, profile: Profile):
    folder, archive = tmp_path / "clean", LocalArchive(tmp_path / "archive")
    folder.mkdir()
    for number in range(3):
        content = planted(number)
        assert content.count(NAME) > 2000
        with tolerant():
            made = deidentified(pydicom.dcmread(io.BytesIO(content)), profile, KEYS)
        (folder / f"{number}.dcm").write_bytes(as_file(made))
    (found,) = look_at(folder).series
    assert found.refusals == ()
    archive.store(found.study_uid, found.series_uid, found.files)

    stored = {
        path: path.read_bytes() for path in (tmp_path / "archive").rglob("*") if path.is_file()
    }

    assert len(stored) == 5
    for path, content in stored.items():
        for planted_text in (NAME, b"Doe", UID[:16], b"20010101", b"P-1"):
            assert planted_text not in content, path
            assert planted_text.decode() not in str(path)
    assert (
        archive.frame(found.study_uid, found.series_uid, KEYS.uid(f"{UID.decode()}.3.1")).decoded()
        == noise(0).tobytes()
    )


def test_every_attribute_of_the_table_is_removed_emptied_or_replaced():
    dataset = a_slice(0)
    for tag in TABLE:
        vr = str(DicomDictionary.get(tag[0] << 16 | tag[1], ("UN",))[0]).split(" ")[0]
        if vr in {"SH", "LO", "ST", "LT", "UT", "PN"}:
            dataset.add_new(tag, vr, "Doe")
    made = deidentified(dataset, Profile(), KEYS)
    told = {
        keyword_for_tag(tag): made[tag].value
        for tag in made.keys()  # noqa: SIM118
        if (tag.group, tag.element) in TABLE and made[tag].value
    }
    # Of the 655 those alone have a value that differs from patient to patient.
    assert set(told) <= {
        *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"),
        *("PatientID", "PatientName", "StudyDate"),
        *(name for name, value in told.items() if value == "ANONYMIZED"),
    }
    assert not set(KEPT) & {keyword_for_tag(tag[0] << 16 | tag[1]) for tag in TABLE}


def test_the_same_original_becomes_the_same_and_another_key_another():
    one, again = (deidentified(a_slice(1), Profile(), KEYS) for _ in range(2))
    other = deidentified(a_slice(1), Profile(), Keys(b"another"))
    assert as_file(one) == as_file(again)
    assert one.SeriesInstanceUID == KEYS.uid(SERIES) != other.SeriesInstanceUID
    assert one.PatientID == KEYS.patient("P-1") != other.PatientID


def test_the_time_between_two_examinations_stays_and_the_dates_do_not():
    def dated(text: str, patient: str = "P-1") -> Any:
        dataset = a_slice(0)
        dataset.StudyDate, dataset.StudyTime, dataset.PatientID = text, "101500.25", patient
        return deidentified(dataset, Profile(), KEYS)

    first, second = dated("20190131"), dated("20200131")
    days = [date.fromisoformat(one.StudyDate) for one in (first, second)]
    assert (days[1] - days[0]).days == 365
    assert days[1] < date(2019, 2, 1)
    assert first.StudyTime == "101500"
    assert first.LongitudinalTemporalInformationModified == "MODIFIED"
    assert dated("20190131", "P-2").StudyDate != first.StudyDate
    removed = deidentified(a_slice(0), Profile(Dates.REMOVED), KEYS)
    assert removed.StudyDate == ""
    assert removed.LongitudinalTemporalInformationModified == "REMOVED"


def test_what_was_done_is_written_into_the_file():
    made = deidentified(a_slice(0), Profile(characteristics=True), KEYS)
    again = pydicom.dcmread(io.BytesIO(as_file(made)))
    assert again.PatientIdentityRemoved == "YES"
    codes = [item.CodeValue for item in again.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113103", "113104", "113105", "113107", "113108", "113109"]
    assert again.PatientBirthDate == ""


def test_options_retain_what_they_say_and_only_values_that_can_be_no_name():
    dataset = a_slice(0)
    dataset.Manufacturer, dataset.ManufacturerModelName = "SIEMENS", "SOMATOM Definition Flash"
    dataset.ConvolutionKernel, dataset.KVP = "B70f", "120"
    dataset.SeriesDescription = "Chest Doe thin 1.25 mm 4711"
    dataset.PatientSex, dataset.PatientAge = "F", "097Y"
    made = deidentified(dataset, Profile(characteristics=True), KEYS)
    assert (made.Manufacturer, made.ManufacturerModelName) == (
        "SIEMENS",
        "SOMATOM Definition Flash",
    )
    assert (made.ConvolutionKernel, made.KVP) == ("B70f", 120)
    assert made.SeriesDescription == "Chest thin 1.25 mm"
    assert (made.PatientSex, made.PatientAge) == ("F", "090Y")
    basic = deidentified(dataset, Profile(Dates.REMOVED, device=False, descriptors=False), KEYS)
    assert basic.Manufacturer == ""
    assert "ManufacturerModelName" not in basic
    assert "PatientAge" not in basic
    assert "SeriesDescription" not in basic
    assert described("Dr. Smith LUNG") == "LUNG"


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (setting(BurnedInAnnotation="YES"), ["burned_in"]),
        (setting(ImageType=["DERIVED", "SECONDARY"]), ["secondary"]),
        (lambda dataset: dataset.add_new(0x60000010, "US", 64), ["overlay"]),
        (setting(BurnedInAnnotation="NO"), []),
    ],
)
def test_images_that_may_show_a_name_are_doubted(change: Any, codes: list[str]):
    dataset = a_slice(0)
    change(dataset)
    assert [doubt.code for doubt in doubts_of(dataset)] == codes


def test_graphics_in_unused_bits_are_cleared_and_the_image_is_not():
    dataset = a_slice(0)
    image = noise(0) % 2048
    dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 0, 12, 11
    dataset.PixelData = (image.astype(np.uint16) | 0x8000).tobytes()
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", 15)
    made = deidentified(dataset, Profile(), KEYS)
    assert not any(0x6000 <= tag.group <= 0x60FF for tag in made.keys())  # noqa: SIM118
    np.testing.assert_array_equal(np.frombuffer(made.PixelData, "<u2").reshape(64, 48), image)


def test_a_whole_series_stays_one_series(tmp_path: Path):
    for number, path in enumerate(a_series(tmp_path / "raw")):
        made = deidentified(pydicom.dcmread(path), Profile(), KEYS)
        (tmp_path / f"{number}.dcm").write_bytes(as_file(made))
    (found,) = [one for one in look_at(tmp_path).series if one.study_uid != STUDY]
    assert found.refusals == ()
    assert len(found.files) == 12
    assert found.patient == KEYS.patient("P-1")
