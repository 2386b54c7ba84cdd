"""What may be seen when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_study.domain.blinding import ARTEFACTS, Item, visible
from reader_study.domain.reading import Stage


@pytest.mark.parametrize("stage", [Stage.ASSIGNED, Stage.UNAIDED])
@given(condition=st.sets(st.sampled_from(Item)))
def test_before_the_lock_nothing_is_shown_under_any_condition(stage, condition):
    assert visible(stage, condition) == ()


@pytest.mark.parametrize("stage", [Stage.AIDED, Stage.SUBMITTED])
@given(condition=st.sets(st.sampled_from(Item)))
def test_after_it_the_condition_is_shown_and_never_the_truth(stage, condition):
    assert set(visible(stage, condition)) == condition & set(ARTEFACTS)
    assert Item.REFERENCE not in visible(stage, condition)
