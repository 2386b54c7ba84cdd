"""Cases as DICOM files and a table of nodules."""

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from phantom.case import VERSION, Case, Volume, instance_uid, volume
from phantom.nodule import FEATURES

INTERCEPT_HU = -1024
COLUMNS = (
    *("patient", "study", "series", "nodule", "x", "y", "z"),
    *("diameter", "reference", "reference_source", "prior_of"),
)
IMPLEMENTATION_UID = UID("2.25.302213416184741286410962214351780214367")


def write_case(case: Case, folder: Path) -> list[Path]:
    """Draw a case and write it as a series of CT images, one file a slice, head first.

    Args:
        folder: made when it does not exist; files of the same names are replaced.

    Returns:
        The files, from head to feet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = volume(case)
    files = []
    for number in range(1, case.slices + 1):
        path = folder / f"CT{number:04d}.dcm"
        _image(case, drawn, number).save_as(path, enforce_file_format=True)
        files.append(path)
    return files


def write_nodules_csv(cases: Iterable[Case], path: Path) -> None:
    """Write the nodules of cases in the import format, with a column for every feature.

    An earlier examination is a line without a nodule.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*COLUMNS, *FEATURES])
        for case in cases:
            if case.prior_of:
                table.writerow(
                    [case.patient_id, case.study_uid, case.series_uid]
                    + [""] * (len(COLUMNS) - 4)
                    + [case.prior_of]
                    + [""] * len(FEATURES)
                )
                continue
            for placed in case.nodules:
                nodule = placed.nodule
                table.writerow(
                    [case.patient_id, case.study_uid, case.series_uid, placed.label]
                    + [f"{value:.2f}" for value in placed.centre_mm]
                    + [f"{nodule.diameter_mm:.1f}"]
                    + ["malignant" if nodule.malignant else "benign", "generated", ""]
                    + [nodule.features[feature] for feature in FEATURES]
                )


def _image(case: Case, drawn: Volume, number: int) -> FileDataset:
    """Return the image with an instance number, 1 being nearest to the head."""
    index = case.slices - number
    grid = drawn.grid
    z, y, x = (grid.axis(0)[index], grid.origin[1], grid.origin[2])
    z = round(grid.origin[0] + index * case.slice_mm, 6)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(instance_uid(case, index))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "PHANTOM"
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    _describe_study(image, case)
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    image.InstanceNumber = number
    image.ImagePositionPatient = [x, y, z]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.SliceLocation = z
    image.Rows, image.Columns = grid.shape[1], grid.shape[2]
    image.PixelSpacing = [round(case.spacing_mm, 6)] * 2
    image.SliceThickness = case.slice_mm
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = INTERCEPT_HU, 1, "HU"
    image.WindowCenter, image.WindowWidth = [-600, 40], [1500, 400]
    image.WindowCenterWidthExplanation = ["LUNG", "SOFT TISSUE"]
    stored = (drawn.hu[index].astype(np.int32) - INTERCEPT_HU).astype("<u2")
    image.PixelData = stored.tobytes()
    image["PixelData"].VR = "OW"
    return image


def _describe_study(image: Dataset, case: Case) -> None:
    """Fill in what all images of a case share."""
    then = date(2024, 1, case.number % 28 + 1) - timedelta(days=case.days_before)
    day, time = then.strftime("%Y%m%d"), "093000"
    image.SpecificCharacterSet = "ISO_IR 192"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = day
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = time
    image.AccessionNumber = f"PH{case.number:04d}"
    image.Modality = "CT"
    image.Manufacturer = "Reread phantom"
    image.ManufacturerModelName = "Generated"
    image.SoftwareVersions = VERSION
    image.ReferringPhysicianName = ""
    image.StudyDescription = "Chest CT, generated"
    image.SeriesDescription = f"Axial {case.slice_mm:g} mm"
    image.PatientName = case.patient_id.replace("-", "^")
    image.PatientID = case.patient_id
    image.PatientBirthDate = f"{2024 - case.age}0101"
    image.PatientSex = "F" if case.person.female else "M"
    image.PatientAge = f"{case.age:03d}Y"
    image.BodyPartExamined = "CHEST"
    image.PatientPosition = "HFS"
    image.KVP = 120
    image.ConvolutionKernel = "STANDARD"
    image.StudyInstanceUID = case.study_uid
    image.SeriesInstanceUID = case.series_uid
    image.StudyID = f"{case.number}"
    image.SeriesNumber = 2
    image.AcquisitionNumber = 1
    image.FrameOfReferenceUID = case.frame_of_reference_uid
    image.PositionReferenceIndicator = ""
    image.ImageComments = "Drawn by a program; not a patient"
