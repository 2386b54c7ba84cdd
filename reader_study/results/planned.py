"""The pre-specified analysis: each endpoint of the protocol, as it was written down beforehand."""

from typing import Any, NamedTuple

from scipy import stats

from reader_study.domain.analysis import Analysis, Endpoint, named_conditions, question_of
from reader_study.results.datasets import Data, names_of, threshold_in_words
from reader_study.results.files import endpoint_file
from reader_study.results.sections import (
    PRE_SPECIFIED,
    Column,
    Figure,
    Section,
    Table,
    capital,
    interval,
    notes_of,
    p_in_a_sentence,
    told,
)
from reader_study.statistics import documents, tables
from reader_study.statistics.intervals import TEstimate, against_margin, holm
from reader_study.statistics.study import Analysis as Asked
from reader_study.statistics.study import analyse

ENDPOINTS = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}


class Outcome(NamedTuple):
    """What was found for one endpoint. `met` is None where nothing could be tested."""

    endpoint: Endpoint
    first: str
    second: str
    document: dict[str, Any]
    estimate: float | None  # first minus second
    se: float | None
    df: float | None  # None: the normal distribution
    lower: float | None  # at the endpoint's own level, 1 - alpha
    upper: float | None
    p: float | None  # two-sided for superiority, else one-sided
    p_adjusted: float | None
    met: bool | None
    verdict: str


def outcomes(data: Data, plan: Analysis) -> list[Outcome]:
    """Estimate every endpoint, and test them in the order and with the correction of the plan."""
    found = [outcome(data, endpoint) for endpoint in plan.endpoints]
    first, others = found[0], found[1:]
    if plan.secondary_tests == "holm":
        _adjust(found, [each for each in others if each.p is not None])
    elif plan.secondary_tests == "fixed_sequence":
        open_yet = bool(first.met)
        for place, each in enumerate(others, start=1):
            if not open_yet:
                why = "not tested: the endpoint before it in the sequence was not met"
                found[place] = each._replace(p=None, met=None, verdict=why)
            open_yet = open_yet and bool(each.met)
    return [each if each.verdict else each._replace(verdict=verdict(each)) for each in found]


def _adjust(found: list[Outcome], able: list[Outcome]) -> None:
    """Adjust p values after Holm.

    One-sided tests of a margin are held against half of what two-sided ones are, so that each p
    counts as a part of its own level.
    """
    parts = [(each.p or 0.0) / level_of(each.endpoint) for each in able]
    most = len(parts) * max([1.0, *parts])
    adjusted = holm([part / most for part in parts]) * most
    for each, part in zip(able, adjusted.tolist(), strict=True):
        p = min(1.0, part * level_of(each.endpoint))
        found[found.index(each)] = each._replace(p_adjusted=p, met=part < 1)


def level_of(endpoint: Endpoint) -> float:
    """Return what the p value of an endpoint is held against."""
    return endpoint.alpha if endpoint.framework == "superiority" else endpoint.alpha / 2


def verdict(found: Outcome) -> str:
    """Say whether the endpoint was met."""
    if found.met is None:
        return "not tested: the estimate has no variance to be tested against"
    claim = {
        "superiority": "a difference was shown",
        "noninferiority": "non-inferiority was shown",
        "equivalence": "equivalence was shown",
    }[found.endpoint.framework]
    if found.endpoint.framework == "superiority" and found.met and (found.estimate or 0) < 0:
        return "a difference in the other direction was shown"
    return claim if found.met else claim.replace("was shown", "was not shown")


def outcome(data: Data, endpoint: Endpoint) -> Outcome:
    """Estimate one endpoint from its own file, as the command line does."""
    design = data.locked.protocol.design
    shortest, names = names_of(design), named_conditions(design)
    first, second = (shortest[names[name]] for name in endpoint.compare)
    blank = Outcome(
        *(endpoint, first, second, {}, None, None, None, None, None, None, None, None, "")
    )
    path = data.folder / endpoint_file(endpoint)
    try:
        clustered = endpoint.clusters == "subject" and _shares_patients(data, endpoint)
        study = tables.read_study(path, "patient" if clustered else None)
        result = analyse(study, asked(data, endpoint))
    except ValueError as error:
        return blank._replace(verdict=f"could not be analysed: {error}")
    document = documents.document(result)
    tested = of_pair(document, endpoint, first, second)
    if tested is None:
        return blank._replace(
            document=document, verdict="could not be analysed: there is nothing to compare"
        )
    return judged(blank._replace(document=document), tested)


