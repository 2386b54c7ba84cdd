"""Measure a model on nodules known by one slice and their readers' scores.

    python -m inference.evaluate MODEL --data folder/lidc_nodules.csv --json out.json

MODEL is a model's folder, or `demo` for the one that comes with the repository. The table
is described in `inference/crops.py`, which also says what of a crop the model is shown and
what is lost. Malignant is a median suspicion above 3, benign one below 3; nodules at 3, or
of fewer than three readers, have no truth. That is what radiologists suspect: no pathology.

Intervals are 95 % percentile intervals of a bootstrap over patients. The diameter is that
of a circle as large as the readers' mean mask, so it has seen the readers' outlines.
`combined` is a logistic regression on the model's logit and the logarithm of the diameter,
always fitted on other patients than it scores.

Patients that a model was trained or calibrated on (`patients.json` in its folder) are left
out and counted. `--shortcuts` asks what the model lives on: its AUROC where the nodule is
painted over with lung (background alone), and where it is a plain disc of the same
diameter (size and background).
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from scipy import optimize, special

from inference.crops import ENOUGH_READERS, LUNG_HU, TISSUE_HU, Crops, read_crops
from inference.errors import DataUnusable, ModelUnusable
from inference.model import PROMPTS, Model, choose_device, embed_prompts, load_model
from inference.nodules import STORED_WIDTH
from inference.preprocess import HIGHEST_HU, LOWEST_HU, PLANE_MM, network_input
from inference.prompts import FEATURES, Prompts
from inference.settings import BUILT_IN_MODELS, read_settings
from inference.validity import auroc, weighted_auroc

RESAMPLES = 1000
BATCH = 16
PATIENTS = "patients.json"
HIGH_RECALL = 0.95
SIZES_MM = (8.0, 15.0)
PARTS = 5  # of the patients, to fit `combined` on the others

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Estimate(BaseModel):
    """A figure with its 95 % interval; all None where one class is missing."""

    estimate: float | None
    lower: float | None
    upper: float | None


class Pair(BaseModel):
    auroc: Estimate
    auprc: Estimate


class Semantic(BaseModel):
    """One category against the rest, weighted by prevalence."""

    auroc: float | None
    lower: float | None
    upper: float | None
    n: int


class Calibration(BaseModel):
    """How far probabilities are what they say, against suspicion as the truth."""

    brier: float
    expected_error: float  # mean |probability - share| over ten equal groups by probability
    slope: float  # of the truth on the logit; 1 is right, below 1 too sure
    intercept: float


class HighRecall(BaseModel):
    """Where at least HIGH_RECALL of the malignant nodules are found."""

    recall: float
    false_positive_rate: float
    precision: float


class Group(BaseModel):
    nodules: int
    malignant: int
    auroc: Estimate
    baseline_diameter: Estimate


class Evaluation(BaseModel):
    """What `--json` holds."""

    model: dict[str, str]
    nodules: int
    patients: int
    malignant: int
    benign: int
    left_out: int
    left_out_as_seen: int
    auroc: Estimate
    auprc: Estimate
    baseline_diameter: Pair
    combined: Pair
    model_minus_diameter: Estimate
    combined_minus_diameter: Estimate
    calibration: Calibration | None
    at_high_recall: HighRecall | None
    by_size: dict[str, Group]
    shortcuts: dict[str, Estimate] = {}
    semantic: dict[str, Semantic]
    notes: list[str]


def average_precision(scores: Floats, positive: Bools) -> float:
    """Return the area under the precision-recall curve as a sum of steps, ties together."""
    order = np.argsort(-scores, kind="stable")
    hits = positive[order].cumsum()
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    recall = hits[last_of_ties] / hits[-1]
    precision = hits[last_of_ties] / (last_of_ties + 1)
    return float(np.diff(recall, prepend=0) @ precision)


def over_patients(
    figure: Callable[[NDArray[np.int64]], float | None], patient: NDArray[np.str_], seed: int = 0
) -> Estimate:
    """Estimate a figure, and its interval by drawing patients with all their nodules.

    `figure` takes the rows to use, and returns None where it is not defined.
    """
    rng = np.random.default_rng(seed)
    patients, of_row = np.unique(patient, return_inverse=True)
    rows_of = [np.flatnonzero(of_row == number) for number in range(len(patients))]
    estimate = figure(np.arange(len(patient)))
    if estimate is None:
        return Estimate(estimate=None, lower=None, upper=None)
    values = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(patients), len(patients))
        value = figure(np.concatenate([rows_of[number] for number in drawn]))
        if value is not None:
            values.append(value)
    lower, upper = np.percentile(values, [2.5, 97.5])
    return Estimate(estimate=estimate, lower=float(lower), upper=float(upper))


def _of_both_classes(
    figure: Callable[[Floats, Bools], float], scores: Floats, positive: Bools
) -> Callable[[NDArray[np.int64]], float | None]:
    def of_rows(rows: NDArray[np.int64]) -> float | None:
        truth = positive[rows]
        return figure(scores[rows], truth) if truth.any() and not truth.all() else None

    return of_rows


def pair_of(scores: Floats, positive: Bools, patient: NDArray[np.str_]) -> Pair:
    return Pair(
        auroc=over_patients(_of_both_classes(auroc, scores, positive), patient),
        auprc=over_patients(_of_both_classes(average_precision, scores, positive), patient),
    )


def difference(
    scores: Floats, others: Floats, positive: Bools, patient: NDArray[np.str_]
) -> Estimate:
    """Return how much higher the AUROC of one score is than that of another, paired."""
    return over_patients(
        _of_both_classes(
            lambda both, truth: auroc(both[:, 0], truth) - auroc(both[:, 1], truth),
            np.stack([scores, others], axis=1),
            positive,
        ),
        patient,
    )


def calibration_of(probabilities: Floats, positive: Bools) -> Calibration | None:
    """Compare probabilities with what came true; None where one class is missing."""
    if positive.all() or not positive.any():
        return None
    logit = special.logit(probabilities.clip(1e-6, 1 - 1e-6))
    slope, intercept = _logistic(np.stack([logit, np.ones_like(logit)], axis=1), positive, 0)
    groups = np.array_split(np.argsort(probabilities, kind="stable"), 10)
    errors = [abs(probabilities[g].mean() - positive[g].mean()) for g in groups if g.size]
    weights = [g.size for g in groups if g.size]
    return Calibration(
        brier=float(np.mean((probabilities - positive) ** 2)),
        expected_error=float(np.average(errors, weights=weights)),
        slope=float(slope),
        intercept=float(intercept),
    )


def at_high_recall(scores: Floats, positive: Bools) -> HighRecall | None:
    """Return the false positives at the highest threshold that finds enough."""
    if positive.all() or not positive.any():
        return None
    found = np.sort(scores[positive])[::-1]
    threshold = found[int(np.ceil(HIGH_RECALL * len(found))) - 1]
    called = scores >= threshold
    return HighRecall(
        recall=float(called[positive].mean()),
        false_positive_rate=float(called[~positive].mean()),
        precision=float(positive[called].mean()),
    )


def by_size(
    scores: Floats, diameter_mm: Floats, positive: Bools, patient: NDArray[np.str_]
) -> dict[str, Group]:
    """Measure nodules of like size: what a model knows beyond the diameter."""
    low, high = SIZES_MM
    groups = {
        f"below {low:g} mm": diameter_mm < low,
        f"{low:g} to {high:g} mm": (diameter_mm >= low) & (diameter_mm < high),
        f"from {high:g} mm": diameter_mm >= high,
    }
    return {
        name: Group(
            nodules=int(of.sum()),
            malignant=int(positive[of].sum()),
            auroc=over_patients(_of_both_classes(auroc, scores[of], positive[of]), patient[of]),
            baseline_diameter=over_patients(
                _of_both_classes(auroc, diameter_mm[of], positive[of]), patient[of]
            ),
        )
        for name, of in groups.items()
        if of.any()
    }


def combined_scores(
    scores: Floats, diameter_mm: Floats, positive: Bools, patient: NDArray[np.str_]
) -> Floats:
    """Join a model's score with the diameter, each patient by a fit on other patients.

    A part of the patients that leaves the others without both classes keeps the model's
    score. The penalty on the two slopes is that of one standardised unit of variance.
    """
    columns = np.stack([special.logit(scores.clip(1e-6, 1 - 1e-6)), np.log(diameter_mm)], axis=1)
    parts = np.array(
        [hashlib.sha256(str(name).encode()).digest()[-1] % PARTS for name in patient], dtype=int
    )
    joined = columns[:, 0].copy()
    for part in range(PARTS):
        fit, score = parts != part, parts == part
        if not score.any() or len(np.unique(positive[fit])) < 2:
            continue
        middle, spread = columns[fit].mean(axis=0), columns[fit].std(axis=0) + 1e-9
        standard = np.column_stack([(columns - middle) / spread, np.ones(len(columns))])
        joined[score] = standard[score] @ _logistic(standard[fit], positive[fit])
    return joined


def _logistic(columns: Floats, positive: Bools, penalty: float = 1.0) -> Floats:
    """Fit the slopes of all columns; the last is the intercept, and is not penalised."""

    def loss(slopes: Floats) -> tuple[float, Floats]:
        logit = columns @ slopes
        held = penalty * np.append(slopes[:-1], 0)
        value = np.sum(np.logaddexp(0, logit) - positive * logit) + held @ slopes / 2
        gradient = columns.T @ (special.expit(logit) - positive) + held
        return float(value), gradient

    best: Floats = optimize.minimize(
        loss, np.zeros(columns.shape[1]), jac=True, method="L-BFGS-B"
    ).x
    return best


def semantic_of(crops: Crops, named: dict[str, Floats]) -> dict[str, Semantic]:
    """Hold a model's categories against the readers' median scores.

    A margin may be both lobulated and spiculated: each is also told from smooth alone.
    """
    found: dict[str, tuple[Floats, NDArray[np.int64]]] = {}
    for feature, probabilities in named.items():
        category = crops.nodules.categories_of(feature)
        if (category >= 0).all():
            found[feature] = (probabilities, category)
    if "margin" in named:
        smooth = named["margin"][:, FEATURES["margin"].index("smooth")]
        for score, category_name in (("lobulation", "lobulated"), ("spiculation", "spiculated")):
            present = named["margin"][:, FEATURES["margin"].index(category_name)]
            share = present / (present + smooth).clip(1e-300)
            found[score] = (
                np.stack([1 - share, share], axis=1),
                (crops.median[score] >= 3).astype(np.int64),
            )
    result = {}
    for feature, (probabilities, category) in found.items():

        def of_rows(
            rows: NDArray[np.int64], p: Floats = probabilities, c: NDArray[np.int64] = category
        ) -> float | None:
            return weighted_auroc(p[rows], c[rows]) if len(np.unique(c[rows])) > 1 else None

        one = over_patients(of_rows, crops.patient)
        result[feature] = Semantic(
            auroc=one.estimate, lower=one.lower, upper=one.upper, n=len(category)
        )
    return result


def measure(
    crops: Crops, scores: Floats, named: dict[str, Floats], model: dict[str, str]
) -> Evaluation:
    """Measure scores (n,) and feature -> probabilities (n, categories) of these crops.

    Raises:
        DataUnusable: no nodule has three readers.
    """
    enough = crops.readers >= ENOUGH_READERS
    if not enough.any():
        raise DataUnusable(f"No nodule of the table has {ENOUGH_READERS} readers.")
    has_truth = enough & (crops.suspicion != 3)
    of, p = crops.rows(has_truth), scores[has_truth]
    positive, diameter = of.nodules.malignant, of.nodules.diameter_mm
    by_model = pair_of(p, positive, of.patient)
    joined = combined_scores(p, diameter, positive, of.patient)
    return Evaluation(
        model=model,
        nodules=len(of),
        patients=len(np.unique(of.patient)),
        malignant=int(positive.sum()),
        benign=int((~positive).sum()),
        left_out=crops.left_out,
        left_out_as_seen=0,
        auroc=by_model.auroc,
        auprc=by_model.auprc,
        baseline_diameter=pair_of(diameter, positive, of.patient),
        combined=pair_of(joined, positive, of.patient),
        model_minus_diameter=difference(p, diameter, positive, of.patient),
        combined_minus_diameter=difference(joined, diameter, positive, of.patient),
        calibration=calibration_of(p, positive),
        at_high_recall=at_high_recall(p, positive),
        by_size=by_size(p, diameter, positive, of.patient),
        semantic=semantic_of(
            crops.rows(enough), {name: found[enough] for name, found in named.items()}
        ),
        notes=[
            "The truth is radiologists' suspicion (median above 3 against below 3, three readers "
            "or more), not pathology.",
            "The model sees the axial slice alone, at 1 mm by pixel_spacing; Hounsfield units are "
            "estimated from lung and soft tissue, since the crops' scale is lost.",
            "Intervals: 95 %, bootstrap over patients. The combination is fitted on other "
            "patients than it scores. The diameter comes from the readers' outlines.",
        ],
    )


@torch.no_grad()
def look_at(model: Model, prompts: Prompts, crops: Crops) -> tuple[Floats, dict[str, Floats]]:
    """Return calibrated scores (n,), and feature -> probabilities (n, categories).

    Every feature with prompts is tried, also those the card does not call valid.
    """
    contract, edge = model.card.input, (crops.nodules.planes.shape[-1] - PLANE_MM) // 2
    inner = slice(edge, edge + PLANE_MM)
    scores = np.zeros(len(crops))
    named = {name: np.zeros((len(crops), len(of))) for name, of in prompts.root.items()}
    for network, calibrate in zip(model.networks, model.calibrations, strict=True):
        sentences = embed_prompts(network, prompts, model.device)
        for first in range(0, len(crops), BATCH):
            rows = slice(first, first + BATCH)
            planes = torch.from_numpy(crops.nodules.planes[rows, 0, inner, inner]).float() / 255
            images = network_input(planes, contract.size, contract.mean, contract.std)
            output = network.images(images[:, None].to(model.device))
            raw = output.logits.double().softmax(dim=1)[:, 1].tolist()
            scores[rows] += [calibrate(p) / len(model.networks) for p in raw]
            for name, of in sentences.items():
                cosines = output.embedding @ torch.stack([of[one] for one in FEATURES[name]]).T
                found = (network.temperature() * cosines).double().softmax(dim=1).cpu().numpy()
                named[name][rows] += found / len(model.networks)
    return scores, named


def seen_patients(folder: Path) -> set[str]:
    """Return the patients a model was trained or calibrated on, as far as its folder tells."""
    path = folder / PATIENTS
    if not path.is_file():
        return set()
    return {name for names in json.loads(path.read_text()).values() for name in names}


def shortcuts_of(model: Model, crops: Crops) -> dict[str, Estimate]:
    """Return the AUROC on background alone, and on a plain disc in its place.

    The nodule is taken as a circle of its diameter; what is painted over is 2 mm larger.
    """
    has_truth = (crops.readers >= ENOUGH_READERS) & (crops.suspicion != 3)
    of = crops.rows(has_truth)
    distance = np.hypot(*(np.indices(of.nodules.planes.shape[-2:]) - STORED_WIDTH // 2))
    radius = of.nodules.diameter_mm[:, None, None] / 2
    background = of.nodules.planes[:, 0].copy()
    background[distance <= radius + 2] = _shade(LUNG_HU)
    disc = background.copy()
    disc[distance <= radius] = _shade(TISSUE_HU)
    result = {}
    for name, planes in (("background alone", background), ("size and background", disc)):
        painted = replace(of, nodules=replace(of.nodules, planes=planes[:, None]))
        scores, _ = look_at(model, Prompts({}), painted)
        result[name] = over_patients(
            _of_both_classes(auroc, scores, of.nodules.malignant), of.patient
        )
    return result


def _shade(hu: float) -> int:
    return round((hu - LOWEST_HU) / (HIGHEST_HU - LOWEST_HU) * 255)


def evaluate(folder: Path, table: Path, *, shortcuts: bool = False) -> Evaluation:
    """Measure the model in `folder` on a table of crops.

    Raises:
        ModelUnusable, DataUnusable: one of them cannot be read.
    """
    settings = read_settings(os.environ)
    torch.set_num_threads(settings.threads)
    crops = read_crops(table)
    model = load_model(folder.name, folder.parent, choose_device(settings.device))
    prompts = Prompts.model_validate_json((folder / PROMPTS).read_text())
    fresh = ~np.isin(crops.patient, sorted(seen_patients(folder)))
    if not fresh.any():
        raise DataUnusable(f"The model {model.name} was trained on every patient of {table}.")
    left_out_as_seen, crops = int((~fresh).sum()), crops.rows(fresh)
    scores, named = look_at(model, prompts, crops)
    about = {"name": model.name, "version": model.card.version, "hash": model.hash}
    found = measure(crops, scores, named, about)
    found.left_out_as_seen = left_out_as_seen
    if shortcuts:
        found.shortcuts = shortcuts_of(model, crops)
    return found


def printed(evaluation: Evaluation) -> str:
    """Say in a few lines what was found."""
    of = evaluation
    lines = [
        f"{of.nodules} nodules of {of.patients} patients: {of.malignant} suspicious, {of.benign} "
        f"not; left out: {of.left_out} rows without scores or size, {of.left_out_as_seen} nodules "
        "of patients the model has seen",
        f"{'':20}{'AUROC':>25}{'AUPRC':>25}",
    ]
    pairs = {
        "model": Pair(auroc=of.auroc, auprc=of.auprc),
        "diameter alone": of.baseline_diameter,
        "both": of.combined,
    }
    for name, pair in pairs.items():
        lines.append(f"{name:20}{_in_words(pair.auroc):>25}{_in_words(pair.auprc):>25}")
    for name, group in of.by_size.items():
        lines.append(
            f"{name:20}{_in_words(group.auroc):>25}   n {group.nodules}, "
            f"diameter {_in_words(group.baseline_diameter)}"
        )
    for name, shortcut in of.shortcuts.items():
        lines.append(f"{name:20}{_in_words(shortcut):>25}")
    for name, one in of.semantic.items():
        estimate = Estimate(estimate=one.auroc, lower=one.lower, upper=one.upper)
        lines.append(f"{name:20}{_in_words(estimate):>25}   n {one.n}")
    return "\n".join(lines)


def _in_words(one: Estimate) -> str:
    if one.estimate is None or one.lower is None or one.upper is None:
        return "not defined"
    return f"{one.estimate:.3f} ({one.lower:.3f} to {one.upper:.3f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a model's folder, or demo")
    parser.add_argument("--data", type=Path, required=True, help="the table of nodules")
    parser.add_argument("--json", type=Path, help="where to write what was found")
    parser.add_argument("--shortcuts", action="store_true", help="also without the nodule")
    arguments = parser.parse_args()
    given = arguments.model
    folder = BUILT_IN_MODELS / "demonstration" if given == "demo" else Path(given).resolve()
    try:
        evaluation = evaluate(folder, arguments.data, shortcuts=arguments.shortcuts)
        if arguments.json:
            arguments.json.write_text(evaluation.model_dump_json(indent=2) + "\n")
    except (DataUnusable, ModelUnusable, OSError) as error:
        print(f"The evaluation cannot be made: {error}", file=sys.stderr)
        return 1
    print(printed(evaluation))
    return 0


if __name__ == "__main__":
    sys.exit(main())
