"""What the AI does to readers: switches, right and wrong ones, and how far advice is taken.

Readings are arrays of one shape, such as (n_readers, n_cases), with one entry for each reading
that was made without and then with the AI. Decisions and truth are true for malignant.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from reader_study.statistics.auc import Bools, Floats
from reader_study.statistics.intervals import LEVEL, NAN, Proportion, holm, proportion

NO_READING = "no reading is of this kind"


def decided(*arrays: ArrayLike) -> list[Bools]:
    """Return decisions as flat arrays.

    Raises
    ------
    ValueError
        If the shapes disagree or there is no reading.
    """
    found = [np.asarray(a, dtype=np.bool_) for a in np.broadcast_arrays(*map(np.asarray, arrays))]
    if not found[0].size:
        raise ValueError("there is no reading")
    return [a.ravel() for a in found]


class Reclassification(NamedTuple):
    """Changes of decisions, for malignant and benign cases apart.

    With two categories the net shares are the change of sensitivity, and of specificity.
    """

    malignant_up: int  # to positive, so right
    malignant_down: int
    n_malignant: int
    benign_up: int
    benign_down: int  # to negative, so right
    n_benign: int
    net_malignant: float  # NRI of events
    net_benign: float  # NRI of non-events
    reason: str = NO_READING


def reclassification(before: ArrayLike, after: ArrayLike, malignant: ArrayLike) -> Reclassification:
    """Count decisions that change with the AI.

    Parameters
    ----------
    before, after : array_like of bool, decisions without and with the AI
    malignant : array_like of bool, broadcast to their shape

    References
    ----------
    Kerr KF, Wang Z, Janes H, et al. Net reclassification indices for evaluating risk
    prediction instruments: a critical review. Epidemiology 2014;25:114-121.
    """
    first, second, truth = decided(before, after, malignant)
    up, down = ~first & second, first & ~second
    up_malignant, down_malignant, n_malignant = (
        int(x.sum()) for x in (up & truth, down & truth, truth)
    )
    up_benign, down_benign, n_benign = (int(x.sum()) for x in (up & ~truth, down & ~truth, ~truth))
    return Reclassification(
        up_malignant,
        down_malignant,
        n_malignant,
        up_benign,
        down_benign,
        n_benign,
        (up_malignant - down_malignant) / n_malignant if n_malignant else NAN,
        (down_benign - up_benign) / n_benign if n_benign else NAN,
    )


class Influence(NamedTuple):
    """Switches by whether reader and AI were right; each a share with its interval."""

    benefit: Proportion  # aided right, of those unaided wrong where the AI was right
    missed_benefit: Proportion  # aided wrong, of the same
    harm: Proportion  # aided wrong, of those unaided right where the AI was wrong
    commission: Proportion  # harm where the AI said malignant
    omission: Proportion  # harm where the AI said benign
    override: Proportion  # aided right, of all where the AI was wrong
    agreement_before: Proportion  # with the AI, of all
    agreement_after: Proportion


def influence(
    before: ArrayLike,
    after: ArrayLike,
    advice: ArrayLike,
    malignant: ArrayLike,
    level: float = LEVEL,
) -> Influence:
    """Count beneficial and harmful switches by whether the AI was right.

    Parameters
    ----------
    before, after, advice : array_like of bool
        Decisions without the AI, with it, and of the AI.
    malignant : array_like of bool

    Notes
    -----
    The intervals take readings as independent; for one that does not, resample readers and
    cases with `bootstrap`.

    References
    ----------
    Dratsch T, Chen X, Rezazade Mehrizi M, et al. Automation bias in mammography. Radiology
    2023;307:e222176.
    """
    first, second, ai, truth = decided(before, after, advice, malignant)
    right_first, right_second, right_ai = first == truth, second == truth, ai == truth

    def share(of: Bools, among: Bools) -> Proportion:
        return proportion(int((of & among).sum()), int(among.sum()), level)

    can_gain, can_lose = ~right_first & right_ai, right_first & ~right_ai
    every = np.ones(len(truth), dtype=np.bool_)
    return Influence(
        share(right_second, can_gain),
        share(~right_second, can_gain),
        share(~right_second, can_lose),
        share(~right_second, can_lose & ai),
        share(~right_second, can_lose & ~ai),
        share(right_second, ~right_ai),
        share(first == ai, every),
        share(second == ai, every),
    )


class WeightOfAdvice(NamedTuple):
    """How far ratings move towards the AI's: 0 not at all, 1 all the way."""

    mean: float
    median: float
    n: int
    n_left_out: int  # readings that agreed with the AI before, so could not move
    values: Floats  # of the readings that count
    reason: str = "every reading agreed with the AI before"


