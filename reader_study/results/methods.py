"""The methods in words: what the protocol says and what the analysis used, with sources."""

from typing import Any, NamedTuple

from reader_study.domain.analysis import Endpoint
from reader_study.domain.blinding import Item
from reader_study.domain.design import Arm
from reader_study.results.datasets import Data, threshold_in_words
from reader_study.results.sections import Section, counted, listed


class Method(NamedTuple):
    """A method that results used, in a sentence, and where it is from."""

    sentence: str
    sources: tuple[str, ...] = ()


METHODS = {
    "or": Method(
        "Conditions were compared by the method of Obuchowski and Rockette with the degrees of "
        "freedom of Hillis; Cov2 − Cov3 below 0 was taken as 0.",
        (
            "Obuchowski NA, Rockette HE. Hypothesis testing of diagnostic accuracy for multiple "
            "readers and multiple tests. Commun Stat Simul 1995;24:285-308.",
            "Hillis SL. A comparison of denominator degrees of freedom methods for multiple "
            "observer ROC analysis. Stat Med 2007;26:596-619.",
        ),
    ),
    "dbm": Method(
        "The method of Dorfman, Berbaum and Metz analysed the variance of jackknife pseudovalues.",
        (
            "Hillis SL, Berbaum KS, Metz CE. Recent developments in the Dorfman-Berbaum-Metz "
            "procedure for multireader ROC study analysis. Acad Radiol 2008;15:647-661.",
        ),
    ),
    "ustat": Method(
        "U-statistics gave unbiased variances over readers and cases.",
        (
            "Gallas BD, Bandos A, Samuelson FW, Wagner RF. A framework for random-effects ROC "
            "analysis: biases with the bootstrap and other variance estimators. Commun Stat "
            "Theory Methods 2009;38:2586-2603.",
        ),
    ),
    "jackknife": Method(
        "The covariance of the readers' figures of merit was that of the jackknife over cases, a "
        "patient's nodules being left out together."
    ),
    "delong": Method(
        "Variances and covariances over cases were those of DeLong.",
        (
            "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more "
            "correlated receiver operating characteristic curves. Biometrics 1988;44:837-845.",
        ),
    ),
    "unbiased": Method("Covariances over cases were unbiased estimates from U-statistics."),
    "obuchowski_clusters": Method(
        "Intervals of single curves took nodules of one patient together.",
        (
            "Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics "
            "1997;53:567-578.",
        ),
    ),
    "empirical": Method("ROC curves and areas under them were empirical."),
    "mean_curve": Method(
        "Curves were averaged along the diagonals of constant sensitivity + specificity.",
        (
            "Chen W, Samuelson FW. The average receiver operating characteristic curve in "
            "multireader multicase imaging studies. Br J Radiol 2014;87:20140016.",
        ),
    ),
    "holm": Method(
        "p values of several looks were adjusted after Holm.",
        (
            "Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat "
            "1979;6:65-70.",
        ),
    ),
    "margin": Method(
        "Margins were tested one-sided at half of the two-sided level.",
        (
            "Chen W, Petrick NA, Sahiner B. Hypothesis testing in noninferiority and equivalence "
            "MRMC ROC studies. Acad Radiol 2012;19:1158-1165.",
        ),
    ),
    "standalone": Method(
        "Readers were held against the AI by itself by the single-modality analysis of the "
        "differences.",
        (
            "Hillis SL, Schartz KM. Multireader sample size program for diagnostic studies: "
            "demonstration and methodology. J Med Imaging 2018;5:045503.",
        ),
    ),
    "brier": Method("The Brier score is the mean squared distance of probability and truth."),
    "ece": Method(
        "Calibration errors compare probability and share in ten ranges of equal width.",
        (
            "Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural networks. "
            "ICML 2017.",
        ),
    ),
    "recalibration": Method(
        "Calibration slope and intercept are those of a logistic regression on the logit.",
        (
            "Cox DR. Two further applications of a model for binary regression. Biometrika "
            "1958;45:562-565.",
        ),
    ),
    "decision_curve": Method(
        "Net benefit weighs false positives by the odds of the threshold.",
        (
            "Vickers AJ, Elkin EB. Decision curve analysis: a novel method for evaluating "
            "prediction models. Med Decis Making 2006;26:565-574.",
        ),
    ),
    "switches": Method(
        "Switches of the decision were counted by whether the AI was right.",
        (
            "Dratsch T, Chen X, Rezazade Mehrizi M, et al. Automation bias in mammography: the "
            "impact of artificial intelligence BI-RADS suggestions on reader performance. "
            "Radiology 2023;307:e222176.",
        ),
    ),
    "bootstrap": Method(
        "Their intervals are percentiles of 2,000 samples of readers and cases with replacement.",
        ("Owen AB. The pigeonhole bootstrap. Ann Appl Stat 2007;1:386-411.",),
    ),
    "advice": Method(
        "The weight of advice is (aided − unaided) / (AI − unaided), cut at 0 and 1.",
        (
            "Yaniv I. Receiving other people's advice: influence and benefit. Organ Behav Hum "
            "Decis Process 2004;93:1-13.",
        ),
    ),
    "nri": Method(
        "Net reclassification is given for malignant and benign ones apart.",
        (
            "Kerr KF, Wang Z, Janes H, et al. Net reclassification indices for evaluating risk "
            "prediction instruments: a critical review. Epidemiology 2014;25:114-121.",
        ),
    ),
    "fisher": Method("Disagreement and switches were held against each other by Fisher's test."),
    "ac1": Method(
        "Agreement on categories is Gwet's AC1.",
        (
            "Gwet KL. Computing inter-rater reliability and its variance in the presence of high "
            "agreement. Br J Math Stat Psychol 2008;61:29-48.",
        ),
    ),
    "alpha": Method(
        "Agreement on ratings is Krippendorff's alpha.",
        ("Krippendorff K. Computing Krippendorff's alpha-reliability. 2011.",),
    ),
    "icc": Method(
        "Intraclass correlations are of absolute agreement of single ratings.",
        (
            "McGraw KO, Wong SP. Forming inferences about some intraclass correlation "
            "coefficients. Psychol Methods 1996;1:30-46.",
        ),
    ),
    "time": Method(
        "Reading times were compared by a mixed model of their logarithm with reader, case, and "
        "reader by condition as random effects (REML, Satterthwaite's degrees of freedom)."
    ),
    "wilcoxon": Method(
        "Within readers, times were compared by signed ranks.",
        ("Wilcoxon F. Individual comparisons by ranking methods. Biometrics Bull 1945;1:80-83.",),
    ),
}

