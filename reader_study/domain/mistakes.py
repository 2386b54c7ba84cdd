"""Mistakes in a protocol, gathered with their places so that all are told at once."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic_core import ErrorDetails, PydanticCustomError

Place = tuple[str | int, ...]


class Mistake(NamedTuple):
    """What is wrong in a document, and where: the keys and list positions that lead there."""

    place: Place
    detail: str


class Mistakes:
    """Gathers what is wrong in one part of a document; places are within that part."""

    def __init__(self) -> None:
        self._found: list[Mistake] = []

    def at(self, *place: str | int, says: str) -> None:
        """Note a mistake."""
        self._found.append(Mistake(place, says))

    def tell(self) -> None:
        """Raise what was noted, if anything was.

        Raises:
            PydanticCustomError: with every mistake; `mistakes_of` takes them out again.
        """
        if self._found:
            raise PydanticCustomError(
                "mistakes", "{text}", {"text": self._found[0].detail, "found": self._found}
            )


def mistakes_of(
    errors: Iterable[ErrorDetails], known: Mapping[Place, Collection[str]]
) -> Iterator[Mistake]:
    """Put validation errors into plain words; `known` names the fields of each place's part."""
    for error in errors:
        place: Place = tuple(error["loc"])
        context = error.get("ctx", {})
        if error["type"] == "mistakes":
            for inner in context["found"]:
                yield Mistake(place + inner.place, inner.detail)
        else:
            yield Mistake(place, _in_words(error, context, known.get(place[:-1], ())))


def _in_words(error: ErrorDetails, context: Mapping[str, Any], fields: Collection[str]) -> str:
    given = error["input"]
    shown = f"not {given!r}" if isinstance(given, str | int | float | bool) else "not this"
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return f"is not known here{_meant(str(error['loc'][-1]), fields)}"
        case "invalid_key":
            return "is no name; put it in quotes if it is meant as one"
        case "literal_error" | "enum":
            offered = str(context["expected"])
            words = [word.strip(" '") for word in offered.replace(" or ", ",").split(",")]
            return f"must be {offered}, {shown}{_meant(str(given), words)}"
        case "int_type" | "int_parsing" | "int_from_float":
            return f"must be a whole number, {shown}"
        case "float_type" | "float_parsing":
            return f"must be a number, {shown}"
        case "bool_type" | "bool_parsing":
            return f"must be true or false, {shown}"
        case "string_type":
            return f"must be a text, {shown}; put it in quotes if it is meant as one"
        case "tuple_type" | "list_type":
            return f"must be a list, {shown}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must be a section with names and values, {shown}"
        case "string_pattern_mismatch":
            return (
                f"is no name that can be used: {given!r}"
                " (small letters, digits and _, beginning with a letter)"
                if str(context["pattern"]).startswith("^[a-z]")
                else f"is no name that can be used: {given!r}"
            )
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"is longer than {context['max_length']} characters"
        case "too_short":
            return f"needs at least {context['min_length']}, has {context['actual_length']}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}, {shown}"
        case "greater_than":
            return f"must be more than {context['gt']}, {shown}"
        case "less_than":
            return f"must be less than {context['lt']}, {shown}"
        case "less_than_equal":
            return f"must be at most {context['le']}, {shown}"
    return error["msg"].removeprefix("Value error, ")


def _meant(written: str, words: Iterable[str]) -> str:
    close = difflib.get_close_matches(written, list(words), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
