"""A series on disk as Hounsfield units with their place in the patient."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates


class Voxels(NamedTuple):
    """A series on disk: `hu` is (z, y, x), `origin` and `spacing` are xyz in LPS millimetres."""

    hu: NDArray[np.float32]
    origin: NDArray[np.float64]
    spacing: NDArray[np.float64]

    def along_z(self, x: float, y: float, z: NDArray[np.float64]) -> NDArray[np.float32]:
        """HU between the voxels on a line from feet to head."""
        at = np.stack([np.full_like(z, x), np.full_like(z, y), z])
        index = (at - self.origin[:, None]) / self.spacing[:, None]
        return np.asarray(map_coordinates(self.hu, index[::-1], order=1, mode="nearest"))


def read_voxels(folder: Path) -> Voxels:
    slices = sorted(
        (pydicom.dcmread(path) for path in folder.rglob("*.dcm")),
        key=lambda one: float(one.ImagePositionPatient[2]),
    )
    hu = [s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices]
    first, second = slices[0], slices[1]
    step = float(second.ImagePositionPatient[2]) - float(first.ImagePositionPatient[2])
    row, column = (float(value) for value in first.PixelSpacing)
    return Voxels(
        np.asarray(hu, np.float32),
        np.asarray(first.ImagePositionPatient, float),
        np.array([column, row, step]),
    )
