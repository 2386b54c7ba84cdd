"""Readers, cases and a seed -> every worklist."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """One case at one position, from 1, of one reader's worklist."""

    reader: str
    case: str
    position: int


def allocate(readers: Sequence[str], cases: Sequence[str], seed: int) -> list[Place]:
    """Deal every case to every reader, in an order of the reader's own.

    The order is that of the SHA-256 of seed, reader and case: a uniform random permutation
    for whoever does not know the seed, independent between readers, the same in every
    version of every language, and unmoved for the others when a reader or a case is added.

    Raises:
        ValueError: a reader or a case is named twice, or a name holds a line break.
    """
    for names in (readers, cases):
        if len(set(names)) != len(names) or any("\n" in name for name in names):
            raise ValueError("readers and cases need distinct names of one line")

    def key(reader: str, case: str) -> bytes:
        return hashlib.sha256(f"{seed}\n{reader}\n{case}".encode()).digest()

    return [
        Place(reader, case, position)
        for reader in readers
        for position, case in enumerate(sorted(cases, key=lambda c: key(reader, c)), start=1)
    ]
