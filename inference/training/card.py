"""What a trained network is worth: calibrated, measured on nodules held out, and written down."""

import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file

from inference.backbone import BackboneSettings
from inference.calibration import FITS
from inference.estimates import over_patients
from inference.evaluate import measure
from inference.generated import LEARNED
from inference.model import (
    CALIBRATION,
    CARD,
    PROMPTS,
    CalibrationPoint,
    Card,
    InputContract,
)
from inference.network import NoduleNetwork
from inference.nodules import UNKNOWN
from inference.preprocess import PLANE_MM
from inference.prompts import Validity
from inference.training.adaptation import learned_prompts, look
from inference.training.batches import Data
from inference.training.config import Training
from inference.training.parts import Parts
from inference.validity import weighted_auroc_with_interval

BACKBONE_FOLDER, FOLD_FILE = "backbone", "fold0.safetensors"

logger = logging.getLogger("inference.train")


def diagnosis_auroc(scores: NDArray[np.float64], data: Data) -> dict[str, Any]:
    value, interval = weighted_auroc_with_interval(
        np.stack([-scores, scores], axis=1), data.nodules.malignant.astype(np.int64)
    )
    return {"auroc": round(value, 3), "interval": [round(edge, 3) for edge in interval]}


def validity_of(
    feature: str, looks: list[tuple[Data, dict[str, NDArray[np.float64]]]]
) -> Validity | None:
    """Measure a feature; `looks` are the nodules it was chosen by, then those of the test.

    None where they name it for no nodule.
    """
    measured = []
    for data, named in looks:
        category = data.nodules.categories_of(feature)
        known = category != UNKNOWN
        if not known.any():
            return None
        value, interval = weighted_auroc_with_interval(named[feature][known], category[known])
        measured.append((value, interval, int(known.sum())))
    value, interval, n = measured[-1]
    return Validity(
        auroc=round(value, 3),
        interval=(round(interval[0], 3), round(interval[1], 3)),
        n=n,
        valid=min(of[1][0] for of in measured) > 0.5,
    )


def _mean_of(values: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
    return float(values[rows].mean())


def calibration_curve(
    probabilities: NDArray[np.float64],
    chance: NDArray[np.float64],
    patient: NDArray[np.str_],
    bins: int = 10,
) -> tuple[CalibrationPoint, ...]:
    """Hold probabilities against what stands for malignancy, both (n,), in bins of equal width."""
    points = []
    which = np.clip(np.ceil(probabilities * bins).astype(int) - 1, 0, bins - 1)
    for place in np.unique(which):
        of = which == place
        share = over_patients(partial(_mean_of, chance[of]), patient[of])
        if share.estimate is None or share.lower is None or share.upper is None:
            continue
        points.append(
            CalibrationPoint(
                low=place / bins,
                high=(place + 1) / bins,
                n=int(of.sum()),
                mean_probability=round(float(probabilities[of].mean()), 3),
                share=round(share.estimate, 3),
                lower=round(share.lower, 3),
                upper=round(share.upper, 3),
            )
        )
    return tuple(points)


def write_card(
    training: Training,
    command: str,
    seconds: float,
    network: NoduleNetwork,
    sources: list[Parts],
    folder: Path,
) -> None:
    """Calibrate on the validation nodules, measure on the test ones, and write the folder.

    A feature counts as valid where it is on crops of real nodules, if these name it, and on
    generated ones otherwise.
    """
    chosen_by = [look(network, of.validation) for of in sources]
    calibration = FITS[training.calibration](
        np.concatenate([scores for scores, _ in chosen_by]),
        np.concatenate([of.validation.nodules.chance for of in sources]),
    )
    tested = [look(network, of.test) for of in sources]
    semantic: dict[str, Validity] = {}
    performance: dict[str, Any] = {}
    curve: tuple[CalibrationPoint, ...] = ()
    curve_truth = ""
    for of, (_, before), (scores, named) in zip(sources, chosen_by, tested, strict=True):
        for feature in LEARNED:
            found = validity_of(feature, [(of.validation, before), (of.test, named)])
            if found:
                semantic[feature] = found
        probabilities = np.array([calibration(p) for p in scores])
        chance = of.test.nodules.chance
        alone = np.arange(len(chance)).astype(str)
        curve = calibration_curve(probabilities, chance, of.crops.patient if of.crops else alone)
        curve_truth = (
            "mean suspicion of nodules of patients held out" if of.crops else "generated nodules"
        )
        if of.crops:
            about = {"name": folder.name, "version": training.version}
            performance["crops of patients held out"] = measure(
                of.crops, probabilities, named, about
            ).model_dump(exclude={"model"})
        else:
            truth = of.test.nodules.malignant
            performance["generated nodules held out"] = {
                "n": len(truth),
                "malignant": int(truth.sum()),
                "model": diagnosis_auroc(scores, of.test),
                "diameter_alone": diagnosis_auroc(of.test.nodules.diameter_mm, of.test),
                "best_possible": diagnosis_auroc(of.test.nodules.chance, of.test),
                "brier": round(float(np.mean((probabilities - truth) ** 2)), 3),
                "semantic": {
                    feature: found.auroc
                    for feature in LEARNED
                    if (found := validity_of(feature, [(of.test, named)]))
                },
            }
    backbone = network.backbone
    card = Card(
        title=training.title,
        version=training.version,
        notice=training.notice,
        demonstration=True,
        backbone=BackboneSettings(name=f"local-dir:{BACKBONE_FOLDER}"),
        lora=training.lora,
        folds=(FOLD_FILE,),
        input=InputContract(size=backbone.image_size, mean=backbone.mean, std=backbone.std),
        token_mm=round(PLANE_MM / backbone.grid[0], 1),
        semantic={feature: semantic[feature] for feature in LEARNED if feature in semantic},
        calibration=curve,
        calibration_truth=curve_truth,
        performance=performance,
        training={
            "command": command,
            "seconds": round(seconds),
            "nodules": {
                name: [len(of.train.nodules), len(of.validation.nodules), len(of.test.nodules)]
                for name, of in zip(("generated", "crops"), sources, strict=False)
            },
        },
    )
    save_file(network.trained_state(), folder / FOLD_FILE)
    (folder / CALIBRATION).write_text(json.dumps([calibration.model_dump()], indent=2) + "\n")
    (folder / PROMPTS).write_text(learned_prompts().model_dump_json(indent=2) + "\n")
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    logger.info("%s", json.dumps(card.performance))
    logger.info("%s", {name: (v.auroc, v.valid) for name, v in semantic.items()})
