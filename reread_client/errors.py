"""What can go wrong between a program and a site."""

from typing import Any


class Refused(Exception):
    """The site understood and will not do it: `code` is stable, the text is for people.

    `problems` says what is wrong where, as far as it is about parts of what was sent.
    """

    def __init__(
        self, status: int, code: str, detail: str, problems: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(f"{detail} ({code})")
        self.status = status
        self.code = code
        self.detail = detail
        self.problems = problems or []


class Unreachable(Exception):
    """No answer came that could be understood, however often it was asked."""
