"""What lies in a folder: CT series, what is wrong with them, and whether they can be read.

Nothing stops the look: a problem belongs to a file or a series, and the next one is looked at.
"""

import hashlib
import io
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from reader_study.dicomweb.errors import UndecodablePixels
from reader_study.dicomweb.geometry import (
    STRAIGHT_WITHIN_DEGREES,
    Geometry,
    gaps,
    is_regular,
    normal_of,
    tilt_degrees,
)
from reader_study.dicomweb.metadata import day_of, kernel_named
from reader_study.dicomweb.nodules import NoduleRow
from reader_study.dicomweb.pixels import LOSSY_SYNTAXES, decode_dataset, tolerant
from reader_study.dicomweb.uids import is_uid

DEFLATED = b"1.2.840.10008.1.2.1.99"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


class Verdict(Enum):
    """What follows from a problem."""

    SETS_ASIDE = "set aside"  # this file is left out, its series is judged without it
    REFUSES = "refused"  # the series, or the nodule, is not imported
    WARNS = "warning"  # it is imported


# Every problem there is, and what follows from it.
VERDICTS = {
    # of a file
    "not_dicom": Verdict.SETS_ASIDE,
    "unreadable_file": Verdict.SETS_ASIDE,
    "too_large": Verdict.SETS_ASIDE,
    "other_modality": Verdict.SETS_ASIDE,
    "localizer": Verdict.SETS_ASIDE,
    "same_file_twice": Verdict.SETS_ASIDE,
    "bad_uid": Verdict.SETS_ASIDE,
    # of a series
    "undecodable_pixels": Verdict.REFUSES,
    "unsupported_image": Verdict.REFUSES,
    "burned_in": Verdict.REFUSES,
    "no_place": Verdict.REFUSES,
    "no_hounsfield": Verdict.REFUSES,
    "mixed_studies": Verdict.REFUSES,
    "mixed_size": Verdict.REFUSES,
    "mixed_orientation": Verdict.REFUSES,
    "mixed_frames": Verdict.REFUSES,
    "duplicate_uid": Verdict.REFUSES,
    "duplicate_slice": Verdict.REFUSES,
    "missing_slices": Verdict.REFUSES,
    "irregular_spacing": Verdict.REFUSES,
    "tilted_gantry": Verdict.REFUSES,
    "too_few_slices": Verdict.REFUSES,
    "no_frame_of_reference": Verdict.WARNS,
    "not_axial": Verdict.WARNS,
    "lossy": Verdict.WARNS,
    "thick_slices": Verdict.WARNS,
    "covers_little": Verdict.WARNS,
    # of a nodule
    "bad_number": Verdict.REFUSES,
    "bad_reference": Verdict.REFUSES,
    "bad_label": Verdict.REFUSES,
    "duplicate_label": Verdict.REFUSES,
    "unknown_series": Verdict.REFUSES,
    "unknown_study": Verdict.REFUSES,
    "series_refused": Verdict.REFUSES,
    "nodule_outside_volume": Verdict.REFUSES,
    "imported_otherwise": Verdict.REFUSES,
    "study_dealt_out": Verdict.REFUSES,
    # of a further series, of the same or of an earlier examination
    "nodule_in_prior": Verdict.REFUSES,
    "bad_days": Verdict.REFUSES,
    "unknown_examination": Verdict.REFUSES,
    "prior_is_a_case": Verdict.REFUSES,
    "prior_is_later": Verdict.REFUSES,
    "unknown_interval": Verdict.WARNS,
    "other_dates": Verdict.WARNS,
    "several_examinations": Verdict.WARNS,
    "nodule_near_edge": Verdict.WARNS,
    "other_patient": Verdict.WARNS,
}

