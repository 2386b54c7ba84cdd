"""The report of a study: its parts in order, the same for HTML and PDF."""

from typing import Any, NamedTuple

from reader_study.results import checklists, methods
from reader_study.results.findings import Findings
from reader_study.results.sections import (
    PRE_SPECIFIED,
    Column,
    Figure,
    Section,
    Table,
    counted,
    listed,
)


class Heading(NamedTuple):
    """A heading; `level` counts from 1. `mark` is the standing of what follows."""

    level: int
    text: str
    mark: str = ""


class Text(NamedTuple):
    """A paragraph."""

    text: str
    quiet: bool = False


class Sources(NamedTuple):
    """A numbered list."""

    items: list[str]


Part = Heading | Text | Table | Figure | Sources


class Report(NamedTuple):
    """A report. `about` says in a few words what it was made of and by."""

    title: str
    subject: str
    about: list[list[str]]
    parts: list[Part]


def report(found: Findings, said: dict[str, Any]) -> Report:
    """Write the report of `found`; `said` is the document of its results, with hashes."""
    data = found.data
    study = data.locked.study
    software = listed([f"{name} {number}" for name, number in said["versions"].items()])
    about = [
        ["Study", study["study"]],
        ["Protocol (SHA-256)", f"{data.locked.protocol_hash}, version {study['protocol_version']}"],
        ["Database locked", f"{study['locked_at']} by {study['locked_by']}"],
        ["Head of the records", study["head"]],
        ["Tables (SHA-256)", said["inputs_hash"]],
        ["Program (SHA-256)", said["code_hash"]],
        ["Software", software],
    ]
    parts: list[Part] = [
        Heading(1, "Summary"),
        *_summary(found),
        Heading(1, "Methods"),
        Heading(2, "Design"),
        *map(Text, methods.design(data)),
        Heading(2, "Readers, cases and reference standard"),
        *map(Text, methods.material(data)),
        Heading(2, "The AI"),
        *map(Text, methods.ai(data)),
        Heading(2, "Conduct"),
        *map(Text, methods.course(study)),
        Heading(2, "Pre-specified analysis"),
        *map(Text, methods.analysis(data)),
        Heading(2, "Statistical methods"),
        *_methods(found, software),
        Heading(1, "Flow of readings and cases"),
        *found.flow,
        Heading(1, "Pre-specified results", PRE_SPECIFIED),
        *([found.endpoints] if found.endpoints else []),
        *_sections(found.planned),
        Heading(1, "Exploratory results"),
        Text(
            "Not asked for by the protocol. They can suggest what to study next, and prove "
            "nothing: with this many looks some differences are chance."
        ),
        *_sections(found.exploratory),
        Heading(1, "What did not go as planned"),
        *_deviations(found),
        *_accepted(study),
        Heading(1, "Reporting checklists"),
        Text(
            "Items are in our words and filled in as far as the study itself knows the answer; "
            "the others are left for the authors."
        ),
        *_checklists(found, software),
        Heading(1, "How to make this again"),
        Text(
            "The archive of the study holds every table this report was made of. The command "
            "python -m reader_study.results ARCHIVE FOLDER, with the program and the software "
            "named on the first page, makes every file of the results and this report again, byte "
            "for byte."
        ),
        Heading(1, "Sources"),
        Sources(methods.sources(_keys(found))),
    ]
    return Report(study["title"], f"Report of the study {study['study']}", about, parts)


def _keys(found: Findings) -> list[str]:
    plan = found.data.plan
    margins = bool(plan and any(each.margin for each in plan.endpoints))
    return methods.used(found.sections, margins=margins)


def _summary(found: Findings) -> list[Part]:
    endpoints = [each for each in found.planned if each.name.startswith("endpoint-")]
    if not endpoints:
        return [Text("The protocol names no analysis; every result below is exploratory.")]
    return [Text(f"{each.title}. {each.text[0]}") for each in endpoints]


def _methods(found: Findings, software: str) -> list[Part]:
    keys = _keys(found)
    numbers = {source: i for i, source in enumerate(methods.sources(keys), start=1)}
    told = []
    for key in keys:
        method = methods.METHODS[key]
        cited = ", ".join(str(numbers[source]) for source in method.sources)
        told.append(f"{method.sentence} [{cited}]" if cited else method.sentence)
    return [Text(" ".join(told)), Text(f"Software: Reread, with {software}.")]


def _sections(sections: list[Section]) -> list[Part]:
    parts: list[Part] = []
    for section in sections:
        parts.append(Heading(2, section.title, section.standing))
        parts += map(Text, section.text)
        parts += section.figures
        parts += section.tables
        if section.source:
            parts.append(Text(f"Computed from {section.source}.", quiet=True))
    return parts


def _deviations(found: Findings) -> list[Part]:
    return [*found.deviations] if found.deviations else [Text("Nothing was recorded.")]


