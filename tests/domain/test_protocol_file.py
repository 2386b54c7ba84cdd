"""Protocols as files: what is said, and of which line."""

import json

import pytest

from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.protocol import parse_protocol
from reader_study.domain.protocol_file import read_protocol
from tests.factories import DEMONSTRATION, a_protocol

TEN_MISTAKES = """\
protocol: 1
titel: Ten mistakes
design:
  kind: crosover
  arms: []
  washout_days: four weeks
opens: when_ready
opens: by_coordinator
allocation:
  seed: 1.5
  restrictions: {max_positives_in_a_row: 1}
ai:
  model: ../secret
questionnaire:
  nodule:
    - {name: Margin, label: Margin, kind: text}
    - {name: size, label: Size, kind: single_choice, options: []}
    - {name: rating, label: Rating, kind: scale, scale: {min: 100, max: 0}}
"""

TOLD = [
    (1, "title", "is missing"),
    (2, "titel", "is not known here; did you mean 'title'?"),
    (
        4,
        "design.kind",
        "must be 'sequential', 'crossover' or 'hybrid', not 'crosover'; did you mean 'crossover'?",
    ),
    (6, "design.washout_days", "must be a whole number, not 'four weeks'"),
    (8, "opens", "is written twice, on the lines 7 and 8"),
    (10, "allocation.seed", "must be a whole number, not 1.5"),
    (11, "allocation.restrictions.max_positives_in_a_row", "must be at least 2, not 1"),
    (13, "ai.model", "is no name that can be used: '../secret'"),
    (
        16,
        "questionnaire.nodule.0.name",
        "is no name that can be used: 'Margin' (small letters, digits and _, beginning with a"
        " letter)",
    ),
    (17, "questionnaire.nodule.1", "the choice 'size' needs at least two options"),
    (18, "questionnaire.nodule.2.scale", "the scale ends (0) before it begins (100)"),
]


def refused(text):
    with pytest.raises(ProtocolInvalid) as refusal:
        read_protocol(text)
    return [(p["line"], p["place"], p["detail"]) for p in refusal.value.more["problems"]]


def test_ten_mistakes_and_a_misspelt_title_are_all_told_at_once_with_their_lines():
    assert refused(TEN_MISTAKES) == TOLD


def test_a_file_in_yaml_and_in_json_is_the_same_protocol():
    read = read_protocol(DEMONSTRATION.read_text())

    assert read == read_protocol(json.dumps(a_protocol(), indent=1)) == parse_protocol(a_protocol())


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("protocol: 1\n  title: x\n", 2, "cannot be read: mapping values are not allowed here"),
        ("", 1, "is no protocol"),
        ("- a\n- b\n", 1, "is no protocol"),
        ("a: 1\nb: &x [1]\nc: *x\n", 3, "write out what *x refers to"),
        ("a: 2026-02-30\n", 1, "cannot be read"),
        ("protocol: 1\n1: 2\n", 2, "is no name"),
        ("a: \x00\n", 1, "cannot be read"),
        ("? [a, b]\n: 1\n", 1, ""),
    ],
)
def test_a_file_that_is_no_protocol_is_refused_with_a_line(text, line, says):
    told = refused(text)

    assert any(at == line and detail.startswith(says) for at, _, detail in told)