MOST_BYTES = 256_000_000  # of one file, also after inflating
MIN_SLICES = 3
THICK_MM = 3.0
COVERS_LITTLE_MM = 100.0
NEAR_EDGE_MM = 25.0  # the model looks at a cube of 50 mm


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what, and (by its code) what follows."""

    code: str
    detail: str
    where: str = ""

    @property
    def verdict(self) -> Verdict:
        """What follows from it."""
        return VERDICTS[self.code]

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.detail}"


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


@dataclass(frozen=True)
class Findings:
    """What was found in a folder."""

    series: tuple[SeriesReport, ...]
    set_aside: tuple[Problem, ...]

    @property
    def looked_at_everything(self) -> bool:
        """False when a file or folder could not be opened."""
        return all(problem.code != "unreadable_file" for problem in self.set_aside)

    def lines(self) -> list[str]:
        """Say what was set aside in few lines: a folder of another modality is one line."""
        said: dict[tuple[str, str], list[str]] = {}
        for problem in self.set_aside:
            said.setdefault((problem.code, problem.detail), []).append(problem.where)
        return [
            f"set aside: {places[0]}: {detail}"
            if len(places) == 1
            else f"set aside: {counted(len(places), 'file')}, {places[0]} and others: {detail}"
            for (_, detail), places in said.items()
        ]


class _Slice(NamedTuple):
    """What is kept in mind of a file while its series is judged."""

    path: Path
    patient: str
    study: str
    series: str
    instance: str
    frame_of_reference: str
    syntax: str
    rows: int
    columns: int
    place: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    digest: str
    problems: tuple[Problem, ...]
    day: str
    kernel: str


Progress = Callable[[int, int], None]


def look_at(
    folder: Path, progress: Progress | None = None, *, besides: Path | None = None
) -> Findings:
    """Look at every file below `folder`, pixels included, but for the list of nodules `besides`.

    `progress` is called with (files done, files in all).
    """
    aside: list[Problem] = []
    paths = [path for path in _files(folder, aside) if besides is None or path != besides]
    return _look_at_files(paths, folder, aside, progress)


def look_at_series(files: Iterable[Path], folder: Path) -> Findings:
    """Look at the given files only."""
    return _look_at_files(list(files), folder, [], None)


def _look_at_files(
    paths: Sequence[Path], folder: Path, aside: list[Problem], progress: Progress | None
) -> Findings:
    slices: dict[str, list[_Slice]] = {}
    for done, path in enumerate(paths):
        name = str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
        found = _read(path, name)
        if isinstance(found, Problem):
            aside.append(found)
        else:
            slices.setdefault(found.series, []).append(found)
        if progress:
            progress(done + 1, len(paths))
    reports = [_judge(group, aside) for _, group in sorted(slices.items())]
    return Findings(tuple(reports), tuple(aside))


def _files(folder: Path, aside: list[Problem]) -> Iterator[Path]:
    def refused(error: OSError) -> None:
        where = str(error.filename or folder)
        aside.append(Problem("unreadable_file", f"cannot be opened: {error.strerror}", where))

    for parent, folders, names in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(names):
            if not name.startswith(".") and name != "DICOMDIR":
                yield Path(parent) / name


def content_of(path: Path, name: str) -> bytes | Problem:
    """Return the bytes of a file that can be one slice."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return Problem("not_dicom", "is not a file", name)  # opening a pipe would wait
        if path.stat().st_size > MOST_BYTES:
            return Problem("too_large", "is too large for one slice", name)
        content = path.read_bytes()
    except OSError as error:
        return Problem("unreadable_file", f"cannot be opened: {error.strerror}", name)
    if _inflates_too_far(content):
        return Problem("too_large", "inflates to more than one slice can be", name)
    return content


def _read(path: Path, name: str) -> _Slice | Problem:
    """Read one file; whatever its bytes do to the reader is a problem of this file."""
    content = content_of(path, name)
    if isinstance(content, Problem):
        return content
    try:
        with tolerant():
            return _read_dataset(pydicom.dcmread(io.BytesIO(content)), path, name, content)
    except InvalidDicomError:
        return Problem("not_dicom", "is not a DICOM file", name)
    except Exception as error:  # noqa: BLE001  damaged bytes raise anything
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        return Problem("not_dicom", f"is a damaged DICOM file ({reason})", name)


def _inflates_too_far(content: bytes) -> bool:
    """Whether a deflated file holds more than can be a slice; what is no deflated file does not.

    The meta information ends where its group length, its first element, says (PS3.10, 7.1).
    """
    if content[128:138] != b"DICM\x02\x00\x00\x00UL" or DEFLATED not in content[138:1000]:
        return False
    begin = 144 + int.from_bytes(content[140:144], "little")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflater.decompress(content[begin:], MOST_BYTES)
    except zlib.error:
        return False
    return bool(inflater.unconsumed_tail)


