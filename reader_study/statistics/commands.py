"""The commands beside `mrmc`: from a CSV file to a result with the file's own names."""

from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reader_study.statistics import agreement, calibration, froc, power, roc, roe_metz, time
from reader_study.statistics.auc import Floats
from reader_study.statistics.documents import Because
from reader_study.statistics.intervals import holm
from reader_study.statistics.mrmc import Components, obuchowski_rockette
from reader_study.statistics.study import (
    Analysis,
    analyse,
    margins,
    merits,
    named,
    pair_name,
    reasoned,
    threshold_of,
)
from reader_study.statistics.tables import (
    MISSING,
    InputError,
    Study,
    Table,
    ordered,
    read_study,
    read_table,
)

SCORES = ("rating", "score", "probability", "prob", "ai_score")


def of_subgroups(
    path: Path, column: str, cluster: str | None, analysis: Analysis
) -> dict[str, Any]:
    """Run one analysis of each subgroup of the cases; p values after Holm over subgroups.

    A subgroup that cannot be analysed says why in place of a result.

    Raises
    ------
    InputError
        If a case belongs to two subgroups.
    """
    study = read_study(path, cluster)
    of_case = read_study(path, column).clusters
    names, _ = ordered(read_table(path, [column]).text(column))
    found: dict[str, Any] = {}
    for number, name in enumerate(names):
        inside = np.flatnonzero(of_case == number)
        clusters = study.clusters
        if clusters is not None:
            clusters = np.unique(clusters[inside], return_inverse=True)[1]
        part = study._replace(
            cases=[study.cases[i] for i in inside],
            ratings=study.ratings[:, :, inside],
            malignant=study.malignant[inside],
            clusters=clusters,
        )
        try:
            found[name] = analyse(part, analysis)
        except ValueError as error:
            found[name] = {"notes": {"subgroup": str(error)}}
    p_values: dict[str, dict[str, float]] = {}
    for name, result in found.items():
        tests = result.get("differences") or result.get("rrrc", {}).get("differences", {})
        for pair, test in tests.items():
            p = test["p"].value if isinstance(test, dict) else test.p
            if np.isfinite(p):
                p_values.setdefault(pair, {})[name] = p
    return {
        "subgroups": found,
        "holm": {
            pair: dict(zip(values, holm(list(values.values())).tolist(), strict=True))
            for pair, values in p_values.items()
        },
    }


def of_roc(
    path: Path,
    *,
    score: str | None,
    threshold: float | None,
    cluster: str | None,
    partial: tuple[str, float, float] | None,
) -> dict[str, Any]:
    """Draw the curve of every reader and modality, or of the one score in the file."""
    table = read_table(path, ["truth", *([cluster] if cluster else [])])
    score = column_of(table, score, SCORES)
    truth, x = table.truths("truth"), table.numbers(score, missing=True)
    clusters = ordered(table.text(cluster))[1] if cluster else None

    def one(rows: NDArray[np.bool_]) -> dict[str, Any]:
        own, malignant = x[rows], truth[rows]
        curve = roc.roc_curve(own, malignant)
        within = None if clusters is None else np.unique(clusters[rows], return_inverse=True)[1]
        found: dict[str, Any] = {
            **reasoned(roc.auc_estimate(own, malignant, within)),
            "youden": roc.youden(curve),
            "curve": {
                "fpr": curve.fpr,
                "tpr": curve.tpr,
                "threshold": curve.threshold,
            },
        }
        if within is not None:
            found["variance_without_clusters"] = roc.auc_estimate(own, malignant).variance
        if threshold is not None:
            found["at_threshold"] = roc.operating_point(own, malignant, threshold)
        if partial is not None:
            focus, low, high = partial
            found["partial"] = {
                "focus": focus,
                "low": low,
                "high": high,
                **roc.partial_auc(curve, focus, low, high)._asdict(),
            }
        return found

    if "reader" not in table:
        return {"score": score, **one(np.ones(len(table), dtype=np.bool_))}
    readers, reader = ordered(table.text("reader"))
    modalities, modality = ordered(
        table.text("modality") if "modality" in table else ["all"] * len(table)
    )
    result: dict[str, Any] = {"score": score, "modalities": {}}
    for m, name in enumerate(modalities):
        of_readers: dict[str, Any] = {}
        curves = []
        for r, who in enumerate(readers):
            rows = (modality == m) & (reader == r) & ~np.isnan(x)
            if not truth[rows].any() or truth[rows].all():
                of_readers[who] = Because(float("nan"), "no malignant or no benign case was read")
                continue
            of_readers[who] = one(rows)
            curves.append(roc.roc_curve(x[rows], truth[rows]))
        result["modalities"][name] = {"readers": of_readers}
        if curves:
            fpr, tpr = roc.mean_curve(curves)
            result["modalities"][name]["mean_curve"] = {"fpr": fpr, "tpr": tpr}
    return result