def _shares_patients(data: Data, endpoint: Endpoint) -> bool:
    table = tables.read_table(data.folder / endpoint_file(endpoint), ["case", "patient"])
    pairs = set(zip(table.text("case"), table.text("patient"), strict=True))
    return len({patient for _, patient in pairs}) < len(pairs)


def asked(data: Data, endpoint: Endpoint) -> Asked:
    """Return an endpoint in the words of the statistics."""
    threshold = None
    if endpoint.threshold is not None:
        found = question_of(data.locked.protocol.questionnaire, endpoint.question)
        assert found is not None  # as the protocol was checked for
        options = [option.value for option in found[1].options]
        threshold = float(
            options.index(endpoint.threshold)
            if isinstance(endpoint.threshold, str)
            else endpoint.threshold
        )
    return Asked(
        method=endpoint.method,
        covariance=endpoint.covariance,
        endpoint=endpoint.endpoint,
        threshold=threshold,
        margin=endpoint.margin,
    )


class Tested(NamedTuple):
    """A difference as the statistics give it, the right way round."""

    estimate: float | None
    se: float | None
    df: float | None
    p: float | None


def of_pair(document: dict[str, Any], endpoint: Endpoint, first: str, second: str) -> Tested | None:
    """Return first minus second; the statistics have each pair in sorted order."""
    everything = document if endpoint.method == "ustat" else document[endpoint.effects]
    differences = everything.get("differences", {})
    for name, sign in ((f"{first} - {second}", 1.0), (f"{second} - {first}", -1.0)):
        found = differences.get(name)
        if found is not None:
            se = found.get("se")
            if se is None and (found.get("variance") or 0) > 0:
                se = found["variance"] ** 0.5
            estimate = None if found["estimate"] is None else sign * found["estimate"]
            return Tested(estimate, se, found.get("df"), found["p"])
    return None


def judged(blank: Outcome, tested: Tested) -> Outcome:
    """Test a difference as the plan says."""
    endpoint = blank.endpoint
    found = blank._replace(estimate=tested.estimate, se=tested.se, df=tested.df)
    if tested.p is None or tested.se is None or tested.estimate is None:
        return found
    df = tested.df if tested.df is not None else float("inf")
    half = float(stats.t.ppf(1 - endpoint.alpha / 2, df)) * tested.se
    found = found._replace(lower=tested.estimate - half, upper=tested.estimate + half)
    if endpoint.margin is None:
        return found._replace(p=tested.p, met=tested.p < endpoint.alpha)
    difference = TEstimate(
        *(tested.estimate, tested.se, df, tested.estimate / tested.se),
        *(tested.estimate - half, tested.estimate + half, tested.p),
    )
    margin = against_margin(
        blank.first, blank.second, difference, endpoint.margin, endpoint.alpha / 2
    )
    if endpoint.framework == "equivalence":
        return found._replace(p=margin.p_equivalent, met=margin.equivalent)
    return found._replace(p=margin.p, met=margin.noninferior)


