"""What clients accept, and the bodies they get."""

from email.parser import BytesParser

import pytest

from reader_study.dicomweb.multipart import (
    Part,
    accepts_part_10,
    choose_frame_syntax,
    content_type,
    image_type,
    new_boundary,
    parse_accept,
    stream,
)
from reader_study.dicomweb.pixels import EXPLICIT_LE, JPEG_LS

DECODED = ("application/octet-stream", EXPLICIT_LE)
AS_STORED = ("image/jls", JPEG_LS)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", DECODED),
        ("*/*", DECODED),
        # dicomweb-client, as it is
        ('multipart/related; type="*/*"', DECODED),
        ('multipart/related; type="application/octet-stream"', DECODED),
        (
            'multipart/related; type="application/octet-stream"; '
            "transfer-syntax=1.2.840.10008.1.2.1",
            DECODED,
        ),
        ('multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80', AS_STORED),
        # Cornerstone and OHIF
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", AS_STORED),
        ("multipart/related; type=image/jls", AS_STORED),
        ('multipart/related; type="image/*"', AS_STORED),
        ("application/octet-stream", DECODED),
        # the better alternative first
        (
            'multipart/related; type="image/jls";q=0.5, '
            'multipart/related; type="application/octet-stream"',
            DECODED,
        ),
        (
            'multipart/related; type="image/jp2", multipart/related; type="image/jls"',
            AS_STORED,
        ),
        # what cannot be sent
        ('multipart/related; type="image/jp2"', None),
        ('multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.90', None),
        ("application/dicom+json", None),
        ('multipart/related; type="image/jls"; q=0', None),
    ],
)
def test_a_frame_is_sent_as_it_is_asked_for(accept: str, expected: tuple[str, str] | None) -> None:
    assert choose_frame_syntax(accept, JPEG_LS, EXPLICIT_LE) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", EXPLICIT_LE),
        ('multipart/related; type="application/dicom"', EXPLICIT_LE),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', JPEG_LS),
        (f'multipart/related; type="application/dicom"; transfer-syntax={JPEG_LS}', JPEG_LS),
        ('multipart/related; type="application/dicom"; transfer-syntax=1.2.3', None),
        ('multipart/related; type="image/jls"', None),
    ],
)
def test_an_instance_is_sent_as_it_is_asked_for(accept: str, expected: str | None) -> None:
    assert accepts_part_10(accept, JPEG_LS, EXPLICIT_LE) == expected


def test_separators_inside_quotes_belong_to_the_value() -> None:
    (range_,) = parse_accept('multipart/related; type="a,b;c"; q=0.25')

    assert (range_.parameters, range_.quality) == ({"type": "a,b;c"}, 0.25)


def test_a_body_is_read_by_an_independent_parser() -> None:
    boundary = new_boundary()
    bodies = [b"\x00\r\n--\xff", b"", b"second"]
    parts = [Part("image/jls; transfer-syntax=1.2", body) for body in bodies]

    body = b"".join(stream(parts, boundary))
    head = f"Content-Type: {content_type('image/jls', boundary)}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + body)

    found = list(message.walk())[1:]
    assert [part.get_payload(decode=True) for part in found] == bodies
    assert {part.get_content_type() for part in found} == {"image/jls"}


def test_a_syntax_without_a_media_type_of_its_own_is_bytes() -> None:
    assert image_type("1.2.840.10008.1.2.5") == "application/octet-stream"
