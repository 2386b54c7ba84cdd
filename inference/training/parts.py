"""Who serves for what: nodules to train, to validate and to test with, split by patient."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.crops import ENOUGH_READERS, Crops
from inference.data.cache import CropCache
from inference.data.checks import check_table, errors
from inference.data.examples import Examples, examples_of
from inference.data.images import Images
from inference.data.table import read_table
from inference.errors import DataUnusable
from inference.generated import generated_nodules
from inference.nodules import UNKNOWN, Nodules, joined
from inference.prompts import FEATURES
from inference.training.config import Patients, Seeds, TableSource, Training
from inference.training.folds import grouped_folds

PARTS = ("train", "validation", "test")
GENERATED, CROPS = "generated", "crops"


class Part(NamedTuple):
    """Nodules that serve for one thing."""

    nodules: Nodules
    patient: NDArray[np.str_]  # (n,)
    measurable: NDArray[np.bool_]  # (n,), whether enough is known to measure with
    decided: NDArray[np.bool_]  # (n,), whether it counts as malignant or benign when measured

    def rows(self, chosen: NDArray[np.bool_]) -> "Part":
        """Return some of the nodules."""
        return Part(
            self.nodules.rows(chosen),
            self.patient[chosen],
            self.measurable[chosen],
            self.decided[chosen],
        )


class Source(NamedTuple):
    """Nodules of one origin, split by patient.

    `real` is false for generated nodules, which have no patients. `crops` holds what readers
    said of the nodules of `test`, where these are crops.
    """

    name: str
    real: bool
    train: Part
    validation: Part
    test: Part
    crops: Crops | None = None

    def fold(self, number: int, count: int, seed: int) -> "Source":
        """Return the source as fold `number` of `count` sees it; `test` stays.

        Of one fold, and of generated nodules, the parts stay as they are.

        Raises:
            DataUnusable: there are too few patients, or a part is of one class only.
        """
        if count == 1 or not self.real:
            return self.checked()
        pool = Part(
            joined([self.train.nodules, self.validation.nodules]),
            np.concatenate([self.train.patient, self.validation.patient]),
            np.concatenate([self.train.measurable, self.validation.measurable]),
            np.concatenate([self.train.decided, self.validation.decided]),
        )
        try:
            fold = grouped_folds(pool.nodules.malignant, pool.patient, count, seed)
        except ValueError as error:
            raise DataUnusable(f"{self.name}: {error}.") from error
        held = fold == number
        return self._replace(
            train=pool.rows(~held), validation=pool.rows(held & pool.measurable)
        ).checked()

    def checked(self) -> "Source":
        """Return the source; refuse one with a part that is of one class only."""
        for name in PARTS:
            part: Part = getattr(self, name)
            # What a model is calibrated on is the smallest of all.
            counted = part.decided if name == "validation" else np.ones_like(part.decided)
            if len(np.unique(part.nodules.malignant[counted])) < 2:
                raise DataUnusable(
                    f"Too few nodules in {self.name}: those to {name} with are not of both classes."
                )
        return self


def generated_source(seeds: Seeds, cache: Path) -> Source:
    """Draw nodules, or read them from the folder `cache`."""
    parts = {}
    for name in PARTS:
        first, last = getattr(seeds, name)
        nodules = generated_nodules(range(first, last), cache)
        patients = np.array([f"generated-{seed}" for seed in range(first, last)])
        known = np.ones(len(nodules), dtype=np.bool_)
        parts[name] = Part(nodules, patients, known, known)
    return Source(GENERATED, False, *_three(parts))


def crops_source(crops: Crops, patients: Patients) -> Source:
    """Split crops by patient; those to measure with have three readers or more.

    A median suspicion of 3 is neither malignant nor benign.
    """
    part = np.array([patients.part_of(str(name)) for name in crops.patient])
    enough = crops.readers >= ENOUGH_READERS
    decided = enough & (crops.suspicion != 3)
    chosen = {name: (part == name) & ((name == "train") | enough) for name in PARTS}
    parts = {
        name: Part(crops.nodules.rows(rows), crops.patient[rows], enough[rows], decided[rows])
        for name, rows in chosen.items()
    }
    return Source(CROPS, True, *_three(parts), crops.rows(chosen["test"]))


def table_source(
    training: Training,
    of: TableSource,
    folder: Path,
    token: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Source:
    """Read a table and its images, and split it as it says, or by `patients` where it does not.

    Raises:
        DataUnusable: the table, its images or its splits are unusable; the names are in it.
        ArchiveUnavailable: the DICOMweb server does not answer.
    """
    table = read_table(folder / of.table)
    wrong = errors(check_table(table))
    if wrong:
        raise DataUnusable(
            "\n".join(f"{table.file.name}: {finding.text}" for finding in wrong[:20])
        )
    dicom = folder / of.dicom if of.dicom else None
    cache = CropCache(training.crops.folder, int(training.crops.limit_gb * 1024**3))
    examples = examples_of(table, Images(table.folder, dicom, of.dicomweb, token), cache, progress)
    part = _parts_of(examples, training.patients, table.file.name)
    parts = {}
    for name in PARTS:
        one = examples.rows((part == name) & ((name == "train") | examples.measurable))
        parts[name] = Part(one.nodules, one.patient, one.measurable, one.decided)
    return Source(of.table.stem, True, *_three(parts))


def _parts_of(examples: Examples, patients: Patients | None, name: str) -> NDArray[np.str_]:
    part = examples.split.copy().astype("U16")
    for row in np.flatnonzero(part == ""):
        if patients is None:
            raise DataUnusable(
                f"{name} has no split for patient {examples.patient[row]}: give the table the "
                "column split, or the configuration `patients`."
            )
        part[row] = patients.part_of(str(examples.patient[row]))
    if patients:
        part[np.isin(examples.patient, patients.kept_out)] = "kept_out"
    return part


def _three(parts: dict[str, Part]) -> tuple[Part, Part, Part]:
    return parts["train"], parts["validation"], parts["test"]


def refuse_leakage(sources: Sequence[Source]) -> None:
    """Refuse patients, and images under whatever names, that serve for two things.

    Raises:
        DataUnusable: with the names.
    """
    by_patient: dict[str, str] = {}
    by_image: dict[bytes, tuple[str, str]] = {}
    for source in sources:
        for name in PARTS:
            part: Part = getattr(source, name)
            for planes, patient in zip(part.nodules.planes, part.patient, strict=True):
                other = by_patient.setdefault(str(patient), name)
                if other != name:
                    raise DataUnusable(
                        f"Patient {patient} is in two parts, {other} and {name}: what is measured "
                        "would have been trained on."
                    )
                here = (name, str(patient))
                there = by_image.setdefault(hashlib.sha256(planes.tobytes()).digest(), here)
                if there[0] != name:
                    raise DataUnusable(
                        f"Patients {there[1]} ({there[0]}) and {here[1]} ({name}) share an image: "
                        "what is measured would have been trained on."
                    )


def features_of(sources: Sequence[Source]) -> tuple[str, ...]:
    """Return the features that somebody has named in nodules to train with."""
    known = np.any([(of.train.nodules.categories != UNKNOWN).any(axis=0) for of in sources], axis=0)
    return tuple(name for name, is_known in zip(FEATURES, known, strict=True) if is_known)


def hash_of(sources: Sequence[Source]) -> str:
    """Return what changes when the nodules to train and validate with do."""
    digest = hashlib.sha256()
    for source in sources:
        for part in (source.train, source.validation):
            digest.update(f"{source.name} {list(part.patient)}".encode())
            for values in (part.nodules.chance, part.nodules.categories, part.nodules.planes):
                digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
