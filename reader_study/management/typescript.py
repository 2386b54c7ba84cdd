"""TypeScript types of the API's components, made from its OpenAPI description.

The front end is checked by TypeScript 7, for which the usual generators are not made yet; what
our description uses of JSON Schema is little.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
_REF = "#/components/schemas/"
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}


def types(description: Schema, paths: tuple[str, ...]) -> str:
    """Return the types of what the operations below `paths` receive and send, in a module."""
    schemas = description["components"]["schemas"]
    used: set[str] = set()
    todo = [
        name
        for path, methods in description["paths"].items()
        if path.startswith(paths)
        for name in _named(methods)
    ]
    while todo:
        name = todo.pop()
        if name not in used:
            used.add(name)
            todo += _named(schemas[name])
    head = "// Made from docs/openapi.yaml by `manage.py describe_api`; not written by hand.\n"
    return head + "".join(_declared(name, schemas[name]) for name in sorted(used))


def _named(schema: Any) -> Iterator[str]:
    """Yield the components that a part of the description refers to."""
    match schema:
        case {"$ref": str(ref)}:
            yield ref.removeprefix(_REF)
        case Mapping():
            for inner in schema.values():
                yield from _named(inner)
        case list():
            for inner in schema:
                yield from _named(inner)


def _declared(name: str, schema: Schema) -> str:
    said = _comment(schema, "")
    if schema.get("type") == "object" and "properties" in schema:
        return f"\n{said}export interface {name} {_fields(schema, '')}\n"
    return f"\n{said}export type {name} = {_type(schema, '')}\n"


def _comment(schema: Schema, indent: str) -> str:
    if "enum" in schema and schema.get("description", "").startswith("* `"):
        return ""  # repeats the values
    words = " ".join(schema.get("description", "").split())
    return f"{indent}/** {words} */\n" if words else ""


def _fields(schema: Schema, indent: str) -> str:
    needed = set(schema.get("required", ()))
    inner = indent + "  "
    lines = []
    for name, field in schema["properties"].items():
        key = name if name.isidentifier() else json.dumps(name)
        optional = "" if name in needed else "?"
        lines.append(f"{_comment(field, inner)}{inner}{key}{optional}: {_type(field, inner)}\n")
    return "{\n" + "".join(lines) + indent + "}"


def _type(schema: Schema, indent: str) -> str:
    match schema:
        case {"$ref": str(ref)}:
            return ref.removeprefix(_REF)
        case {"enum": list(values)}:
            return " | ".join("null" if value is None else _literal(value) for value in values)
        case {"const": value}:
            return _literal(value)
        case {"oneOf": list(ways)} | {"anyOf": list(ways)} | {"allOf": list(ways)}:
            return " | ".join(dict.fromkeys(_type(way, indent) for way in ways))
        case {"type": list(kinds)}:
            return " | ".join(_type({**schema, "type": kind}, indent) for kind in kinds)
        case {"type": "null"}:
            return "null"
        case {"type": "array", "minItems": int(n), "maxItems": int(m)} if n == m:
            return f"readonly [{', '.join([_type(schema['items'], indent)] * n)}]"
        case {"type": "array"}:
            inner = _type(schema["items"], indent)
            return f"({inner})[]" if " | " in inner else f"{inner}[]"
        case {"type": "object", "properties": _}:
            return _fields(schema, indent)
        case {"type": "object", "additionalProperties": Mapping() as values} if values:
            return f"Record<string, {_type(values, indent)}>"
        case {"type": "object"}:
            return "Record<string, unknown>"
        case {"type": str(kind)}:
            return _PLAIN[kind]
    return "unknown"


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)
