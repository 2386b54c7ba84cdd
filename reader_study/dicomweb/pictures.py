"""Slices as small pictures, for those who set a study up."""

import io

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image

from reader_study.dicomweb.archive import Archive
from reader_study.dicomweb.errors import NotInArchive
from reader_study.dicomweb.metadata import value_of
from reader_study.dicomweb.pixels import decode_dataset, tolerant

LUNG_HU = (-1350.0, 150.0)


def as_png(pixels: NDArray[np.generic], low: float, high: float, most: int = 1024) -> bytes:
    """Return a grey picture, at most `most` pixels wide and high; `low` is black, `high` white."""
    span = max(high - low, 1.0)
    grey = np.clip((pixels.astype(np.float32) - low) * (255 / span), 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.thumbnail((most, most))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def picture_of(content: bytes, most: int = 1024) -> bytes:
    """Return the slice of a DICOM file from its darkest to its brightest pixel.

    So that text shows, which is as bright or as dark as can be.

    Raises:
        UndecodablePixels: its pixels cannot be read.
    """
    with tolerant():
        pixels = decode_dataset(pydicom.dcmread(io.BytesIO(content)))
    return as_png(pixels, float(pixels.min()), float(pixels.max()), most)


def middle_of(archive: Archive, study_uid: str, series_uid: str, most: int = 160) -> bytes:
    """Return the slice in the middle of a series, in the lung window.

    Raises:
        ArchiveError: the archive does not have it, or does not answer.
        UndecodablePixels: the stored bytes are damaged.
    """
    headers = archive.series_metadata(study_uid, series_uid)
    if not headers:
        raise NotInArchive("the series has no images")
    header = headers[len(headers) // 2]
    frame = archive.frame(study_uid, series_uid, str(value_of(header, "00080018")))
    kept = frame.pixels
    kind = f"<{'i' if kept.signed else 'u'}{kept.bits_allocated // 8}"
    pixels = np.frombuffer(frame.decoded(), kind).reshape(kept.rows, kept.columns)
    slope = float(value_of(header, "00281053") or 1)
    intercept = float(value_of(header, "00281052") or 0)
    return as_png(pixels * slope + intercept, *LUNG_HU, most)
