"""A table of nodules as an evaluation takes it: the form that crops have (`inference/crops.py`)."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.crops import ENOUGH_READERS, Crops
from inference.data.cache import CropCache
from inference.data.examples import examples_of
from inference.data.images import Images
from inference.data.table import OTHER, Nodule, read_table

# Medians that stand for a truth: an evaluation counts above 3 as malignant, below as benign.
MEDIAN_OF = {"malignant": 5.0, "benign": 1.0, "": 3.0}
NOTES = (
    "The truth is the table's label, where it comes from: {truths}.",
    "The model sees nine planes of the volume, in Hounsfield units.",
)


def is_table(file: Path) -> bool:
    """Say whether a CSV is a table of nodules, by its header."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            header = next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return {"nodule", "patient"} <= {name.strip() for name in header}


def read_measurable(file: Path, images: Images | None, cache: CropCache) -> Crops:
    """Read a table of nodules and cut their planes.

    Nodules without a label have no truth, but count where semantic features are measured. What
    has fewer than three readers is left out, as among crops; where nobody counted them the label
    is no reader's.

    Raises:
        DataUnusable: with file, line and column.
        ArchiveUnavailable: the DICOMweb server does not answer.
    """
    table = read_table(file)
    examples = examples_of(table, images or Images(table.folder), cache)
    by_name = {one.nodule: one for one in table.nodules}
    of = [by_name[str(name)] for name in examples.names]
    crop = all(one.is_crop for one in of)
    truths = sorted({one.truth or "not said" for one in of if one.label})
    return Crops(
        nodules=examples.nodules,
        patient=examples.patient,
        readers=np.array([one.readers or ENOUGH_READERS for one in of], dtype=np.int64),
        suspicion=np.array([MEDIAN_OF[one.label] for one in of]),
        median={},
        left_out=examples.left_out,
        present={},
        columns=_columns(of),
        notes=() if crop else tuple(note.format(truths="; ".join(truths)) for note in NOTES),
    )


def _columns(of: list[Nodule]) -> dict[str, NDArray[np.str_]]:
    columns = {
        name: np.array([getattr(one, name) for one in of])
        for name in ("scanner", "site")
        if any(getattr(one, name) for one in of)
    }
    others = sorted({name for one in of for name in one.other})
    return columns | {
        name.removeprefix(OTHER): np.array([one.other.get(name, "") for one in of])
        for name in others
    }
