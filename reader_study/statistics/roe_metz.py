"""From the parameters of simulated readers (Roe-Metz) to those of Obuchowski-Rockette, and back.

Readings are made as in `power.simulate`, with the same separation of the truths under every
modality: what a study looks like if the modalities do not differ.

References
----------
Roe CA, Metz CE. Acad Radiol 1997;4:298-303.
Gallas BD, Hillis SL. Generalized Roe and Metz receiver operating characteristic model: analytic
link between simulated decision scores and empirical AUC variances and covariances. J Med
Imaging 2014;1:031006.
Hillis SL. Relationship between Roe and Metz simulation model for multireader diagnostic data
and Obuchowski-Rockette model parameters. Stat Med 2018;37:2067-2093.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from reader_study.statistics.power import RoeMetz
from reader_study.statistics.variances import Components


class Simulated(NamedTuple):
    """What `power.simulate` needs to make studies like another one."""

    separation: float  # of the truths, in standard deviations of the cases
    variances: RoeMetz
    error: float  # variance of an AUC over cases that follows from it


def both_right(z: float, correlation: float) -> float:
    """Return the chance that two standard normal values with a correlation are both below z."""
    a = np.sqrt((1 - correlation) / (1 + correlation))
    return float(special.ndtr(z) - 2 * special.owens_t(z, a))


def error_covariance(z: float, own: float, shared: float, n_malignant: int, n_benign: int) -> float:
    """Return the covariance over cases of two AUCs.

    Parameters
    ----------
    z : inverse normal of the mean AUC
    own : correlation of the kernels of two pairs of cases that differ throughout
    shared : what each case that they share adds to it
    n_malignant, n_benign : cases
    """
    n = n_malignant * n_benign
    weights = (1.0, n_benign + n_malignant - 2.0, (n_malignant - 1.0) * (n_benign - 1.0))
    alike = [both_right(z, min(own + m * shared, 1.0)) for m in (2, 1, 0)]
    return float(np.dot(weights, alike) / n) - alike[-1]


def to_obuchowski_rockette(
    separation: float, v: RoeMetz, n_malignant: int, n_benign: int
) -> tuple[float, Components]:
    """Return the mean AUC and the variance components that simulated readers have.

    Raises
    ------
    ValueError
        If the variances of one case and modality do not sum to 1.
    """
    within = v.case + v.case_modality + v.case_reader + v.error
    if abs(within - 1) > 1e-9:
        raise ValueError(f"variances of one case and modality sum to 1, not to {within:g}")
    total = 2 * (1 + v.reader + v.reader_modality)
    z = separation / np.sqrt(total)
    mean = float(special.ndtr(z))
    same_reader, same_cell = 2 * v.reader / total, 2 * (v.reader + v.reader_modality) / total
    # What cells share: of their readers, and of each case that both have read.
    shared = (
        (same_cell, 1.0),
        (same_reader, v.case + v.case_reader),
        (0.0, v.case + v.case_modality),
        (0.0, v.case),
    )
    error, cov1, cov2, cov3 = (
        error_covariance(z, own, part / total, n_malignant, n_benign) for own, part in shared
    )
    of_reader = both_right(z, same_reader) - mean**2
    var_tr = both_right(z, same_cell) - mean**2 - of_reader
    return mean, Components(of_reader, var_tr, error, cov1, cov2, cov3)


def to_roe_metz(mean: float, c: Components, n_malignant: int, n_benign: int) -> Simulated:
    """Return the simulated readers that have a mean AUC and these components.

    Negative variances of readers are taken as 0. The variance `error` is not free: what comes
    of it is told.

    Parameters
    ----------
    mean : AUC over readers and modalities
    c : of a study with as many cases

    Raises
    ------
    ValueError
        If no such readers exist: covariances out of order, or a mean that is not between 0
        and 1.
    """
    if not 0 < mean < 1 or not np.isfinite(c[:6]).all():
        raise ValueError("a mean AUC between 0 and 1 and all components are needed")
    z = float(special.ndtri(mean))

    def solved(wanted: float, what: str, own: float = 0.0) -> float:
        def beyond(shared: float) -> float:
            if what == "readers":
                return both_right(z, shared) - mean**2 - wanted
            return error_covariance(z, own, shared, n_malignant, n_benign) - wanted

        most = 1 - 1e-12 if what == "readers" else (1 - own) / 2
        if wanted <= 0:
            return 0.0
        if beyond(most) < 0:
            raise ValueError(f"the {what} vary more than simulated readers can ({wanted:.3g})")
        return float(optimize.brentq(beyond, 0.0, most, xtol=1e-15))

    var_r = max(c.var_r, 0.0)
    same_reader = solved(var_r, "readers")
    same_cell = solved(var_r + max(c.var_tr, 0.0), "readers")
    total = 2 / (1 - same_cell)
    one, two, three = (
        total * solved(wanted, f"cases ({name})", own)
        for wanted, name, own in (
            (c.cov1, "cov1", same_reader),
            (c.cov2, "cov2", 0.0),
            (c.cov3, "cov3", 0.0),
        )
    )
    variances = RoeMetz(
        reader=same_reader * total / 2,
        reader_modality=(same_cell - same_reader) * total / 2,
        case=three,
        case_modality=two - three,
        case_reader=one - three,
        error=1 - one - two + three,
    )
    below = [name for name, value in variances._asdict().items() if value < -1e-9]
    if below:
        raise ValueError(f"no simulated readers are like that: the variance {below[0]} is below 0")
    variances = RoeMetz(*(max(0.0, value) for value in variances))
    error = error_covariance(z, same_cell, 1 / total, n_malignant, n_benign)
    return Simulated(float(z * np.sqrt(total)), variances, error)
