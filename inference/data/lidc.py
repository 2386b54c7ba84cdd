"""LIDC-IDRI's nodules in series of a folder; where they lie is known in one place, the site's."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from inference.data.images import Series
from inference.errors import DataUnusable
from reader_study.dicomweb.geometry import Geometry, normal_of
from reader_study.dicomweb.judging import SeriesReport
from reader_study.dicomweb.lidc import nodules_of


class Finding(NamedTuple):
    """A nodule as its readers saw it."""

    patient: str
    centre_mm: tuple[float, float, float]  # LPS
    diameter_mm: float | None
    scores: dict[str, list[int]]


def nodules_of_series(series: Series) -> Iterator[Finding]:
    """Yield the nodules of a series, from the head downwards; none if it is not LIDC-IDRI's.

    Raises:
        DataUnusable: its headers do not say where it lies.
    """
    header = series.header
    try:
        orientation = np.array(header.ImageOrientationPatient, dtype=np.float64)
        first = np.array(header.ImagePositionPatient, dtype=np.float64)
        row_mm, column_mm = (float(value) for value in header.PixelSpacing)
    except (AttributeError, TypeError, ValueError) as error:
        raise DataUnusable(f"Series {series.uid} does not say where it lies.") from error
    # Outlines bring their own z: how far the slices reach does not matter here.
    geometry = Geometry(
        rows=int(header.Rows),
        columns=int(header.Columns),
        slices=len(series.files),
        row_mm=row_mm,
        column_mm=column_mm,
        slice_mm=1.0,
        first=first,
        along_row=orientation[:3],
        along_column=orientation[3:],
        normal=normal_of(tuple(orientation)),
        onward=normal_of(tuple(orientation)),
    )
    report = SeriesReport(
        study_uid=str(header.StudyInstanceUID),
        series_uid=series.uid,
        patient=str(header.get("PatientID", "")),
        frame_of_reference_uid=str(header.get("FrameOfReferenceUID", "")),
        files=series.files,
        transfer_syntaxes=(),
        geometry=geometry,
        problems=(),
    )
    for row in nodules_of(report) or ():
        yield Finding(row.patient, row.centre_mm, row.diameter_mm, row.reference_detail["scores"])
