"""Nodules known by one axial slice and their readers' scores, as LIDC-IDRI crops come.

The folder of the table holds `images/`, one 8-bit image of 128 x 128 native pixels a
nodule, its grey values stretched from the least to the greatest of the crop. What the
network must be given is brought back as far as it can be:

- Millimetres: `pixel_spacing` of the table says them; the slice is resampled to 1 mm around
  the nodule, linearly, as a volume would be. Rows without it are left out and counted.
- Hounsfield units are lost, and are estimated from two tissues that nearly every crop
  shows: aerated lung and soft tissue. `hu_of_crop` says how.
- Eight of the nine planes are unknown: the network looks at the axial one alone. Attention
  pooling of nine equal planes gives the same.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from scipy import ndimage

from inference.errors import DataUnusable
from inference.nodules import STORED_WIDTH, UNKNOWN, Nodules
from inference.preprocess import HIGHEST_HU, LOWEST_HU
from inference.prompts import FEATURES, PRESENCE

COLUMNS = ("file", "patient_id", "pixel_spacing", "mask_area_px", "malignancy")
SCORES = ("sphericity", "margin", "lobulation", "spiculation", "texture")
# Features that are present where the commonest of LIDC's scores has a value.
PRESENT_AT = {
    "cyst_like_spaces": ("internalStructure", 4),
    "eccentric_calcification": ("calcification", 4),
}
LUNG_HU, TISSUE_HU = -860.0, 25.0
ENOUGH_READERS = 3
CROP = 128  # pixels
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")
NODULE_AT = 64.5  # the middle of the nodule's bounding box, in pixels from 0


@dataclass(frozen=True)
class Crops:
    """Nodules of a table with what its readers said.

    Attributes
    ----------
    nodules : Nodules
        `malignant` is median suspicion above 3; `diameter_mm` that of a circle as large as
        the readers' mean mask, NaN where nobody drew one.
    patient : str, shape (n,)
    readers : int64, shape (n,)
        How many scored the nodule.
    suspicion : float64, shape (n,)
        Median malignancy, 1 to 5.
    median : name of a score -> float64, shape (n,)
        NaN where no reader gave it.
    left_out : int
        Rows without suspicion, spacing or image.
    present : name of a feature -> int64, shape (n,)
        Place of the category that the commonest score says, or UNKNOWN; where the table has
        such scores.
    columns : name of a column -> str, shape (n,)
        The table as it was read.
    missing : names of images that are not there
    notes : what to know of them, where they are no crops of LIDC-IDRI
    """

    nodules: Nodules
    patient: NDArray[np.str_]
    readers: NDArray[np.int64]
    suspicion: NDArray[np.float64]
    median: dict[str, NDArray[np.float64]]
    left_out: int
    present: dict[str, NDArray[np.int64]]
    columns: dict[str, NDArray[np.str_]]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.nodules)

    def rows(self, chosen: NDArray[np.bool_]) -> "Crops":
        """Return some of the nodules."""
        return Crops(
            self.nodules.rows(chosen),
            self.patient[chosen],
            self.readers[chosen],
            self.suspicion[chosen],
            {name: values[chosen] for name, values in self.median.items()},
            self.left_out,
            {name: values[chosen] for name, values in self.present.items()},
            {name: values[chosen] for name, values in self.columns.items()},
            self.missing,
            self.notes,
        )

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Return a column as numbers, (n,); NaN where it is empty.

        Raises:
            DataUnusable: there is no such column, or a value is no finite number.
        """
        if column not in self.columns:
            known = ", ".join(sorted(self.columns))
            raise DataUnusable(f"The table has no column {column}; there: {known}.")
        values = self.columns[column]
        try:
            numbers = np.array([float(value) if value.strip() else np.nan for value in values])
        except ValueError as error:
            raise DataUnusable(f"Column {column} is no score: {error}.") from error
        if np.isinf(numbers).any():
            raise DataUnusable(f"Column {column} holds infinite values.")
        return numbers


