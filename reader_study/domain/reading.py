"""The stages of a sequential reading and the steps between them."""

from enum import StrEnum

from reader_study.domain.errors import StepNotAllowed


class Stage(StrEnum):
    """Where a reading is; the order of the members is the order of a reading."""

    ASSIGNED = "assigned"
    UNAIDED = "unaided"
    AIDED = "aided"
    SUBMITTED = "submitted"


class Step(StrEnum):
    """What a reader does to a reading."""

    OPEN = "open"
    LOCK_UNAIDED = "lock_unaided"
    SUBMIT = "submit"


NEXT_STAGE = {
    (Stage.ASSIGNED, Step.OPEN): Stage.UNAIDED,
    (Stage.UNAIDED, Step.LOCK_UNAIDED): Stage.AIDED,
    (Stage.AIDED, Step.SUBMIT): Stage.SUBMITTED,
}

# The stages in which questions are answered, in order.
ANSWERING = (Stage.UNAIDED, Stage.AIDED)


def advance(stage: Stage, step: Step) -> Stage:
    """Return the stage after `step`; there is no way back.

    Raises:
        StepNotAllowed: `step` cannot be taken from `stage`.
    """
    if (stage, step) not in NEXT_STAGE:
        raise StepNotAllowed(
            f"A reading that is {stage} cannot take the step {step.replace('_', ' ')}.",
            stage=stage.value,
        )
    return NEXT_STAGE[stage, step]
