"""What trained networks are worth: calibrated, measured on nodules held out, and written down."""

import json
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.calibration import FITS, Calibration
from inference.errors import ModelUnusable
from inference.estimates import (
    calibration_of,
    combined_scores,
    difference,
    over_patients,
    pair_of,
    wilson,
)
from inference.evaluate import measure
from inference.model import (
    CALIBRATION,
    CARD,
    PROMPTS,
    CalibrationPoint,
    Card,
    InputContract,
)
from inference.network import NoduleNetwork
from inference.nodules import UNKNOWN, Nodules, joined
from inference.preprocess import PLANE_MM
from inference.prompts import Validity
from inference.training.adaptation import look, prompts_of
from inference.training.batches import Data
from inference.training.config import Training
from inference.training.parts import GENERATED, Source
from inference.training.processes import Processes
from inference.validity import auroc, weighted_auroc_with_interval

logger = logging.getLogger("inference.train")

Named = dict[str, NDArray[np.float64]]  # feature -> probabilities (n, categories)


class Look(NamedTuple):
    """What was seen in nodules."""

    nodules: Nodules
    scores: NDArray[np.float64]  # (n,)
    named: Named


class Fold(NamedTuple):
    """A trained network, and the sources as its fold split them."""

    network: NoduleNetwork
    sources: Sequence[Source]


def fold_file(number: int) -> str:
    """Return the name of a fold's weights."""
    return f"fold{number}.safetensors"


