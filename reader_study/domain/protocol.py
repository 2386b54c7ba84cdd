"""A study's protocol: one document, validated, with a hash."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reader_study.domain.blinding import ARTEFACTS, Item
from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.questionnaire import Questionnaire
from reader_study.domain.reading import ANSWERING, Stage


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageOfDesign(_Strict):
    """One step of a reading and what is shown in it besides the images."""

    stage: Stage
    shows: tuple[Item, ...] = ()

    @model_validator(mode="after")
    def _shows_only_the_ai(self) -> Self:
        if set(self.shows) - set(ARTEFACTS):
            raise ValueError("only the AI's score, semantic features and saliency can be shown")
        if self.stage is Stage.UNAIDED and self.shows:
            raise ValueError("the unaided stage shows nothing of the AI")
        return self


class Design(_Strict):
    """How cases are read: the sequential design, each case without and then with the AI."""

    kind: Literal["sequential"]
    stages: tuple[StageOfDesign, ...]

    @model_validator(mode="after")
    def _goes_from_unaided_to_aided(self) -> Self:
        if tuple(step.stage for step in self.stages) != ANSWERING:
            raise ValueError("a sequential reading has the stages unaided and aided, in this order")
        return self

    def shows(self, stage: Stage) -> tuple[Item, ...]:
        """Return what the protocol shows in `stage`; what it showed last stays after it."""
        if stage is Stage.SUBMITTED:
            return self.stages[-1].shows
        return next((step.shows for step in self.stages if step.stage is stage), ())


class Allocation(_Strict):
    """How cases are dealt out."""

    seed: int


class Ai(_Strict):
    """Whose predictions are shown, and what happens where there is none."""

    model: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    when_inference_failed: Literal["read_and_tell", "keep_closed"] = "read_and_tell"


class Protocol(_Strict):
    """A pre-specified reader study."""

    protocol: Literal[1]  # version of this format
    title: str = Field(min_length=1, max_length=200)
    summary: str = ""
    design: Design
    opens: Literal["when_ready", "by_coordinator"] = "by_coordinator"
    allocation: Allocation
    ai: Ai
    questionnaire: Questionnaire


def parse_protocol(document: Mapping[str, Any]) -> Protocol:
    """Validate a protocol.

    Raises:
        ProtocolInvalid: with a problem per mistake: the place in the document, and what is
            wrong there.
    """
    try:
        return Protocol.model_validate(document)
    except ValidationError as error:
        problems = [
            {"place": ".".join(map(str, e["loc"])) or "(document)", "detail": e["msg"]}
            for e in error.errors()
        ]
        lines = "; ".join(f"{p['place']}: {p['detail']}" for p in problems)
        raise ProtocolInvalid(f"The protocol cannot be run: {lines}", problems=problems) from None


def protocol_hash(protocol: Protocol) -> str:
    """Return the SHA-256 of the protocol's canonical JSON (sorted keys, no spaces, UTF-8)."""
    document = protocol.model_dump(mode="json")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
