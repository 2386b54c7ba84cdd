"""The truth room: lists of truths, and what the panel says of nodules."""

from collections.abc import Mapping
from typing import Any

from reread_client.calls import Calls
from reread_client.models import PanelNodule, PanelTask, TruthRoom


class Truth(Calls):
    """Bringing the reference standard in; nothing here tells what it says."""

    def truth_room(self, study: str) -> TruthRoom:
        """Say how many nodules have a reference standard, and how far the panel is."""
        return TruthRoom.from_site(self._call("GET", f"studies/{study}/truth"))

    def load_truths(
        self, study: str, text: str, *, dry_run: bool = False, every_s: float = 1
    ) -> dict[str, Any]:
        """Have a list of truths loaded, or checked; return the counts and what is wrong with it.

        Raises:
            Refused: the list cannot be loaded.
        """
        body = {"text": text, "dry_run": dry_run}
        asked = self._call("POST", f"studies/{study}/truth/list", body)
        return self._outcome(study, asked["id"], every_s)

    def conclude_panel(self, study: str, *, every_s: float = 1) -> dict[str, Any]:
        """Have what the panel has agreed on stored; return how much that was.

        Raises:
            Refused: it cannot be.
        """
        asked = self._call("POST", f"studies/{study}/truth/conclusion", {})
        return self._outcome(study, asked["id"], every_s)

    def panel_list(self, study: str) -> list[PanelTask]:
        """Return what there is to read for a member of the panel."""
        return [PanelTask.from_site(each) for each in self._all(f"studies/{study}/panel")]

    def panel_nodule(self, study: str, number: int) -> PanelNodule:
        """Return a nodule as a member of the panel may see it, by its `id`."""
        return PanelNodule.from_site(self._call("GET", f"studies/{study}/panel/{number}"))

    def read_for_panel(
        self,
        study: str,
        number: int,
        verdict: str,
        *,
        confidence: int | None = None,
        note: str = "",
        answers: Mapping[str, Any] | None = None,
    ) -> PanelNodule:
        """Say what a nodule is, once and for all: malignant, benign or undetermined.

        What else is needed, the protocol's form says: see `truth_room`.
        """
        body: dict[str, Any] = {"verdict": verdict, "confidence": confidence, "note": note}
        body["answers"] = dict(answers or {})
        return PanelNodule.from_site(
            self._call("POST", f"studies/{study}/panel/{number}/read", body)
        )

    def decide_for_panel(
        self,
        study: str,
        number: int,
        verdict: str,
        *,
        note: str,
        answers: Mapping[str, Any] | None = None,
    ) -> PanelNodule:
        """Decide on a nodule on which the panel does not agree."""
        body = {"verdict": verdict, "note": note, "answers": dict(answers or {})}
        return PanelNodule.from_site(
            self._call("POST", f"studies/{study}/panel/{number}/decision", body)
        )
