"""Bodies and Accept headers of WADO-RS (PS3.18, 8.6 to 8.8)."""

import secrets
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class MediaRange(NamedTuple):
    """One alternative of an Accept header; everything in lower case but the parameters' values."""

    type: str
    parameters: dict[str, str]
    quality: float


def parse_accept(header: str) -> list[MediaRange]:
    """Read an Accept header, best alternatives first; an empty one accepts everything."""
    ranges = []
    for text in _split(header, ","):
        words = _split(text, ";")
        if not words:
            continue
        parameters = {}
        for word in words[1:]:
            name, _, value = word.partition("=")
            parameters[name.strip().lower()] = value.strip().strip('"')
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        ranges.append(MediaRange(words[0].lower(), parameters, quality))
    if not ranges:
        return [MediaRange("*/*", {}, 1.0)]
    return sorted((r for r in ranges if r.quality > 0), key=lambda r: -r.quality)


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` outside of quotes."""
    parts, quoted, start = [], False, 0
    for i, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


class Part(NamedTuple):
    """One part of a multipart body."""

    media_type: str
    body: bytes


def new_boundary() -> str:
    """Return a word that no part will hold."""
    return f"reread-{secrets.token_hex(16)}"


def content_type(part_type: str, boundary: str) -> str:
    """Return the Content-Type of a multipart/related body of such parts."""
    return f'multipart/related; type="{part_type}"; boundary={boundary}'


def stream(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    """Yield a multipart/related body piece by piece."""
    separator = ""
    for part in parts:
        head = f"{separator}--{boundary}\r\nContent-Type: {part.media_type}\r\n"
        yield f"{head}Content-Length: {len(part.body)}\r\n\r\n".encode("ascii")
        yield part.body
        separator = "\r\n"
    yield f"{separator}--{boundary}--\r\n".encode("ascii")


# A part of the image's own media type names its transfer syntax beside it (PS3.18 table 8.7.3-2).
_IMAGE_TYPES = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
}


def image_type(transfer_syntax: str) -> str:
    """Return the media type of a frame in `transfer_syntax`."""
    return _IMAGE_TYPES.get(transfer_syntax, "application/octet-stream")


def choose_frame_syntax(accept: str, stored: str, explicit_le: str) -> tuple[str, str] | None:
    """Say how a frame is to be sent: (media type, transfer syntax); None: not acceptable.

    A frame is sent as it is stored to those who ask for `transfer-syntax=*` or for its own
    media type; all others get little-endian numbers, PS3.18's default.
    """
    own = image_type(stored)
    for range_ in parse_accept(accept):
        inner = range_.parameters.get("type", "*/*").lower()
        wanted = range_.parameters.get("transfer-syntax")
        if range_.type not in {"multipart/related", "multipart/*", "*/*"}:
            # Single parts are not sent; a bare media type is taken for the type of the parts.
            inner = range_.type
        if inner in {"application/octet-stream", "application/*", "*/*"}:
            if wanted in (None, explicit_le):
                return "application/octet-stream", explicit_le
            if wanted in ("*", stored):
                # Cornerstone asks for octet-stream with any syntax and reads the part's own.
                return own, stored
        elif inner in {own, "image/*"} and wanted in (None, "*", stored):
            return own, stored
    return None


def accepts_part_10(accept: str, stored: str, explicit_le: str) -> str | None:
    """Return the transfer syntax in which whole instances are to be sent; None: not acceptable."""
    for range_ in parse_accept(accept):
        inner = range_.parameters.get("type", "*/*").lower()
        if range_.type not in {"multipart/related", "multipart/*", "*/*"}:
            inner = range_.type
        if inner not in {"application/dicom", "application/*", "*/*"}:
            continue
        wanted = range_.parameters.get("transfer-syntax")
        if wanted in ("*", stored):
            return stored
        if wanted in (None, explicit_le):
            return explicit_le
    return None