SHOWN = {
    Item.SCORE: "its probability of malignancy",
    Item.SEMANTIC: "its semantic features",
    Item.SALIENCY: "its relevance map",
}


def used(sections: list[Section], *, margins: bool) -> list[str]:
    """Return the keys of the methods that sections used, in their order."""
    keys = [key for section in sections for key in section.methods]
    return list(dict.fromkeys([*keys, *(["margin"] if margins else [])]))


def sources(keys: list[str]) -> list[str]:
    """Return the sources of methods, each once and in order."""
    return list(dict.fromkeys(source for key in keys for source in METHODS[key].sources))


def design(data: Data) -> list[str]:
    """Tell how cases were read."""
    rules = data.locked.protocol.design
    text = []
    if rules.kind == "sequential":
        text.append(f"Sequential reading: every case was read once, {_stages(rules.every_arm[0])}.")
    else:
        arms = listed([f"“{arm.name}” ({_stages(arm)})" for arm in rules.arms])
        text.append(
            f"{rules.kind.capitalize()} design: every case was read under each of the arms {arms}, "
            f"in sessions separated by a washout of {counted(rules.washout, 'day')}. The order of "
            f"arms was that of a {rules.order} square over readers."
            if rules.order != "fixed"
            else f"{rules.kind.capitalize()} design: every case was read under each of the arms "
            f"{arms}, in this order, separated by a washout of {counted(rules.washout, 'day')}."
        )
    if rules.case_sets > 1:
        text.append(f"Readers and cases were parted into {rules.case_sets} sets (split-plot).")
    if rules.repeats:
        text.append(f"{counted(rules.repeats.cases, 'case')} were read again, without being told.")
    if rules.training:
        text.append(f"{counted(rules.training.cases, 'case')} were read first, for practice.")
    text.append(
        "The server let no byte derived from the AI or from the reference standard reach a reader "
        "before the protocol shows it, and made answers final when they were locked."
    )
    allocation = data.locked.protocol.allocation
    text.append(
        f"Cases were dealt out once, from the seed {allocation.seed}, in an order that differs "
        "between readers and sessions."
    )
    return text


def _stages(arm: Arm) -> str:
    told = []
    for step in arm.stages:
        shown = [SHOWN.get(item, str(item)) for item in step.shows]
        told.append(f"with the AI in view: {listed(shown)}" if shown else "without AI")
    return ", the answer locked, and then ".join(told)


