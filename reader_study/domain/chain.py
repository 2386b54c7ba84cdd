"""The chain of a study's records: each link is made of the one before and a record's content.

Whoever changes, removes, adds or reorders a record changes every link after it, and so the
head, which can be noted down outside of the database.
"""

import hashlib


def first_link(study: int) -> bytes:
    """Return the link the chain of the study with this id begins from."""
    return hashlib.sha256(f"reread study {study}".encode()).digest()


def content_hash(content: str) -> bytes:
    """Return the SHA-256 of a record's canonical content."""
    return hashlib.sha256(content.encode()).digest()


def next_link(link: bytes, content: bytes) -> bytes:
    """Return the link after `link` for a record whose content has the hash `content`."""
    return hashlib.sha256(link + content).digest()