def weight_of_advice(before: ArrayLike, after: ArrayLike, advice: ArrayLike) -> WeightOfAdvice:
    """Return (after - before) / (advice - before), cut at 0 and 1.

    Parameters
    ----------
    before, after, advice : array_like of float, in one unit

    References
    ----------
    Yaniv I. Receiving other people's advice: influence and benefit. Organ Behav Hum Decis
    Process 2004;93:1-13.
    """
    first, second, ai = (
        np.asarray(a, dtype=np.float64).ravel() for a in np.broadcast_arrays(before, after, advice)
    )
    there = np.isfinite(first) & np.isfinite(second) & np.isfinite(ai)
    moved = there & (ai != first)
    values = np.clip((second[moved] - first[moved]) / (ai[moved] - first[moved]), 0, 1)
    n, left_out = int(moved.sum()), int((there & ~moved).sum())
    if not n:
        return WeightOfAdvice(NAN, NAN, 0, left_out, values)
    return WeightOfAdvice(float(values.mean()), float(np.median(values)), n, left_out, values)


class Association(NamedTuple):
    """Whether disagreement with the AI on a feature goes with a switch of the decision."""

    disagreed_and_switched: int
    disagreed_and_stayed: int
    agreed_and_switched: int
    agreed_and_stayed: int
    odds_ratio: float  # with 1/2 added to each count
    p: float  # two-sided, Fisher's exact test
    p_holm: float  # over all features


def disagreement_and_switch(
    disagreed: dict[str, ArrayLike], switched: ArrayLike
) -> dict[str, Association]:
    """Hold disagreement on each semantic feature against switches of the decision.

    Parameters
    ----------
    disagreed : for each feature an array_like of bool, whether reader and AI differed on it
    switched : array_like of bool, whether the decision changed once the AI was shown
    """
    return disagreements_and_switches({name: (own, switched) for name, own in disagreed.items()})


def disagreements_and_switches(
    readings: dict[str, tuple[ArrayLike, ArrayLike]],
) -> dict[str, Association]:
    """Do the same where features were not judged in the same readings.

    Parameters
    ----------
    readings : for each feature whether reader and AI differed, and whether the decision changed
    """
    found = []
    for disagreed, switched in readings.values():
        differs, moved = decided(disagreed, switched)
        counts = [
            int(x.sum())
            for x in (differs & moved, differs & ~moved, ~differs & moved, ~differs & ~moved)
        ]
        a, b, c, d = (x + 0.5 for x in counts)
        p = float(stats.fisher_exact([counts[:2], counts[2:]]).pvalue)
        found.append((counts, a * d / (b * c), p))
    adjusted = holm([p for *_, p in found])
    return {
        name: Association._make([*counts, ratio, p, float(q)])
        for name, (counts, ratio, p), q in zip(readings, found, adjusted, strict=True)
    }


class Resampled(NamedTuple):
    """An estimate with the percentiles of its bootstrap."""

    estimate: float
    lower: float
    upper: float
    repeats: int  # in which the statistic could be computed
    reason: str = "the statistic could be computed in too few samples"


def bootstrap(
    statistic: Callable[[NDArray[np.intp], NDArray[np.intp]], float],
    n_readers: int,
    n_cases: int,
    rng: np.random.Generator,
    repeats: int = 2000,
    level: float = LEVEL,
) -> Resampled:
    """Resample readers and cases, both with replacement.

    Parameters
    ----------
    statistic : of the numbers of readers and of cases, each with repeats; NaN if undefined
    rng : the source of chance
    repeats : samples drawn

    References
    ----------
    Owen AB. The pigeonhole bootstrap. Ann Appl Stat 2007;1:386-411.
    """
    estimate = statistic(np.arange(n_readers), np.arange(n_cases))
    drawn = np.array(
        [
            statistic(rng.integers(n_readers, size=n_readers), rng.integers(n_cases, size=n_cases))
            for _ in range(repeats)
        ]
    )
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < repeats / 2 or not len(drawn):
        return Resampled(estimate, NAN, NAN, len(drawn))
    lower, upper = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Resampled(estimate, float(lower), float(upper), len(drawn))