def material(data: Data) -> list[str]:
    """Tell who read what, and how the truth is known."""
    nodules = data.locked.nodules.values()
    known = [nodule for nodule in nodules if nodule.malignant is not None]
    return [
        f"{counted(len(data.readers), 'reader')} read {counted(len(nodules), 'nodule')} in "
        f"{counted(len({nodule.case for nodule in nodules}), 'case')} of "
        f"{counted(len({nodule.subject for nodule in nodules}), 'patient')}. The reference "
        f"standard is known for {len(known)}, of which "
        f"{sum(bool(nodule.malignant) for nodule in known)} are malignant; its sources: "
        f"{origin(data)}. Until the lock of the database only who imported it could read it.",
        f"Accuracy was measured with the question “{data.question.label}”, answered "
        f"{_answered(data)}. What a reader could not assess is a missing rating, unless an "
        "endpoint says otherwise.",
    ]


def origin(data: Data) -> str:
    """Return the sources of the reference standard, each with how often it is one."""
    nodules = data.locked.nodules.values()
    named = [each.source or "not stated" for each in nodules if each.malignant is not None]
    return listed([f"{name} ({named.count(name)})" for name in sorted(set(named))]) or "none"


def _answered(data: Data) -> str:
    question = data.question
    if question.scale is not None:
        return f"from {question.scale.min:g} to {question.scale.max:g}"
    return "by one of " + listed([f"“{option.label}”" for option in question.options])


def ai(data: Data) -> list[str]:
    """Tell which model it was."""
    text = []
    for model in data.locked.study.get("models", []):
        card = model.get("card", {})
        backbone = card.get("backbone")
        text.append(
            f"The AI was {card.get('title') or model['name']}, version {model['version']}"
            + (f", on the backbone {backbone}" if backbone else "")
            + f" (model {model['hash'][:16]}, weights {model['weights_hash'][:16]}, code "
            f"{model['code_hash'][:16]}). {card.get('notice', '')}".rstrip()
        )
    failed = len(data.locked.failed)
    if failed:
        rule = data.locked.protocol.ai.when_inference_failed
        does = "was read, and its reader told" if rule == "read_and_tell" else "stayed closed"
        text.append(f"It gave nothing for {counted(failed, 'nodule')}; such a case {does}.")
    return text or ["No prediction of the study's model is recorded."]


def analysis(data: Data) -> list[str]:
    """Tell what was planned."""
    plan = data.plan
    if plan is None:
        return ["The protocol names no analysis, so that every result is exploratory."]
    text = [_endpoint(data, plan.primary, "The primary endpoint")]
    text += [_endpoint(data, each, "A secondary endpoint") for each in plan.secondary]
    if plan.secondary:
        text.append(
            {
                "fixed_sequence": "Secondary endpoints were tested in this order, as long as the "
                "one before was met.",
                "holm": "Secondary endpoints were adjusted after Holm.",
                "unadjusted": "Secondary endpoints were not adjusted for their number.",
            }[plan.secondary_tests]
        )
    if plan.rationale:
        text.append(plan.rationale)
    return text


def _endpoint(data: Data, endpoint: Endpoint, what: str) -> str:
    names = {"auc": "the area under the ROC curve", "sensitivity": "sensitivity"}
    merit = names.get(endpoint.endpoint, endpoint.endpoint)
    form = data.locked.protocol.questionnaire
    question = next(q for q in (*form.nodule, *form.case) if q.name == endpoint.question)
    at = ""
    if endpoint.threshold is not None:
        at = f" from “{threshold_in_words(question, endpoint.threshold)}” on"
    aim: str = endpoint.framework
    if endpoint.margin is not None:
        aim += f" by a margin of {endpoint.margin:g}"
    effects = f"readers {endpoint.readers}, cases {endpoint.cases}"
    kept = {
        "left_out": "were missing",
        "lowest": "counted as the lowest rating",
        "highest": "counted as the highest rating",
    }[endpoint.not_assessed]
    return (
        f"{what} was {merit} of “{question.label}”{at}, {endpoint.compare[0]} minus "
        f"{endpoint.compare[1]}, for {aim} at a two-sided level of {endpoint.alpha:g} ({effects}; "
        f"unit: {endpoint.unit}; ratings that could not be given {kept})."
    )


def course(study: dict[str, Any]) -> list[str]:
    """Tell when the study was conducted, and how its records can be checked."""
    dates = [
        f"{word} {study[key][:10]}"
        for word, key in (
            ("allocated on", "allocated_at"),
            ("opened on", "opened_at"),
            ("locked on", "locked_at"),
        )
        if study.get(key)
    ]
    return [
        f"The study was {listed(dates)}. Its {study['records']} records are a chain of hashes "
        f"whose head at the lock was {study['head']}.",
        "Reading time is the time in which the page was visible, its first image was there, and "
        f"the last sign of the reader was at most {study['idle_after_seconds']:g} s ago.",
    ]
