"""What a truth panel is asked: as the protocol states it, and else as it always was."""

import pytest

from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.panel_form import PanelForm
from reader_study.domain.protocol import parse_protocol, protocol_hash
from tests.factories import a_protocol

WHY = {
    "name": "why",
    "label": "What decided it",
    "kind": "single_choice",
    "options": [{"value": "growth", "label": "Growth"}, {"value": "shape", "label": "Shape"}],
}
DAYS = {
    "name": "days",
    "label": "Doubling time",
    "kind": "number",
    "unit": "days",
    "when": {"question": "why", "is": "growth"},
}


def with_panel(**form):
    panel = {"reads": 2, **({"form": form} if form else {})}
    return parse_protocol(a_protocol(truth={"panel": panel}))


def test_a_protocol_without_a_form_keeps_its_hash_and_asks_what_it_always_asked():
    # As it was before a protocol could state the form.
    plain = with_panel()
    assert protocol_hash(plain) == (
        "f95dcbd382f00627f26bf0443139c74d6c05577ba501f1050fd67347e0f68105"
    )
    written_out = with_panel(**PanelForm().model_dump(mode="json"))
    assert protocol_hash(written_out) == protocol_hash(plain)
    assert "form" not in plain.model_dump(mode="json")["truth"]["panel"]
    assert protocol_hash(with_panel(note="none")) != protocol_hash(plain)
    assert list(plain.truth.panel.form.offered) == ["malignant", "benign", "undetermined"]


@pytest.mark.parametrize(
    ("questions", "place", "says"),
    [
        ([WHY, WHY], "questions.1.name", "two questions"),
        ([{**WHY, "name": "note"}], "questions.0.name", "an answer of its own"),
        ([{**WHY, "semantic": True}], "questions.0.semantic", "no AI"),
        ([DAYS], "questions.0.when.question", "asked before"),
        (
            [
                {
                    "name": "d",
                    "label": "d",
                    "kind": "measurement",
                    "unit": "mm",
                    "measures": "long_axis",
                }
            ],
            "questions.0.kind",
            "nothing from the viewer",
        ),
    ],
)
def test_a_form_that_cannot_be_asked_is_refused_with_its_place(questions, place, says):
    with pytest.raises(ProtocolInvalid) as refused:
        with_panel(questions=questions)

    (problem,) = refused.value.more["problems"]
    assert problem["place"].endswith(place)
    assert says in problem["detail"]


def test_answers_are_those_to_what_is_asked_and_are_told_in_words():
    form = PanelForm.model_validate({"questions": [WHY, DAYS]})
    growth = {"why": {"value": "growth"}, "days": {"value": 90}}
    shape = {**growth, "why": {"value": "shape"}}

    assert form.problems(form.asked(growth)) == []
    assert form.asked(shape) == {"why": {"value": "shape"}}
    assert [each.question for each in form.problems({"why": {"value": "growth"}})] == ["days"]
    assert [each.question for each in form.problems({"why": {"value": "luck"}})] == ["why"]
    assert list(form.in_words(growth)) == [
        ("What decided it", "Growth"),
        ("Doubling time", "90 days"),
    ]
