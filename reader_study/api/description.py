"""What the API's description says beyond the views: refusals, and the form of answers.

Answers are checked by `domain/answers.py`, not by serializers, so that their form is stated here.
"""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

Schema = dict[str, Any]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(says: str, required: list[str], **properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": says,
        "properties": properties,
        "required": required,
    }


_TEXT: Schema = {"type": "string"}
_VALUE: Schema = {
    "oneOf": [_TEXT, {"type": "number"}, {"type": "array", "items": _TEXT}],
}
COMPONENTS: dict[str, Schema] = {
    "PatientPoint": {
        "type": "array",
        "description": "Patient coordinates in mm: left, posterior, superior are positive.",
        "items": {"type": "number"},
        "minItems": 3,
        "maxItems": 3,
    },
    "Value": {
        "description": "An answer; one that is taken from the viewer names its measurement.",
        "oneOf": [
            {
                "type": "object",
                "properties": {"value": _VALUE, "measurement": _TEXT},
                "required": ["value"],
            },
            {
                "type": "object",
                "properties": {"cannot_assess": {"type": "boolean", "enum": [True]}},
                "required": ["cannot_assess"],
            },
        ],
    },
    "Section": {
        "type": "object",
        "description": "Answers of one section by question name; one not given is absent.",
        "additionalProperties": _ref("Value"),
    },
    "Measurement": _object(
        "Points in one plane of the patient. What they come to is computed, and never stored.",
        ["id", "kind", "plane", "series", "nodule", "points_mm"],
        id=_TEXT,
        kind={"type": "string", "enum": ["length", "bidirectional", "ellipse", "arrow"]},
        plane={
            "type": "string",
            "enum": ["axial", "sagittal", "coronal"],
            "description": "Where it was made, and where alone it is shown.",
        },
        series={"type": "integer"},
        nodule={
            "type": ["string", "null"],
            "description": "The nodule or mark it belongs to, by its id as text.",
        },
        points_mm={
            "type": "array",
            "items": _ref("PatientPoint"),
            "description": "The ends of one axis, then of the other; an arrow's tip first.",
        },
        text={"type": "string", "description": "What is said at an arrow."},
    ),
    "Mark": _object(
        "A finding that nobody told the reader about.",
        ["id", "series", "point_mm", "answers"],
        id=_TEXT,
        series={"type": "integer"},
        point_mm=_ref("PatientPoint"),
        answers=_ref("Section"),
    ),
    "Answers": _object(
        "What a reader says of a case, its nodules and what they marked themselves.",
        ["case", "nodules"],
        case=_ref("Section"),
        nodules={"type": "object", "additionalProperties": _ref("Section")},
        marks={"type": "array", "items": _ref("Mark")},
        no_finding={"type": "boolean", "description": "Said by a reader who has no mark."},
        measurements={"type": "array", "items": _ref("Measurement")},
    ),
    "Problem": _object(
        "A refusal: a code that is stable, a sentence for people, and what is wrong where.",
        ["code", "detail"],
        code=_TEXT,
        detail=_TEXT,
        problems={"type": "array", "items": {"type": "object", "additionalProperties": True}},
    ),
}
_REFUSED: Schema = {
    "description": "What was asked for was refused.",
    "content": {"application/json": {"schema": _ref("Problem")}},
}


@extend_schema_field(_ref("Answers"))
class AnswersField(serializers.JSONField):
    """A filled-in form."""


@extend_schema_field(_ref("Section"))
class SectionField(serializers.DictField):
    """Answers of one section; whether they fit their questions is the domain's to say."""


@extend_schema_field(_ref("PatientPoint"))
class PointField(serializers.ListField):
    """A point of the patient, LPS millimetres, or a direction there."""

    def __init__(self, **more: Any) -> None:
        super().__init__(child=serializers.FloatField(), min_length=3, max_length=3, **more)


def complete(result: Schema, generator: Any, request: Any, public: bool) -> Schema:  # noqa: ARG001
    """Add to a description what the views do not say: called by drf-spectacular."""
    schemas = result["components"].setdefault("schemas", {})
    for name, schema in COMPONENTS.items():
        assert name not in schemas, f"two components of the API are called {name}"
        schemas[name] = schema
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    for methods in result["paths"].values():
        for operation in methods.values():
            operation["responses"]["4XX"] = _REFUSED
    return result
