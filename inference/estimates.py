"""Figures that say how good scores are, with intervals from drawing patients.

Areas under the curve, DeLong's test and calibration are those of `reader_study.statistics`,
which is plain Python: a figure of a model and one of a reader come from the same lines.
"""

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from scipy import optimize, special

from inference.validity import auroc
from reader_study.statistics.auc import kernel
from reader_study.statistics.calibration import brier, calibration_errors, recalibration
from reader_study.statistics.covariance import delong
from reader_study.statistics.intervals import proportion, z_estimate

RESAMPLES = 1000
HIGH_RECALLS = (0.90, 0.95, 1.0)
PARTS = 5  # of the patients, to fit `combined` on the others
SMALLEST = 1e-6  # probabilities are kept this far from 0 and 1 before their logit is taken

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]


class Estimate(BaseModel):
    """A figure with its 95 % interval; all None where one class is missing."""

    estimate: float | None
    lower: float | None
    upper: float | None


class Pair(BaseModel):
    auroc: Estimate
    auprc: Estimate


class CalibrationBin(BaseModel):
    """Nodules with probabilities from `low` up to and with `high`."""

    low: float
    high: float
    n: int
    mean_probability: float
    share_malignant: float


class Calibration(BaseModel):
    """How far probabilities are what they say; one field is one point of the curve."""

    brier: Estimate
    expected_error: Estimate  # mean |probability - share|, ten bins of equal width
    slope: Estimate  # of the truth on the logit; 1 is right, below 1 too sure
    intercept: Estimate  # beside the slope; 0 is right
    curve: list[CalibrationBin]


class HighRecall(BaseModel):
    """What the highest threshold that finds enough of the malignant nodules costs."""

    recall: float
    false_positive_rate: Estimate
    precision: Estimate


class Group(BaseModel):
    nodules: int
    malignant: int
    auroc: Estimate
    baseline_diameter: Estimate


class Comparison(BaseModel):
    """The AUROC of the model less that of another score, by DeLong over patients."""

    nodules: int
    model: float | None  # None where one class is missing
    other: float | None
    difference: Estimate
    p: float | None  # two-sided; None where the test is not defined
    reason: str


NOT_DEFINED = Estimate(estimate=None, lower=None, upper=None)


def average_precision(scores: Floats, positive: Bools) -> float:
    """Return the area under the precision-recall curve as a sum of steps, ties together."""
    recall, precision = precision_recall(scores, positive)
    return float(np.diff(recall, prepend=0) @ precision)


def precision_recall(scores: Floats, positive: Bools) -> tuple[Floats, Floats]:
    """Return recall and precision at every distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    hits = positive[order].cumsum()
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    recall = hits[last_of_ties] / hits[-1]
    precision = hits[last_of_ties] / (last_of_ties + 1)
    return recall, precision


def over_patients(
    figure: Callable[[Rows], float | None], patient: NDArray[np.str_], seed: int = 0
) -> Estimate:
    """Estimate a figure, and its interval by drawing patients with all their nodules.

    `figure` takes the rows to use, and returns None where it is not defined.
    """
    rng = np.random.default_rng(seed)
    patients, of_row = np.unique(patient, return_inverse=True)
    rows_of = [np.flatnonzero(of_row == number) for number in range(len(patients))]
    estimate = figure(np.arange(len(patient))) if len(patient) else None
    if estimate is None:
        return NOT_DEFINED
    values = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(patients), len(patients))
        value = figure(np.concatenate([rows_of[number] for number in drawn]))
        if value is not None:
            values.append(value)
    if not values:  # every draw lacked a class
        return Estimate(estimate=estimate, lower=None, upper=None)
    lower, upper = np.percentile(values, [2.5, 97.5])
    return Estimate(estimate=estimate, lower=float(lower), upper=float(upper))


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's interval of a share, for where drawing again finds the same each time."""
    found = proportion(successes, n)
    return found.wilson_lower, found.wilson_upper


def of_both_classes(
    figure: Callable[[Floats, Bools], float | None], scores: Floats, positive: Bools
) -> Callable[[Rows], float | None]:
    """Return the figure of some rows; None where they are all of one class."""

    def of_rows(rows: Rows) -> float | None:
        truth = positive[rows]
        return figure(scores[rows], truth) if truth.any() and not truth.all() else None

    return of_rows


def auroc_of(scores: Floats, positive: Bools, patient: NDArray[np.str_]) -> Estimate:
    return over_patients(of_both_classes(auroc, scores, positive), patient)


def pair_of(scores: Floats, positive: Bools, patient: NDArray[np.str_]) -> Pair:
    return Pair(
        auroc=auroc_of(scores, positive, patient),
        auprc=over_patients(of_both_classes(average_precision, scores, positive), patient),
    )


def difference(
    scores: Floats, others: Floats, positive: Bools, patient: NDArray[np.str_]
) -> Estimate:
    """Return how much higher the AUROC of one score is than that of another, paired."""
    return over_patients(
        of_both_classes(
            lambda both, truth: auroc(both[:, 0], truth) - auroc(both[:, 1], truth),
            np.stack([scores, others], axis=1),
            positive,
        ),
        patient,
    )


