"""One analysis of a study, from ratings to a result with the study's own names."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reader_study.statistics import binary, clustered, covariance
from reader_study.statistics.auc import Floats, kernel
from reader_study.statistics.dbm import Dbm, dbm
from reader_study.statistics.documents import Because
from reader_study.statistics.intervals import TEstimate, against_margin, reverse
from reader_study.statistics.mrmc import ObuchowskiRockette, obuchowski_rockette
from reader_study.statistics.single import against_standalone
from reader_study.statistics.tables import Study
from reader_study.statistics.ustat import (
    COMPONENTS,
    Covariance,
    Difference,
    u_statistics,
    why_not_u,
)
from reader_study.statistics.variances import NO_COVARIANCE, Pair


class Analysis(NamedTuple):
    """What is asked of the data."""

    method: str = "or"  # or, dbm, ustat
    covariance: str = "jackknife"  # jackknife, delong, unbiased
    endpoint: str = "auc"  # auc, sensitivity, specificity
    threshold: float | None = None  # a rating from here on is positive
    margin: float | None = None  # of non-inferiority
    standalone: str | None = None  # the reader that is the AI


def analyse(study: Study, analysis: Analysis) -> dict[str, Any]:
    """Run one analysis.

    Raises
    ------
    ValueError
        If the analysis does not fit the data; the text says why.
    """
    needed = {"auc": (True, False), "sensitivity": (True,), "specificity": (False,)}
    for truth in needed[analysis.endpoint]:
        if not (study.malignant == truth).any():
            kind = "malignant" if truth else "benign"
            raise ValueError(f"there is no {kind} case, so no {analysis.endpoint}")
    threshold = threshold_of(study, analysis)
    if analysis.method == "ustat":
        found = of_u_statistics(study, analysis, threshold)
    elif analysis.method == "dbm":
        found = of_dbm(study, analysis, threshold)
    else:
        found = of_obuchowski_rockette(study, analysis, threshold)
    return {
        "method": analysis.method,
        **({} if analysis.method == "ustat" else {"covariance": analysis.covariance}),
        "endpoint": analysis.endpoint,
        **({} if threshold is None else {"threshold": threshold}),
        "counts": counts(study),
        **found,
    }


def threshold_of(study: Study, analysis: Analysis) -> float | None:
    """Return the threshold of a binary endpoint; decisions of 0 and 1 need none given.

    Raises
    ------
    ValueError
        If it is missing, or given for the AUC.
    """
    if analysis.endpoint == "auc":
        if analysis.threshold is not None:
            raise ValueError("the AUC has no threshold; leave --threshold out")
        return None
    if analysis.threshold is not None:
        return analysis.threshold
    values = study.ratings[~np.isnan(study.ratings)]
    if not np.isin(values, (0.0, 1.0)).all():
        raise ValueError(f"{analysis.endpoint} needs --threshold: a rating from it on is positive")
    return 1.0


def counts(study: Study) -> dict[str, int]:
    """Count what the study holds."""
    return {
        "modalities": len(study.modalities),
        "readers": len(study.readers),
        "cases": len(study.cases),
        "malignant": int(study.malignant.sum()),
        "benign": int((~study.malignant).sum()),
        "readings": int((~np.isnan(study.ratings)).sum()),
        **({} if study.clusters is None else {"clusters": len(np.unique(study.clusters))}),
    }


def of_obuchowski_rockette(
    study: Study, analysis: Analysis, threshold: float | None
) -> dict[str, Any]:
    """Estimate figures of merit and their covariance, and compare modalities."""
    estimates, v = merits(study, analysis, threshold)
    shape = study.ratings.shape[:2]
    estimates = estimates.reshape(shape)
    found: dict[str, Any] = {}
    notes = notes_on(study, analysis)
    if analysis.standalone is not None:
        found = {"standalone": of_standalone(study, analysis.standalone, estimates, v)}
    # What is no sample of readers, or has no estimate at all, takes no part in the rest.
    there = np.isfinite(estimates)
    keep_r = [j for j, name in enumerate(study.readers) if name != analysis.standalone]
    for j in [j for j in keep_r if not there[:, j].any()]:
        keep_r.remove(j)
        notes[f"readers/{study.readers[j]}"] = "left out: no figure of merit under any modality"
    keep_t = [i for i in range(shape[0]) if there[i, keep_r].any()]
    rows = np.arange(estimates.size).reshape(shape)[np.ix_(keep_t, keep_r)].ravel()
    estimates, v = estimates[np.ix_(keep_t, keep_r)], v[np.ix_(rows, rows)]
    modalities = [study.modalities[i] for i in keep_t]
    readers = [study.readers[j] for j in keep_r]
    result = obuchowski_rockette(estimates, v)
    return {
        "design": result.design,
        "mean_squares": Because(result.mean_squares, "there are no degrees of freedom"),
        **named(result, modalities, readers),
        **margins(result.rrrc.differences, modalities, analysis.margin),
        **found,
        "notes": notes,
    }


def notes_on(study: Study, analysis: Analysis) -> dict[str, str]:
    """Say what holds for the whole analysis."""
    if analysis.covariance == "delong" and not study.crossed:
        return {"covariance": "DeLong's method needs every reader to read every case"}
    return {}


def of_standalone(study: Study, name: str, estimates: Floats, v: Floats) -> dict[str, Any]:
    """Hold the readers of each modality against a standalone reading.

    The reading is that under the same modality, or the only one there is.

    Raises
    ------
    ValueError
        If there is no such reader, or nobody else.
    """
    if name not in study.readers:
        raise ValueError(f"--standalone: there is no reader '{name}' in the data")
    place = study.readers.index(name)
    others = [j for j in range(len(study.readers)) if j != place]
    present = np.flatnonzero(np.isfinite(estimates[:, place]))
    number = np.arange(estimates.size).reshape(estimates.shape)
    found: dict[str, Any] = {}
    for i, modality in enumerate(study.modalities):
        if not np.isfinite(estimates[i, others]).any():
            continue
        at = i if i in present else int(present[0]) if len(present) == 1 else -1
        if at < 0:
            raise ValueError(f"'{name}' has no reading under '{modality}', and not just one other")
        rows = [*number[i, others].tolist(), int(number[at, place])]
        result = against_standalone(estimates.ravel()[rows], v[np.ix_(rows, rows)], len(others))
        found[modality] = {
            "reader": name,
            **reasoned(result._replace(readers=[])),
            "readers": {
                study.readers[j]: one for j, one in zip(others, result.readers, strict=True)
            },
        }
    if not found:
        raise ValueError(f"there is no reader beside '{name}'")
    return found


def of_dbm(study: Study, analysis: Analysis, threshold: float | None) -> dict[str, Any]:
    """Compare modalities by the analysis of variance of jackknife pseudovalues.

    Pseudovalues need crossed data. The analysis of Obuchowski and Rockette with jackknife
    covariances gives the same tests, and stands in for other designs.

    Raises
    ------
    ValueError
        If another covariance than the jackknife's is asked for.
    """
    if analysis.standalone is not None:
        raise ValueError("--standalone needs --method or")
    if analysis.covariance != "jackknife":
        raise ValueError("dbm is made of jackknife pseudovalues; leave --covariance out")
    if not study.crossed:
        found = of_obuchowski_rockette(study, analysis, threshold)
        reason = (
            "pseudovalues need every reader to read every case; these are the results of "
            "Obuchowski and Rockette with jackknife covariances, the same where both exist"
        )
        return {**found, "notes": {**found["notes"], "method": reason}}
    estimates, without = left_out(study, analysis, threshold)
    shape = study.ratings.shape[:2]
    result = dbm(estimates.reshape(shape), without.reshape(*shape, -1))
    return {
        **named(result, study.modalities, study.readers),
        "pseudovalue_components": result.pseudovalue_components,
        "pseudovalue_mean_squares": result.mean_squares,
        **margins(result.rrrc.differences, study.modalities, analysis.margin),
    }


def of_u_statistics(study: Study, analysis: Analysis, threshold: float | None) -> dict[str, Any]:
    """Compare modalities by U-statistics.

    Where cases come in clusters patients are the sample, and there are no moments.

    Raises
    ------
    ValueError
        If a standalone reading is asked for.
    """
    if analysis.standalone is not None:
        raise ValueError("--standalone needs --method or")
    ratings, malignant = study.cells, study.malignant
    if threshold is not None:
        ratings, malignant = binary.as_ratings(ratings, malignant, threshold, analysis.endpoint)
    cells = ratings.reshape(*study.ratings.shape[:2], -1)
    if study.clusters is None:
        result = u_statistics(cells, malignant)
    else:
        result = clustered.u_statistics(cells, malignant, clusters_of(study, analysis, threshold))
    no_moments = "" if study.clusters is None else "moments are of single cases, not of patients"
    modalities = study.modalities
    return {
        "modalities": {
            name: {**reasoned(found), **parts_of(found.parts, no_moments)}
            for name, found in zip(modalities, result.modalities, strict=True)
        },
        "differences": {
            pair_name(pair, modalities): {**reasoned(found), **parts_of(found.parts, no_moments)}
            for pair, found in result.differences.items()
        },
        "readers": by_cell(study, [result.cells, result.variances], ("auc", "variance")),
        **margins(
            {pair: as_t_estimate(found) for pair, found in result.differences.items()},
            modalities,
            analysis.margin,
        ),
    }


def reasoned(found: Any) -> dict[str, Any]:
    """Return the numbers of a named tuple by name, each with why it may be missing."""
    values = found._asdict()
    reason = values.pop("reason", "")
    values.pop("parts", None)
    return {key: Because(value, reason) for key, value in values.items()}


def clusters_of(study: Study, analysis: Analysis, threshold: float | None) -> NDArray[np.intp]:
    """Return the cluster of each case that the kernel of a binary endpoint is made of."""
    assert study.clusters is not None  # what the caller asked
    if threshold is None:
        return study.clusters
    counted = study.malignant == (analysis.endpoint == binary.SENSITIVITY)
    if (~counted).sum() >= 2:
        return study.clusters
    # The cases that were added each stand for themselves.
    own = study.clusters[counted]
    extra = max(2, len(own))
    return np.unique(np.concatenate([own, own.max() + 1 + np.arange(extra)]), return_inverse=True)[
        1
    ]


def parts_of(parts: Covariance, why: str = "") -> dict[str, Any]:
    """Name the moments and components of a covariance."""
    numbers = [f"M{i}" for i in range(1, 9)]

    def by(names: Sequence[str], values: Floats) -> dict[str, Any]:
        reason = why or why_not_u(float("nan"))
        return {n: Because(v, reason) for n, v in zip(names, values.tolist(), strict=True)}

    return {
        "covariance": Because(parts.covariance, why_not_u(float("nan"))),
        "moments": by(numbers, parts.moments),
        "coefficients": by(numbers, parts.coefficients),
        "moments_biased": by(numbers, parts.biased_moments),
        "components": by(COMPONENTS, parts.components),
        "component_coefficients": by(COMPONENTS, parts.component_coefficients),
        "components_biased": by(COMPONENTS, parts.biased_components),
    }


def as_t_estimate(found: Difference) -> TEstimate:
    """Return a difference in the form that a margin is tested in."""
    return TEstimate(
        found.estimate,
        float(np.sqrt(found.variance)) if found.variance >= 0 else float("nan"),
        found.df,
        found.t,
        found.lower,
        found.upper,
        found.p,
        "" if found.variance > 0 else found.reason,
    )


def by_cell(study: Study, values: Sequence[Floats], names: Sequence[str]) -> dict[str, Any]:
    """Name values of modalities and readers: {modality {reader {name value}}}."""
    reason = "too few cases of this reader under this modality"
    return {
        modality: {
            reader: {
                name: Because(float(value[i, j]), reason)
                for name, value in zip(names, values, strict=True)
            }
            for j, reader in enumerate(study.readers)
        }
        for i, modality in enumerate(study.modalities)
    }


def left_out(study: Study, analysis: Analysis, threshold: float | None) -> tuple[Floats, Floats]:
    """Return the figure of merit of each cell, and those without each case or cluster."""
    if threshold is None:
        k = kernel(study.cells, study.malignant)
        return k.auc, covariance.jackknife_aucs(k, study.clusters)
    decided = binary.decisions(study.cells, study.malignant, threshold, analysis.endpoint)
    return decided.share, binary.jackknife_shares(decided, study.clusters)


def merits(study: Study, analysis: Analysis, threshold: float | None) -> tuple[Floats, Floats]:
    """Return the figure of merit of each cell, and their covariance over cases.

    Cells without a common case (or cluster) are independent, exactly. The covariance is NaN
    throughout if it is DeLong's and a reading is missing.
    """
    kind, clusters = analysis.covariance, study.clusters
    if kind == "delong" and not study.crossed:
        estimates, _ = merits(study, analysis._replace(covariance="jackknife"), threshold)
        return estimates, np.full((estimates.size, estimates.size), np.nan)
    if threshold is not None:
        decided = binary.decisions(study.cells, study.malignant, threshold, analysis.endpoint)
        estimates, v = decided.share, binary.covariance_of_shares(decided, kind, clusters)
    else:
        k = kernel(study.cells, study.malignant)
        estimates = k.auc
        if kind == "delong":
            v = covariance.delong(k, clusters)
        elif kind == "unbiased" and clusters is not None:
            v = clustered.unbiased(clustered.sums(study.cells, study.malignant, clusters))
        elif kind == "unbiased":
            v = covariance.unbiased(covariance.moments(study.cells, study.malignant))
        else:
            v = covariance.jackknife(covariance.jackknife_aucs(k, clusters))
    read = (~np.isnan(study.cells)).astype(np.float64)
    if clusters is not None:
        read = covariance.sums_over(clusters, read)
    return estimates, np.where((read @ read.T == 0) & np.isfinite(v), 0.0, v)


def pair_name(pair: Pair, modalities: Sequence[str]) -> str:
    """Name a difference: the first minus the second, in sorted order."""
    return f"{modalities[pair[0]]} - {modalities[pair[1]]}"


def named(
    result: ObuchowskiRockette | Dbm, modalities: Sequence[str], readers: Sequence[str]
) -> dict[str, Any]:
    """Give the numbers of an analysis the names of the study."""

    def differences(found: dict[Pair, Any]) -> dict[str, Any]:
        return {pair_name(pair, modalities): value for pair, value in found.items()}

    def by_modality(values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(modalities, values, strict=True))

    def random(found: Any) -> dict[str, Any]:
        return {
            **reasoned(found.test),
            "differences": differences(found.differences),
            "modalities": by_modality(found.modalities),
        }

    fixed: Any = result.frrc
    components = result.components
    return {
        "auc": Because(
            by_modality([dict(zip(readers, row, strict=True)) for row in result.estimates]),
            "this reader has not read both a malignant and a benign case under this modality",
        ),
        "components": components._replace(reason=components.reason or NO_COVARIANCE),
        "rrrc": random(result.rrrc),
        "frrc": {
            **random(fixed),
            "readers": {
                reader: differences(found)
                for reader, found in zip(readers, fixed.readers, strict=True)
            },
            "cells": by_modality([dict(zip(readers, row, strict=True)) for row in fixed.cells]),
        },
        "rrfc": random(result.rrfc),
    }


def margins(
    differences: dict[Pair, TEstimate], modalities: Sequence[str], margin: float | None
) -> dict[str, Any]:
    """Test each difference, both ways round, against a margin."""
    if margin is None:
        return {}

    def both(pair: Pair, difference: TEstimate) -> dict[str, Any]:
        a, b = (modalities[i] for i in pair)
        return {
            "margin": margin,
            **reasoned(against_margin(a, b, difference, margin)),
            "reverse": against_margin(b, a, reverse(difference), margin),
        }

    return {
        "noninferiority": {
            pair_name(pair, modalities): both(pair, difference)
            for pair, difference in differences.items()
        }
    }