def is_localizer(dataset: Dataset) -> bool:
    """Tell whether an image is a scout, on which slices are planned."""
    return "LOCALIZER" in [str(word) for word in dataset.get("ImageType", []) or []]


def _read_dataset(dataset: Dataset, path: Path, name: str, content: bytes) -> _Slice | Problem:
    modality = str(dataset.get("Modality", ""))
    if modality != "CT":
        return Problem("other_modality", f"is {modality[:16] or 'no image'}, not CT", name)
    if is_localizer(dataset):
        return Problem("localizer", "is a localizer (scout) image", name)
    uids = [str(dataset.get(key, "")) for key in _UIDS]
    if not all(map(is_uid, uids)):
        return Problem("bad_uid", "has no usable study, series and SOP instance UID", name)
    problems = []

    def say(code: str, detail: str) -> None:
        problems.append(Problem(code, detail, name))

    syntax = str(dataset.file_meta.TransferSyntaxUID)
    digest = ""
    if str(dataset.get("SOPClassUID")) != CT_IMAGE_STORAGE or _whole(dataset, "NumberOfFrames") > 1:
        say("unsupported_image", "is not a single-frame CT image; convert it to one file a slice")
    elif (
        _whole(dataset, "SamplesPerPixel") != 1
        or dataset.get("PhotometricInterpretation") != "MONOCHROME2"
    ):
        say("unsupported_image", "is not a grey image")
    else:
        try:
            digest = hashlib.sha256(decode_dataset(dataset).tobytes()).hexdigest()
        except UndecodablePixels as error:
            say("undecodable_pixels", f"its pixels cannot be decoded ({error})")
    if dataset.get("BurnedInAnnotation") == "YES":
        say("burned_in", "says that text is burned into the image, which may name the patient")
    if (
        len(_numbers(dataset, "RescaleSlope") or ()) != 1
        or len(_numbers(dataset, "RescaleIntercept") or ()) != 1
        or dataset.get("RescaleType", "HU") not in {"HU", "US", ""}
    ):
        say("no_hounsfield", "does not say how pixels become Hounsfield units")
    place = _numbers(dataset, "ImagePositionPatient", 3)
    orientation = _numbers(dataset, "ImageOrientationPatient", 6)
    spacing = _numbers(dataset, "PixelSpacing", 2)
    if place is None or orientation is None or spacing is None or min(spacing) <= 0:
        say("no_place", "does not say where in the patient it lies")
    frame = str(dataset.get("FrameOfReferenceUID") or "")
    return _Slice(
        path=path,
        patient=str(dataset.get("PatientID") or ""),
        study=uids[0],
        series=uids[1],
        instance=uids[2],
        frame_of_reference=frame if is_uid(frame) else "",
        syntax=syntax,
        rows=_whole(dataset, "Rows"),
        columns=_whole(dataset, "Columns"),
        place=place,
        orientation=orientation,
        spacing=spacing,
        digest=digest or hashlib.sha256(content).hexdigest(),
        problems=tuple(problems),
        day=str(dataset.get("StudyDate") or dataset.get("AcquisitionDate") or ""),
        kernel=kernel_named(dataset.get("ConvolutionKernel")),
    )


_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def _whole(dataset: Dataset, keyword: str) -> int:
    try:
        return int(dataset.get(keyword) or 0)
    except (TypeError, ValueError):
        return 0


def _numbers(dataset: Dataset, keyword: str, count: int = 1) -> tuple[float, ...] | None:
    """Return the finite numbers of an element; None unless there are `count`."""
    try:
        values = dataset.get(keyword)
        numbers = tuple(map(float, [values] if count == 1 else values))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _judge(found: Sequence[_Slice], aside: list[Problem]) -> SeriesReport:
    """Say what is wrong with a series, and put its slices in order."""
    problems: list[Problem] = []

    def say(code: str, detail: str) -> None:
        problems.append(Problem(code, detail))

    slices: list[_Slice] = []
    by_uid: dict[str, _Slice] = {}
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


def _name(syntax: str) -> str:
    """Return the name of a transfer syntax; one that is none is its own name."""
    with tolerant():
        return UID(syntax).name


