"""Protocols as files."""

import copy
import json
from pathlib import Path

import pytest

from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.protocol import parse_protocol, protocol_hash, protocol_schema
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


def test_a_protocol_keeps_its_hash_when_the_format_grows():
    # As it was before designs had arms, sessions, repeats and restrictions, and studies a plan,
    # and models similar nodules to show.
    document = a_protocol()
    document["design"]["stages"][1]["shows"].remove("similar")
    del document["analysis"]
    assert protocol_hash(parse_protocol(document)) == (
        "22448e2442706f0d8faa8d43f9235f68442f22a4be7c5f41d2337bd6874bb827"
    )


def test_the_published_schema_is_that_of_the_code():
    published = Path(__file__).parents[2] / "docs" / "protocol.schema.json"

    # Anew by: manage.py compile_protocol --schema > docs/protocol.schema.json
    assert json.loads(published.read_text()) == protocol_schema()


def test_stored_and_read_again_it_is_the_same_protocol():
    protocol = parse_protocol(a_protocol())
    assert parse_protocol(protocol.model_dump(mode="json")) == protocol


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"title": ""}, "title"),
        ({"unknown": 1}, "unknown"),
        ({"design": {"kind": "sequential", "stages": [{"stage": "aided"}]}}, "design.stages"),
        (
            {
                "design": {
                    "kind": "sequential",
                    "stages": [{"stage": "unaided", "shows": ["score"]}, {"stage": "aided"}],
                }
            },
            "design.stages.0.shows",
        ),
        (
            {
                "design": {
                    "kind": "sequential",
                    "stages": [{"stage": "unaided"}, {"stage": "aided", "shows": ["reference"]}],
                }
            },
            "design.stages.1.shows",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(change, place):
    with pytest.raises(ProtocolInvalid) as refusal:
        parse_protocol(a_protocol(**change))
    assert place in [problem["place"] for problem in refusal.value.more["problems"]]
