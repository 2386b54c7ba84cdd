"""How far a command is, on a terminal."""

import time
from typing import TextIO

EVERY_S = 0.2


class Counter:
    """Writes one line over and over; writes nothing where nobody would see it move."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0.0
        self._width = 0

    def __call__(self, what: str, done: int, of: int) -> None:
        """Say that `done` of `of` are done."""
        now = time.monotonic()
        if not self._stream.isatty() or (done < of and now - self._shown < EVERY_S):
            return
        self._shown = now
        text = f"{what}: {done} of {of}" if done < of else ""
        self._stream.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
        self._stream.flush()
        self._width = len(text)
