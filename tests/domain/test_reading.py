"""The stages of a reading."""

import itertools

import pytest

from reader_study.domain.errors import StepNotAllowed
from reader_study.domain.reading import ANSWERING, PATHS, Stage, Step, advance

WAYS = {
    ANSWERING: (Step.OPEN, Step.LOCK_UNAIDED, Step.SUBMIT),
    (Stage.UNAIDED,): (Step.OPEN, Step.SUBMIT),
    (Stage.AIDED,): (Step.OPEN, Step.SUBMIT),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_reading_goes_through_the_stages_of_its_path_and_no_others(path):
    stage, passed = Stage.ASSIGNED, []
    for step in WAYS[path]:
        stage = advance(stage, step, path)
        passed.append(stage)
    assert passed == [*path, Stage.SUBMITTED]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("stage", "step"), [*itertools.product(Stage, Step)])
def test_every_other_step_is_refused(path, stage, step):
    if (stage, step) not in PATHS[path]:
        with pytest.raises(StepNotAllowed):
            advance(stage, step, path)


@pytest.mark.parametrize("path", PATHS)
def test_only_unlocking_leads_back_and_to_the_last_stage_only(path):
    order = list(Stage)
    back = {
        step: after
        for (before, step), after in PATHS[path].items()
        if order.index(after) <= order.index(before)
    }
    assert back == {Step.UNLOCK: path[-1]}