def compare(
    scores: Floats, others: Floats, positive: Bools, patient: NDArray[np.str_]
) -> Comparison:
    """Test the difference of two correlated AUROCs; nodules of a patient vary together.

    DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845.
    Obuchowski NA. Biometrics 1997;53:567-578 (clusters).
    """
    if positive.all() or not positive.any():
        return Comparison(
            nodules=len(positive),
            model=None,
            other=None,
            difference=NOT_DEFINED,
            p=None,
            reason="These nodules are not of both classes.",
        )
    clusters = np.unique(patient, return_inverse=True)[1].astype(np.intp)
    sums = kernel(np.stack([scores, others]), positive)
    first, second = (float(value) for value in sums.auc)
    variance = np.array([1, -1]) @ delong(sums, clusters) @ np.array([1, -1])
    found = z_estimate(first - second, float(variance))
    return Comparison(
        nodules=len(positive),
        model=first,
        other=second,
        difference=Estimate(
            estimate=_finite(found.estimate),
            lower=_finite(found.lower),
            upper=_finite(found.upper),
        ),
        p=_finite(found.p),
        reason=found.reason,
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def calibration_of(
    probabilities: Floats, positive: Bools, patient: NDArray[np.str_]
) -> Calibration | None:
    """Compare probabilities with what came true; None where one class is missing."""
    if positive.all() or not positive.any():
        return None
    p = probabilities.clip(SMALLEST, 1 - SMALLEST)

    def straight(which: str) -> Callable[[Floats, Bools], float | None]:
        def of(p: Floats, truth: Bools) -> float | None:
            try:
                return _finite(getattr(recalibration(p, truth), which).estimate)
            except np.linalg.LinAlgError:  # so few that no line is the best one
                return None

        return of

    def error(p: Floats, truth: Bools) -> float:
        return calibration_errors(p, truth).expected

    return Calibration(
        brier=over_patients(of_both_classes(brier, p, positive), patient),
        expected_error=over_patients(of_both_classes(error, p, positive), patient),
        slope=over_patients(of_both_classes(straight("slope"), p, positive), patient),
        intercept=over_patients(of_both_classes(straight("intercept"), p, positive), patient),
        curve=[
            CalibrationBin(
                low=one.low,
                high=one.high,
                n=one.n,
                mean_probability=one.mean_probability,
                share_malignant=one.share_malignant,
            )
            for one in calibration_errors(p, positive).bins
            if one.n
        ],
    )


def at_high_recall(
    scores: Floats, positive: Bools, patient: NDArray[np.str_]
) -> dict[str, HighRecall]:
    """Return recall wanted -> what it costs at the highest threshold that reaches it.

    The threshold of each draw of patients is its own, as that of a new study would be.
    """
    if positive.all() or not positive.any():
        return {}

    def called(scores: Floats, truth: Bools, wanted: float) -> Bools:
        found = np.sort(scores[truth])[::-1]
        # Rounding must not ask for one nodule more: 0.95 of 20 are 19.
        needed = max(1, int(np.ceil(wanted * len(found) - 1e-9)))
        above: Bools = scores >= found[needed - 1]
        return above

    result = {}
    for wanted in HIGH_RECALLS:

        def rate(s: Floats, t: Bools, w: float = wanted) -> float:
            return float(called(s, t, w)[~t].mean())

        def precision(s: Floats, t: Bools, w: float = wanted) -> float:
            return float(t[called(s, t, w)].mean())

        result[f"{wanted:.2f}"] = HighRecall(
            recall=float(called(scores, positive, wanted)[positive].mean()),
            false_positive_rate=over_patients(of_both_classes(rate, scores, positive), patient),
            precision=over_patients(of_both_classes(precision, scores, positive), patient),
        )
    return result


def groups_of(
    groups: Mapping[str, Bools],
    scores: Floats,
    diameter_mm: Floats,
    positive: Bools,
    patient: NDArray[np.str_],
) -> dict[str, Group]:
    """Measure model and diameter in each group; one without nodules is left out.

    Nodules that nobody has measured are no part of what the diameter reaches.
    """
    sized = np.isfinite(diameter_mm)
    return {
        name: Group(
            nodules=int(of.sum()),
            malignant=int(positive[of].sum()),
            auroc=auroc_of(scores[of], positive[of], patient[of]),
            baseline_diameter=auroc_of(
                diameter_mm[of & sized], positive[of & sized], patient[of & sized]
            ),
        )
        for name, of in groups.items()
        if of.any()
    }


def between(values: Floats, edges: Sequence[float], unit: str) -> dict[str, Bools]:
    """Return name -> rows: below the first edge, between two, from the last on."""
    names = [
        f"below {edges[0]:g} {unit}",
        *(f"{low:g} to {high:g} {unit}" for low, high in itertools.pairwise(edges)),
        f"from {edges[-1]:g} {unit}",
    ]
    place = np.digitize(values, edges)
    known = np.isfinite(values)
    return {name: known & (place == number) for number, name in enumerate(names)}


def combined_scores(
    scores: Floats, diameter_mm: Floats, positive: Bools, patient: NDArray[np.str_]
) -> Floats:
    """Join a model's score with the diameter, each patient by a fit on other patients.

    A part of the patients that leaves the others without both classes keeps the model's
    score. The penalty on the two slopes is that of one standardised unit of variance.
    """
    columns = np.stack(
        [special.logit(scores.clip(SMALLEST, 1 - SMALLEST)), np.log(diameter_mm)], axis=1
    )
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
        joined[score] = standard[score] @ _ridge(standard[fit], positive[fit])
    return joined


def _ridge(columns: Floats, positive: Bools, penalty: float = 1.0) -> Floats:
    """Fit the logistic slopes of all columns; the last is the intercept, not penalised."""

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
