"""A study's protocol: one document, validated, with a hash."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from reader_study.domain.analysis import Analysis, check_analysis
from reader_study.domain.conduct import Conduct
from reader_study.domain.design import Design
from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.findings import RATING, Findings
from reader_study.domain.images import Images
from reader_study.domain.mistakes import Mistake, Mistakes, Place, mistakes_of
from reader_study.domain.questionnaire import Questionnaire
from reader_study.domain.strict import Strict, later
from reader_study.domain.truth import Truth


class Restrictions(Strict):
    """What an order must not have.

    `max_positives_in_a_row` looks at the reference standard while the cases are dealt out,
    and nowhere else; `subject_distance` is how many places two cases of one subject are
    apart at least.
    """

    max_positives_in_a_row: int | None = Field(default=None, ge=2, le=1000)
    subject_distance: int | None = Field(default=None, ge=2, le=1000)

    @model_validator(mode="after")
    def _restricts(self) -> Self:
        if self == Restrictions.model_construct():
            raise ValueError("restricts nothing; leave it out")
        return self


class Allocation(Strict):
    """How cases are dealt out."""

    seed: int
    restrictions: Restrictions | None = later(None)


class Ai(Strict):
    """Whose predictions are shown, and what happens where there is none."""

    model: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    when_inference_failed: Literal["read_and_tell", "keep_closed"] = "read_and_tell"
    score_wording: str = later(
        "probability of malignancy (calibrated)",
        min_length=1,
        max_length=120,
        description="What the score is called beside its number.",
    )


class Protocol(Strict):
    """A pre-specified reader study."""

    protocol: Literal[1]  # version of this format
    title: str = Field(min_length=1, max_length=200)
    summary: str = ""
    design: Design
    opens: Literal["when_ready", "by_coordinator"] = "by_coordinator"
    allocation: Allocation
    ai: Ai
    findings: Findings = later(Findings.GIVEN)
    questionnaire: Questionnaire
    conduct: Conduct = later(Conduct())
    images: Images = later(Images())
    truth: Truth = later(Truth())
    analysis: Analysis | None = later(None)

    def shows_priors(self, arm: str) -> bool:
        """Tell whether earlier examinations are seen under the arm `arm`."""
        return (self.design.arm(arm).priors or self.images.priors) == "shown"

    @field_validator("analysis")
    @classmethod
    def _speaks_of_what_there_is(
        cls, analysis: Analysis | None, info: ValidationInfo
    ) -> Analysis | None:
        design, questionnaire = info.data.get("design"), info.data.get("questionnaire")
        # What they hold cannot be told while they have mistakes of their own.
        if analysis and design and questionnaire:
            check_analysis(analysis, design, questionnaire)
        return analysis

    @model_validator(mode="after")
    def _marks_are_asked_about(self) -> Self:
        wrong = Mistakes()
        if self.findings.has_marks and not self.questionnaire.mark:
            says = f"readers mark what they find: ask here for a {RATING!r} of each mark"
            wrong.at("questionnaire", "mark", says=says)
        if self.questionnaire.mark and not self.findings.has_marks:
            says = "nothing is marked; 'findings' says free_response or both where readers mark"
            wrong.at("questionnaire", "mark", says=says)
        wrong.tell()
        return self


def find_mistakes(document: Mapping[str, Any]) -> list[Mistake]:
    """Return what is wrong with a protocol, in the order of its parts."""
    try:
        Protocol.model_validate(document)
    except ValidationError as error:
        return list(mistakes_of(error.errors(), _Fields(document)))
    return []


class _Fields(dict[Place, Collection[str]]):
    """The fields a protocol knows at a place of `document`."""

    def __init__(self, document: object) -> None:
        super().__init__()
        self._note((), Protocol, document)

    def _note(self, place: Place, annotation: Any, part: object) -> None:
        for model in _models(annotation):
            if isinstance(part, Mapping):
                self[place] = list(model.model_fields)
                for name, field in model.model_fields.items():
                    if name in part:
                        self._note((*place, name), field.annotation, part[name])
            elif isinstance(part, list | tuple):
                for number, each in enumerate(part):
                    self._note((*place, number), model, each)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def parse_protocol(document: Mapping[str, Any]) -> Protocol:
    """Validate a protocol.

    Raises:
        ProtocolInvalid: with a problem per mistake: the place in the document, and what is
            wrong there.
    """
    try:
        return Protocol.model_validate(document)
    except ValidationError as error:
        raise refusal(list(mistakes_of(error.errors(), _Fields(document)))) from None


def refusal(mistakes: list[Mistake], lines: Mapping[Place, int] | None = None) -> ProtocolInvalid:
    """Make the refusal of a protocol with `mistakes`; `lines` tells where places are in a file."""
    problems = problems_of(mistakes, lines)
    told = "; ".join(
        (f"line {p['line']}, " if "line" in p else "") + f"{p['place']}: {p['detail']}"
        for p in problems
    )
    return ProtocolInvalid(f"The protocol cannot be run: {told}", problems=problems)


def problems_of(
    mistakes: Iterable[Mistake], lines: Mapping[Place, int] | None = None
) -> list[dict[str, Any]]:
    """Return mistakes as refusals tell them, with their lines if those are known.

    Places in `lines` are texts only; one that is not there is looked for in what surrounds it.
    """
    problems = []
    for place, detail in mistakes:
        problem: dict[str, Any] = {"place": _dotted(place), "detail": detail}
        if lines:
            named = tuple(map(str, place))
            inside = next(named[:n] for n in range(len(named), -1, -1) if named[:n] in lines)
            problem["line"] = lines[inside]
        problems.append(problem)
    problems.sort(key=lambda problem: problem.get("line", 0))
    return problems


def _dotted(place: Place) -> str:
    return ".".join(map(str, place)) or "(document)"


def protocol_hash(protocol: Protocol) -> str:
    """Return the hash of a protocol as it is stored."""
    return document_hash(protocol.model_dump(mode="json"))


def document_hash(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def protocol_schema() -> dict[str, Any]:
    """Return the JSON schema of protocols (draft 2020-12)."""
    schema = Protocol.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
