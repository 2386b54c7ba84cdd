"""How reading goes on from case to case and from session to session."""

from typing import Literal, Self

from pydantic import model_validator

from reader_study.domain.mistakes import Mistakes
from reader_study.domain.strict import Strict, later

MEANING = "I have read these cases myself, and the answers recorded under my name are mine."


class Conduct(Strict):
    """What a protocol asks of readers besides answers; whatever is left out is not asked.

    `signature`: readers sign each session when its last reading has ended, with `meaning`
    as what they sign. It is `required` before the database can be locked, or also
    `before_next_session`. Training is not signed.
    """

    signature: Literal["off", "required", "before_next_session"] = later("off")
    meaning: str = later(MEANING, min_length=1, max_length=500)

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        wrong = Mistakes()
        if self.signature == "off" and "meaning" in self.model_fields_set:
            wrong.at("meaning", says="has no use where sessions are not signed")
        wrong.tell()
        return self
