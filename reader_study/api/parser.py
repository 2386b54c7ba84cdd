"""JSON as PostgreSQL can keep it."""

import math
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class StorableJSONParser(JSONParser):
    """Refuses what jsonb cannot hold: NUL, half a surrogate pair, numbers without end."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            data = super().parse(stream, media_type, parser_context)
            _check(data)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The request cannot be stored: {error}.") from None
        return data


def _check(value: Any) -> None:
    match value:
        case str():
            if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
                raise ValueError("it holds a character that is none")
        case float():
            if not math.isfinite(value):
                raise ValueError("it holds a number without end")
        case int():
            if abs(value) > 2**53:
                raise ValueError("it holds a number that is too large")
        case list():
            for part in value:
                _check(part)
        case dict():
            for name, part in value.items():
                _check(name)
                _check(part)
