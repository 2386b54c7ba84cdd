"""What the launcher says in a terminal, and Ctrl-C in it."""

import contextlib
import os
import signal
import sys
import termios
import time
from collections.abc import Iterator
from typing import IO


class StatusLine:
    """A line that is written over on a terminal, and written when it changes elsewhere."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._shown = ""

    def show(self, text: str) -> None:
        if text != self._shown:
            self._stream.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
            self._stream.flush()
            self._shown = text

    def say(self, text: str) -> None:
        """Print a line that stays, above the one that changes."""
        self._stream.write(f"\r\x1b[K{text}\n" if self._terminal else f"{text}\n")
        self._stream.flush()
        self._shown = ""


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    say(f"  {name}: {time.monotonic() - began:.1f} s")


def say(line: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that was closed
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


@contextlib.contextmanager
def terminal_of_its_own() -> Iterator[None]:
    """Let Ctrl-C reach this process and not `make`, which would call it an error."""
    if not sys.stdin.isatty() or os.getpgrp() == os.getpid():
        yield
        return
    before = os.getpgrp()
    # Giving the terminal away stops whoever does it from the background, unless ignored;
    # and a stopped launcher could not be woken by a shell that sees `make` only.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    terminal = sys.stdin.fileno()
    try:
        os.setpgid(0, 0)
        os.tcsetpgrp(terminal, os.getpgrp())
    except (OSError, termios.error):
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, before)
