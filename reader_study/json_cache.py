"""The cache in the database, with its values as JSON.

Django's own pickles them, so that whoever can write into that table could run code in the site.
"""

import json
from typing import Any

from django.core.cache.backends import db


class _Json:
    """Stands where Django's module uses `pickle`."""

    HIGHEST_PROTOCOL = 0

    @staticmethod
    def dumps(value: Any, _protocol: int = 0) -> bytes:
        """Return a value as JSON."""
        return json.dumps(value).encode()

    @staticmethod
    def loads(content: bytes) -> Any:
        """Read what `dumps` wrote."""
        return json.loads(content)


db.pickle = _Json  # type: ignore[attr-defined]  # the module has no other way to be told


class JsonCache(db.DatabaseCache):
    """Django's cache in the database; a value is what JSON can hold, a tuple comes back a list."""
