"""Designs that can be run, and what is said to those that cannot."""

import pytest

from reader_study.domain.blinding import Item
from reader_study.domain.design import Design, conditions, name_for_reader
from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.protocol import parse_protocol
from reader_study.domain.reading import PATHS, Stage
from tests.domain.designs import (
    CROSSOVER,
    EVERY_DESIGN,
    HYBRID,
    SEQUENTIAL,
    THREE_CONDITIONS,
    UNAIDED,
    aided,
    then_aided,
)
from tests.factories import a_protocol


@pytest.mark.parametrize("name", EVERY_DESIGN)
def test_every_design_of_the_field_is_a_protocol_that_survives_storage(name):
    protocol = parse_protocol(a_protocol(design=EVERY_DESIGN[name]))

    assert parse_protocol(protocol.model_dump(mode="json")) == protocol
    assert all(arm.path in PATHS for arm in protocol.design.every_arm)


def test_conditions_are_those_of_the_arms_in_order():
    found = conditions(Design.model_validate(THREE_CONDITIONS))

    assert [(c.arm, c.stage, c.shows) for c in found] == [
        ("unaided", Stage.UNAIDED, ()),
        ("score", Stage.AIDED, (Item.SCORE,)),
        ("explained", Stage.AIDED, (Item.SCORE, Item.SEMANTIC, Item.SALIENCY)),
    ]


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        ({"arms": [UNAIDED]}, "arms", "compares at least two arms"),
        ({"arms": [UNAIDED, {**aided("x", "score"), "name": "unaided"}]}, "arms.1.name", "already"),
        ({"arms": [aided("a", "score"), aided("b", "score")]}, "arms.1", "exactly like the arm"),
        ({"arms": [UNAIDED, aided("nothing")]}, "arms.1.stages.0", "at least one of"),
        ({"arms": [UNAIDED, then_aided("b", "score")]}, "arms.1.stages", "hybrid"),
        ({"arms": [UNAIDED, {"name": "b", "stages": []}]}, "arms.1.stages", "goes through one of"),
        ({"washout_days": None}, "washout_days", "is missing"),
        ({"washout_days": -1}, "washout_days", "at least 0"),
        ({"repeats": {"cases": 2}}, "repeats", "under which arm"),
        ({"repeats": {"cases": 2, "arm": "other"}}, "repeats.arm", "no arm 'other'"),
        ({"stages": SEQUENTIAL["stages"]}, "stages", "belong to each arm"),
        ({"case_sets": 0}, "case_sets", "at least 1"),
        ({"order": "willams"}, "order", "did you mean 'williams'"),
        ({**HYBRID, "arms": CROSSOVER["arms"]}, "kind", "is a crossover"),
        ({"kind": "sequential"}, "arms", "no arms"),
        ({**SEQUENTIAL, "arms": []}, "washout_days", "has no use"),
    ],
)
def test_a_design_that_cannot_be_run_is_told_where_and_why(change, place, says):
    with pytest.raises(ProtocolInvalid) as refusal:
        parse_protocol(a_protocol(design={**CROSSOVER, **change}))

    told = {p["place"]: p["detail"] for p in refusal.value.more["problems"]}
    assert says in told[f"design.{place}"]


def test_a_case_that_comes_back_is_known_to_the_reader_by_its_place_only():
    once, twice = (Design.model_validate(d) for d in (SEQUENTIAL, CROSSOVER))

    assert name_for_reader(once, "C0007", 1, 3) == "C0007"
    assert name_for_reader(twice, "C0007", 2, 3) == "Case 2.03"
    assert name_for_reader(twice, "C0007", 0, 3) == "Training case 3"
