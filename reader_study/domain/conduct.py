"""How reading goes on from case to case and from session to session."""

from typing import Literal, Self

from pydantic import Field, model_validator

from reader_study.domain.mistakes import Mistakes
from reader_study.domain.strict import Strict, later

MEANING = "I have read these cases myself, and the answers recorded under my name are mine."


class Breaks(Strict):
    """A break of `minutes` after `after_minutes` of reading without one.

    It is suggested, or `enforced` by the server: then no other reading begins before it is
    over. The reading that is under way is never interrupted.
    """

    after_minutes: int = Field(ge=5, le=600)
    minutes: int = Field(ge=1, le=240)
    enforced: bool = False


class Quality(Strict):
    """From when on a reading looks odd to the desk: a sign to look into, and no deviation.

    A reading is too fast with less than `min_active_seconds` of active time; answers repeat when
    `same_answers_in_a_row` readings of one reader end with the same ratings; a pause is long
    when nothing was done on an open page for `pause_minutes`.
    """

    min_active_seconds: int = Field(default=10, ge=1, le=3600)
    same_answers_in_a_row: int = Field(default=8, ge=2, le=1000)
    pause_minutes: int = Field(default=10, ge=1, le=1440)


class Conduct(Strict):
    """What a protocol asks of readers besides answers; whatever is left out is not asked.

    `signature`: readers sign each session when its last reading has ended, with `meaning`
    as what they sign. It is `required` before the database can be locked, or also
    `before_next_session`. Training is not signed.

    `navigation`: the readings of a session that have not ended are done in any order, and
    submitted ones can be looked at where their cases do not come back; or `forward_only`, one
    after the other, and none is seen again. `readings_a_day` counts those that are begun, by
    days in UTC.

    `quality` says what the desk is shown as odd; readers are told nothing of it. With `lock_by`
    two, another coordinator or an investigator confirms the lock of the database.
    """

    signature: Literal["off", "required", "before_next_session"] = later("off")
    meaning: str = later(MEANING, min_length=1, max_length=500)
    navigation: Literal["free", "forward_only"] = later("free")
    breaks: Breaks | None = later(None)
    readings_a_day: int | None = later(None, ge=1, le=1000)
    quality: Quality = later(Quality())
    lock_by: Literal["one", "two"] = later("one")

    @property
    def restrains(self) -> bool:
        """Whether a reading may have to wait within its session."""
        return self.navigation == "forward_only" or bool(self.breaks or self.readings_a_day)

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        wrong = Mistakes()
        if self.signature == "off" and "meaning" in self.model_fields_set:
            wrong.at("meaning", says="has no use where sessions are not signed")
        wrong.tell()
        return self
