"""DICOM unique identifiers."""

import re

_UID = re.compile(r"[0-9]+(\.[0-9]+)+", re.ASCII)


def is_uid(text: object) -> bool:
    """Tell whether `text` is a UID, and so safe as the name of a file."""
    return isinstance(text, str) and len(text) <= 64 and _UID.fullmatch(text) is not None
