"""Analysis plans: they speak of what the protocol has, and say how it is tested."""

import copy
from pathlib import Path

import pytest
import yaml

from reader_study.domain.analysis import Endpoint, as_conditions, as_rating, named_conditions
from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.protocol import parse_protocol
from reader_study.domain.reading import Stage
from tests.domain.designs import EVERY_DESIGN, HYBRID
from tests.factories import a_protocol

PROTOCOLS = sorted((Path(__file__).parents[2] / "reader_study/protocols").glob("*.yaml"))


def a_plan(**changes):
    """The demonstration's plan with `changes` of its primary endpoint."""
    plan = copy.deepcopy(a_protocol()["analysis"])
    plan["primary"].update(changes)
    return plan


def mistakes(plan, **changes):
    with pytest.raises(ProtocolInvalid) as refusal:
        parse_protocol(a_protocol(**changes, analysis=plan))
    return {
        p["place"].removeprefix("analysis."): p["detail"] for p in refusal.value.more["problems"]
    }


@pytest.mark.parametrize("file", PROTOCOLS, ids=lambda file: file.stem)
def test_every_protocol_that_comes_along_has_a_plan_that_can_be_carried_out(file):
    protocol = parse_protocol(yaml.safe_load(file.read_text()))
    if not protocol.findings.has_given:
        assert protocol.analysis is None  # marks are analysed by `froc`
        return

    assert protocol.analysis is not None
    for endpoint in protocol.analysis.endpoints:
        first, second = as_conditions(protocol.design, endpoint.compare)
        assert set(first.shows) > set(second.shows)


@pytest.mark.parametrize("name", EVERY_DESIGN)
def test_every_condition_of_a_design_can_be_named_in_full(name):
    design = parse_protocol(a_protocol(design=EVERY_DESIGN[name])).design

    named = named_conditions(design)
    for arm in design.every_arm:
        for step in arm.stages:
            condition = named[f"{arm.name}/{step.stage}"]
            assert (condition.arm, condition.stage, condition.shows) == (arm.name, *_of(step))


def _of(step):
    return step.stage, step.shows


def test_a_short_name_stands_for_one_condition_only():
    named = named_conditions(parse_protocol(a_protocol(design=HYBRID)).design)

    assert "revised" not in named  # it has two stages
    assert named["at_once"] == named["at_once/aided"]
    assert named["revised/aided"].stage is Stage.AIDED


def test_names_that_do_not_exist_are_told_with_their_places():
    plan = a_plan(question="malignacy", compare=["aided", "unaidd"])
    plan["secondary"][0]["threshold"] = 101
    plan["secondary"][1]["question"] = "comment"
    plan["reading_time"]["compare"] = ["aided", "sequential/aided"]
    plan["agreement"] = ["margin", "size"]

    assert mistakes(plan) == {
        "primary.compare.1": "there is no condition 'unaidd', but unaided, aided",
        "primary.question": "there is no question 'malignacy'; did you mean 'malignancy'?",
        "secondary.0.threshold": "must be above 0 and at most 100, not 101",
        "secondary.1.question": "'comment' is a text; an endpoint needs answers with an order",
        "reading_time.compare": "compares a condition with itself",
        "agreement.1": "there is no question 'size'",
    }


@pytest.mark.parametrize(
    ("changes", "place", "says"),
    [
        ({"endpoint": "sensitivity"}, "threshold", "is missing"),
        ({"threshold": 5}, "threshold", "has no use"),
        ({"framework": "noninferiority"}, "margin", "is missing"),
        ({"margin": 0.05}, "margin", "has no use"),
        ({"framework": "equivalence", "margin": 0}, "margin", "must be more than 0"),
        ({"readers": "fixed", "cases": "fixed"}, "cases", "cannot both be fixed"),
        ({"method": "dbm", "covariance": "delong"}, "covariance", "jackknife pseudovalues"),
        ({"method": "ustat"}, "covariance", "has no use"),
        ({"question": "image_quality"}, "unit", "must be 'case'"),
        ({"question": "confidence", "endpoint": "sensitivity", "threshold": 3}, "threshold", "low"),
        ({"alpha": 5}, "alpha", "must be less than 0.5"),
    ],
)
def test_what_cannot_be_tested_is_told(changes, place, says):
    assert says in mistakes(a_plan(**changes))[f"primary.{place}"]


def test_an_endpoint_needs_a_question_that_everybody_answers():
    questionnaire = a_protocol()["questionnaire"]
    rating = next(q for q in questionnaire["nodule"] if q["name"] == "malignancy")
    rating["required"] = False

    assert (
        "not always answered" in mistakes(a_plan(), questionnaire=questionnaire)["primary.question"]
    )


def test_options_count_in_their_order_and_numbers_as_they_are():
    by_name = {q.name: q for q in parse_protocol(a_protocol()).questionnaire.nodule}

    assert [as_rating(by_name["confidence"], v) for v in ("low", "moderate", "high")] == [0, 1, 2]
    assert as_rating(by_name["malignancy"], 37) == 37.0
    for name, value in (("confidence", "none"), ("malignancy", "37"), ("further_features", [])):
        with pytest.raises(ValueError, match=value if isinstance(value, str) else "rating"):
            as_rating(by_name[name], value)


def test_fixed_effects_are_said_in_the_words_of_the_statistics():
    primary = a_protocol()["analysis"]["primary"]

    def effects(**changes):
        return Endpoint.model_validate({**primary, **changes}).effects

    assert effects() == "rrrc"
    assert effects(readers="fixed") == "frrc"
    assert effects(cases="fixed") == "rrfc"
