"""What the parts of a protocol have in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A part of a protocol: nothing unknown in it, and no change of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def later(default: Any, **constraints: Any) -> Any:
    """Return a field this format has got later: at its default it is not written out.

    So a protocol that does not use it keeps the hash it has always had.
    """
    return Field(default=default, exclude_if=lambda value: value == default, **constraints)
