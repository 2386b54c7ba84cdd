"""How cases are read: arms and their stages, sessions, washout, case sets, repeats."""

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from reader_study.domain.blinding import ARTEFACTS, Item
from reader_study.domain.mistakes import Mistakes
from reader_study.domain.reading import ANSWERING, PATHS, Stage
from reader_study.domain.strict import Strict, later

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]

# The session of training cases; study sessions count from 1.
TRAINING = 0
# The arm of a sequential design, which has no need to name one.
ONLY_ARM = "sequential"


class StageOfDesign(Strict):
    """One step of a reading and what is shown in it besides the images."""

    stage: Literal[Stage.UNAIDED, Stage.AIDED]
    shows: tuple[Item, ...] = ()

    @model_validator(mode="after")
    def _shows_only_the_ai(self) -> Self:
        wrong = Mistakes()
        if set(self.shows) - set(ARTEFACTS):
            wrong.at(
                "shows",
                says="only the AI's score, semantic features, saliency and similar nodules can be "
                "shown",
            )
        if self.stage is Stage.UNAIDED and self.shows:
            wrong.at("shows", says="the unaided stage shows nothing of the AI")
        wrong.tell()
        return self


def _check_path(wrong: Mistakes, stages: tuple[StageOfDesign, ...], *place: str | int) -> None:
    """Note where `stages` are none that a reading can go through."""
    path = tuple(step.stage for step in stages)
    if path not in PATHS:
        offered = "; ".join(", then ".join(each) for each in PATHS)
        wrong.at(*place, says=f"a reading goes through one of: {offered}")
    for number, step in enumerate(stages):
        if step.stage is Stage.AIDED and not step.shows:
            wrong.at(
                *place, number, says="an aided stage shows at least one of " + ", ".join(ARTEFACTS)
            )


class Arm(Strict):
    """One way of reading that is compared with others: its stages and their conditions.

    `priors` says whether earlier examinations are seen in it; None: as `images` says.
    """

    name: Name
    stages: tuple[StageOfDesign, ...]
    priors: Literal["shown", "hidden"] | None = later(None)

    @property
    def path(self) -> tuple[Stage, ...]:
        """The stages in which questions are answered, in order."""
        return tuple(step.stage for step in self.stages)

    def shows(self, stage: Stage) -> tuple[Item, ...]:
        """Return the condition of `stage`; what was shown last stays after it."""
        if stage is Stage.SUBMITTED:
            return self.stages[-1].shows
        return next((step.shows for step in self.stages if step.stage is stage), ())


class Repeats(Strict):
    """Cases read again without the reader being told, for the variability within readers.

    They have a session of their own after all others, so that none falls into a session in
    which its case is read anyway.
    """

    cases: int = Field(ge=1)
    arm: Name | None = None  # None: the only arm


class Training(Strict):
    """Cases read before the first study case, under each arm in turn; they are not counted.

    With `feedback` their reader sees the reference standard of each once it is submitted.
    """

    cases: int = Field(ge=1)
    feedback: bool = later(False)


