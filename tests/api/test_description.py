"""The API's description is what the site does, and the front end's types are made from it."""

import pytest
from django.core.management import CommandError, call_command

from reader_study.api.desk.studies import StudyView
from reader_study.management.commands import describe_api
from reader_study.management.typescript import types


def test_the_description_and_the_types_made_from_it_are_current():
    call_command("describe_api", check=True)


def test_what_is_not_current_and_what_had_to_be_guessed_is_told(tmp_path, monkeypatch, settings):
    settings.BASE_DIR = tmp_path
    with pytest.raises(CommandError, match=r"openapi.yaml is not current"):
        call_command("describe_api", check=True)
    monkeypatch.setattr(StudyView, "get", lambda view, request, slug: None)
    with pytest.raises(CommandError, match="guess"):
        describe_api.described()


def test_types_are_of_what_is_used_and_say_what_may_be_absent_or_null():
    point = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
    nodule = {
        "type": "object",
        "description": "A nodule.",
        "properties": {
            "at": {"$ref": "#/components/schemas/Point"},
            "size": {"type": ["number", "null"]},
            "kind": {"type": "string", "enum": ["solid", "other"]},
        },
        "required": ["at", "size"],
    }
    answer = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nodule"}}}}
    description = {
        "paths": {"/a": {"get": {"responses": {"200": answer}}}, "/b": {}},
        "components": {"schemas": {"Nodule": nodule, "Point": point, "Unused": point}},
    }

    assert types(description, ("/a",)).split("\n\n")[1:] == [
        "/** A nodule. */\nexport interface Nodule {\n  at: Point\n  size: number | null\n"
        "  kind?: 'solid' | 'other'\n}",
        "export type Point = readonly [number, number, number]\n",
    ]