def read_crops(table: Path, *, leave_out_missing: bool = False) -> Crops:
    """Read a table of crops, with `images/` beside it.

    With `leave_out_missing`, rows whose image file is not there are left out and named.

    Raises:
        DataUnusable: the table or an image is missing or not as described, with its name.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {*COLUMNS, *SCORES} - set(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataUnusable(f"{table} cannot be read: {error}.") from error
    if missing:
        raise DataUnusable(f"{table} lacks the columns {', '.join(sorted(missing))}.")
    kept, planes, scores, diameters = [], [], [], []
    absent: list[str] = []
    for line, row in enumerate(rows, start=2):
        try:
            of_row = {name: _scores(row, name) for name in ("malignancy", *SCORES)}
            areas = [area for area in _numbers(row["mask_area_px"]) if area > 0]
            spacing = float(row["pixel_spacing"] or "nan")
            if not (row["patient_id"] or "").strip():
                raise ValueError("no patient_id")
        except ValueError as error:
            raise DataUnusable(f"{table}, line {line}: {error}.") from error
        if not of_row["malignancy"] or not spacing > 0:
            continue
        name = row["file"] or f"line {line}"
        image = table.parent / "images" / name
        if leave_out_missing and not image.is_file():
            absent.append(name)
            continue
        kept.append(row)
        scores.append({name: np.array(values) for name, values in of_row.items()})
        area = np.mean(areas) if areas else np.nan
        diameters.append(2 * spacing * np.sqrt(area / np.pi))
        planes.append(axial_plane(hu_of_crop(grey_of_crop(image)), spacing))
    if absent and not kept:
        raise DataUnusable(
            f"None of the images of {table} is there: they belong into {table.parent / 'images'}, "
            f"as {absent[0]}."
        )
    if not kept:
        raise DataUnusable(f"{table} has no nodule with malignancy and pixel_spacing.")
    median = {
        name: np.array(
            [np.median(of_row[name]) if of_row[name].size else np.nan for of_row in scores]
        )
        for name in scores[0]
    }
    mean = np.array([of_row["malignancy"].mean() for of_row in scores])
    return Crops(
        Nodules(
            planes=np.stack(planes)[:, None],
            categories=categories_of(median),
            diameter_mm=np.array(diameters),
            malignant=median["malignancy"] > 3,
            chance=(mean - 1) / 4,
        ),
        patient=np.array([row["patient_id"] for row in kept]),
        readers=np.array([len(of_row["malignancy"]) for of_row in scores]),
        suspicion=median["malignancy"],
        median=median,
        left_out=len(rows) - len(kept),
        present={
            feature: np.array([_presence(row, score, value) for row in kept])
            for feature, (score, value) in PRESENT_AT.items()
            if any((row.get(score) or "").strip() for row in kept)
        },
        columns={
            name: np.array([row[name] or "" for row in kept]) for name in (reader.fieldnames or ())
        },
        missing=tuple(absent),
    )


def categories_of(median: dict[str, NDArray[np.float64]]) -> NDArray[np.int64]:
    """Turn LIDC's scores into categories, (n, len(FEATURES)); the others are UNKNOWN.

    So is a feature of which a score is missing. Spiculation goes before lobulation where a nodule
    has both.
    """
    comes_from = {
        "margin_conspicuity": ("margin",),
        "margin": ("spiculation", "lobulation"),
        "shape": ("sphericity",),
        "consistency": ("texture",),
    }
    of_feature = {
        "margin_conspicuity": np.where(
            median["margin"] >= 3, "well_marginated", "poorly_marginated"
        ),
        "margin": np.select(
            [median["spiculation"] >= 3, median["lobulation"] >= 3],
            ["spiculated", "lobulated"],
            "smooth",
        ),
        "shape": np.where(median["sphericity"] > 3, "round", "ovoid"),
        "consistency": np.select(
            [median["texture"] < 2, median["texture"] > 4], ["ground_glass", "solid"], "part_solid"
        ),
    }
    found = np.full((len(median["margin"]), len(FEATURES)), UNKNOWN, dtype=np.int64)
    for column, name in enumerate(FEATURES):
        if name in of_feature:
            known = np.all([np.isfinite(median[score]) for score in comes_from[name]], axis=0)
            places = [FEATURES[name].index(str(one)) for one in of_feature[name]]
            found[:, column] = np.where(known, places, UNKNOWN)
    return found


def hu_of_crop(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Estimate the Hounsfield units of a crop whose grey values were stretched.

    Otsu's threshold parts air from tissue. The commonest value below it is taken as lung,
    the median above it as soft tissue. The least value is padding where there is much of it,
    and is then no part of the estimate. Where one tissue is rare, the range of values a crop
    can have bounds the slope: from 4 to 14 HU a grey value.
    """
    counts = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    padded = counts[0] > 0.02 * grey.size
    if padded:
        counts[0] = 0
    if not counts.any():
        return np.full(grey.shape, LOWEST_HU, dtype=np.float32)
    edge = otsu(counts)
    lung = float(ndimage.uniform_filter1d(counts[: edge + 1], 5, mode="constant").argmax())
    above = counts.copy()
    above[: edge + 1] = 0
    tissue = float(np.searchsorted(above.cumsum(), above.sum() / 2))
    slope = float(np.clip((TISSUE_HU - LUNG_HU) / max(tissue - lung, 1), 4, 14))
    hu = LUNG_HU + (grey.astype(np.float32) - lung) * slope
    if padded:
        hu[grey == 0] = LOWEST_HU
    return hu


