"""The slices of one series: their order, the grid they make, and what is wrong with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from pydicom.uid import UID

from reader_study.dicomweb.geometry import (
    Geometry,
    Vector,
    is_regular,
    normal_of,
    slots,
    tilt_degrees,
)
from reader_study.dicomweb.metadata import day_of
from reader_study.dicomweb.pixels import LOSSY_SYNTAXES, tolerant
from reader_study.dicomweb.problems import Problem, Verdict, counted
from reader_study.dicomweb.slices import Slice

MANY_SLICES = 3  # fewer make no other plane
AXIAL_ALONE = "readers get the axial images alone"
# By no gantry more; and how far aside of the others a slice may lie, of a pixel.
MOST_TILTED_DEGREES = 35.0
SHIFTED_PIXELS = 0.5
THICK_MM = 3.0
COVERS_LITTLE_MM = 100.0


@dataclass(frozen=True)
class SeriesReport:
    """What was found of one series."""

    study_uid: str
    series_uid: str
    patient: str
    frame_of_reference_uid: str
    files: tuple[Path, ...]  # along the normal, without those set aside
    transfer_syntaxes: tuple[str, ...]  # their names
    geometry: Geometry | None
    problems: tuple[Problem, ...]
    day: date | None = None  # of the examination
    kernel: str = ""  # as vendors name them; empty for what may be anything else

    @property
    def refusals(self) -> tuple[Problem, ...]:
        """Why it is not imported; empty when it is."""
        return tuple(p for p in self.problems if p.verdict is Verdict.REFUSES)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What to know about it."""
        return tuple(p for p in self.problems if p.verdict is Verdict.WARNS)

    def __str__(self) -> str:
        return self.line("can be imported")

    def line(self, outcome: str) -> str:
        """Say UID, slices, transfer syntax, geometry, and `outcome` unless it is refused."""
        parts = [self.series_uid, counted(len(self.files), "slice")]
        parts.append(", ".join(self.transfer_syntaxes) or "no image")
        if (g := self.geometry) is not None:
            parts.append(
                f"{g.rows} x {g.columns}, {g.row_mm:.3f} x {g.column_mm:.3f} mm, "
                f"z {g.first[2]:.2f} to {g.last[2]:.2f} mm, every {g.slice_mm:.2f} mm"
            )
        if self.refusals:
            parts.append("refused: " + "; ".join(map(str, self.refusals)))
        else:
            parts.append(outcome)
        if self.warnings:
            parts.append("note: " + "; ".join(map(str, self.warnings)))
        return " | ".join(parts)


def judged(found: Sequence[Slice], aside: list[Problem]) -> SeriesReport:
    """Say what is wrong with a series, and put its slices in order."""
    problems: list[Problem] = []

    def say(code: str, detail: str) -> None:
        problems.append(Problem(code, detail))

    slices: list[Slice] = []
    by_uid: dict[str, Slice] = {}
    for one in found:
        other = by_uid.setdefault(one.instance, one)
        if other is one:
            slices.append(one)
        elif (other.digest, other.place) == (one.digest, one.place):
            aside.append(Problem("same_file_twice", "is there twice", str(one.path.name)))
        else:
            slices.append(one)
            say("duplicate_uid", f"{other.path.name} and {one.path.name} differ but share one UID")
    problems += _summed_up(slices)

    if len({one.study for one in slices}) > 1:
        say("mixed_studies", "its files name different studies")
    frames = {one.frame_of_reference for one in slices}
    if len(frames) > 1:
        say("mixed_frames", "its slices have different frames of reference")
    elif frames == {""}:
        say("no_frame_of_reference", "no frame of reference is given; it stands for itself")
    syntaxes = sorted({one.syntax for one in slices})
    if LOSSY_SYNTAXES & set(syntaxes):
        say("lossy", "its images were compressed with loss")

    geometry = None
    if all(one.place and one.orientation and one.spacing for one in slices):
        slices, geometry = _in_order(slices, say)
    frame = slices[0].frame_of_reference or slices[0].series
    return SeriesReport(
        study_uid=slices[0].study,
        series_uid=slices[0].series,
        patient=slices[0].patient,
        frame_of_reference_uid=frame,
        files=tuple(one.path for one in slices),
        transfer_syntaxes=tuple(_name(syntax) for syntax in syntaxes),
        geometry=geometry,
        problems=tuple(problems),
        day=day_of(slices[0].day),
        kernel=slices[0].kernel,
    )


