"""A table of nodules -> arrays to train and measure with."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.archive import Volume
from inference.crops import ENOUGH_READERS, axial_plane, grey_of_crop, hu_of_crop
from inference.data.cache import CropCache, Planes
from inference.data.images import Images, content_hash
from inference.data.table import Nodule, Table
from inference.errors import DataUnusable, PredictionImpossible
from inference.nodules import STORED_WIDTH, UNKNOWN, Nodules
from inference.preprocess import checked_point, nine_planes
from inference.prompts import FEATURES
from inference.resampling import cube_around


@dataclass(frozen=True)
class Examples:
    """Nodules of a table with what splits them.

    Attributes
    ----------
    nodules : Nodules
        `chance` is the readers' mean suspicion where the table has one, else 0 or 1 by the
        label; `malignant` the label, or a suspicion above one half. Diameters may be NaN.
    names, patient, split : str, shape (n,)
    measurable : bool, shape (n,)
        Whether the truth is good enough to measure with: a label, of three readers or more where
        readers gave it; all, where the table has suspicions only.
    decided : bool, shape (n,)
        Whether it counts as malignant or benign: no suspicion that lies in the middle.
    left_out : int
        Lines with neither label nor suspicion.
    """

    nodules: Nodules
    names: NDArray[np.str_]
    patient: NDArray[np.str_]
    split: NDArray[np.str_]
    measurable: NDArray[np.bool_]
    decided: NDArray[np.bool_]
    left_out: int

    def __len__(self) -> int:
        return len(self.nodules)

    def rows(self, chosen: NDArray[np.bool_]) -> "Examples":
        """Return some of the nodules."""
        return replace(
            self,
            nodules=self.nodules.rows(chosen),
            names=self.names[chosen],
            patient=self.patient[chosen],
            split=self.split[chosen],
            measurable=self.measurable[chosen],
            decided=self.decided[chosen],
        )


def examples_of(
    table: Table,
    images: Images,
    cache: CropCache,
    progress: Callable[[int, int], None] | None = None,
) -> Examples:
    """Cut the planes of every nodule that has a label or a suspicion.

    Nodules of one series are cut while it lies in memory. A table of crops alone gives one
    plane a nodule, of volumes nine; the two do not mix.

    Raises:
        DataUnusable: nothing is left, crops are mixed with volumes, or an image is unusable;
            with file and line.
        ArchiveUnavailable: the DICOMweb server does not answer.
    """
    rows = [row for row, one in enumerate(table.nodules) if one.chance is not None]
    if not rows:
        raise DataUnusable(f"No nodule of {table.file.name} has a label or a suspicion.")
    if len({table.nodules[row].is_crop for row in rows}) > 1:
        raise DataUnusable(
            f"{table.file.name} mixes crops and volumes; make a table of each: they differ in how "
            "many planes are known."
        )
    planes: dict[int, NDArray[np.uint8]] = {}
    for done, row in enumerate(sorted(rows, key=lambda row: table.nodules[row].place), start=1):
        try:
            planes[row] = _planes(table.nodules[row], images, cache)
        except PredictionImpossible as error:
            raise DataUnusable(f"{table.where(row)}: {error.detail}") from error
        if progress:
            progress(done, len(rows))
    of = [table.nodules[row] for row in rows]
    chance = np.array([one.chance for one in of], dtype=np.float64)
    labelled = np.array([bool(one.label) for one in of])
    enough = np.array([one.readers is None or one.readers >= ENOUGH_READERS for one in of])
    measurable = enough & (labelled | ~labelled.any())
    return Examples(
        nodules=Nodules(
            planes=np.stack([planes[row] for row in rows]),
            categories=np.array([_categories(one) for one in of], dtype=np.int64),
            diameter_mm=np.array([one.diameter_mm or np.nan for one in of], dtype=np.float64),
            malignant=np.where(
                labelled, np.array([one.label == "malignant" for one in of]), chance > 0.5
            ),
            chance=chance,
        ),
        names=np.array([one.nodule for one in of]),
        patient=np.array([one.patient for one in of]),
        split=np.array([one.split for one in of]),
        measurable=measurable,
        decided=measurable & (labelled | (chance != 0.5)),
        left_out=len(table) - len(rows),
    )


def _categories(nodule: Nodule) -> list[int]:
    return [
        categories.index(nodule.features[name]) if name in nodule.features else UNKNOWN
        for name, categories in FEATURES.items()
    ]


def _planes(nodule: Nodule, images: Images, cache: CropCache) -> NDArray[np.uint8]:
    if nodule.is_crop:
        return _of_crop(images.crop_file(nodule), nodule.spacing_mm or 1.0)
    content = cache.content_of(
        images.fingerprint(nodule), lambda: content_hash(images.volume(nodule))
    )
    return cache.planes(
        cache.key(content, nodule.point_mm),
        lambda: planes_at(images.volume(nodule), nodule.point_mm),
    )


def _of_crop(file: Path, spacing_mm: float) -> NDArray[np.uint8]:
    return axial_plane(hu_of_crop(grey_of_crop(file)), spacing_mm)[None]


def planes_at(volume: Volume, point_mm: tuple[float, float, float]) -> Planes:
    """Cut the nine planes at a point as they are stored: with room to shift and turn.

    Raises:
        PredictionImpossible: the point lies outside the volume.
    """
    cube = cube_around(volume, checked_point(volume, point_mm))
    stored: Planes = np.rint(nine_planes(cube, STORED_WIDTH) * 255).astype(np.uint8)
    return stored
