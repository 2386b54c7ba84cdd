"""Images as archives send them: every lossless way of storing them shows the same voxels."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, Route
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from reader_study.models import Nodule, Study
from tests.browser.room import hu_in_the_middle, pane, wait_until_loaded
from tests.browser.voxels import read_voxels
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SYNTAXES = (ExplicitVRLittleEndian, RLELossless, JPEGLosslessSV1, JPEG2000Lossless, JPEGLSLossless)
BITS = 12  # of a generated CT
PART = re.compile(rb"Content-Length: (\d+)\r\n\r\n")


def options(rows: int, columns: int) -> dict[str, Any]:
    return {
        "rows": rows,
        "columns": columns,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": 16,
        "bits_stored": BITS,
        "pixel_representation": 0,
        "number_of_frames": 1,
    }


def jpeg_lossless(pixels: NDArray[np.uint16]) -> bytes:
    """Encode a slice by process 14, first-order prediction (ITU-T T.81, annex H)."""
    rows, columns = pixels.shape
    values = pixels.astype(np.int32)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << (BITS - 1)
    bits = []
    for difference in (values - predicted).ravel().tolist():
        size = abs(difference).bit_length()
        bits.append(f"{size:05b}")  # seventeen codes of five bits each
        if size:
            rest = difference if difference > 0 else difference + (1 << size) - 1
            bits.append(f"{rest:0{size}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    frame = b"\xff\xc3\x00\x0b" + bytes([BITS, *divmod(rows, 256), *divmod(columns, 256)])
    frame += bytes([1, 1, 0x11, 0])
    codes = bytes([0, 0, 0, 0, 0, 17, *([0] * 11), *range(17)])
    table = b"\xff\xc4" + (len(codes) + 2).to_bytes(2, "big") + codes
    scan = b"\xff\xda\x00\x08" + bytes([1, 1, 0, 1, 0, 0])
    return b"\xff\xd8" + frame + table + scan + data + b"\xff\xd9"


def stored(pixels: NDArray[np.uint16], syntax: str) -> bytes:
    """A slice as an archive may have it."""
    if syntax == ExplicitVRLittleEndian:
        return pixels.astype("<u2").tobytes()
    if syntax == JPEGLosslessSV1:
        return jpeg_lossless(pixels)
    return bytes(get_encoder(syntax).encode(pixels, **options(*pixels.shape)))


def test_every_transfer_syntax_shows_the_voxels_that_were_stored(
    page: Page, images_study: Study, log_in: Callable[[str], None], tmp_path: Path
):
    voxels = read_voxels(tmp_path / "ct")
    rows, columns = voxels.hu.shape[1:]
    sent: set[str] = set()

    def answer(route: Route) -> None:
        """Send each slice on in the next of the syntaxes, whatever the site stores it in."""
        response = route.fetch()
        body, parts, at = response.body(), [], 0
        first = int(re.search(r"/(?:slices|frames)/(\d+)", route.request.url)[1])  # type: ignore[index]
        frames = []
        while match := PART.search(body, at):
            at = match.end() + int(match[1])
            frames.append(body[match.end() : at])
        for number, frame in enumerate(frames or [body], start=first):
            pixels, _ = get_decoder(JPEGLSLossless).as_array(
                encapsulate([frame]), raw=True, **options(rows, columns)
            )
            syntax = SYNTAXES[number % len(SYNTAXES)]
            sent.add(syntax)
            data = stored(np.asarray(pixels, np.uint16).reshape(rows, columns), syntax)
            kind = f"application/octet-stream; transfer-syntax={syntax}"
            head = f"--b\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
            parts.append(head.encode() + data + b"\r\n")
        kind = 'multipart/related; type="application/octet-stream"; boundary=b'
        route.fulfill(body=b"".join(parts) + b"--b--", headers={"Content-Type": kind})

    page.route("**/dicomweb/**/frames/*", answer)
    log_in("reader")
    page.get_by_role("link", name="Begin with case 1").click()
    wait_until_loaded(page, images_study.cases.get().series.get().slices)
    page.locator(".pane.axial").focus()
    page.keyboard.press("n")
    page.keyboard.press("N")
    nodule = Nodule.objects.of_study(images_study).order_by("number")[0]
    wait_until(lambda: abs(pane(page)["position_mm"][2] - nodule.z) < 2, "the nodule", 10)

    assert sent == set(SYNTAXES)
    for _ in SYNTAXES:
        x, y, z = pane(page)["position_mm"]
        expected = float(voxels.along_z(x, y, np.array([z]))[0])
        wait_until(lambda: abs(hu_in_the_middle(page) - expected) < 15, f"{z}: {expected}", 10)  # noqa: B023
        page.keyboard.press("ArrowDown")