def diagnosis_auroc(scores: NDArray[np.float64], malignant: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the AUROC with its interval over nodules, rounded."""
    value, interval = weighted_auroc_with_interval(
        np.stack([-scores, scores], axis=1), malignant.astype(np.int64)
    )
    return {"auroc": round(value, 3), "interval": [round(edge, 3) for edge in interval]}


def validity_of(feature: str, looks: Sequence[Look]) -> Validity | None:
    """Measure a feature; `looks` are the nodules it was chosen by, then those of the test.

    None where they name it for no nodule.
    """
    measured = []
    for one in looks:
        category = one.nodules.categories_of(feature)
        known = category != UNKNOWN
        if not known.any():
            return None
        value, interval = weighted_auroc_with_interval(one.named[feature][known], category[known])
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
    """Hold probabilities against what stands for malignancy, both (n,), in bins of equal width.

    Where all of a bin are malignant, or none is, drawing patients again says nothing; the interval
    is then Wilson's, of so many patients.
    """
    points = []
    which = np.clip(np.ceil(probabilities * bins).astype(int) - 1, 0, bins - 1)
    for place in np.unique(which):
        of = which == place
        share = over_patients(partial(_mean_of, chance[of]), patient[of])
        if share.estimate is None or share.lower is None or share.upper is None:
            continue
        lower, upper = share.lower, share.upper
        if share.estimate in {0, 1}:
            patients = len(np.unique(patient[of]))
            lower, upper = wilson(round(share.estimate) * patients, patients)
        points.append(
            CalibrationPoint(
                low=place / bins,
                high=(place + 1) / bins,
                n=int(of.sum()),
                mean_probability=round(float(probabilities[of].mean()), 3),
                share=round(share.estimate, 3),
                lower=round(lower, 3),
                upper=round(upper, 3),
            )
        )
    return tuple(points)


class Measured(NamedTuple):
    """All looks at nodules that a card is written from, a row a source."""

    validation: list[Look]  # of all folds, each seen by the fold that did not learn from it
    test: list[Look]  # scores are means over folds, calibrated
    calibrations: list[Calibration]  # by fold


def measured(
    training: Training, folds: Sequence[Fold], features: Sequence[str], processes: Processes
) -> Measured:
    """Calibrate each fold on what it validates with, and look at the test nodules with all.

    A probability means what an evaluation counts: that a nodule is malignant, of those that are
    either malignant or benign. What generated nodules teach of that is another matter, so they
    calibrate only where there is nothing else.
    """
    chosen_by: list[list[Look]] = []  # by fold, then by source
    tested: list[list[Look]] = []
    calibrations = []
    for network, sources in folds:

        def looked(nodules: Nodules, by: NoduleNetwork = network) -> Look:
            data = Data(nodules, by.backbone, training)
            return Look(nodules, *look(by, data, features, processes))

        here = [looked(of.validation.nodules) for of in sources]
        calibration = FITS[training.calibration](*_to_calibrate_on(sources, here))
        chosen_by.append(here)
        tested.append(
            [
                seen._replace(scores=np.array([calibration(p) for p in seen.scores]))
                for seen in (looked(of.test.nodules) for of in sources)
            ]
        )
        calibrations.append(calibration)
    return Measured(
        [_side_by_side(of) for of in zip(*chosen_by, strict=True)],
        [_mean_over_folds(of) for of in zip(*tested, strict=True)],
        calibrations,
    )


def _to_calibrate_on(
    sources: Sequence[Source], looks: Sequence[Look]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores and what became of them, both (n,), of the nodules to validate with."""
    real = any(of.real for of in sources)
    scores, truth = [], []
    for of, seen in zip(sources, looks, strict=True):
        if of.real == real:
            rows = of.validation.decided
            scores.append(seen.scores[rows])
            truth.append(_truth(of, seen.nodules)[rows])
    return np.concatenate(scores), np.concatenate(truth)


def _truth(source: Source, nodules: Nodules) -> NDArray[np.float64]:
    """Return what stands for malignancy, (n,): of generated nodules the very chance of it."""
    return nodules.malignant.astype(np.float64) if source.real else nodules.chance


def _side_by_side(looks: Sequence[Look]) -> Look:
    return Look(
        joined([one.nodules for one in looks]),
        np.concatenate([one.scores for one in looks]),
        {name: np.concatenate([one.named[name] for one in looks]) for name in looks[0].named},
    )


def _mean_over_folds(looks: Sequence[Look]) -> Look:
    return Look(
        looks[0].nodules,
        np.mean([one.scores for one in looks], axis=0),
        {name: np.mean([one.named[name] for one in looks], axis=0) for name in looks[0].named},
    )


def performance_of(source: Source, seen: Look, about: dict[str, str]) -> dict[str, Any]:
    """Measure a model on the test nodules of a source."""
    truth = seen.nodules.malignant
    if source.crops:
        return measure(source.crops, seen.scores, seen.named, about).model_dump(exclude={"model"})
    semantic = {
        feature: one.auroc for feature in seen.named if (one := validity_of(feature, [seen]))
    }
    if source.name == GENERATED:
        return {
            "n": len(truth),
            "malignant": int(truth.sum()),
            "model": diagnosis_auroc(seen.scores, truth),
            "diameter_alone": diagnosis_auroc(seen.nodules.diameter_mm, truth),
            "best_possible": diagnosis_auroc(seen.nodules.chance, truth),
            "brier": round(float(np.mean((seen.scores - truth) ** 2)), 3),
            "semantic": semantic,
        }
    patient = source.test.patient
    found: dict[str, Any] = {
        "nodules": len(truth),
        "patients": len(np.unique(patient)),
        "malignant": int(truth.sum()),
        **pair_of(seen.scores, truth, patient).model_dump(),
        "semantic": semantic,
    }
    calibration = calibration_of(seen.scores, truth, patient)
    if calibration:
        found["calibration"] = calibration.model_dump()
    diameter = seen.nodules.diameter_mm
    if np.isfinite(diameter).all():
        joint = combined_scores(seen.scores, diameter, truth, patient)
        found |= {
            "baseline_diameter": pair_of(diameter, truth, patient).model_dump(),
            "combined": pair_of(joint, truth, patient).model_dump(),
            "model_minus_diameter": difference(seen.scores, diameter, truth, patient).model_dump(),
        }
    return found


def fold_metrics(folds: Sequence[Fold], history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say of each fold how it went: its epochs, its best validation, and its AUROC there."""
    lines = []
    for number, (_, sources) in enumerate(folds):
        epochs = [line for line in history if line["fold"] == number]
        best = min(epochs, key=lambda line: line["validation_loss"], default=None)
        lines.append(
            {
                "epochs": len(epochs),
                "best_epoch": best and best["epoch"],
                "validation_loss": best and best["validation_loss"],
                "validation_auroc": best
                and dict(zip([of.name for of in sources], best["validation_auroc"], strict=True)),
                "patients": {
                    of.name: [len(np.unique(part.patient)) for part in (of.train, of.validation)]
                    for of in sources
                },
            }
        )
    return lines


def write_card(
    training: Training,
    command: str,
    seconds: dict[str, float],
    folds: Sequence[Fold],
    features: Sequence[str],
    history: Sequence[dict[str, Any]],
    processes: Processes,
    folder: Path,
) -> None:
    """Calibrate on the validation nodules, measure on the test ones, and write the folder.

    A feature counts as valid where it is on the last source that names it: crops and tables of
    real nodules come after generated ones. `seconds` are by stage, and on the clock.
    """
    seen = measured(training, folds, features, processes)
    if not processes.is_first:
        return
    sources = folds[0].sources
    about = {"name": folder.name, "version": training.version}
    semantic: dict[str, Validity] = {}
    performance: dict[str, Any] = {}
    for of, before, after in zip(sources, seen.validation, seen.test, strict=True):
        for feature in features:
            found = validity_of(feature, [before, after])
            if found:
                semantic[feature] = found
        what = "nodules held out" if of.name == GENERATED else "of patients held out"
        performance[f"{of.name} {what}"] = performance_of(of, after, about)
    if training.folds > 1:
        performance["out of fold"] = {
            of.name: round(auroc(before.scores, before.nodules.malignant), 4)
            for of, before in zip(sources, seen.validation, strict=True)
        }
    last, of_last = sources[-1], seen.test[-1]
    counted = last.test.decided
    curve = calibration_curve(
        of_last.scores[counted],
        _truth(last, of_last.nodules)[counted],
        last.test.patient[counted],
    )
    backbone = folds[0].network.backbone
    card = Card(
        title=training.title,
        version=training.version,
        notice=training.notice,
        demonstration=training.demonstration,
        backbone=training.start,
        lora=training.lora,
        folds=tuple(fold_file(number) for number in range(len(folds))),
        input=InputContract(size=backbone.image_size, mean=backbone.mean, std=backbone.std),
        token_mm=_token_mm(folds[0].network),
        semantic={feature: semantic[feature] for feature in features if feature in semantic},
        calibration=curve,
        calibration_truth=(
            "malignant nodules"
            if last.real and not last.crops
            else "nodules that readers found suspicious (median above 3, against below 3; three "
            "readers or more)"
            if last.real
            else "generated nodules"
        ),
        performance=performance,
        training={
            "command": command,
            "seconds": round(sum(seconds.values())),
            "seconds_of": {stage: round(took) for stage, took in seconds.items()},
            "processes": processes.count,
            "device": processes.device.type,
            "nodules": {
                of.name: [len(part.nodules) for part in (of.train, of.validation, of.test)]
                for of in sources
            },
            "folds": fold_metrics(folds, history),
        },
    )
    (folder / CALIBRATION).write_text(
        json.dumps([one.model_dump() for one in seen.calibrations], indent=2) + "\n"
    )
    (folder / PROMPTS).write_text(prompts_of(features).model_dump_json(indent=2) + "\n")
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    logger.info("%s", json.dumps(card.performance))
    logger.info("%s", {name: (v.auroc, v.valid) for name, v in semantic.items()})


def _token_mm(network: NoduleNetwork) -> float:
    """Return how wide a token of the image is; that of the whole plane where there is no grid."""
    try:
        return round(PLANE_MM / network.backbone.grid[0], 1)
    except ModelUnusable:
        return float(PLANE_MM)
