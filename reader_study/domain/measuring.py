"""Measurements: points in the patient, what follows from them, and when they can be right.

A measurement is `{"id", "kind", "plane", "series", "nodule", "points_mm"}`, an arrow with `text`
besides. Points are LPS millimetres in the frame of reference of the series. A bidirectional
measurement has the ends of one axis and then of the other, at right angles; so has an ellipse,
whose axes halve each other. What is measured is never stored: it is computed from the points.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from reader_study.domain.lung_rads import tenth

Point = tuple[float, float, float]

TEXT_LIMIT = 200
MOST_MEASUREMENTS = 200
# No patient, and no volume, reaches further from the origin.
FARTHEST_MM = 10_000
# Points of one plane, as the browser computes them from pixels.
FLAT_WITHIN_MM = 0.05
# The cosine of the angle between two axes at right angles, and how far they halve each other.
SQUARE_WITHIN = 0.02
HALVED_WITHIN_MM = 0.05


class Tool(StrEnum):
    """What is measured with."""

    LENGTH = "length"
    BIDIRECTIONAL = "bidirectional"
    ELLIPSE = "ellipse"
    ARROW = "arrow"


POINTS = {Tool.LENGTH: 2, Tool.BIDIRECTIONAL: 4, Tool.ELLIPSE: 4, Tool.ARROW: 2}


class Plane(StrEnum):
    """The plane in which a measurement was made, and alone is shown."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


_NORMALS = {Plane.AXIAL: (0.0, 0, 1), Plane.CORONAL: (0.0, 1, 0), Plane.SAGITTAL: (1.0, 0, 0)}


class Volume(NamedTuple):
    """Where the voxels of a series lie: as the import has measured it.

    The centre of voxel (i, j, k) is `first + i * steps_mm[0] * axes[0] + ...`. The third axis
    goes from slice to slice: it is not at right angles to them where the gantry was tilted.
    Where their distances differ, slice k lies at `places_mm[k]` along it.
    """

    first: Point
    axes: tuple[Point, Point, Point]  # unit vectors
    steps_mm: tuple[float, float, float]
    counts: tuple[int, int, int]
    places_mm: tuple[float, ...] | None = None

    @property
    def normals(self) -> tuple[Point, Point, Point]:
        """Unit vectors across the planes in which a column, a row and a slice lie."""
        one, other, onward = self.axes
        across = _cross(one, other)
        return one, other, across if _dot(across, onward) > 0 else _scaled(across, -1)

    def along(self, point: Sequence[float]) -> tuple[float, float, float]:
        """Return where `point` lies along the three axes from the first voxel, in mm."""
        offset = _from(self.first, point)
        normal, onward = self.normals[2], self.axes[2]
        place = _dot(offset, normal) / _dot(onward, normal)
        within = _from(_scaled(onward, place), offset)
        return _dot(within, self.axes[0]), _dot(within, self.axes[1]), place

    @property
    def lengths_mm(self) -> tuple[float, float, float]:
        """Between the outermost centres, along the axes."""
        columns, rows, slices = (
            step * (count - 1) for step, count in zip(self.steps_mm, self.counts, strict=True)
        )
        return columns, rows, self.places_mm[-1] if self.places_mm else slices

    def holds(self, point: Sequence[float]) -> bool:
        """Tell whether `point` lies inside, or within a voxel of the outermost centres."""
        return all(
            -step <= at <= length + step
            for at, step, length in zip(
                self.along(point), self.steps_mm, self.lengths_mm, strict=True
            )
        )


def values(kind: Tool, points: Sequence[Sequence[float]]) -> dict[str, float]:
    """Return what points of a measurement come to, by quantity, in mm and mm2.

    Lengths are rounded to one decimal, and a mean is that of the rounded axes: so Lung-RADS
    v2022 has diameters.
    """
    if kind is Tool.ARROW:
        return {}
    axes = [tenth(_distance(*points[at : at + 2])) for at in range(0, len(points), 2)]
    if kind is Tool.LENGTH:
        return {"length": axes[0]}
    found = {"long_axis": max(axes), "short_axis": min(axes)}
    if kind is Tool.BIDIRECTIONAL:
        return {**found, "mean_diameter": tenth((axes[0] + axes[1]) / 2)}
    full = [_distance(*points[at : at + 2]) for at in (0, 2)]
    return {**found, "area": tenth(math.pi * full[0] * full[1] / 4)}


