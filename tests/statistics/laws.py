"""Laws that hold whatever the data, and however busy the machine is that checks them."""

from collections.abc import Callable
from typing import Any

import hypothesis


def given(
    *strategies: Any, examples: int = 100
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Check a test on many drawn arguments, without a limit of time for each."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        settings = hypothesis.settings(deadline=None, max_examples=examples)
        found: Callable[..., Any] = settings(hypothesis.given(*strategies)(test))
        return found

    return decorate
