"""Our numbers against those of the field's reference programs, and published ones."""

import csv
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from reader_study.statistics import agreement, documents, power
from reader_study.statistics.commands.marks import of_froc
from reader_study.statistics.commands.scores import of_calibration, of_roc
from reader_study.statistics.commands.times import of_time
from reader_study.statistics.variances import Components
from tests.statistics import references

needs_reference_data = pytest.mark.skipif(
    not references.SETS, reason=f"no reference data in {references.FOLDER}"
)
AGREEMENT = [name for name in references.SETS if name.startswith("agreement_")]


@needs_reference_data
@pytest.mark.parametrize("name", references.studies())
def test_every_number_of_the_reference_programs_is_reproduced(name):
    found = list(references.comparisons(name))

    assert len(found) > 50
    wrong = [c for c in found if not c.agrees]
    assert not wrong, wrong[:10]


@needs_reference_data
def test_what_the_reference_programs_print_as_noise_is_not_estimated():
    mine = references.ours("sim_degenerate_identical", "or")

    assert mine["rrrc"]["f"] is None
    assert mine["rrrc"]["differences"]["A - B"]["p"] is None
    assert "no variation" in mine["notes"]["rrrc/f"]


def ratings_of(name):
    with (references.FOLDER / name / "data.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    return np.array([[float(v) if v != "NA" else np.nan for v in row[1:]] for row in rows])


IRR_CAC = {
    "gwet": "gwet.ac1.raw",
    "fleiss": "fleiss.kappa.raw",
    "krippendorff": "krippen.alpha.raw",
    "conger": "conger.kappa.raw",
    "brennan_prediger": "bp.coeff.raw",
    "percent_agreement": "pa.coeff.raw",
}


@needs_reference_data
@pytest.mark.parametrize("weights", agreement.WEIGHTS)
@pytest.mark.parametrize("name", AGREEMENT)
def test_coefficients_of_agreement_are_those_of_irrcac(name, weights):
    table = agreement.table(ratings_of(name), weights)
    expected = references.expected(name)["irrCAC"].get(weights)
    if expected is None:
        pytest.skip(f"{name} has no {weights} coefficients")
    for key, coefficient in agreement.COEFFICIENTS.items():
        [row] = expected[IRR_CAC[key]]
        mine = coefficient(table)
        assert_allclose([mine.observed, mine.chance], [row["pa"], row["pe"]], rtol=1e-10)
        # Printed with five decimals.
        assert_allclose(
            [mine.estimate, mine.se], [row["coeff.val"], row["coeff.se"]], rtol=0, atol=0.6e-5
        )


@needs_reference_data
@pytest.mark.parametrize("name", AGREEMENT)
def test_alpha_is_that_of_the_coincidence_matrix(name):
    for metric, alpha in references.expected(name)["kripp_alpha"].items():
        assert_allclose(agreement.krippendorff(ratings_of(name), metric), alpha, rtol=1e-10)


@needs_reference_data
@pytest.mark.parametrize("name", [n for n in AGREEMENT if n.endswith("complete")])
def test_kappa_icc_and_concordance_are_those_of_irr(name):
    x, e = ratings_of(name), references.expected(name)

    for theirs, ours in (("unweighted",) * 2, ("equal", "linear"), ("squared", "quadratic")):
        kappa, row = agreement.cohen(x[:, :2], ours), e["kappa2_R1_R2"][theirs]
        assert_allclose([kappa.estimate, kappa.z], [row["value"], row["statistic"]], rtol=1e-10)
    variance = e["psych_cohen_kappa_R1_R2"]["var.kappa"]
    assert_allclose(agreement.cohen(x[:, :2], "unweighted").se ** 2, variance, rtol=1e-10)
    assert_allclose(agreement.light(x), e["kappam_light"]["value"], rtol=1e-10)
    assert_allclose(agreement.kendall_w(x), e["kendall_W"]["value"], rtol=1e-10)
    forms = agreement.icc(x)
    for key, row in e["icc"].items():
        mine = forms[key.replace("oneway_consistency", "oneway").replace("twoway_", "")]
        assert_allclose([mine.estimate, mine.f], [row["value"], row["Fvalue"]], rtol=1e-10)
        if key == "twoway_agreement_average":
            continue  # irr multiplies by the number of raters twice; psych, below, does not
        assert_allclose([mine.lower, mine.upper], [row["lbound"], row["ubound"]], rtol=1e-10)
        assert_allclose(mine.df2, row["df2"], rtol=1e-8)
    [row] = [row for row in e["psych_ICC"] if row["type"] == "ICC2k"]
    mine = forms["agreement_average"]
    assert_allclose([mine.lower, mine.upper], [row["lower bound"], row["upper bound"]], rtol=1e-10)


@needs_reference_data
def test_the_standalone_ai_has_the_curve_and_calibration_of_the_reference_programs():
    e = references.expected("ai_standalone")
    path = references.FOLDER / "ai_standalone" / "data.csv"
    partial = ("specificity", 0.8, 1.0)
    found = documents.document(
        of_roc(path, score=None, threshold=0.5, cluster=None, partial=partial)
    )
    assert_allclose([found["auc"], found["variance"]], [e["auc"], e["auc_delong_var"]], rtol=1e-10)
    assert_allclose([found["lower"], found["auc"], found["upper"]], e["auc_delong_ci"], rtol=1e-10)
    assert_allclose(found["partial"]["area"], e["pauc_spec_0.8_1"], rtol=1e-10)
    assert_allclose(found["partial"]["corrected"], e["pauc_spec_0.8_1_corrected"], rtol=1e-10)
    [best] = e["youden"]
    assert_allclose([found["youden"][key] for key in best], list(best.values()), rtol=1e-10)
    at = found["at_threshold"]
    for name, key in (("sensitivity", "sens"), ("specificity", "spec"), ("ppv",) * 2, ("npv",) * 2):
        row = e["at_0.5"][key]
        values = at[name]
        assert_allclose(values["estimate"], row["est"], rtol=1e-10)
        assert_allclose([values["wilson_lower"], values["wilson_upper"]], row["wilson"], rtol=1e-10)
        exact = [values["exact_lower"], values["exact_upper"]]
        assert_allclose(exact, row["clopper_pearson"], rtol=1e-10)

    mine = of_calibration(path, score=None, n_bins=10)
    assert_allclose(mine["brier"], e["brier"], rtol=1e-10)
    assert_allclose(
        [mine["ece"], mine["mce"]], [e["ece_10_equal_width"], e["mce_10_equal_width"]], rtol=1e-10
    )
    # R's glm stops once the deviance changes by less than 1e-8 of itself, one step early for
    # the standard error.
    assert_allclose(mine["slope"].estimate, e["calibration_slope"], rtol=1e-8)
    assert_allclose(mine["slope"].se, e["calibration_slope_se"], rtol=1e-4)
    assert_allclose(mine["intercept"].estimate, e["calibration_intercept_joint"], rtol=1e-8)
    assert_allclose(mine["in_the_large"].estimate, e["calibration_in_the_large"], rtol=1e-8)
    of_threshold = {round(b.threshold, 2): b for b in mine["decision_curve"]}
    for row in e["dca"]:
        point = of_threshold[round(row["threshold"], 2)]
        value = {"all": point.act_on_all, "none": point.act_on_none}.get(
            row["variable"], point.model
        )
        assert_allclose(value, row["net_benefit"], rtol=1e-9, atol=1e-12)


@needs_reference_data
def test_nodules_of_one_patient_vary_together():
    e = references.expected("clustered_nodules")
    path = references.FOLDER / "clustered_nodules" / "data.csv"
    found = of_roc(path, score=None, threshold=None, cluster="patient", partial=None)
    found = documents.document(found)

    assert_allclose([found["auc"], found["variance"]], [e["auc"], e["var_obuchowski"]], rtol=1e-10)
    assert_allclose(found["variance_without_clusters"], e["var_delong_ignoring_clusters"])


@needs_reference_data
def test_power_is_that_of_rjafroc():
    e = references.expected("power_sample_size")
    v = {row["row"]: row["Estimates"] for row in e["vandyke_OR_varcom"]}
    pilot = Components(v["VarR"], v["VarTR"], v["Var"], v["Cov1"], v["Cov2"], v["Cov3"])
    for row in e["rjafroc_power_given_JK"]:
        option = row["option"]
        mine = power.power(
            pilot,
            114,
            effect=row["effectSize"],
            readers=row["J"],
            cases=row["K"],
            analysis=option.lower(),
        )
        assert_allclose(mine.power, row[f"power{option}"], rtol=0, atol=1e-9)
        assert_allclose(mine.noncentrality, row[f"ncp{option}"], rtol=1e-10)
    for row in e["rjafroc_K_given_J"]:
        option = row["option"]
        mine = power.cases_needed(
            pilot, 114, effect=row["effectSize"], readers=row["J"], analysis=option.lower()
        )
        assert mine.cases == row.get(f"K{option}", row.get("5"))


@needs_reference_data
def test_a_sample_size_without_a_pilot_is_that_of_the_published_formula():
    first, second, third, sensitivity, *_ = references.expected("power_sample_size")[
        "MRMCsamplesize"
    ]
    common = {"range_within": 0.05}
    calls = [
        (first, {"endpoint": "auc", "readers": 10, "effect": 0.1, "accuracy": 0.75}, 0.1),
        (second, {"endpoint": "auc", "readers": 20, "effect": 0.05, "accuracy": 0.75}, 0.2),
        (third, {"endpoint": "auc", "readers": 20, "effect": 0.05, "accuracy": 0.85}, 0.1),
        (
            sensitivity,
            {"endpoint": "sensitivity", "readers": 10, "effect": 0.1, "accuracy": 0.75},
            0.1,
        ),
    ]
    for expected, options, between in calls:
        more = {"benign_for_malignant": 2, "wanted": 0.9} if expected is third else {}
        r1 = {"r1": 0.5} if expected is sensitivity else {}
        mine = power.plan(**options, **common, **more, **r1, range_between=between)
        parts = expected["varComponents"]
        assert_allclose(
            [mine.var_r, mine.var_tr, mine.var_within, mine.var_cases + mine.var_within],
            [parts["varR"], parts["varTR"], parts["varW"], parts["varE"]],
            rtol=1e-6,
        )
        # With two benign cases for each malignant one it adds a case once it has rounded up.
        extra = 1 if expected is third else 0
        assert mine.malignant + extra == expected["ORSampleSizeResults"]["nUnits_i"]


@needs_reference_data
@pytest.mark.parametrize("name", ["wAFROC", "HrAuc"])
def test_marks_are_compared_as_by_rjafroc(name):
    e = references.expected("rjafroc_dataset01_froc")["result"]
    path = references.FOLDER / "rjafroc_dataset01_froc" / "marks.csv"
    mine = documents.document(of_froc(path, None, merit=name, margin=None))

    for merit, rows in e["foms"].items():
        for ours, theirs in zip(mine["figures_of_merit"][merit].values(), rows, strict=True):
            expected = [value for key, value in theirs.items() if key.startswith("rdr")]
            assert_allclose(list(ours.values()), expected, rtol=1e-10)
    wrong = [c for c in references.of_rjafroc(mine, e["OR"][name], "or") if not c.agrees]
    assert not wrong


@needs_reference_data
@pytest.mark.parametrize("model", ["crossed", "reader_slope"])
def test_the_model_of_reading_time_is_that_of_lme4(model):
    e = references.expected("reading_time_lmm")[model]
    path = references.FOLDER / "reading_time_lmm" / "data.csv"
    mine = documents.document(
        of_time(path, longest=None, covariates=[], reader_by_modality=model == "reader_slope")
    )
    d = mine["differences"]["aided - unaided"]
    row = next(r for r in e["coefficients"] if r["term"] == "modalityaided")

    # lme4 stops its search where the criterion changes by about 1e-7.
    assert mine["reml"] <= e["REMLcrit"] + 1e-9
    assert_allclose(mine["reml"], e["REMLcrit"], rtol=1e-9)
    assert_allclose([d["estimate"], d["t"]], [row["Estimate"], row["t value"]], rtol=1e-4)
    assert_allclose([d["se"], d["df"]], [row["Std. Error"], row["df"]], rtol=2e-4)
    assert_allclose(d["p"], row["Pr(>|t|)"], rtol=2e-3)
    names = {"reader": "reader", "case": "case", "reader:modality": "reader_modality"}
    for part in e["varcorr"]:
        key = names.get(part["grp"], "residual")
        assert_allclose(mine["variances"][key], part["vcov"], rtol=5e-4)


@needs_reference_data
def test_printed_numbers_of_or_dbm_mrmc_are_reproduced():
    published = json.loads((references.FOLDER / "vandyke" / "published.json").read_text())
    printed = published["or_dbm_mrmc_2_5"]
    mine = references.ours("vandyke", "or")
    names = {"VarR": "var_r", "VarTR": "var_tr", "VarError": "error"}
    for name, value in printed["or_components"].items():
        half = 0.51e-8 if name != "VarR" else 0.51e-7
        key = names.get(name, name.lower())
        assert_allclose(mine["components"][key], value, rtol=0, atol=max(half, 0.51e-8))
    [pair] = printed["RRRC"]["differences"]
    d = mine["rrrc"]["differences"]["1 - 2"]
    assert_allclose([d["estimate"], d["se"]], [pair["diff"], pair["se"]], rtol=0, atol=0.51e-4)
    assert_allclose([d["lower"], d["upper"]], pair["ci"], rtol=0, atol=0.51e-5)
    assert_allclose(d["p"], pair["p"], rtol=0, atol=0.51e-4)
    for row in printed["RRRC"]["single"]:
        one = mine["rrrc"]["modalities"][row["treatment"]]
        assert_allclose([one["estimate"], one["se"]], [row["auc"], row["se"]], rtol=0, atol=0.51e-8)
        assert_allclose([one["lower"], one["upper"]], row["ci"], rtol=0, atol=0.51e-7)