def section(data: Data, found: Outcome, place: int) -> Section:
    """Tell one endpoint."""
    endpoint = found.endpoint
    title = endpoint.label or f"{ENDPOINTS[endpoint.endpoint]} of {endpoint.question}"
    what = "Primary endpoint" if place == 0 else f"Secondary endpoint {place}"
    name = f"endpoint-{endpoint.name}"
    means = means_of(found)
    text = [sentence(data, found, means)]
    rows: list[list[Any]] = [
        [modality, each.get("estimate"), each.get("lower"), each.get("upper"), None, None]
        for modality, each in means.items()
    ]
    contrast = f"{found.first} − {found.second}"
    rows.append([contrast, found.estimate, found.lower, found.upper, found.df, found.p])
    level = f"{100 * (1 - endpoint.alpha):g} % interval"
    merit = Column(capital(ENDPOINTS[endpoint.endpoint]), "number")
    means_table = Table(
        name,
        f"{title}: each condition, and the difference",
        [
            *(Column("Condition"), merit, Column(f"{level}, from", "number")),
            *(Column("to", "number"), Column("Degrees of freedom", "count"), Column("p", "p")),
        ],
        rows,
        [
            "Intervals of the conditions are of 95 %." if endpoint.alpha != 0.05 else "",
            "Intervals are symmetric, and not cut at 1."
            if any((each.get("upper") or 0) > 1 for each in means.values())
            else "",
            *notes_of(found.document),
        ],
    )
    readers = Table(
        f"{name}-readers",
        f"{title}: each reader",
        [
            Column("Reader"),
            *(Column(modality, "number") for modality in means),
            Column(contrast, "number"),
            *(Column("95 % interval, from", "number"), Column("to", "number")),
        ],
        readers_of(found, list(means)),
    )
    figures = figures_of(name, title, found, means, readers) if found.document else []
    return Section(
        name,
        f"{what}: {title}",
        PRE_SPECIFIED,
        text,
        figures,
        [_without_empty_notes(means_table), *([readers] if readers.rows else [])],
        {"verdict": found.verdict, "met": found.met, **found.document},
        endpoint_file(endpoint),
        [endpoint.method, *((endpoint.covariance,) if endpoint.method == "or" else ())],
    )


def _without_empty_notes(table: Table) -> Table:
    return table._replace(notes=[note for note in table.notes if note])


def sentence(data: Data, found: Outcome, means: dict[str, dict[str, Any]]) -> str:
    """Return the result in words."""
    endpoint = found.endpoint
    if found.estimate is None:
        return f"The endpoint {found.verdict}."
    merit = ENDPOINTS[endpoint.endpoint]
    if endpoint.threshold is not None:
        question = question_of(data.locked.protocol.questionnaire, endpoint.question)
        assert question is not None  # as the protocol was checked for
        at = threshold_in_words(question[1], endpoint.threshold)
        merit += f" ({question[1].label.lower()} from “{at}” on)"
    values = " and ".join(
        f"{told(means.get(name, {}).get('estimate'), 'number')} {name}"
        for name in (found.first, found.second)
    )
    readers = found.document["counts"]["readers"]
    level = f"{100 * (1 - endpoint.alpha):g} %"
    adjusted = (
        f", {p_in_a_sentence(found.p_adjusted)} after Holm" if found.p_adjusted is not None else ""
    )
    test = ""
    if found.p is not None:
        against = "" if endpoint.margin is None else f" against a margin of {endpoint.margin:g}"
        test = f"; {p_in_a_sentence(found.p)}{against}{adjusted}"
    return (
        f"The mean {merit} of {readers} readers was {values}: a difference of "
        f"{told(found.estimate, 'number')} ({level} interval "
        f"{interval(found.lower, found.upper)}{test}). "
        f"By the plan, {found.verdict}."
    )


def means_of(found: Outcome) -> dict[str, dict[str, Any]]:
    """Return estimate and interval of each modality."""
    if not found.document:
        return {}
    if found.endpoint.method == "ustat":
        return {
            name: {"estimate": each["auc"], "lower": each.get("lower"), "upper": each.get("upper")}
            for name, each in found.document["modalities"].items()
        }
    modalities: dict[str, dict[str, Any]] = found.document[found.endpoint.effects]["modalities"]
    return modalities