def column_of(table: Table, wanted: str | None, known: tuple[str, ...]) -> str:
    """Return the column asked for, or the one of the known names that is there."""
    names = (wanted,) if wanted else known
    for name in names:
        if name in table:
            return name
    raise InputError(f"{table.path.name}, line 1: none of the columns {', '.join(names)} is there")


def of_calibration(path: Path, *, score: str | None, n_bins: int) -> dict[str, Any]:
    """Compare the probabilities of a file with the truth."""
    table = read_table(path, ["truth"])
    score = column_of(table, score, ("probability", "prob", "ai_score", "score", "rating"))
    truth, p = table.truths("truth"), table.numbers(score)
    wrong = np.flatnonzero((p < 0) | (p > 1))
    if len(wrong):
        row = int(wrong[0])
        raise table.error(row, score, f"holds {p[row]:g}; a probability is from 0 to 1")
    errors = calibration.calibration_errors(p, truth, n_bins)
    found = calibration.recalibration(p, truth)
    return {
        "score": score,
        "n": len(p),
        "malignant": int(truth.sum()),
        "brier": calibration.brier(p, truth),
        "ece": errors.expected,
        "mce": errors.largest,
        "bins": errors.bins,
        "slope": found.slope,
        "intercept": found.intercept,
        "in_the_large": found.in_the_large,
        "decision_curve": calibration.net_benefit(p, truth, np.arange(1, 100) / 100),
    }


class Scale(NamedTuple):
    """What the numbers of a rating stand for."""

    words: list[str] | None  # 0, 1, ... stand for; None for numbers
    ordered: bool


def of_agreement(path: Path, *, categories: list[str] | None) -> dict[str, Any]:
    """Measure agreement between raters: one column a rater, or one row a rating."""
    table = read_table(path, ["case"])
    if "reader" not in table:
        raters = [name for name in table.columns if name and name != "case"]
        values, scale = codes(table, raters, categories)
        return {"raters": raters, **agreement_of(values, raters, scale)}
    score = column_of(table, None, ("rating", "value", "answer"))
    raters, reader = ordered(table.text("reader"))
    cases, case = ordered(table.text("case"))
    values, scale = codes(table, [score], categories)
    names = table.text("modality") if "modality" in table else ["all"] * len(table)
    modalities, modality = ordered(names)
    found: dict[str, Any] = {"raters": raters, "modalities": {}}
    for m, name in enumerate(modalities):
        grid = np.full((len(cases), len(raters)), np.nan)
        taken: dict[tuple[int, int], int] = {}
        for row in np.flatnonzero(modality == m).tolist():
            place = (int(case[row]), int(reader[row]))
            if place in taken:
                line = table.lines[taken[place]]
                raise table.error(row, score, f"the reader rated this case in line {line} already")
            taken[place] = row
            grid[place] = values[row, 0]
        found["modalities"][name] = agreement_of(grid, raters, scale)
    return found