def _summed_up(slices: Sequence[_Slice]) -> list[Problem]:
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
    slices: list[_Slice], say: Callable[[str, str], None]
) -> tuple[list[_Slice], Geometry | None]:
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
    if len(slices) < MIN_SLICES:
        say("too_few_slices", f"at least {MIN_SLICES} slices are needed")
        return slices, None
    if turned:
        return slices, None

    distances = np.diff(along)
    same = np.flatnonzero(distances < 1e-3)
    if same.size:
        names = ", ".join(slices[i + 1].path.name for i in same[:3])
        where = f"{counted(len(same), 'slice')} at the place of another ({names})"
        say("duplicate_slice", where)
        return slices, None
    row, column = orientations[0].reshape(2, 3)
    geometry = Geometry(
        rows=first.rows,
        columns=first.columns,
        slices=len(slices),
        row_mm=float(spacings[0, 0]),
        column_mm=float(spacings[0, 1]),
        slice_mm=float(along[-1] - along[0]) / (len(slices) - 1),
        first=places[0],
        along_row=row,
        along_column=column,
        normal=normal,
    )
    tilt = tilt_degrees(places, normal)
    if tilt > STRAIGHT_WITHIN_DEGREES:
        say("tilted_gantry", f"the gantry was tilted: slices are sheared by {tilt:.1f} degrees")
    missing = gaps(distances)
    if missing:
        number = sum(count for _, count in missing)
        places_z = ", ".join(f"{places[i][2]:.2f}" for i, _ in missing[:3])
        after = f"after z {places_z} mm" + (" and elsewhere" if len(missing) > 3 else "")
        say("missing_slices", f"{counted(number, 'slice')} missing {after}")
    elif not is_regular(along):
        low, high = float(distances.min()), float(distances.max())
        say("irregular_spacing", f"slices are {low:.2f} to {high:.2f} mm apart")
    if abs(normal[2]) < 0.95:
        say("not_axial", "its slices are not axial")
    if geometry.slice_mm > THICK_MM:
        say("thick_slices", f"slices are {geometry.slice_mm:.1f} mm apart")
    if geometry.covers_mm < COVERS_LITTLE_MM:
        say("covers_little", f"it covers only {geometry.covers_mm:.0f} mm of the patient")
    return slices, geometry


def counted(number: int, noun: str) -> str:
    """Return `1 slice`, `2 slices`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass
class NoduleReport:
    """Which nodules belong to which series, and what is wrong with the others."""

    accepted: dict[str, list[NoduleRow]] = field(default_factory=dict)  # by series UID
    problems: list[Problem] = field(default_factory=list)

    @property
    def refusals(self) -> list[Problem]:
        """Why nodules are not imported."""
        return [p for p in self.problems if p.verdict is Verdict.REFUSES]


def place_nodules(
    rows: Iterable[NoduleRow], problems: Iterable[Problem], series: Sequence[SeriesReport]
) -> NoduleReport:
    """Put nodules into their series; `problems` are those found while reading the list."""
    report = NoduleReport(problems=list(problems))
    by_uid = {one.series_uid: one for one in series}
    seen: dict[tuple[str, str], int] = {}
    for row in rows:

        def say(code: str, detail: str, row: NoduleRow = row) -> None:
            report.problems.append(Problem(code, detail, f"line {row.line}, nodule {row.label}"))

        found = by_uid.get(row.series_uid)
        before = seen.setdefault((row.series_uid, row.label), row.line)
        if before != row.line:
            say("duplicate_label", f"line {before} has a nodule of that name in the same series")
        elif found is None:
            say("unknown_series", f"there is no series {row.series_uid[:64]}")
        elif found.study_uid != row.study_uid:
            say("unknown_study", f"the series belongs to study {found.study_uid}")
        elif found.refusals or found.geometry is None:
            say("series_refused", "its series is refused")
        elif (depth := found.geometry.depth_mm(row.centre_mm)) < 0:
            x, y, z = row.centre_mm
            say("nodule_outside_volume", f"({x:g}, {y:g}, {z:g}) mm is {-depth:.1f} mm outside")
        else:
            report.accepted.setdefault(row.series_uid, []).append(row)
            if depth < NEAR_EDGE_MM:
                say("nodule_near_edge", f"it is {depth:.1f} mm from the edge of the volume")
            if row.patient and found.patient and row.patient != found.patient:
                say("other_patient", "the images name another patient")
    return report