def taken(measurement: Mapping[str, Any], quantity: str) -> float | None:
    """Return what a question about `quantity` takes from a measurement; None if nothing.

    A length stands for each of the diameters.
    """
    found = values(Tool(measurement["kind"]), measurement["points_mm"])
    if measurement["kind"] == Tool.LENGTH:
        return found["length"]
    return found.get(quantity) if measurement["kind"] == Tool.BIDIRECTIONAL else None


def is_uuid(text: object) -> bool:
    """Tell whether `text` is a UUID in its usual form."""
    try:
        return isinstance(text, str) and str(UUID(text)) == text
    except ValueError:
        return False


def is_point(value: object) -> bool:
    """Tell whether `value` is a point that a patient could reach."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(
            isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= FARTHEST_MM
            for v in value
        )
    )


def outside(
    series: object, points: Sequence[Sequence[float]], volumes: Mapping[int, Volume | None]
) -> str | None:
    """Return why `points` are not in a series of the case, or None."""
    if not isinstance(series, int) or isinstance(series, bool) or series not in volumes:
        return "there is no such series in this case"
    volume = volumes[series]
    if volume and not all(volume.holds(point) for point in points):
        return "it lies outside of the images"
    return None


def problem_of(
    measurement: object,
    subjects: Collection[str],
    volumes: Mapping[int, Volume | None],
    priors: Collection[int] = (),
) -> str | None:
    """Return what is wrong with a measurement, or None.

    Parameters
    ----------
    subjects : the nodules and marks it may belong to
    volumes : the series of the case; None where the import has not kept the place of one
    priors : which of them are of earlier examinations, where nothing that is rated lies
    """
    if not isinstance(measurement, Mapping):
        return "a measurement has a kind, a plane and points"
    try:
        kind, plane = Tool(measurement.get("kind", "")), Plane(measurement.get("plane", ""))
    except ValueError:
        return "its kind or its plane is not known"
    wanted = {"id", "kind", "plane", "series", "nodule", "points_mm"}
    if set(measurement) - {"text"} != wanted or not is_uuid(measurement["id"]):
        return "a measurement has an id, a kind, a plane, a series, a nodule and points"
    text = measurement.get("text", "")
    if not isinstance(text, str) or len(text) > TEXT_LIMIT or (text and kind is not Tool.ARROW):
        return f"a text belongs to an arrow and has at most {TEXT_LIMIT} characters"
    nodule = measurement["nodule"]
    if nodule is not None and nodule not in subjects:
        return "it belongs to no nodule of this reading"
    points = measurement["points_mm"]
    if (
        not isinstance(points, list)
        or len(points) != POINTS[kind]
        or not all(map(is_point, points))
    ):
        return f"{kind} has {POINTS[kind]} points in millimetres"
    series = measurement["series"]
    if detail := outside(series, points, volumes):
        return detail
    if nodule is not None and series in priors:
        return "what is measured in an earlier examination says nothing about a nodule of this one"
    return _shape(kind, points, plane, volumes[series])


def _shape(
    kind: Tool, points: Sequence[Sequence[float]], plane: Plane, volume: Volume | None
) -> str | None:
    normals: list[Sequence[float]] = [_NORMALS[plane]]
    if volume:  # of a series that is not straight in the patient
        normals.append(max(volume.normals, key=lambda axis: abs(_dot(axis, _NORMALS[plane]))))
    first = points[0]
    if not any(
        all(abs(_dot(_from(first, point), normal)) <= FLAT_WITHIN_MM for point in points)
        for normal in normals
    ):
        return f"its points do not lie in one {plane} plane"
    if kind in {Tool.LENGTH, Tool.ARROW}:
        return None if _distance(*points) > 0 else "its points are one"
    one, other = _from(points[0], points[1]), _from(points[2], points[3])
    across = math.sqrt(_dot(one, one) * _dot(other, other))
    if not across > 0 or abs(_dot(one, other)) > SQUARE_WITHIN * across:
        return "its two axes are not at right angles"
    if kind is Tool.ELLIPSE:
        apart = [(a + b - c - d) / 2 for a, b, c, d in zip(*points, strict=True)]
        if math.sqrt(_dot(apart, apart)) > HALVED_WITHIN_MM:
            return "its two axes do not halve each other"
    return None


def _cross(a: Sequence[float], b: Sequence[float]) -> Point:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _scaled(a: Sequence[float], times: float) -> Point:
    return times * a[0], times * a[1], times * a[2]


def _from(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [y - x for x, y in zip(a, b, strict=True)]


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the distance, computed as the reading room does, to the last bit."""
    along = _from(a, b)
    return math.sqrt(_dot(along, along))