def codes(table: Table, columns: list[str], categories: list[str] | None) -> tuple[Floats, Scale]:
    """Return ratings as numbers, shape (n_rows, n_columns), and their scale.

    Words are ordered by `categories`, and without it not at all.
    """
    texts = [table.columns[name] for name in columns]
    given = {v for column in texts for v in column if v.lower() not in MISSING}
    if categories is None and all(is_number(v) for v in given):
        values = [table.numbers(name, missing=True) for name in columns]
        return np.column_stack(values), Scale(None, True)
    known = categories or sorted(given)
    place = {name: float(i) for i, name in enumerate(known)}
    found = np.full((len(table), len(columns)), np.nan)
    for j, (name, column) in enumerate(zip(columns, texts, strict=True)):
        for row, value in enumerate(column):
            if value.lower() in MISSING:
                continue
            if value not in place:
                raise table.error(row, name, f"holds '{value}', which is not among the categories")
            found[row, j] = place[value]
    return found, Scale(known, categories is not None)


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def agreement_of(values: Floats, raters: list[str], scale: Scale) -> dict[str, Any]:
    """Compute the coefficients of one table of ratings that its scale allows.

    Raises
    ------
    ValueError
        If there are fewer than two raters, or no case that two have rated.
    """
    used = None if scale.words is None else np.arange(float(len(scale.words)))
    all_weights = agreement.WEIGHTS if scale.ordered else agreement.WEIGHTS[:1]
    metrics: tuple[str, ...] = agreement.METRICS
    if scale.words is not None:
        metrics = metrics[:2] if scale.ordered else metrics[:1]
    no_value = agreement.NO_DISAGREEMENT_POSSIBLE
    found: dict[str, Any] = {
        "n_cases": int((~np.isnan(values)).any(axis=1).sum()),
        **({} if scale.words is None else {"categories": scale.words}),
        "coefficients": {
            weights: {
                name: coefficient(agreement.table(values, weights, used))
                for name, coefficient in agreement.COEFFICIENTS.items()
            }
            for weights in all_weights
        },
        "krippendorff_alpha": {
            metric: Because(agreement.krippendorff(values, metric), no_value) for metric in metrics
        },
        "cohen": {
            f"{raters[a]} - {raters[b]}": {
                weights: agreement.cohen(values[:, [a, b]], weights) for weights in all_weights
            }
            for a, b in combinations(range(len(raters)), 2)
            if (~np.isnan(values[:, [a, b]])).all(axis=1).any()
        },
    }
    complete = values[~np.isnan(values).any(axis=1)]
    if len(complete) > 1:
        found["n_complete"] = len(complete)
        found["light"] = Because(agreement.light(complete), no_value)
        if scale.ordered:
            found["kendall_w"] = Because(agreement.kendall_w(complete), "all ratings tie")
        if scale.words is None:
            found["icc"] = agreement.icc(complete)
    return found


def of_froc(marks: Path, truth: Path | None, *, merit: str, margin: float | None) -> dict[str, Any]:
    """Compare modalities by marks; `truth` lies beside the marks if not given."""
    lesions = read_table(truth or marks.with_name("truth.csv"), ["case", "truth", "lesion_id"])
    table = read_table(marks, ["reader", "case", "modality", "mark", "lesion_id", "rating"])
    found, modalities, readers = read_marks(table, lesions)
    shape = (len(modalities), len(readers))
    estimates, v = froc.merit_and_covariance(found, merit)
    result = obuchowski_rockette(estimates.reshape(shape), v)
    return {
        "merit": merit,
        "counts": {
            "modalities": len(modalities),
            "readers": len(readers),
            "cases": len(found.malignant),
            "malignant": int(found.malignant.sum()),
            "lesions": len(found.weight),
            "marks": len(table),
        },
        "figures_of_merit": {
            name: {
                modality: dict(zip(readers, row.tolist(), strict=True))
                for modality, row in zip(
                    modalities, calculate(found).value.reshape(shape), strict=True
                )
            }
            for name, calculate in froc.MERITS.items()
        },
        **named(result, modalities, readers),
        **margins(result.rrrc.differences, modalities, margin),
    }


