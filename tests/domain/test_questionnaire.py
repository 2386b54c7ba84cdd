"""When an answer fits its question, and when a form is complete."""

import pytest
from pydantic import ValidationError

from reader_study.domain.answers import asked_of, each_answer, find_problems, only_asked
from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.protocol import parse_protocol
from reader_study.domain.protocol_file import read_protocol
from reader_study.domain.questionnaire import Questionnaire
from tests.factories import DEMONSTRATION, a_protocol

CHOICE = {
    "label": "Choice",
    "kind": "single_choice",
    "options": [{"value": "yes", "label": "Yes"}, {"value": "no", "label": "No"}],
}
LUNG_RADS_RULE = {
    "rule": "lung_rads",
    "type": "words",
    "diameter_mm": "words",
    "solid_mm": "words",
    "change": "first",
    "reason": "words",
}

FORM = Questionnaire.model_validate(
    {
        "case": [{"name": "comment", "label": "Comment", "kind": "text", "required": False}],
        "nodule": [
            {
                "name": "margin",
                "label": "Margin",
                "kind": "single_choice",
                "cannot_assess": True,
                "options": [
                    {"value": "smooth", "label": "Smooth"},
                    {"value": "spiculated", "label": "Spiculated"},
                ],
            },
            {"name": "malignancy", "label": "Malignancy", "kind": "scale", "scale": {}},
            {
                "name": "features",
                "label": "Features",
                "kind": "multiple_choice",
                "required": False,
                "options": [
                    {"value": "a", "label": "A"},
                    {"value": "b", "label": "B"},
                    {"value": "none", "label": "None", "exclusive": True},
                ],
            },
            {"name": "size", "label": "Size", "kind": "number", "unit": "mm", "required": False},
        ],
    }
)


def problems(answers, *, complete=False):
    found = find_problems(FORM, ["7"], answers, complete=complete)
    return [(p.nodule, p.question) for p in found]


def about(**answers):
    return {"case": {}, "nodules": {"7": answers}}


GOOD = about(margin={"value": "smooth"}, malignancy={"value": 0})


def test_a_filled_in_form_has_no_problem():
    assert problems(GOOD, complete=True) == []


def test_an_empty_form_is_a_good_draft_and_not_complete():
    assert problems(about()) == []
    assert problems({}) == []
    assert problems(about(), complete=True) == [("7", "margin"), ("7", "malignancy")]


def test_cannot_be_assessed_answers_where_it_is_offered_only():
    assert (
        problems(about(margin={"cannot_assess": True}, malignancy={"value": 1}), complete=True)
        == []
    )
    assert problems(about(malignancy={"cannot_assess": True})) == [("7", "malignancy")]


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("margin", "jagged"),
        ("margin", ["smooth"]),
        ("margin", None),
        ("malignancy", 101),
        ("malignancy", -1),
        ("malignancy", "50"),
        ("malignancy", True),
        ("malignancy", float("nan")),
        ("features", ["a", "a"]),
        ("features", ["c"]),
        ("features", ["a", "none"]),
        ("features", "a"),
        ("features", [1]),
        ("size", float("inf")),
        ("unknown", 1),
    ],
)
def test_an_answer_that_does_not_fit_is_named(question, value):
    assert problems(about(**{question: {"value": value}})) == [("7", question)]


@pytest.mark.parametrize("answer", [{}, {"value": 1, "cannot_assess": True}, 5, None, []])
def test_an_answer_of_another_form_is_named(answer):
    assert problems(about(malignancy=answer)) == [("7", "malignancy")]


@pytest.mark.parametrize(
    "answers",
    [[], {"nodules": []}, {"cases": {}}, {"case": 1, "nodules": {}}, {"nodules": {"7": 1}}],
)
def test_a_form_of_another_shape_is_refused(answers):
    assert problems(answers) != []


def test_a_nodule_of_another_case_is_refused():
    assert problems({"nodules": {"8": {}}}) == [("8", "")]


def test_a_text_has_a_limit_and_is_not_blank():
    assert problems({"case": {"comment": {"value": "x" * 2001}}}) == [(None, "comment")]
    assert problems({"case": {"comment": {"value": " "}}}) == [(None, "comment")]


def test_answers_are_taken_apart_with_their_place():
    answers = {
        "case": {"comment": {"value": "ok"}},
        "nodules": {"7": {"margin": {"cannot_assess": True}}},
    }

    assert list(each_answer(answers)) == [
        (None, "comment", "ok", False, None),
        ("7", "margin", None, True, None),
    ]


