"""Of power and the size of a study."""

from pathlib import Path
from typing import Any

import numpy as np

from reader_study.statistics import power, roe_metz
from reader_study.statistics.documents import Because
from reader_study.statistics.mrmc import obuchowski_rockette
from reader_study.statistics.study import Analysis, merits, reasoned, threshold_of
from reader_study.statistics.tables import Study, read_study
from reader_study.statistics.variances import Components


def of_power(
    *,
    pilot: Path | None,
    components: list[float] | None,
    pilot_cases: int | None,
    endpoint: str,
    threshold: float | None,
    effect: float,
    readers: list[int],
    cases: list[int],
    wanted: float,
    alpha: float,
    accuracy: float | None = None,
    benign_for_malignant: float = 1.0,
) -> dict[str, Any]:
    """Estimate power and sample size from a pilot, or from its variance components.

    With an AUC (of the pilot, or `accuracy`) also the simulated readers who are like it.
    """
    mean, n_malignant = accuracy, 0
    if pilot is not None:
        study = read_study(pilot)
        mean, found = pilot_components(study, endpoint, threshold)
        n, n_malignant = len(study.cases), int(study.malignant.sum())
    elif components is not None and pilot_cases is not None:
        if len(components) != 6:
            raise ValueError("--components are var_r,var_tr,error,cov1,cov2,cov3")
        found, n = Components._make([*components, ""]), pilot_cases
        n_malignant = round(n / (1 + benign_for_malignant))
    else:
        raise ValueError("give --pilot DATA.csv, or --components with --pilot-cases")
    if not np.isfinite(found[:6]).all():
        raise ValueError("a pilot needs two readers who read two modalities")
    simulated: dict[str, Any] = {}
    if endpoint == "auc" and mean is not None:
        simulated = {"simulated_readers": simulated_like(mean, found, n_malignant, n)}
    return {
        "components": found,
        **simulated,
        "pilot_cases": n,
        "effect": effect,
        "alpha": alpha,
        "power": {
            analysis: [
                {
                    "readers": j,
                    "cases": k,
                    **reasoned(
                        power.power(
                            found,
                            n,
                            effect=effect,
                            readers=j,
                            cases=k,
                            analysis=analysis,
                            alpha=alpha,
                        )
                    ),
                }
                for j in readers
                for k in cases
            ]
            for analysis in power.ANALYSES
        },
        "cases_needed": {
            analysis: [
                power.cases_needed(
                    found,
                    n,
                    effect=effect,
                    readers=j,
                    wanted=wanted,
                    analysis=analysis,
                    alpha=alpha,
                )
                for j in readers
            ]
            for analysis in power.ANALYSES
        },
    }


def pilot_components(
    study: Study, endpoint: str, threshold: float | None
) -> tuple[float, Components]:
    """Estimate the mean and the variance components of a pilot study."""
    analysis = Analysis(endpoint=endpoint, threshold=threshold)
    estimates, v = merits(study, analysis, threshold_of(study, analysis))
    found = obuchowski_rockette(estimates.reshape(study.ratings.shape[:2]), v)
    return float(estimates[np.isfinite(estimates)].mean()), found.components


def simulated_like(mean: float, found: Components, n_malignant: int, n: int) -> Any:
    """Return the simulated readers (Roe-Metz) who are like a pilot, or why there are none."""
    try:
        return roe_metz.to_roe_metz(mean, found, n_malignant, n - n_malignant)._asdict()
    except ValueError as error:
        return Because(float("nan"), str(error))


def of_plan(options: dict[str, Any]) -> dict[str, Any]:
    """Find a sample size without a pilot."""
    return {"plan": power.plan(**options)}