class Design(Strict):
    """How cases are read.

    `sequential`: every case once, without and then with the AI, in the same reading.
    `crossover`: every case under each arm, in sessions separated by a washout, where an arm
    is one stage. `hybrid`: likewise, and an arm may itself be sequential.

    `order` gives each reader a row of a square as their order of arms. `counterbalance` says
    whether a session of a reader has one arm, or each arm for an equal part of the cases.
    With `case_sets` above 1 the design is split-plot: readers and cases are parted into as
    many sets, and each set of readers reads one set of cases.
    """

    kind: Literal["sequential", "crossover", "hybrid"]
    stages: tuple[StageOfDesign, ...] = ()
    arms: tuple[Arm, ...] = later(())
    order: Literal["williams", "latin", "fixed"] = later("williams")
    counterbalance: Literal["readers", "readers_and_cases"] = later("readers")
    washout_days: int | None = later(None, ge=0, le=3650)
    case_sets: int = later(1, ge=1, le=100)
    repeats: Repeats | None = later(None)
    training: Training | None = later(None)

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        wrong = Mistakes()
        if self.kind == "sequential":
            self._check_sequential(wrong)
        else:
            self._check_arms(wrong)
        if self.repeats:
            names = [arm.name for arm in self.every_arm]
            if self.repeats.arm is None and len(names) > 1:
                wrong.at("repeats", says="say under which arm the repeats are read")
            if self.repeats.arm is not None and self.repeats.arm not in names:
                wrong.at("repeats", "arm", says=f"there is no arm {self.repeats.arm!r}")
        if self.sessions > 1 and self.washout_days is None:
            wrong.at("washout_days", says="is missing: the same case is read in several sessions")
        if self.sessions == 1 and self.washout_days is not None:
            wrong.at("washout_days", says="has no use where every case is read in one session")
        wrong.tell()
        return self

    def _check_sequential(self, wrong: Mistakes) -> None:
        if tuple(step.stage for step in self.stages) != ANSWERING:
            says = "a sequential reading has the stages unaided and aided, in this order"
            wrong.at("stages", says=says)
        else:
            _check_path(wrong, self.stages, "stages")
        if self.arms:
            wrong.at("arms", says="a sequential design has stages and no arms")
        for name in ("order", "counterbalance"):
            if name in self.model_fields_set:
                wrong.at(name, says="has no use where there is one arm only")

    def _check_arms(self, wrong: Mistakes) -> None:
        if self.stages:
            wrong.at("stages", says=f"in a {self.kind} design stages belong to each arm")
        if len(self.arms) < 2:
            wrong.at("arms", says=f"a {self.kind} design compares at least two arms")
        names = [arm.name for arm in self.arms]
        for number, arm in enumerate(self.arms):
            _check_path(wrong, arm.stages, "arms", number, "stages")
            if arm.name in names[:number]:
                wrong.at("arms", number, "name", says=f"there is an arm {arm.name!r} already")
            same = [
                other.name
                for other in self.arms[:number]
                if (other.stages, other.priors) == (arm.stages, arm.priors)
            ]
            if same:
                wrong.at("arms", number, says=f"reads exactly like the arm {same[0]!r}")
            if self.kind == "crossover" and len(arm.stages) > 1:
                says = "an arm of a crossover has one stage; call the design hybrid for more"
                wrong.at("arms", number, "stages", says=says)
        if self.kind == "hybrid" and self.arms and all(len(arm.stages) < 2 for arm in self.arms):
            wrong.at("kind", says="no arm has two stages, so that this is a crossover")

    @property
    def every_arm(self) -> tuple[Arm, ...]:
        """The arms; a sequential design has one."""
        if self.kind == "sequential":
            return (Arm.model_construct(name=ONLY_ARM, stages=self.stages),)
        return self.arms

    def arm(self, name: str) -> Arm:
        """Return the arm `name`; readings of a design with one arm need not name it.

        Raises:
            KeyError: there is no such arm.
        """
        arms = {arm.name: arm for arm in self.every_arm}
        return next(iter(arms.values())) if len(arms) == 1 else arms[name]

    def shows(self, arm: str, stage: Stage) -> tuple[Item, ...]:
        """Return the condition of a reading of `arm` at `stage`.

        What was shown last stays after submission, except where the case may come back:
        what the AI said of it must not be read up before.
        """
        if stage is Stage.SUBMITTED and self.sessions > 1:
            return ()
        return self.arm(arm).shows(stage)

    @property
    def sessions(self) -> int:
        """How many sessions each reader has, training left out."""
        return len(self.every_arm) + (self.repeats is not None)

    @property
    def has_several_sessions(self) -> bool:
        """Whether a reader has to finish something before going on, be it training."""
        return self.sessions > 1 or self.training is not None

    @property
    def washout(self) -> int:
        """Days between two readings of one case by one reader."""
        return self.washout_days or 0


class Condition(NamedTuple):
    """What a reading shows in one stage, in the words of exports."""

    arm: str
    stage: Stage
    shows: tuple[Item, ...]


def conditions(design: Design) -> list[Condition]:
    """Return every condition under which something is answered, in order."""
    return [
        Condition(arm.name, step.stage, step.shows)
        for arm in design.every_arm
        for step in arm.stages
    ]


def name_for_reader(design: Design, pseudonym: str, session: int, position: int) -> str:
    """Return what a reader calls the case of a reading.

    Where a case comes back, its pseudonym would give it away: then it is known by its place.
    """
    if session == TRAINING:
        return f"Training case {position}"
    return pseudonym if design.sessions == 1 else f"Case {session}.{position:02}"