def read_marks(table: Table, lesions: Table) -> tuple[froc.Marks, list[str], list[str]]:
    """Put marks and lesions into arrays; also the names of modalities and readers.

    Raises
    ------
    InputError
        If a mark is on an unknown case or lesion, or is neither LL nor NL, or a weight is
        not a number from 0 to 1.
    """
    malignant = lesions.truths("truth")
    cases, case_row = ordered(lesions.text("case"))
    case_of = {name: i for i, name in enumerate(cases)}
    rows = np.flatnonzero(malignant)
    if not len(rows) or malignant.all():
        raise InputError(f"{lesions.path.name}: a case with and one without a lesion are needed")
    weight = lesions.numbers("weight") if "weight" in lesions else np.zeros(len(lesions))
    names = lesions.columns["lesion_id"]
    lesion_of: dict[tuple[int, str], int] = {}
    for lesion, row in enumerate(rows.tolist()):
        key = (int(case_row[row]), names[row])
        if key in lesion_of:
            raise lesions.error(row, "lesion_id", "this lesion of the case stands there twice")
        lesion_of[key] = lesion
    case_of_lesion = case_row[rows]
    sums = np.bincount(case_of_lesion, weight[rows], len(cases))
    n = np.bincount(case_of_lesion, minlength=len(cases))
    # Weights of 0 throughout a case stand for equal ones.
    equal = 1 / n[case_of_lesion]
    total = sums[case_of_lesion]
    weights = np.where(total > 0, weight[rows] / np.where(total > 0, total, 1), equal)

    modalities, modality = ordered(table.text("modality"))
    readers, reader = ordered(table.text("reader"))
    cell = modality * len(readers) + reader
    rating = table.numbers("rating")
    shape = (len(modalities) * len(readers), len(cases))
    elsewhere = np.full(shape, froc.UNMARKED)
    n_elsewhere = np.zeros(shape)
    of_lesions = np.full((shape[0], len(rows)), froc.UNMARKED)
    for row, (kind, case, name) in enumerate(
        zip(table.columns["mark"], table.columns["case"], table.columns["lesion_id"], strict=True)
    ):
        place = case_of.get(case)
        if place is None:
            raise table.error(row, "case", f"case '{case}' is not in {lesions.path.name}")
        at = int(cell[row])
        if kind.upper() == "NL":
            elsewhere[at, place] = max(elsewhere[at, place], rating[row])
            n_elsewhere[at, place] += 1
        elif kind.upper() == "LL":
            lesion_ = lesion_of.get((place, name))
            if lesion_ is None:
                raise table.error(row, "lesion_id", f"case '{case}' has no lesion '{name}'")
            of_lesions[at, lesion_] = max(of_lesions[at, lesion_], rating[row])
        else:
            raise table.error(row, "mark", f"holds '{kind}'; use LL (on a lesion) or NL")
    has_lesion = np.zeros(len(cases), dtype=np.bool_)
    has_lesion[case_of_lesion] = True
    found = froc.Marks(elsewhere, n_elsewhere, of_lesions, case_of_lesion, weights, has_lesion)
    return found, modalities, readers


def of_time(
    path: Path,
    *,
    longest: float | None,
    covariates: list[str],
    reader_by_modality: bool,
) -> dict[str, Any]:
    """Compare reading times between modalities, by a model and without one."""
    table = read_table(path, ["reader", "case", "modality", "seconds", *covariates])
    readers, reader = ordered(table.text("reader"))
    cases, case = ordered(table.text("case"))
    modalities, modality = ordered(table.text("modality"))
    seconds = table.numbers("seconds")
    wrong = np.flatnonzero(seconds <= 0)
    if len(wrong):
        raise table.error(int(wrong[0]), "seconds", "must be above 0")
    extra = np.column_stack([table.numbers(name) for name in covariates]) if covariates else None
    keep = np.ones(len(table), dtype=np.bool_) if longest is None else seconds <= longest
    if not keep.any():
        raise InputError(f"{path.name}: no reading is as short as {longest:g} s")
    # Numbers without gaps, whatever was left out.
    used, number = np.unique(modality[keep], return_inverse=True)
    names = [modalities[i] for i in used]
    model = time.model_times(
        seconds[keep],
        np.unique(reader[keep], return_inverse=True)[1],
        np.unique(case[keep], return_inverse=True)[1],
        number,
        covariates=None if extra is None else extra[keep],
        reader_by_modality=reader_by_modality,
    )
    result: dict[str, Any] = {
        "formula": model.formula,
        "counts": {
            "readers": len(readers),
            "cases": len(cases),
            "readings": len(table),
            "left_out": int((~keep).sum()),
        },
        "modalities": dict(zip(names, model.means, strict=True)),
        "differences": {
            pair_name(pair, names): {**reasoned(found.difference), **reasoned_ratio(found)}
            for pair, found in model.comparisons.items()
        },
        "covariates": dict(zip(covariates, model.covariates, strict=True)),
        "variances": {
            "reader": model.var_reader,
            "case": model.var_case,
            "reader_modality": Because(model.var_reader_modality, model.reason),
            "residual": model.var_residual,
        },
        "reml": model.reml,
        "readers": {},
    }
    for r, who in enumerate(readers):
        own = {}
        for a, b in combinations(used.tolist(), 2):
            first, second = (
                {
                    int(case[row]): float(seconds[row])
                    for row in np.flatnonzero(keep & (reader == r) & (modality == m))
                }
                for m in (a, b)
            )
            both = sorted(first.keys() & second.keys())
            name = f"{modalities[a]} - {modalities[b]}"
            own[name] = time.paired([first[c] for c in both], [second[c] for c in both])
        result["readers"][who] = own
    return result


def reasoned_ratio(found: time.Comparison) -> dict[str, Any]:
    """Return the ratio of times and its interval."""
    return {
        "ratio": found.ratio,
        "ratio_lower": Because(found.ratio_lower, found.reason),
        "ratio_upper": Because(found.ratio_upper, found.reason),
    }


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
