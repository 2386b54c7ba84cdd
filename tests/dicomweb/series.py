"""Small CT series made for a test, and how to spoil them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY = "1.2.826.0.1.3680043.8.498.1"
SERIES = f"{STUDY}.1"
FRAME_OF_REFERENCE = f"{STUDY}.9"
SLICES = 12
SPACING_MM = 2.5

Edit = Callable[[FileDataset], None]


def noise(number: int, shape: tuple[int, int] = (64, 48)) -> NDArray[np.int16]:
    """Return signed pixels that compress badly: any loss would show."""
    rng = np.random.default_rng(number)
    return rng.integers(-2000, 3000, shape).astype(np.int16)


def a_slice(number: int, *, series: str = SERIES, study: str = STUDY) -> FileDataset:
    """Return slice `number` (from 0, at z = number * 2.5 mm) of a well-formed series."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(CT_IMAGE_STORAGE)
    meta.MediaStorageSOPInstanceUID = UID(f"{series}.{number + 1}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CT_IMAGE_STORAGE
    dataset.SOPInstanceUID = f"{series}.{number + 1}"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.FrameOfReferenceUID = FRAME_OF_REFERENCE
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientID = "P-1"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientBirthDate = "19500101"
    dataset.StudyDate = "20200131"
    dataset.InstitutionName = "General Hospital"
    dataset.SeriesNumber = 3
    dataset.InstanceNumber = number + 1
    dataset.ImagePositionPatient = [-24.0, -32.0, number * SPACING_MM]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [1.0, 1.0]
    dataset.SliceThickness = SPACING_MM
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.WindowCenter, dataset.WindowWidth = -600, 1600
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    put_pixels(dataset, noise(number))
    return dataset


def put_pixels(dataset: FileDataset, pixels: NDArray[np.generic]) -> None:
    """Store `pixels`, shape (rows, columns), uncompressed."""
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.add_new("PixelData", "OW" if pixels.dtype.itemsize == 2 else "OB", pixels.tobytes())


def a_series(
    folder: Path,
    *,
    slices: int = SLICES,
    series: str = SERIES,
    study: str = STUDY,
    edits: Mapping[int, Edit] | None = None,
    edit_all: Edit | None = None,
) -> list[Path]:
    """Write a series into `folder`, slice by slice, after the given changes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(slices):
        dataset = a_slice(number, series=series, study=study)
        for edit in (edit_all, (edits or {}).get(number)):
            if edit:
                edit(dataset)
        paths.append(folder / f"{number:03}.dcm")
        pydicom.dcmwrite(paths[-1], dataset)
    return paths


def setting(**values: Any) -> Edit:
    """Return what sets elements of a slice; None removes one."""

    def edit(dataset: FileDataset) -> None:
        for name, value in values.items():
            if value is None:
                del dataset[name]
            else:
                setattr(dataset, name, value)

    return edit
