"""What can be wrong with a data set, found before a model learns from it.

`check_table` looks at the table alone, `check_images` at what its nodules lie in. An error makes
what is measured untrue or a nodule unusable; a warning is to be looked at.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.archive import Volume
from inference.data.images import Images, content_hash
from inference.data.table import Table
from inference.errors import PredictionImpossible
from inference.preprocess import PLANE_MM, REACH_MM

SAME_PLACE_MM = 1.0
AIR_UP_TO_HU = -900  # the least value of a chest CT: outside the patient, or in the trachea
SOFT_TISSUE_HU = (-170, 170)  # the commonest tissue is fat or muscle
TISSUE_FROM_HU = -400
LEAST_SHARE = 0.02  # of tissue, and of what is darker than it
SLICE_OFF_HU = 150.0  # a slice whose tissue lies so far from that of its neighbours
COARSE_MM = 3.0  # between slices
COARSE_IN_PLANE_MM = 1.2


class Finding(NamedTuple):
    """One thing that is wrong, where, and what it means."""

    kind: Literal["error", "warning"]
    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def errors(findings: list[Finding]) -> list[Finding]:
    """Return those that are errors."""
    return [one for one in findings if one.kind == "error"]


def check_table(table: Table) -> list[Finding]:
    """Look for patients in two splits, and for nodules that are there twice."""
    return [*_leakage(table), *_twice(table), *_missing(table)]


def _leakage(table: Table) -> Iterator[Finding]:
    splits: dict[str, dict[str, int]] = defaultdict(dict)
    for row, one in enumerate(table.nodules):
        splits[one.patient].setdefault(one.split, row)
    for patient, of in splits.items():
        if len(of) > 1:
            said = ", ".join(
                f"{split or 'no split'} (line {table.lines[row]})" for split, row in of.items()
            )
            yield Finding("error", "leakage", f"patient {patient} is in {said}: one is allowed")


def _twice(table: Table) -> Iterator[Finding]:
    by_place: dict[str, list[int]] = defaultdict(list)
    for row, one in enumerate(table.nodules):
        by_place[one.place].append(row)
    for place, rows in by_place.items():
        patients = {table.nodules[row].patient for row in rows}
        if len(patients) > 1:
            yield Finding(
                "error", "shared_series",
                f"{place} belongs to two patients: {', '.join(sorted(patients))}",
            )  # fmt: skip
        for before, row in enumerate(rows):
            for other in rows[:before]:
                one, two = table.nodules[other], table.nodules[row]
                if (
                    one.is_crop
                    or np.linalg.norm(np.subtract(one.point_mm, two.point_mm)) < SAME_PLACE_MM
                ):
                    yield Finding(
                        "error", "duplicate_nodule",
                        f"{table.where(row)} is the nodule of line {table.lines[other]} again: "
                        f"less than {SAME_PLACE_MM:g} mm apart in one image",
                    )  # fmt: skip
                    break


def _missing(table: Table) -> Iterator[Finding]:
    without = [one.nodule for one in table.nodules if one.chance is None]
    if without:
        yield Finding(
            "warning", "no_truth",
            f"{len(without)} nodules have neither label nor suspicion and are left out of "
            f"training: {', '.join(without[:5])}{' ...' if len(without) > 5 else ''}",
        )  # fmt: skip


def check_images(
    table: Table, images: Images, progress: Callable[[int, int], None] | None = None
) -> list[Finding]:
    """Look at every image: its values, its geometry, where nodules lie, and who shares it.

    Series are read one after the other, so that one lies in memory at a time.
    """
    found: list[Finding] = []
    of_image: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for row, one in enumerate(table.nodules):
        of_image[one.study, one.series, one.image].append(row)
    by_content: dict[str, int] = {}
    for done, rows in enumerate(of_image.values(), start=1):
        first = table.nodules[rows[0]]
        try:
            if first.is_crop:
                path = images.crop_file(first)
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                volume = images.volume(first)
                content = content_hash(volume)
                found += of_volume(volume, first.place)
                for row in rows:
                    found += _of_place(table, row, volume)
        except PredictionImpossible as error:
            found.append(Finding("error", error.code, f"{table.where(rows[0])}: {error.detail}"))
            continue
        except OSError as error:
            found.append(
                Finding("error", "image_missing", f"{table.where(rows[0])}: {error.strerror}: "
                        f"{first.image}")
            )  # fmt: skip
            continue
        found += _shared(table, rows[0], by_content.setdefault(content, rows[0]))
        if progress:
            progress(done, len(of_image))
    return found


def _shared(table: Table, row: int, before: int) -> Iterator[Finding]:
    one, two = table.nodules[before], table.nodules[row]
    if row == before:
        return
    if one.patient != two.patient:
        yield Finding(
            "error", "same_image",
            f"patients {one.patient} ({one.split or 'no split'}, line {table.lines[before]}) and "
            f"{two.patient} ({two.split or 'no split'}, line {table.lines[row]}) share one image",
        )  # fmt: skip
    else:
        yield Finding(
            "warning", "same_image_again",
            f"{table.where(row)} lies in the same image as line {table.lines[before]}, which has "
            "another name",
        )  # fmt: skip


def of_volume(volume: Volume, name: str) -> Iterator[Finding]:
    """Look at the Hounsfield units and at the spacing of a chest CT."""
    yield from _of_values(volume.hu, name)
    steps = np.linalg.norm(volume.lps_from_index[:3, :3], axis=0)
    axes = volume.lps_from_index[:3, :3] / steps
    if np.linalg.det(axes) < 0:
        yield Finding(
            "error", "mirrored",
            f"{name}: its axes are left-handed: left and right of the patient are changed over",
        )  # fmt: skip
    if np.abs(axes).max(axis=0).min() < np.cos(np.deg2rad(30)):
        yield Finding(
            "warning", "oblique", f"{name}: it lies more than 30 degrees off the patient's axes"
        )
    if steps[2] > COARSE_MM or max(steps[:2]) > COARSE_IN_PLANE_MM:
        yield Finding(
            "warning", "coarse",
            f"{name}: voxels of {steps[0]:.2f} x {steps[1]:.2f} x {steps[2]:.2f} mm are coarse "
            f"beside the {PLANE_MM} mm that the network sees at 1 mm",
        )  # fmt: skip


def _of_values(hu: NDArray[np.int16], name: str) -> Iterator[Finding]:
    thinned = hu[:, ::4, ::4]
    least, tissue = int(thinned.min()), thinned[thinned > TISSUE_FROM_HU]
    if least > AIR_UP_TO_HU:
        yield Finding(
            "error", "no_air",
            f"{name}: its least value is {least} HU where air, -1000, is expected: is "
            "RescaleIntercept missing?",
        )  # fmt: skip
    if tissue.size < LEAST_SHARE * thinned.size:
        yield Finding(
            "error", "no_tissue",
            f"{name}: only {100 * tissue.size / thinned.size:.1f} % of it is denser than "
            f"{TISSUE_FROM_HU} HU: was it rescaled twice?",
        )  # fmt: skip
        return
    if thinned.size - tissue.size < LEAST_SHARE * thinned.size:
        yield Finding("error", "no_lung", f"{name}: hardly any of it is as dark as lung")
    peak = _commonest(tissue)
    if not SOFT_TISSUE_HU[0] <= peak <= SOFT_TISSUE_HU[1]:
        yield Finding(
            "error", "tissue_off",
            f"{name}: its commonest tissue is at {peak} HU where fat or muscle is expected, "
            f"{SOFT_TISSUE_HU[0]} to {SOFT_TISSUE_HU[1]}: are RescaleSlope and RescaleIntercept "
            "right?",
        )  # fmt: skip
    off = _slices_apart(thinned)
    if off:
        yield Finding(
            "error", "rescale_differs",
            f"{name}: slice {', '.join(str(z) for z in off[:5])} (from 0) is scaled otherwise than "
            "its neighbours",
        )  # fmt: skip


def _commonest(values: NDArray[np.int16]) -> int:
    counts = np.bincount((values.astype(np.int64) - TISSUE_FROM_HU) // 10)
    return int(counts.argmax()) * 10 + TISSUE_FROM_HU + 5


def _slices_apart(thinned: NDArray[np.int16]) -> list[int]:
    """Return the slices whose darkest and whose typical value both differ from both neighbours'.

    The darkest percent alone would also find where the table or the field of view ends.
    """
    levels = np.percentile(thinned, [2, 50, 98], axis=(1, 2))  # (3, slices)
    off = []
    for z in range(1, levels.shape[1] - 1):
        before, after = levels[:, z] - levels[:, z - 1], levels[:, z] - levels[:, z + 1]
        jumps = (np.abs(before) > SLICE_OFF_HU) & (np.abs(after) > SLICE_OFF_HU)
        if jumps.sum() >= 2 and (np.sign(before) == np.sign(after))[jumps].all():
            off.append(z)
    return off


def _of_place(table: Table, row: int, volume: Volume) -> Iterator[Finding]:
    one = table.nodules[row]
    point = np.array(one.point_mm)
    if one.frame_of_reference and one.frame_of_reference != volume.frame_of_reference_uid:
        yield Finding(
            "error", "other_frame_of_reference",
            f"{table.where(row)}: its place is in frame of reference {one.frame_of_reference}, the "
            f"series lies in {volume.frame_of_reference_uid or 'none'}",
        )  # fmt: skip
    if not volume.holds(point):
        mirrored = volume.holds(point * [-1, -1, 1])
        yield Finding(
            "error", "nodule_outside_volume",
            f"{table.where(row)}: ({', '.join(f'{v:.1f}' for v in point)}) mm lies outside "
            f"{one.place}" + ("; as RAS it would lie inside: is it LPS?" if mirrored else ""),
        )  # fmt: skip
        return
    if (apart := volume.gap_mm(point)) <= REACH_MM:
        yield Finding(
            "error", "slices_missing",
            f"{table.where(row)}: slices are missing {apart:.1f} mm from it, within the "
            f"{PLANE_MM} mm around it",
        )  # fmt: skip
    corners = np.array(list(np.ndindex(2, 2, 2))) * PLANE_MM - PLANE_MM / 2 + point
    outside = sum(not volume.holds(corner) for corner in corners)
    if outside:
        yield Finding(
            "warning", "nodule_near_edge",
            f"{table.where(row)}: part of the {PLANE_MM} mm around it lies outside the series and "
            "is taken for air",
        )  # fmt: skip
