"""How the reference standard of a study comes about: the panel, and who may know what of it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import Field

from reader_study.domain.panel_form import VERDICTS, PanelForm, Verdict
from reader_study.domain.strict import Strict, later


class Panel(Strict):
    """A truth panel: so many independent reads of each nodule, without AI.

    With `agreement` of all, every read has to say the same; with a majority, more than half of
    them. Where that is not so, a member who has not read the nodule adjudicates, seeing the
    reads; by `consensus` any member enters what the panel has agreed on. `form` is what they are
    asked; the verdict alone decides whether they agree.
    """

    reads: int = Field(default=2, ge=1, le=15)
    agreement: Literal["all", "majority"] = "all"
    adjudication: Literal["another_member", "consensus"] = "another_member"
    form: PanelForm = later(PanelForm())


class Truth(Strict):
    """Where the reference standard comes from, and who may know what of it.

    `complete_before`: every nodule needs one before the study opens, or before its database is
    locked, else a reason. `desk_sees`: how many nodules have one, or also the source of each;
    what it says nobody at the desk sees before the lock. An imported truth that gives a point
    belongs to the nodule within `acceptance_mm`, or within the nodule's radius where that is
    more.
    """

    panel: Panel | None = later(None)
    complete_before: Literal["never", "opening", "lock"] = later("never")
    desk_sees: Literal["counts", "sources"] = later("counts")
    acceptance_mm: float = later(5.0, gt=0, le=50)


class Standing(NamedTuple):
    """What a panel has come to about one nodule.

    `verdict` is None as long as it has not; `to_adjudicate` where enough members have read it
    and they do not agree.
    """

    verdict: Verdict | None
    to_adjudicate: bool


def standing(panel: Panel, reads: Sequence[str], adjudicated: Verdict | None) -> Standing:
    """Return what follows of the first `panel.reads` reads and of an adjudication."""
    if adjudicated is not None:
        return Standing(adjudicated, to_adjudicate=False)
    counted = list(reads[: panel.reads])
    if len(counted) < panel.reads:
        return Standing(None, to_adjudicate=False)
    for verdict in VERDICTS:
        number = counted.count(verdict)
        enough = len(counted) if panel.agreement == "all" else len(counted) // 2 + 1
        if number >= enough:
            return Standing(verdict, to_adjudicate=False)  # type: ignore[arg-type]  # one of them
    return Standing(None, to_adjudicate=True)


def malignant_of(verdict: Verdict) -> bool | None:
    """Return a verdict as the reference standard has it; None where it was left open."""
    return {"malignant": True, "benign": False, "undetermined": None}[verdict]
