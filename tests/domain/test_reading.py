"""The stages of a reading."""

import itertools

import pytest

from reader_study.domain.errors import StepNotAllowed
from reader_study.domain.reading import NEXT_STAGE, Stage, Step, advance


def test_a_reading_goes_through_its_stages_in_order():
    stage = Stage.ASSIGNED
    for step in (Step.OPEN, Step.LOCK_UNAIDED, Step.SUBMIT):
        stage = advance(stage, step)
    assert stage is Stage.SUBMITTED


@pytest.mark.parametrize(
    ("stage", "step"), [p for p in itertools.product(Stage, Step) if p not in NEXT_STAGE]
)
def test_every_other_step_is_refused(stage, step):
    with pytest.raises(StepNotAllowed):
        advance(stage, step)


def test_no_step_leads_back():
    order = list(Stage)
    assert all(
        order.index(after) > order.index(before) for (before, _), after in NEXT_STAGE.items()
    )
