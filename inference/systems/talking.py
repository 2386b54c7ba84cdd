"""The adapter's side of the conversation; runs in a foreign environment, on its own library."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import IO, Any

Score = Callable[[list[str]], Any]  # the files of a series -> a score from 0 to 1


def only_we_print() -> IO[str]:
    """Return where to answer; what a library prints goes to the standard error from now on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return answers


def converse(start: Callable[[], tuple[dict[str, str], Score]]) -> int:
    """Answer requests until the input ends.

    `start()` returns what the system is (system, version, weights) and a function that scores
    the files of a series. An error of it is told in a sentence, and ends the conversation.
    """
    answers = only_we_print()

    def say(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    try:
        about, score = start()
    except Exception as error:  # noqa: BLE001  whatever a foreign library raises is a reason
        say(error=in_words(error))
        return 3
    say(**about)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            value = float(score(request["files"]))
        except Exception as error:  # noqa: BLE001  the next series may be scored
            say(id=request["id"], error=in_words(error))
        else:
            say(id=request["id"], score=value)
    return 0


def in_words(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no reason given"
    return f"{type(error).__name__}: {text}"[:500]