def _accepted(study: dict[str, Any]) -> list[Part]:
    """Tell what was open at the lock of the database, and why it stayed so."""
    rows = [[each.get("detail", ""), each.get("reason", "")] for each in study.get("accepted", [])]
    columns = [Column("Open at the lock"), Column("Why it stayed so")]
    return [Table("accepted", "What was open when the database was locked", columns, rows)] if (
        rows
    ) else []  # fmt: skip


def _checklists(found: Findings, software: str) -> list[Part]:
    answers = known(found, software)
    parts: list[Part] = []
    for checklist in checklists.CHECKLISTS:
        parts += [
            Heading(2, checklist.title),
            Table(
                f"checklist-{checklist.title.split(',')[0].lower()}",
                f"{checklist.title}: items and answers",
                [Column("Item"), Column("Asks for"), Column("This study")],
                [list(row) for row in checklists.filled(checklist, answers)],
            ),
        ]
    return parts


def known(found: Findings, software: str) -> dict[str, str]:
    """Return what the study knows of the items of checklists, by their keys."""
    data, study = found.data, found.data.locked.study
    plan = data.plan
    total = found.flow[0].rows[-1]
    groups = listed([subgroup.name for subgroup in data.subgroups])
    standing = "pre-specified" if plan and plan.subgroups else "exploratory"
    failed = counted(len(data.locked.failed), "nodule")
    shown = {item for modality in data.modalities for item in modality.shows}
    training = data.locked.protocol.design.training
    names = {section.name: section.title for section in found.sections}
    endpoints = [each for each in found.planned if each.name.startswith("endpoint-")]
    answers = {
        "hypotheses": " ".join(methods.analysis(data)[:1]),
        "design": " ".join(methods.design(data)[:1]),
        "subsets": f"Subgroups ({standing}): {groups}.",
        "pseudonyms": "Readers, cases and patients are known by pseudonyms; images reach readers "
        "with an allow-list of attributes.",
        "missing": f"Skipped readings: {total[4]}; not finished: {total[5]}; the AI gave nothing "
        f"for {failed}. How each counts is in the methods.",
        "reference": f"Sources: {methods.origin(data)}. See the methods.",
        "partitions": "No case of this study serves to train; what the model was trained on is "
        "for its owner to say.",
        "numbers": f"{counted(len(data.readers), 'reader')}, "
        f"{counted(len(data.units), data.unit)} of known truth. The calculation beforehand is for "
        "the authors.",
        "model": " ".join(methods.ai(data)),
        "software": software,
        "metrics": listed(list(dict.fromkeys(each.title for each in endpoints)))
        or "None was pre-specified.",
        "statistics": "See the statistical methods.",
        "sensitivity": f"“{names['methods']}”." if "methods" in names else "",
        "explained": f"Shown to readers: {listed(sorted(shown))}." if shown else "",
        "flow": f"{total[1]} readings allocated, {total[3]} submitted, {total[4]} skipped; see the "
        "flow.",
        "results": "See the summary, and the tables of each endpoint and reader."
        if endpoints
        else "See the exploratory results.",
        "failures": f"The AI gave nothing for {failed}. Switches by whether it was right are among "
        "the exploratory results.",
        "protocol": f"SHA-256 {data.locked.protocol_hash}; protocol.json in the archive.",
        "availability": "Every table, the program's hash and how to make the results again are in "
        "the archive of the study.",
        "thresholds": _thresholds(found),
        "blinding": "Enforced by the server at every address: nothing of the AI or the reference "
        "standard before the protocol shows it.",
        "cases": "See the flow of cases; subgroups by diameter.",
        "training": f"{counted(training.cases, 'case')} read for practice."
        if training
        else "No training cases were part of the protocol.",
        "shown": f"Shown to readers: {listed(sorted(shown))}." if shown else "",
        "reliance": "See switches, advice taken, and agreement with the AI on each feature.",
        "exposure": "When each artefact of the AI was on screen is in exposures.csv.",
        "time": f"“{names['time']}”." if "time" in names else "",
        "frozen": "Predictions were frozen as they came, with the hashes of model and code.",
        "learning": f"“{names['order']}”." if "order" in names else "",
        "agreement": listed(
            [f"“{names[key]}”" for key in ("concordance", "agreement", "repeats") if key in names]
        ),
    }
    if len(study.get("models", [])) > 1:
        answers["frozen"] = "Predictions of several versions of the model are recorded; see the AI."
    return {key: answer for key, answer in answers.items() if answer}


def _thresholds(found: Findings) -> str:
    plan = found.data.plan
    fixed = [each for each in (plan.endpoints if plan else ()) if each.threshold is not None]
    if not fixed:
        return "No threshold was fixed beforehand; those in the results are exploratory."
    at = [
        f"{each.question} from {each.threshold:g} on"
        if isinstance(each.threshold, float)
        else f"{each.question} from {each.threshold} on"
        for each in fixed
    ]
    told = listed(list(dict.fromkeys(at)))
    return f"Fixed in the protocol: {told}."
