"""One analysis of a study, from ratings to a result with the study's own names."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from reader_study.statistics import binary, covariance
from reader_study.statistics.auc import Floats, kernel
from reader_study.statistics.documents import Because
from reader_study.statistics.intervals import TEstimate, ZEstimate, against_margin, reverse
from reader_study.statistics.mrmc import ObuchowskiRockette, Pair, obuchowski_rockette
from reader_study.statistics.tables import Study


class Analysis(NamedTuple):
    """What is asked of the data."""

    method: str = "or"  # or, dbm, ustat
    covariance: str = "jackknife"  # jackknife, delong, unbiased
    endpoint: str = "auc"  # auc, sensitivity, specificity
    threshold: float | None = None  # a rating from here on is positive
    margin: float | None = None  # of non-inferiority


def analyse(study: Study, analysis: Analysis) -> dict[str, Any]:
    """Run one analysis.

    Raises
    ------
    ValueError
        If the analysis does not fit the data; the text says why.
    """
    threshold = threshold_of(study, analysis)
    result = obuchowski_rockette_of(study, analysis, threshold)
    return {
        "method": analysis.method,
        "covariance": analysis.covariance,
        "endpoint": analysis.endpoint,
        **({} if threshold is None else {"threshold": threshold}),
        "counts": counts(study),
        "design": result.design,
        **named(result, study.modalities, study.readers),
        **margins(result, study.modalities, analysis.margin),
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


def obuchowski_rockette_of(
    study: Study, analysis: Analysis, threshold: float | None
) -> ObuchowskiRockette:
    """Estimate figures of merit and their covariance, and compare modalities."""
    estimates, v = merits(study, analysis, threshold)
    return obuchowski_rockette(estimates.reshape(study.ratings.shape[:2]), v)


def merits(study: Study, analysis: Analysis, threshold: float | None) -> tuple[Floats, Floats]:
    """Return the figure of merit of each cell, and their covariance over cases."""
    kind, clusters = analysis.covariance, study.clusters
    if clusters is not None and kind == "unbiased":
        raise ValueError("clusters need --covariance jackknife or delong")
    if threshold is not None:
        decided = binary.decisions(study.cells, study.malignant, threshold, analysis.endpoint)
        return decided.share, binary.covariance_of_shares(decided, kind, clusters)
    k = kernel(study.cells, study.malignant)
    if kind == "delong":
        return k.auc, covariance.delong(k, clusters)
    if kind == "unbiased":
        return k.auc, covariance.unbiased(covariance.moments(study.cells, study.malignant))
    return k.auc, covariance.jackknife(covariance.jackknife_aucs(k, clusters))


def pair_name(pair: Pair, modalities: Sequence[str]) -> str:
    """Name a difference: the first minus the second, in sorted order."""
    return f"{modalities[pair[0]]} - {modalities[pair[1]]}"


def named(
    result: ObuchowskiRockette, modalities: Sequence[str], readers: Sequence[str]
) -> dict[str, Any]:
    """Give the numbers of an analysis the names of the study."""

    def differences(found: dict[Pair, Any]) -> dict[str, Any]:
        return {pair_name(pair, modalities): value for pair, value in found.items()}

    def by_modality(values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(modalities, values, strict=True))

    def random(found: Any) -> dict[str, Any]:
        test = found.test._asdict()
        reason = test.pop("reason")
        return {
            **{key: Because(value, reason) for key, value in test.items()},
            "differences": differences(found.differences),
            "modalities": by_modality(found.modalities),
        }

    return {
        "auc": by_modality([dict(zip(readers, row, strict=True)) for row in result.estimates]),
        "components": result.components,
        "mean_squares": result.mean_squares,
        "rrrc": random(result.rrrc),
        "frrc": {
            **random(result.frrc),
            "readers": {
                reader: differences(found)
                for reader, found in zip(readers, result.frrc.readers, strict=True)
            },
            "cells": by_modality(
                [dict(zip(readers, row, strict=True)) for row in result.frrc.cells]
            ),
        },
        "rrfc": random(result.rrfc),
    }


def margins(
    result: ObuchowskiRockette, modalities: Sequence[str], margin: float | None
) -> dict[str, Any]:
    """Test each difference, both ways round, against a margin."""
    if margin is None:
        return {}

    def both(pair: Pair, difference: TEstimate | ZEstimate) -> dict[str, Any]:
        a, b = (modalities[i] for i in pair)
        return {
            "margin": margin,
            **against_margin((a, b), difference, margin)._asdict(),
            "reverse": against_margin((b, a), reverse(difference), margin),
        }

    return {
        "noninferiority": {
            pair_name(pair, modalities): both(pair, difference)
            for pair, difference in result.rrrc.differences.items()
        }
    }
