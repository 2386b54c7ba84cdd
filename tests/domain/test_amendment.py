"""Changes of a protocol, and which of them a study can take at which time."""

import copy

import pytest

from reader_study.domain.amendment import Phase, changes, refused
from reader_study.domain.protocol import parse_protocol
from tests.domain.designs import CROSSOVER
from tests.factories import a_protocol


def pair(change, **parts):
    """A protocol before and after `change` was done to its document."""
    before = a_protocol(**parts)
    after = copy.deepcopy(before)
    change(after)
    return parse_protocol(before), parse_protocol(after)


def relabel(document):
    document["questionnaire"]["nodule"][1]["label"] = "Border"


def ask_more(document):
    question = {"name": "location", "label": "Location", "kind": "text"}
    document["questionnaire"]["nodule"].insert(0, question)


def ask_less(document):
    del document["questionnaire"]["case"][1]


def ask_in_another_order(document):
    document["questionnaire"]["nodule"][:2] = document["questionnaire"]["nodule"][1::-1]


def another_margin(document):
    document["analysis"]["secondary"][1]["margin"] = 0.1


def another_seed(document):
    document["allocation"]["seed"] = 1


def show_less(document):
    document["design"]["stages"][1]["shows"] = ["score"]


def train(document):
    document["design"]["training"] = {"cases": 2}


def wait_longer(document):
    document["design"]["washout_days"] = 35


def another_model(document):
    document["ai"]["model"] = "another"


def another_scale(document):
    rating = next(q for q in document["questionnaire"]["nodule"] if q["name"] == "malignancy")
    rating["scale"]["max"] = 10
    for endpoint in document["analysis"]["secondary"]:
        endpoint["threshold"] = 5


def a_new_endpoint(document):
    ask_more(document)
    question = document["questionnaire"]["nodule"][0]
    question |= {"name": "urgency", "kind": "scale", "scale": {"min": 0, "max": 9}}
    document["analysis"]["primary"]["question"] = "urgency"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (relabel, ["questionnaire.nodule.margin.label: 'Margin' → 'Border'"]),
        (ask_more, ["questionnaire.nodule.location: added"]),
        (ask_less, ["questionnaire.case.comment: removed"]),
        (ask_in_another_order, ["questionnaire.nodule: moved"]),
        (another_margin, ["analysis.secondary.specificity.margin: 0.05 → 0.1"]),
        (another_seed, ["allocation.seed: 20250429 → 1"]),
        (show_less, ["design.stages.aided.shows: changed"]),
        (train, ["design.training: added"]),
        (lambda document: None, []),
    ],
)
def test_every_difference_is_told_by_the_names_of_what_it_is_in(change, told):
    assert list(map(str, changes(*pair(change)))) == told


@pytest.mark.parametrize(
    "change", [relabel, ask_more, ask_less, ask_in_another_order, another_margin]
)
@pytest.mark.parametrize("phase", Phase)
def test_what_leaves_the_plan_as_it_is_can_change_at_any_time(change, phase):
    assert refused(*pair(change), phase) == []


@pytest.mark.parametrize("change", [another_seed, show_less, train])
def test_what_would_deal_a_running_study_out_anew_is_refused_at_its_place(change):
    before, after = pair(change)
    (difference,) = changes(before, after)

    assert refused(before, after, Phase.DRAFT) == []
    for phase in (Phase.ALLOCATED, Phase.BEGUN):
        (mistake,) = refused(before, after, phase)
        assert mistake.place == difference.place
        assert "dealt out by it" in mistake.detail


def test_a_washout_can_be_lengthened_and_arms_cannot_be_touched():
    assert refused(*pair(wait_longer, design=CROSSOVER), Phase.BEGUN) == []

    def rename(document):
        document["design"]["arms"][1]["name"] = "other"

    places = {mistake.place for mistake in refused(*pair(rename, design=CROSSOVER), Phase.BEGUN)}
    assert places == {("design", "arms", 1), ("design", "arms")}


def test_another_model_can_be_shown_until_the_first_reading():
    assert refused(*pair(another_model), Phase.ALLOCATED) == []
    (mistake,) = refused(*pair(another_model), Phase.BEGUN)
    assert mistake.place == ("ai", "model")


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        (another_scale, ("questionnaire", "nodule", 7), "could not be analysed together"),
        (a_new_endpoint, ("analysis", "primary", "question"), "was not asked"),
    ],
)
def test_an_endpoint_keeps_what_its_question_can_be_answered_with(change, place, says):
    assert refused(*pair(change), Phase.ALLOCATED) == []
    mistakes = {mistake.place: mistake.detail for mistake in refused(*pair(change), Phase.BEGUN)}
    assert says in mistakes[place]
