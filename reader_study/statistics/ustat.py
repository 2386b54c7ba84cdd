"""U-statistics for AUC over random readers and cases, as in the FDA's iMRMC.

Nothing is assumed about the design: a reader may have read any cases under any modality.

References
----------
Gallas BD. One-shot estimate of MRMC variance: AUC. Acad Radiol 2006;13:353-362.
Gallas BD, Brown DG. Reader studies for validation of CAD systems. Neural Netw 2008;21:387-397.
Gallas BD, Bandos A, Samuelson FW, Wagner RF. A framework for random-effects ROC analysis.
Commun Stat Theory Methods 2009;38:2586-2603.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from reader_study.statistics.auc import Floats, checked
from reader_study.statistics.covariance import Moments, moments
from reader_study.statistics.intervals import LEVEL, NAN
from reader_study.statistics.mrmc import ONE_READER, Pair, mean_covariances, rounded

# Gallas and Brown 2008: moments (BDG) -> components of benign cases, malignant cases, readers
# and their interactions (BCK). The columns are the moments 1 to 8, the rows COMPONENTS.
COMPONENTS = ("N", "D", "ND", "R", "NR", "DR", "RND")
FROM_MOMENTS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 1, -1],
        [0, 0, 0, 0, 0, 1, 0, -1],
        [0, 0, 0, 0, 1, -1, -1, 1],
        [0, 0, 0, 1, 0, 0, 0, -1],
        [0, 0, 1, -1, 0, 0, -1, 1],
        [0, 1, 0, -1, 0, -1, 0, 1],
        [1, -1, -1, 1, -1, 1, 1, -1],
    ]
)
COEFFICIENTS = np.array(
    [
        [1, 0, 1, 0, 1, 0, 1, 0],
        [1, 1, 0, 0, 1, 1, 0, 0],
        [1, 0, 0, 0, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [1, 0, 1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
    ]
)
RANDOM = [COMPONENTS.index(name) for name in ("N", "D", "R")]
NORMAL_ABOVE = 50  # degrees of freedom from which iMRMC (R) takes the normal distribution


class Covariance(NamedTuple):
    """The covariance of the AUCs of two modalities (the variance of one), and its parts."""

    covariance: float
    moments: Floats  # (8,) M1 to M8, without bias
    coefficients: Floats  # (8,), so that covariance = moments @ coefficients
    components: Floats  # (7,), in the order of COMPONENTS
    component_coefficients: Floats  # (7,)
    biased: float
    biased_moments: Floats  # (8,), of the empirical distribution
    biased_components: Floats  # (7,)


class ModalityAuc(NamedTuple):
    """The AUC of one modality, for readers and cases like these."""

    auc: float
    variance: float
    df: float
    lower: float
    upper: float
    lower_floor: float  # with degrees of freedom rounded down, as iMRMC prints them
    upper_floor: float
    variance_biased: float
    df_biased: float
    parts: Covariance
    reason: str = ""


class Difference(NamedTuple):
    """The first modality minus the second."""

    estimate: float
    variance: float
    df: float
    t: float
    p: float  # two-sided
    p_floor: float  # with degrees of freedom rounded down, as iMRMC prints it
    p_normal: float
    lower: float
    upper: float
    lower_floor: float
    upper_floor: float
    variance_biased: float
    df_biased: float
    df_independent: float  # where the modalities share neither readers nor cases
    df_hillis: float
    parts: Covariance  # of the two modalities
    reason: str = ""


class UStatistics(NamedTuple):
    """The modalities and their differences, numbered as in the ratings."""

    modalities: list[ModalityAuc]
    differences: dict[Pair, Difference]
    cells: Floats  # (n_modalities, n_readers), AUC
    covariance: Floats  # (n_modalities * n_readers,) twice, over cases, without bias


def u_statistics(ratings: ArrayLike, malignant: ArrayLike, level: float = LEVEL) -> UStatistics:
    """Compare the AUCs of modalities over readers and cases, whatever the design.

    Pairs of cases count equally, so a reader with more cases weighs more.

    Parameters
    ----------
    ratings : array_like, shape (n_modalities, n_readers, n_cases)
        Higher is more suspicious; NaN where there is no reading.
    malignant : array_like of bool, shape (n_cases,)
        The reference standard.

    Raises
    ------
    ValueError
        If the shapes disagree or a rating is infinite.
    """
    x = np.asarray(ratings, dtype=np.float64)
    if x.ndim != 3:
        raise ValueError("ratings have the shape (n_modalities, n_readers, n_cases)")
    n_modalities, n_readers, n_cases = x.shape
    cells, truth = checked(x.reshape(-1, n_cases), malignant)
    m = moments(cells, truth)
    u = m.unbiased()
    shape = (4, n_modalities, n_readers, n_modalities, n_readers)

    def parts(a: int, b: int) -> Covariance:
        def sums(of: Floats) -> Floats:
            block = of.reshape(shape)[:, a, :, b, :]
            same_reader = np.trace(block, axis1=1, axis2=2)
            return np.concatenate([same_reader, block.sum(axis=(1, 2))])

        return covariance_of(
            sums(u.products), sums(u.pairs), sums(m.products), sums(m.pairs)
        )

    totals = np.sqrt(np.einsum("gg->g", m.products[3])).reshape(n_modalities, n_readers)
    pairs = np.sqrt(np.einsum("gg->g", m.pairs[3])).reshape(n_modalities, n_readers)
    auc = np.array([t.sum() / n.sum() if n.sum() else NAN for t, n in zip(totals, pairs, strict=True)])
    own = [parts(i, i) for i in range(n_modalities)]
    v = unbiased_of(m)
    of_cells = np.divide(totals, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)
    crossed = not np.isnan(cells).any()
    differences = {}
    for a, b in combinations(range(n_modalities), 2):
        df_hillis = hillis_df(of_cells[[a, b]], v, (a, b), x.shape) if crossed else NAN
        differences[a, b] = difference(
            float(auc[a] - auc[b]), own[a], own[b], parts(a, b), df_hillis, level
        )
    return UStatistics(
        [modality(float(auc[i]), own[i], level) for i in range(n_modalities)],
        differences,
        of_cells,
        v,
    )