def readers_of(found: Outcome, modalities: list[str]) -> list[list[Any]]:
    """Return a row a reader: each modality, and the difference with its interval over cases."""
    document = found.document
    if not document:
        return []
    if found.endpoint.method == "ustat":
        cells = {
            modality: {reader: cell["auc"] for reader, cell in of_readers.items()}
            for modality, of_readers in document["readers"].items()
        }
        differences: dict[str, Any] = {}
    else:
        cells, differences = document["auc"], document["frrc"]["readers"]
    rows = []
    for reader in sorted({reader for of_readers in cells.values() for reader in of_readers}):
        values = {modality: cells[modality].get(reader) for modality in modalities}
        a, b = values.get(found.first), values.get(found.second)
        gap = None if a is None or b is None else a - b
        lower = upper = None
        for name, sign in (
            (f"{found.first} - {found.second}", 1),
            (f"{found.second} - {found.first}", -1),
        ):
            of_reader = differences.get(reader, {}).get(name)
            if of_reader and of_reader["lower"] is not None:
                lower, upper = sorted((sign * of_reader["lower"], sign * of_reader["upper"]))
        rows.append([reader, *values.values(), gap, lower, upper])
    return rows


def figures_of(
    name: str, title: str, found: Outcome, means: dict[str, dict[str, Any]], readers: Table
) -> list[Figure]:
    """Draw each reader under both conditions, and each difference with that of all."""
    merit = ENDPOINTS[found.endpoint.endpoint]
    order = [found.second, found.first]
    place = {modality: number for number, modality in enumerate(means, start=1)}
    pairs = {
        row[0]: [row[place[modality]] for modality in order]
        for row in readers.rows
        if all(row[place[modality]] is not None for modality in order)
    }
    gap = len(means) + 1
    lines = [
        {"name": row[0], "estimate": row[gap], "lower": row[gap + 1], "upper": row[gap + 2]}
        for row in readers.rows
        if row[gap] is not None
    ]
    if not pairs or found.estimate is None:
        return []
    better = sum(b > a for a, b in pairs.values())
    overall = {
        "name": "All readers",
        "estimate": found.estimate,
        "lower": found.lower,
        "upper": found.upper,
    }
    return [
        Figure(
            f"{name}-paired",
            f"{title}: each reader under both conditions",
            f"A line for each of {len(pairs)} readers from {found.second} to {found.first}; the "
            f"{merit} of {better} of them is higher {found.first}.",
            "paired",
            {
                "modalities": order,
                "readers": pairs,
                "mean": [means[modality].get("estimate") for modality in order],
                "merit": merit,
            },
        ),
        Figure(
            f"{name}-forest",
            f"{title}: differences",
            f"The difference in {merit}, {found.first} minus {found.second}, of each reader and "
            f"of all: {told(found.estimate, 'number')}, interval "
            f"{interval(found.lower, found.upper)}.",
            "forest",
            {
                "lines": lines,
                "overall": overall,
                "margin": found.endpoint.margin,
                "label": f"Difference in {merit}, {found.first} − {found.second}",
            },
        ),
    ]


def summary(found: list[Outcome], plan: Analysis) -> Table:
    """Return all endpoints in one table, in their order."""
    rules = {
        "fixed_sequence": "Secondary endpoints are tested in their order, as long as the primary "
        "endpoint and each one before was met.",
        "holm": "p values of the secondary endpoints are adjusted after Holm.",
        "unadjusted": "Secondary endpoints are not adjusted for their number.",
    }
    return Table(
        "endpoints",
        "The endpoints of the protocol, in their order",
        [
            *(Column("Endpoint"), Column("Hypothesis"), Column("Compared")),
            *(Column("Difference", "number"), Column("Interval, from", "number")),
            *(Column("to", "number"), Column("p", "p"), Column("p adjusted", "p")),
            Column("Result"),
        ],
        [
            [
                each.endpoint.label or each.endpoint.name,
                each.endpoint.framework
                + (f", margin {each.endpoint.margin:g}" if each.endpoint.margin else ""),
                f"{each.first} − {each.second}",
                *(each.estimate, each.lower, each.upper, each.p, each.p_adjusted, each.verdict),
            ]
            for each in found
        ],
        [rules[plan.secondary_tests]] if len(found) > 1 else [],
    )
