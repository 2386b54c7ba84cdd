"""What a reader sees of a header."""

import io
import json
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from reader_study.dicomweb.metadata import (
    ALLOWED,
    for_reader,
    header_as_json,
    pseudonymous_uid,
)
from reader_study.dicomweb.pixels import tolerant
from reader_study.dicomweb.uids import is_uid
from tests.dicomweb.series import SERIES, a_slice

SECRET = "SECRETWORD"


def seen(dataset: Dataset, number: int = 1) -> dict[str, Any]:
    return for_reader(header_as_json(dataset), number, lambda uid: pseudonymous_uid(b"key", uid))


def test_a_reader_gets_what_draws_a_slice_in_its_place() -> None:
    shown = Dataset.from_json(seen(a_slice(4), number=5))

    assert (shown.Modality, shown.Rows, shown.Columns) == ("CT", 64, 48)
    assert shown.ImagePositionPatient == [-24, -32, 10]
    assert shown.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert (shown.RescaleSlope, shown.RescaleIntercept) == (1, -1024)
    assert (shown.WindowCenter, shown.WindowWidth) == (-600, 1600)
    assert (shown.BitsAllocated, shown.PixelRepresentation) == (16, 1)
    assert shown.InstanceNumber == 5


def test_no_other_element_of_the_standard_passes_whatever_it_holds() -> None:
    dataset = a_slice(0)
    with tolerant():
        for tag, (vr, *_rest) in DicomDictionary.items():
            if tag >> 16 in (0x0000, 0x0002, 0x7FE0) or f"{tag:08X}" in ALLOWED:
                continue
            if vr in {"LO", "SH", "PN", "ST", "LT", "UT", "UC", "UR", "CS", "AE"}:
                dataset.add_new(tag, vr, SECRET)
            elif vr in {"DA", "TM", "DT"}:
                dataset.add_new(tag, vr, "19991231" if vr == "DA" else "235959")
            elif vr == "UI" and tag not in (0x0020000D, 0x0020000E, 0x00080018, 0x00200052):
                dataset.add_new(tag, vr, f"{SERIES}.777")
        private = dataset.private_block(0x0099, SECRET, create=True)
        private.add_new(1, "LO", SECRET)

        text = json.dumps(seen(dataset))

    assert SECRET in json.dumps(header_as_json(dataset))
    for word in (SECRET, "19991231", "235959", "0099", "Doe", "P-1", "General", "1950", "2020"):
        assert word not in text
    assert "1.2.826.0.1.3680043" not in text


@pytest.mark.parametrize("tag", ALLOWED)
def test_an_allowed_element_that_holds_a_name_does_not_pass(tag: str) -> None:
    header = header_as_json(a_slice(0))
    header[tag] = {"vr": "LO", "Value": [SECRET]}

    assert tag not in for_reader(header, 1, lambda uid: "2.25.1")


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("00200032", [1, 2, SECRET]),
        ("00200032", [1, 2]),
        ("00281050", [{"Alphabetic": SECRET}]),
        ("00080016", [f"{SERIES}.1"]),
        ("00180050", [float("nan")]),
        ("00280010", SECRET),
    ],
)
def test_a_value_of_another_form_does_not_pass(tag: str, value: Any) -> None:
    header = header_as_json(a_slice(0))
    header[tag] = {"vr": "LO", "Value": value}

    assert tag not in for_reader(header, 1, lambda uid: "2.25.1")


def test_uids_are_pseudonyms_that_keep_together_what_belongs_together() -> None:
    first, second = seen(a_slice(0)), seen(a_slice(1))

    for tag in ("0020000D", "0020000E", "00200052"):
        assert first[tag] == second[tag]
    assert first["00080018"] != second["00080018"]
    for tag in ("0020000D", "0020000E", "00080018", "00200052"):
        assert first[tag]["Value"][0].startswith("2.25.")


@given(key=st.binary(min_size=1), other=st.binary(min_size=1))
def test_a_pseudonym_is_a_uid_that_only_its_key_makes(key: bytes, other: bytes) -> None:
    uid = generate_uid()

    assert is_uid(pseudonymous_uid(key, uid))
    assert pseudonymous_uid(key, uid) == pseudonymous_uid(key, uid)
    same = key.ljust(64, b"\0") == other.ljust(64, b"\0")
    assert (pseudonymous_uid(key, uid) == pseudonymous_uid(other, uid)) == same or len(
        max(key, other, key=len)
    ) > 64


def test_padding_is_given_in_the_sign_of_the_pixels() -> None:
    dataset = a_slice(0)
    dataset.add_new("PixelPaddingValue", "US", 63536)

    assert seen(dataset)["00280120"] == {"vr": "SS", "Value": [-2000]}


def test_a_header_with_values_that_cannot_be_read_loses_only_them() -> None:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, a_slice(0))
    content = buffer.getvalue().replace(b"-600", b"x\xff-b")

    header = header_as_json(pydicom.dcmread(io.BytesIO(content)))

    assert "00281050" not in header
    assert header["00281051"]["Value"] == [1600]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.840.10008", True),
        ("2.25." + "9" * 39, True),
        ("1.2\n", False),
        ("1..2", False),
        ("..", False),
        ("1.2/../3", False),
        ("1" * 65, False),
        ("", False),
        (None, False),
        ("1.²", False),
    ],
)
def test_what_is_a_uid(text: object, expected: bool) -> None:
    assert is_uid(text) == expected
