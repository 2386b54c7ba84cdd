"""Results -> JSON: names in place of numbers, null in place of NaN, and why."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

REASON = "not defined for these data"


class Because(NamedTuple):
    """A value that may be NaN, and why if it is."""

    value: Any
    reason: str


def document(value: Any) -> dict[str, Any]:
    """Turn a result into what JSON can hold, and say under `notes` why a value is null.

    A named tuple may give a `reason` for its values that are NaN; it goes to the notes, keyed
    by the path of each of them. `notes` of a dictionary are kept.
    """
    notes: dict[str, str] = {}
    plain = plainly(value, "", REASON, notes)
    if not isinstance(plain, dict):
        raise TypeError("a document is a dictionary")
    plain["notes"] = {**notes, **plain.get("notes", {})}
    return plain


def plainly(value: Any, path: str, reason: str, notes: dict[str, str]) -> Any:
    """Return `value` as JSON can hold it; `reason` is that of what holds it."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        notes[path] = reason if math.isnan(value) else "unlimited"
        return None
    if value is None:
        notes[path] = reason
        return None
    if isinstance(value, Because):
        return plainly(value.value, path, value.reason or reason, notes)
    if hasattr(value, "_asdict"):
        fields = value._asdict()
        reason = fields.pop("reason", "") or reason
        return plainly(fields, path, reason, notes)
    if isinstance(value, dict):
        return {
            str(key): plainly(part, f"{path}/{key}" if path else str(key), reason, notes)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [plainly(part, f"{path}/{i}", reason, notes) for i, part in enumerate(value)]
    return value


def text(value: dict[str, Any]) -> str:
    """Return a document as text; the same result gives the same text."""
    return json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)


def write(value: dict[str, Any], path: Path) -> None:
    """Write a document to a file."""
    path.write_text(text(value) + "\n", encoding="utf-8")