def _onward(
    places: Vector, normal: Vector, pixel_mm: float, say: Callable[[str, str], None]
) -> Vector | None:
    """Return the unit vector from slice to slice; None where they do not follow one direction.

    `places`, shape (n, 3), of the first voxel of each slice, sorted along `normal`.
    """
    if len(places) == 1:
        return normal
    way = places[-1] - places[0]
    off = np.zeros(len(places))
    for onward in (normal, way / np.linalg.norm(way)):
        along = (places - places[0]) @ normal / float(onward @ normal)
        off = np.linalg.norm(places - places[0] - along[:, None] * onward, axis=1)
        if off.max() <= SHIFTED_PIXELS * pixel_mm:
            break
    else:
        worst = places[int(off.argmax())][2]
        say(
            "shifted_slices", f"a slice lies {off.max():.1f} mm aside of the others (z {worst:.2f})"
        )
        return None
    tilt = tilt_degrees(onward, normal)
    if tilt > MOST_TILTED_DEGREES:
        say("shifted_slices", f"its slices are sheared by {tilt:.0f} degrees, as by no gantry")
        return None
    if onward is not normal:
        say("tilted_gantry", f"the gantry was tilted by {tilt:.1f} degrees: {AXIAL_ALONE}")
    return np.asarray(onward, np.float64)


def _say_of_distances(along: Vector, places: Vector, say: Callable[[str, str], None]) -> None:
    """Say where slices are missing, or that their distances follow no rule."""
    distances = np.diff(along)
    where = slots(along)
    if where is None:
        low, high = float(distances.min()), float(distances.max())
        say("irregular_spacing", f"slices are {low:.2f} to {high:.2f} mm apart: {AXIAL_ALONE}")
        return
    missing = [(i, times - 1) for i, times in enumerate(np.diff(where).tolist()) if times > 1]
    number = sum(count for _, count in missing)
    told = ", ".join(f"{places[i][2]:.2f} and {places[i + 1][2]:.2f}" for i, _ in missing[:3])
    more = " and elsewhere" if len(missing) > 3 else ""
    say("missing_slices", f"{counted(number, 'slice')} missing between z {told} mm{more}")


def _name(syntax: str) -> str:
    """Return the name of a transfer syntax; one that is none is its own name."""
    with tolerant():
        return UID(syntax).name


def _summed_up(slices: Sequence[Slice]) -> list[Problem]:
    """Turn one problem of many files into one line."""
    by_code: dict[str, list[Problem]] = {}
    for problem in (problem for one in slices for problem in one.problems):
        by_code.setdefault(problem.code, []).append(problem)
    return [
        problems[0]
        if len(problems) == 1
        else Problem(
            problems[0].code,
            problems[0].detail,
            f"{counted(len(problems), 'file')}, {problems[0].where} and others",
        )
        for problems in by_code.values()
    ]


def _in_order(
    slices: list[Slice], say: Callable[[str, str], None]
) -> tuple[list[Slice], Geometry | None]:
    """Sort slices along their normal, and judge the grid they make."""
    first = slices[0]
    orientations = np.array([one.orientation for one in slices], dtype=np.float64)
    try:
        normal = normal_of(orientations[0].tolist())
    except ValueError as error:
        say("no_place", str(error))
        return slices, None
    turned = not np.allclose(orientations, orientations[0], atol=1e-3)
    if turned:
        say("mixed_orientation", "its slices are not parallel")
    spacings = np.array([one.spacing for one in slices], dtype=np.float64)
    sizes = {(one.rows, one.columns) for one in slices}
    if len(sizes) > 1 or not np.allclose(spacings, spacings[0], rtol=1e-3):
        say("mixed_size", "its slices differ in rows, columns or pixel spacing")
        turned = True

    places = np.array([one.place for one in slices], dtype=np.float64)
    along = places @ normal
    order = np.argsort(along, kind="stable")
    slices = [slices[i] for i in order]
    places, along = places[order], along[order]
    if turned:
        return slices, None
    if len(slices) < MANY_SLICES:
        say("few_slices", f"it has {counted(len(slices), 'slice')} only: {AXIAL_ALONE}")

    distances = np.diff(along)
    same = np.flatnonzero(distances < 1e-3)
    if same.size:
        names = ", ".join(slices[i + 1].path.name for i in same[:3])
        where = f"{counted(len(same), 'slice')} at the place of another ({names})"
        say("duplicate_slice", where)
        return slices, None
    onward = _onward(places, normal, float(spacings[0].min()), say)
    if onward is None:
        return slices, None
    steps = distances / float(onward @ normal)
    places_mm = None if is_regular(along) else (0.0, *np.cumsum(steps).tolist())
    thick = first.thickness_mm
    row, column = orientations[0].reshape(2, 3)
    geometry = Geometry(
        rows=first.rows,
        columns=first.columns,
        slices=len(slices),
        row_mm=float(spacings[0, 0]),
        column_mm=float(spacings[0, 1]),
        slice_mm=thick
        if not len(steps)
        else float(np.median(steps) if places_mm else steps.mean()),
        first=places[0],
        along_row=row,
        along_column=column,
        normal=normal,
        onward=onward,
        places_mm=places_mm,
    )
    if places_mm:
        _say_of_distances(along, places, say)
    if abs(normal[2]) < 0.95:
        say("not_axial", "its slices are not axial")
    if geometry.slice_mm > THICK_MM:
        say("thick_slices", f"slices are {geometry.slice_mm:.1f} mm apart")
    if geometry.covers_mm < COVERS_LITTLE_MM:
        say("covers_little", f"it covers only {geometry.covers_mm:.0f} mm of the patient")
    return slices, geometry
