"""What a reader may see at each stage: asked by every channel, and denying by default."""

from collections.abc import Iterable
from enum import StrEnum

from reader_study.domain.findings import Findings
from reader_study.domain.reading import Stage


class Item(StrEnum):
    """Something a reading's page can show that is derived from the AI or the truth."""

    SCORE = "score"
    SEMANTIC = "semantic"
    SALIENCY = "saliency"
    SIMILAR = "similar"
    REFERENCE = "reference"


# The AI's part of `Item`; a condition names some of them.
ARTEFACTS = (Item.SCORE, Item.SEMANTIC, Item.SALIENCY, Item.SIMILAR)

# The stages in which the unaided answer is locked, so that the AI can no longer colour it.
_AFTER_LOCK = frozenset({Stage.AIDED, Stage.SUBMITTED})


def visible(stage: Stage, condition: Iterable[Item]) -> tuple[Item, ...]:
    """Return what a reader may see at `stage` under the aided stage's `condition`.

    The reference standard is never among it; of training cases `truth_is_shown` says.
    """
    if stage not in _AFTER_LOCK:
        return ()
    shown = set(condition)
    return tuple(item for item in ARTEFACTS if item in shown)


def truth_is_shown(stage: Stage, *, in_training: bool, of_training: bool, feedback: bool) -> bool:
    """Tell whether a reader may see the truth of a case: of no study case, at any time.

    It may be seen `of_training` cases that were submitted `in_training`, where the protocol
    gives `feedback`.
    """
    return feedback and of_training and in_training and stage is Stage.SUBMITTED


def nodules_are_shown(findings: Findings, stage: Stage, condition: Iterable[Item]) -> bool:
    """Tell whether a reader may know at `stage` where the study's nodules are.

    Where readers find nodules themselves, that is when the AI is shown, whose marks they are.
    """
    return findings.has_given or bool(visible(stage, condition))


def is_visible(item: Item, stage: Stage, condition: Iterable[Item]) -> bool:
    """Tell whether a reader may see `item` at `stage` under `condition`."""
    return item in visible(stage, condition)
