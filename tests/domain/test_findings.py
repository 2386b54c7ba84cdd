"""What readers find by themselves: marks, no finding, and what a mark is on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_study.domain.answers import each_answer, find_problems, only_asked
from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.findings import Findings, Hit, Lesion, Marked, froc_tables, match
from reader_study.domain.protocol import parse_protocol
from reader_study.domain.questionnaire import Questionnaire
from reader_study.statistics.commands.marks import read_marks
from reader_study.statistics.tables import read_table
from tests.factories import a_protocol

ONE, TWO = (f"{n}1111111-1111-4111-8111-111111111111" for n in "12")
RATING = {"name": "rating", "label": "Rating", "kind": "scale", "scale": {"min": 1, "max": 5}}
FORM = Questionnaire.model_validate(
    {
        "mark": [RATING],
        "nodule": [
            {
                "name": "kind",
                "label": "Kind",
                "kind": "single_choice",
                "options": [{"value": "solid", "label": "Solid"}, {"value": "other", "label": "-"}],
            },
            {
                "name": "words",
                "label": "Words",
                "kind": "text",
                "when": {"question": "kind", "is": "other"},
            },
        ],
    }
)


def a_mark(key=ONE, point=(1.0, 2.0, 3.0), **answers):
    given = {"rating": {"value": 3}, "kind": {"value": "solid"}, **answers}
    return {"id": key, "series": 3, "point_mm": list(point), "answers": given}


def problems(answers, *, findings=Findings.FREE_RESPONSE, complete=True, locked=None):
    found = find_problems(
        FORM,
        [],
        answers,
        complete=complete,
        findings=findings,
        volumes={3: None},
        locked=locked,
    )
    return [(p.mark, p.question) for p in found]


def test_marks_and_no_finding_are_answers():
    assert problems({"marks": [a_mark(), a_mark(TWO)]}) == []
    assert problems({"no_finding": True}) == []
    assert problems({}, complete=False) == []


def test_nothing_said_is_no_answer_and_both_are_none():
    assert problems({}) == [(None, "no_finding")]
    assert problems({"no_finding": False, "marks": []}) == [(None, "no_finding")]
    assert problems({"no_finding": True, "marks": [a_mark()]}, complete=False) == [
        (None, "no_finding")
    ]


def test_a_mark_is_asked_what_a_nodule_is_and_a_rating():
    assert problems({"marks": [{**a_mark(), "answers": {}}]}) == [(ONE, "rating"), (ONE, "kind")]
    assert problems({"marks": [a_mark(rating={"value": 6})]}) == [(ONE, "rating")]
    assert problems({"marks": [a_mark(size={"value": 6})]}) == [(ONE, "size")]


@pytest.mark.parametrize(
    "marks",
    [
        "marks",
        [5],
        [{}],
        [{**a_mark(), "x": 1}],
        [a_mark("one")],
        [a_mark(point=(1, 2))],
        [a_mark(point=(1, 2, float("inf")))],
        [{**a_mark(), "series": 4}],
        [a_mark(), a_mark()],
        [a_mark(f"{n:08x}-1111-4111-8111-111111111111") for n in range(101)],
    ],
)
def test_marks_of_another_form_are_refused(marks):
    assert problems({"marks": marks}, complete=False) == [(None, "marks")]


def test_a_study_without_marks_takes_none():
    given = Findings.GIVEN
    assert problems({"marks": [a_mark()]}, findings=given) == [(None, "marks")]
    assert problems({"no_finding": True}, findings=given) == [(None, "marks")]
    assert problems({}, findings=given) == []


def test_marks_of_the_locked_answer_stay_and_their_ratings_may_change():
    locked = {"marks": [a_mark()]}
    assert problems({"marks": [a_mark(rating={"value": 5}), a_mark(TWO)]}, locked=locked) == []
    assert problems({"marks": [a_mark(point=(1, 2, 4))]}, locked=locked) == [(ONE, "marks")]
    assert problems({"marks": [a_mark(TWO)]}, locked=locked) == [(ONE, "marks")]
    assert problems({"no_finding": True}, locked=locked) == [(ONE, "marks")]


def test_answers_are_taken_apart_with_their_marks():
    words = {"words": {"value": "left over"}}
    answers = only_asked(FORM, {"marks": [a_mark(**words)], "measurements": []})
    assert [(g.mark, g.question, g.value) for g in each_answer(answers)] == [
        (ONE, "rating", 3),
        (ONE, "kind", "solid"),
    ]
    (given,) = each_answer({"no_finding": True})
    assert (given.nodule, given.mark, given.question, given.value) == (
        None,
        None,
        "no_finding",
        True,
    )


@pytest.mark.parametrize(
    ("findings", "mark", "says"),
    [
        ("free_response", [], "ask here for a 'rating'"),
        ("both", [{**RATING, "cannot_assess": True}], "always answered"),
        ("both", [{**RATING, "name": "doubt"}], "always answered"),
        ("given", [RATING], "nothing is marked"),
    ],
)
def test_a_protocol_ranks_marks_if_there_are_any(findings, mark, says):
    form = {**a_protocol()["questionnaire"], "mark": mark}
    with pytest.raises(ProtocolInvalid, match=says):
        parse_protocol(a_protocol(findings=findings, questionnaire=form))


# What marks are on

BIG = Lesion("big", (0, 0, 0), 30.0)
SMALL = Lesion("small", (20, 0, 0), 4.0)


def test_a_mark_is_on_the_nearest_lesion_that_accepts_it():
    marks = [(14.0, 0, 0), (15.1, 0, 0), (0, 15.1, 0), (23, 0, 0), (25.1, 0, 0)]
    assert match(marks, [BIG, SMALL], acceptance_mm=5) == [
        Hit("big"),
        Hit("small", again=True),  # 4.9 mm away, and (23, 0, 0) is nearer
        Hit(None),
        Hit("small"),
        Hit(None),
    ]


def test_two_marks_share_two_lesions_instead_of_the_nearer_one():
    # Both are nearest to the big one; the farther mark gets what is left.
    marks = [(9.0, 0, 0), (15.5, 0, 0)]
    lesions = [Lesion("a", (10, 0, 0), 20), Lesion("b", (20, 0, 0), 20)]
    assert match(marks, lesions, acceptance_mm=5) == [Hit("a"), Hit("b")]


places = st.tuples(*[st.integers(-20, 20).map(float)] * 3)


@given(st.lists(places, max_size=6), st.lists(places, max_size=4), st.integers(0, 15))
def test_no_lesion_has_two_marks_and_none_is_beyond_its_radius(marks, centres, acceptance):
    lesions = [Lesion(str(n), centre, 8.0) for n, centre in enumerate(centres)]
    hits = match(marks, lesions, acceptance_mm=acceptance)
    first = [hit.lesion for hit in hits if hit.lesion and not hit.again]
    assert len(first) == len(set(first))
    radius = max(4, acceptance)
    for mark, hit in zip(marks, hits, strict=True):
        near = [
            lesion.name
            for lesion in lesions
            if sum((a - b) ** 2 for a, b in zip(mark, lesion.centre_mm, strict=True)) <= radius**2
        ]
        assert hit.lesion in near if near else hit == Hit(None)


def test_marks_and_lesions_are_read_by_the_statistics(tmp_path):
    lesions = {"one": [BIG, SMALL], "two": []}
    marks = [
        Marked("R1", "one", "unaided", (1.0, 0, 0), 80.0),
        Marked("R1", "one", "unaided", (2.0, 0, 0), 90.0),  # again
        Marked("R1", "one", "unaided", (0, 90.0, 0), 10.0),
        Marked("R1", "two", "unaided", (0, 0, 0), 20.0),
        Marked("R1", "one", "aided", (20.0, 1, 0), 55.0),
    ]
    rows, truth = froc_tables(marks, lesions, acceptance_mm=5)
    tables = {
        "marks": [("reader", "case", "modality", "mark", "lesion_id", "rating"), *rows],
        "truth": [("case", "truth", "lesion_id"), *truth],
    }
    for name, table in tables.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(",".join(row) for row in table))
    read = [read_table(tmp_path / f"{name}.csv") for name in tables]
    found, modalities, readers = read_marks(*read)

    assert (modalities, readers) == (["aided", "unaided"], ["R1"])
    assert found.lesions.tolist() == [[float("-inf"), 55.0], [80.0, float("-inf")]]
    assert found.elsewhere.tolist() == [[float("-inf")] * 2, [10.0, 20.0]]
    assert found.malignant.tolist() == [True, False]
