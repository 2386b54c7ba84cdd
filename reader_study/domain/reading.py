"""The stages of a reading and the steps between them, for every way a case can be read."""

from collections.abc import Mapping
from enum import StrEnum

from reader_study.domain.errors import StepNotAllowed


class Stage(StrEnum):
    """Where a reading is; the order of the members is the order of a reading."""

    ASSIGNED = "assigned"
    UNAIDED = "unaided"
    AIDED = "aided"
    SUBMITTED = "submitted"


class Step(StrEnum):
    """What is done to a reading: by its reader, and the last by a coordinator."""

    OPEN = "open"
    LOCK_UNAIDED = "lock_unaided"
    SUBMIT = "submit"
    UNLOCK = "unlock"


# The stages in which questions are answered, in order.
ANSWERING = (Stage.UNAIDED, Stage.AIDED)

Path = tuple[Stage, ...]

# A reading's path is the stages in which it is answered; these are all there are.
PATHS: Mapping[Path, Mapping[tuple[Stage, Step], Stage]] = {
    ANSWERING: {
        (Stage.ASSIGNED, Step.OPEN): Stage.UNAIDED,
        (Stage.UNAIDED, Step.LOCK_UNAIDED): Stage.AIDED,
        (Stage.AIDED, Step.SUBMIT): Stage.SUBMITTED,
        (Stage.SUBMITTED, Step.UNLOCK): Stage.AIDED,
    },
    (Stage.UNAIDED,): {
        (Stage.ASSIGNED, Step.OPEN): Stage.UNAIDED,
        (Stage.UNAIDED, Step.SUBMIT): Stage.SUBMITTED,
        (Stage.SUBMITTED, Step.UNLOCK): Stage.UNAIDED,
    },
    (Stage.AIDED,): {
        (Stage.ASSIGNED, Step.OPEN): Stage.AIDED,
        (Stage.AIDED, Step.SUBMIT): Stage.SUBMITTED,
        (Stage.SUBMITTED, Step.UNLOCK): Stage.AIDED,
    },
}


def advance(stage: Stage, step: Step, path: Path = ANSWERING) -> Stage:
    """Return the stage after `step` in a reading of this `path`.

    The only way back is to the last stage, by unlocking what was submitted.

    Raises:
        StepNotAllowed: `step` cannot be taken from `stage`.
    """
    table = PATHS[path]
    if (stage, step) not in table:
        raise StepNotAllowed(
            f"A reading that is {stage} cannot take the step {step.replace('_', ' ')}.",
            stage=stage.value,
        )
    return table[stage, step]
