"""Who serves for what: nodules to train, to validate and to test with, split by patient."""

import hashlib
from typing import NamedTuple

import numpy as np

from inference.crops import ENOUGH_READERS, Crops
from inference.errors import DataUnusable
from inference.training.batches import Data
from inference.training.config import Patients


class Parts(NamedTuple):
    """The nodules of one source: generated, or crops."""

    train: Data
    validation: Data
    test: Data
    crops: Crops | None = None  # the readers' scores of `test`, where these are crops


def parts_of_crops(crops: Crops, patients: Patients) -> dict[str, Crops]:
    """Split crops by patient; those to measure with have three readers or more.

    Raises:
        DataUnusable: a part is left without suspicious or without other nodules, or the
            same image is in two parts, under the names of two patients.
    """
    part = np.array([patients.part_of(str(name)) for name in crops.patient])
    split = {}
    for name in ("train", "validation", "test"):
        of = crops.rows((part == name) & ((name == "train") | (crops.readers >= ENOUGH_READERS)))
        if len(np.unique(of.nodules.malignant)) < 2:
            raise DataUnusable(f"Too few crops: those to {name} with are not of both classes.")
        split[name] = of
    _refuse_leakage(split)
    return split


def _refuse_leakage(split: dict[str, Crops]) -> None:
    """Look for images that are in two parts: patients alone do not tell where names differ."""
    seen: dict[bytes, tuple[str, str]] = {}
    for name, of in split.items():
        for planes, patient in zip(of.nodules.planes, of.patient, strict=True):
            here = (name, str(patient))
            there = seen.setdefault(hashlib.sha256(planes.tobytes()).digest(), here)
            if there[0] != name:
                raise DataUnusable(
                    f"Patients {there[1]} ({there[0]}) and {here[1]} ({name}) share an image: "
                    "what is measured would have been trained on."
                )