@pytest.mark.parametrize(
    "question",
    [
        {"name": "a", "label": "A", "kind": "single_choice"},
        {"name": "a", "label": "A", "kind": "scale"},
        {"name": "a", "label": "A", "kind": "text", "options": [{"value": "x", "label": "X"}]},
        {"name": "a", "label": "A", "kind": "scale", "scale": {"min": 5, "max": 5}},
        {"name": "A b", "label": "A", "kind": "text"},
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(question):
    with pytest.raises(ValidationError):
        Questionnaire.model_validate({"nodule": [question]})


# Questions that hang on others

PROTOCOLS = DEMONSTRATION.parent
LUNG_RADS = read_protocol((PROTOCOLS / "lung_rads.yaml").read_text()).questionnaire


def rated(**values):
    return {name: {"value": value} for name, value in values.items()}


SOLID = rated(consistency="solid", diameter=9.0, change="baseline", lung_rads="4a", malignancy=40)
GOOD_CASE = rated(image_quality="diagnostic")


def found(nodule=SOLID, case=GOOD_CASE):
    answers = {"case": case, "nodules": {"7": nodule}}
    return [(p.question, p.detail) for p in find_problems(LUNG_RADS, ["7"], answers, complete=True)]


def test_a_question_is_asked_with_the_answers_its_condition_names_only():
    part_solid = {**SOLID, **rated(consistency="part_solid")}

    assert found() == []
    assert [name for name, _ in found(part_solid)] == ["solid_diameter"]
    assert found({**part_solid, **rated(solid_diameter=6.0)}) == []
    assert [name for name, _ in found(case=rated(image_quality="limited"))] == ["limited_by"]


def test_a_question_on_a_question_that_is_not_asked_is_not_asked():
    chain = Questionnaire.model_validate(
        {
            "nodule": [
                {**CHOICE, "name": "a"},
                {**CHOICE, "name": "b", "when": {"question": "a", "is": "yes"}},
                {**CHOICE, "name": "c", "when": {"question": "b", "is": "yes"}},
            ]
        }
    )
    answers = rated(a="no", b="yes", c="yes")

    assert [q.name for q in asked_of(chain.nodule, answers)] == ["a"]
    assert [q.name for q in asked_of(chain.nodule, {**answers, **rated(a="yes")})] == [*"abc"]
    assert only_asked(chain, {"nodules": {"7": answers}}) == {"nodules": {"7": rated(a="no")}}


def test_a_condition_on_several_options_holds_with_any_of_them():
    features = Questionnaire.model_validate(
        {
            "nodule": [
                {**CHOICE, "name": "a", "kind": "multiple_choice"},
                {**CHOICE, "name": "b", "when": {"question": "a", "is": ["yes"]}},
            ]
        }
    ).nodule

    assert len(asked_of(features, rated(a=["no", "yes"]))) == 2
    assert len(asked_of(features, rated(a=["no"]))) == 1
    assert len(asked_of(features, {"a": {"cannot_assess": True}})) == 1


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        ({"when": {"question": "later", "is": "yes"}}, "when.question", "no question 'later'"),
        ({"when": {"question": "first", "is": "maybe"}}, "when.is", "is no option of 'first'"),
        ({"when": {"question": "words", "is": "yes"}}, "when.question", "is no choice"),
        ({"computed": {**LUNG_RADS_RULE, "reason": "x"}}, "computed.reason", "no question 'x'"),
        ({"computed": LUNG_RADS_RULE}, "options", "the category '2' is missing"),
        ({"computed": LUNG_RADS_RULE}, "computed.type", "is of the kind text"),
    ],
)
def test_a_condition_that_cannot_hold_is_told_with_its_place(change, place, says):
    nodule = [
        {**CHOICE, "name": "first"},
        {"name": "words", "label": "Words", "kind": "text"},
        {**CHOICE, "name": "second", **change},
        {**CHOICE, "name": "later"},
    ]
    with pytest.raises(ProtocolInvalid) as refusal:
        parse_protocol(a_protocol(questionnaire={"nodule": nodule}))

    told = {p["place"]: p["detail"] for p in refusal.value.more["problems"]}
    assert says in told[f"questionnaire.nodule.2.{place}"]


# Lung-RADS


def test_another_category_than_the_computed_one_needs_a_reason():
    other = {**SOLID, **rated(lung_rads="4x")}

    assert found(other) == [
        (
            "lung_rads",
            "By type, size and change this is 4A: choose it, or say why not in"
            " 'Why another category'",
        )
    ]
    assert found({**other, **rated(lung_rads_reason="Spiculated.")}) == []


def test_where_nothing_can_be_computed_any_category_will_do():
    strange = {**SOLID, **rated(consistency="part_solid", solid_diameter=12.0, lung_rads="3")}

    assert found(strange) == []  # the solid part is said to be larger than the whole


def test_a_number_keeps_within_its_bounds():
    assert [name for name, _ in found({**SOLID, **rated(diameter=0.0)})] == ["diameter"]
    large = rated(diameter=201.0, lung_rads="4b")
    assert [name for name, _ in found({**SOLID, **large})] == ["diameter"]


@pytest.mark.parametrize("file", sorted(PROTOCOLS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_ready_made_protocol_can_be_run(file):
    protocol = read_protocol(file.read_text())

    assert parse_protocol(protocol.model_dump(mode="json")) == protocol


def test_the_lidc_form_has_the_scales_of_lidc():
    form = read_protocol((PROTOCOLS / "lidc.yaml").read_text()).questionnaire.nodule

    # As in pylidc's Annotation: how many grades each characteristic has.
    assert [len(question.options) for question in form] == [5, 4, 6, 5, 5, 5, 5, 5, 5]
    for question in form:
        grades = [option.value for option in question.options]
        assert grades == [str(n) for n in range(1, len(grades) + 1)]
