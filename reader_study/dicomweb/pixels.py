"""Pixels of one slice: decoded once at import, kept as JPEG-LS, decoded again for who asks.

Every slice is kept as JPEG-LS lossless, whatever it came as. Readers' browsers decode it about
as fast as raw pixels arrive and three times as fast as JPEG 2000; readers and model see the same
numbers even of a lossy original, whose decoders differ; and no comment of another program
travels inside the compressed bytes.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID

from reader_study.dicomweb.errors import UndecodablePixels

EXPLICIT_LE = "1.2.840.10008.1.2.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"
LOSSY_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2.4.50",  # JPEG baseline
        "1.2.840.10008.1.2.4.51",  # JPEG extended
        "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
        "1.2.840.10008.1.2.4.91",  # JPEG 2000
        "1.2.840.10008.1.2.4.203",  # HTJ2K
        "1.2.840.10008.1.2.4.112",  # JPEG XL
    }
)

# Four times what any scanner makes; beyond it a small file could ask for gigabytes.
MOST_PIXELS = 4096 * 4096

# It logs whatever it warns of, once a slice; here a problem is told once, by the import.
logging.getLogger("pydicom").setLevel(logging.ERROR)


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever damaged bytes do to a decoder into a refusal.

    Decoders in Rust panic with an exception that is no `Exception`.

    Raises:
        UndecodablePixels: something was raised inside.
    """
    try:
        with tolerant():
            yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise UndecodablePixels(_one_line(error)) from error


@contextmanager
def tolerant() -> Iterator[None]:
    """Read what scanners write: pydicom's warnings about values it can still read are dropped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class PixelFormat(NamedTuple):
    """How the numbers of one slice are kept."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool

    @classmethod
    def of_json(cls, instance: Mapping[str, Any]) -> Self:
        """Read it from DICOM JSON; one sample a pixel.

        Raises:
            UndecodablePixels: a part of the description is missing.
        """
        try:
            values = [
                int(instance[tag]["Value"][0])
                for tag in ("00280010", "00280011", "00280100", "00280101", "00280103")
            ]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UndecodablePixels("the header does not describe the pixels") from error
        return cls(values[0], values[1], values[2], values[3], values[4] == 1)

    @property
    def n_bytes(self) -> int:
        """Length of the decoded slice."""
        return self.rows * self.columns * self.bits_allocated // 8

    def options(self) -> dict[str, Any]:
        """Say it in pydicom's words."""
        return {
            "rows": self.rows,
            "columns": self.columns,
            "bits_allocated": self.bits_allocated,
            "bits_stored": self.bits_stored,
            "pixel_representation": int(self.signed),
            "samples_per_pixel": 1,
            "photometric_interpretation": "MONOCHROME2",
            "number_of_frames": 1,
            "pixel_keyword": "PixelData",
        }


def decode_dataset(dataset: Dataset) -> NDArray[np.generic]:
    """Return the stored values of a slice, shape (rows, columns), before rescaling.

    Raises:
        UndecodablePixels: for whatever reason, since damaged bytes raise anything.
    """
    if "PixelData" not in dataset:
        raise UndecodablePixels("there is no pixel data")
    if dataset.get("Rows", 0) * dataset.get("Columns", 0) > MOST_PIXELS:
        raise UndecodablePixels(f"more than {MOST_PIXELS:,} pixels are no slice of a CT")
    with decoding():
        pixels = dataset.pixel_array
    if pixels.ndim != 2 or pixels.dtype.itemsize > 2 or pixels.dtype.kind not in "iu":
        raise UndecodablePixels(
            f"one grey image of 8 or 16 bits is expected, not {pixels.dtype} {pixels.shape}"
        )
    return pixels


def format_kept(pixels: NDArray[np.generic], bits_stored: int) -> PixelFormat:
    """Return how a decoded slice is kept, given how many bits its source used."""
    signed = pixels.dtype.kind == "i"
    allocated = 8 * pixels.dtype.itemsize
    return PixelFormat(
        rows=int(pixels.shape[0]),
        columns=int(pixels.shape[1]),
        bits_allocated=allocated,
        # A decoder fills the bits above with zeros, and browsers do not extend the sign.
        bits_stored=allocated if signed else bits_stored,
        signed=signed,
    )


def encode(pixels: NDArray[np.generic], bits_stored: int) -> tuple[bytes, PixelFormat]:
    """Return a slice as JPEG-LS lossless, and how it is to be read.

    The result was decoded again and compared: a lossless archive is one that has been checked.

    Raises:
        UndecodablePixels: it does not come back as it was.
    """
    kept = format_kept(pixels, bits_stored)
    with decoding():
        frame = bytes(get_encoder(UID(JPEG_LS)).encode(pixels, **kept.options()))
    if (
        decode_frame(frame, JPEG_LS, kept)
        != pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    ):
        raise UndecodablePixels("compression would change the pixels")
    return frame + b"\0" * (len(frame) % 2), kept


def decode_frame(frame: bytes, transfer_syntax: str, kept: PixelFormat) -> bytes:
    """Return a frame as little-endian numbers, row by row.

    Raises:
        UndecodablePixels: the bytes are not what they should be.
    """
    if transfer_syntax == EXPLICIT_LE:
        return frame
    with decoding():
        pixels, _ = get_decoder(UID(transfer_syntax)).as_array(
            encapsulate([frame]), **kept.options()
        )
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def decompressed(content: bytes) -> bytes:
    """Return a DICOM file with its pixels as explicit little-endian numbers.

    Raises:
        UndecodablePixels: the file is damaged.
    """
    with decoding():
        dataset = dcmread(BytesIO(content))
        dataset.decompress(generate_instance_uid=False)
        buffer = BytesIO()
        dcmwrite(buffer, dataset)
    return buffer.getvalue()