def otsu(counts: NDArray[np.float64]) -> int:
    """Return the value that ends the lower of two classes which differ most.

    Otsu N. A threshold selection method from gray-level histograms. IEEE Trans Syst Man
    Cybern 1979;9:62-66.
    """
    below = counts.cumsum()
    total = below[-1]
    sums = (counts * np.arange(counts.size)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / total - sums) ** 2 / (below * (total - below))
    return int(np.nan_to_num(between, posinf=0.0, nan=0.0).argmax())


def axial_plane(hu: NDArray[np.float32], spacing_mm: float) -> NDArray[np.uint8]:
    """Resample a crop to 1 mm around its nodule, which comes to lie as in `nine_planes`."""
    at = NODULE_AT + (np.arange(STORED_WIDTH) - STORED_WIDTH // 2) / spacing_mm
    plane = ndimage.map_coordinates(hu, np.meshgrid(at, at, indexing="ij"), order=1, mode="nearest")
    shade = (plane.clip(LOWEST_HU, HIGHEST_HU) - LOWEST_HU) / (HIGHEST_HU - LOWEST_HU)
    stored: NDArray[np.uint8] = np.rint(shade * 255).astype(np.uint8)
    return stored


def commonest(scores: Sequence[float]) -> float:
    """Return the score most readers gave; of several, the lowest."""
    values, counts = np.unique(scores, return_counts=True)
    return float(values[counts.argmax()])


def _numbers(text: str | None) -> list[float]:
    return [float(word) for word in (text or "").split()]


def _scores(row: dict[str, str], name: str) -> list[float]:
    """Return the readers' scores in a column.

    Raises:
        ValueError: a word is no score from 1 to 5.
    """
    words = (row[name] or "").split()
    for word in words:
        if not (_NUMBER.fullmatch(word) and 1 <= float(word) <= 5):
            raise ValueError(f"{name} {word} is no score from 1 to 5")
    return [float(word) for word in words]


def _presence(row: dict[str, str], score: str, value: int) -> int:
    """Return the place of present or absent in its feature, by the commonest score of a row."""
    scores = _numbers(row.get(score))
    if not scores:
        return UNKNOWN
    return PRESENCE.index("present" if commonest(scores) == value else "absent")


def grey_of_crop(path: Path) -> NDArray[np.uint8]:
    """Return the grey values of a crop, (128, 128).

    Raises:
        DataUnusable: it cannot be read or has another size.
    """
    try:
        with Image.open(path) as image:
            grey = np.asarray(image.convert("L"))
    except (OSError, UnidentifiedImageError) as error:
        raise DataUnusable(f"The image {path} cannot be read.") from error
    if grey.shape != (CROP, CROP):
        raise DataUnusable(f"The image {path} is {grey.shape}, not ({CROP}, {CROP}).")
    return grey
