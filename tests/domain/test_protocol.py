"""Protocols as files."""

import copy

import pytest

from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.protocol import parse_protocol, protocol_hash
from tests.factories import a_protocol


def test_the_demonstrations_protocol_can_be_run():
    assert parse_protocol(a_protocol()).design.kind == "sequential"


def test_the_hash_is_of_the_meaning_and_changes_with_it():
    document = a_protocol()
    other_order = dict(reversed(document.items()))
    changed = copy.deepcopy(document)
    changed["questionnaire"]["nodule"][0]["label"] = "Conspicuity"

    digest = protocol_hash(parse_protocol(document))
    assert protocol_hash(parse_protocol(other_order)) == digest
    assert protocol_hash(parse_protocol(changed)) != digest


def test_stored_and_read_again_it_is_the_same_protocol():
    protocol = parse_protocol(a_protocol())
    assert parse_protocol(protocol.model_dump(mode="json")) == protocol


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"title": ""}, "title"),
        ({"unknown": 1}, "unknown"),
        ({"design": {"kind": "sequential", "stages": [{"stage": "aided"}]}}, "design"),
        (
            {
                "design": {
                    "kind": "sequential",
                    "stages": [{"stage": "unaided", "shows": ["score"]}, {"stage": "aided"}],
                }
            },
            "design.stages.0",
        ),
        (
            {
                "design": {
                    "kind": "sequential",
                    "stages": [{"stage": "unaided"}, {"stage": "aided", "shows": ["reference"]}],
                }
            },
            "design.stages.1",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(change, place):
    with pytest.raises(ProtocolInvalid) as refusal:
        parse_protocol(a_protocol(**change))
    assert place in [problem["place"] for problem in refusal.value.more["problems"]]
