"""When an answer fits its question, and when a form is complete."""

import pytest
from pydantic import ValidationError

from reader_study.domain.questionnaire import Questionnaire, each_answer, find_problems

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
        (None, "comment", "ok", False),
        ("7", "margin", None, True),
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
