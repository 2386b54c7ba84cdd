"""What the site's worker does with the truth: loading lists of it, and concluding the panel.

What comes back to the desk counts, and says of no nodule what it is: a nodule that has a truth
keeps it, whatever a list says, and the desk is not told whether the two agree.
"""

from datetime import datetime
from typing import Any

from reader_study.actions.reference import load_reference
from reader_study.domain.errors import TruthRefused
from reader_study.domain.truth import Panel, malignant_of, standing
from reader_study.domain.truth_list import There, TruthRow, Wrong, place_truths, read_truths
from reader_study.models import DeskTask, Nodule, Study
from reader_study.models.reference import PanelDecision, PanelRead, ReferenceStandard

PROBLEMS_SHOWN = 50


def check_truth(task: DeskTask, now: datetime) -> dict[str, Any]:  # noqa: ARG001
    """Say what an import of the list would do, without doing it."""
    return _import(task, None)


def import_truth(task: DeskTask, now: datetime) -> dict[str, Any]:
    """Load the truths of a list; nodules that have one keep it."""
    return _import(task, now)


def _import(task: DeskTask, now: datetime | None) -> dict[str, Any]:
    rows, wrong = read_truths(task.payload["text"])
    rules = task.study.rules.truth
    found, more = place_truths(rows, _nodules(task.study), acceptance_mm=rules.acceptance_mm)
    wrong += more
    known = _known(task.study)
    fresh = {pk: row for pk, row in found.items() if pk not in known}
    if now is not None:
        nodules = Nodule.objects.in_bulk(fresh)
        for pk, row in fresh.items():
            _load(nodules[pk], row, task, now)
    return {
        "lines": len(rows) + len(wrong) - len(more),
        "new": len(fresh),
        "kept": len(found) - len(fresh),
        "wrong": len(wrong),
        "problems": [problem._asdict() for problem in _first(wrong)],
    }


def _first(wrong: list[Wrong]) -> list[Wrong]:
    return sorted(wrong)[:PROBLEMS_SHOWN]


def _load(nodule: Nodule, row: TruthRow, task: DeskTask, now: datetime) -> None:
    load_reference(
        nodule=nodule,
        malignant=malignant_of(row.truth),  # type: ignore[arg-type]  # as `read_truths` has it
        source=row.source,
        detail={
            **({"detail": row.detail} if row.detail else {}),
            "loaded_by": task.by.get_username(),
            "placed_by": "number" if row.nodule is not None else "point",
        },
        now=now,
    )


def _known(study: Study) -> set[int]:
    of_study = ReferenceStandard.objects.filter(nodule__series__case__study=study)
    return set(of_study.values_list("nodule", flat=True))


def _nodules(study: Study) -> dict[str, list[There]]:
    found: dict[str, list[There]] = {
        name: [] for name in study.cases.values_list("pseudonym", flat=True)
    }
    for nodule in Nodule.objects.of_study(study).select_related("series__case"):
        there = There(nodule.pk, nodule.number, nodule.centre_mm, nodule.diameter_mm)
        found[nodule.series.case.pseudonym].append(there)
    return found


def conclude_panel(task: DeskTask, now: datetime) -> dict[str, Any]:
    """Load what the panel has come to of each nodule; nodules that have a truth keep it."""
    panel = task.study.rules.truth.panel
    if panel is None:
        raise TruthRefused("The protocol of this study has no truth panel.")
    reads: dict[int, list[PanelRead]] = {}
    of_study = {"nodule__series__case__study": task.study}
    for read in PanelRead.objects.filter(**of_study).select_related("member").order_by("at", "pk"):
        reads.setdefault(read.nodule_id, []).append(read)
    decisions = {
        each.nodule_id: each
        for each in PanelDecision.objects.filter(**of_study).select_related("member")
    }
    known = _known(task.study)
    counts = {"stored": 0, "kept": 0, "to_adjudicate": 0, "to_read": 0}
    for nodule in Nodule.objects.of_study(task.study):
        own, decision = reads.get(nodule.pk, []), decisions.get(nodule.pk)
        verdicts = [read.verdict for read in own]
        stands = standing(panel, verdicts, decision.verdict if decision else None)  # type: ignore[arg-type]
        if nodule.pk in known:
            counts["kept"] += 1
        elif stands.to_adjudicate:
            counts["to_adjudicate"] += 1
        elif stands.verdict is None:
            counts["to_read"] += 1
        else:
            counts["stored"] += 1
            load_reference(
                nodule=nodule,
                malignant=malignant_of(stands.verdict),
                source="panel",
                detail=_detail(panel, own, decision),
                now=now,
            )
    return counts


def _detail(panel: Panel, reads: list[PanelRead], decision: PanelDecision | None) -> dict[str, Any]:
    """Where a panel's truth comes from: who said what when, and by which rule."""
    said: dict[str, Any] = {
        "rule": panel.model_dump(mode="json"),
        "reads": [
            {
                "member": read.member.pseudonym,
                "verdict": read.verdict,
                "confidence": read.confidence,
                "note": read.note,
                "answers": read.answers,
                "at": read.at.isoformat(),
            }
            for read in reads
        ],
    }
    if decision is not None:
        said["adjudicated"] = {
            "member": decision.member.pseudonym,
            "note": decision.note,
            "answers": decision.answers,
            "at": decision.at.isoformat(),
        }
    return said
