"""The configuration of a training: every setting, validated before anything starts."""

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from inference.lora import LoraSettings


class Stage(BaseModel):
    model_config = ConfigDict(extra="forbid")

    epochs: int
    nodules_per_epoch: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.1
    views: int = Field(default=9, description="Planes of each nodule seen in a step.")
    # Weight of naming the categories by prompts directly; 0 is the published loss.
    prompt_loss: float = 0.0
    patience: int = 5


class Augmentation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    shift_mm: float = 5.0
    flip: float = 0.5
    degrees: float = 10.0
    noise: float = 0.02
    log_gamma: float = 0.2


class Seeds(BaseModel):
    """Which generated nodules serve for what; the demonstration's own cases are elsewhere."""

    model_config = ConfigDict(extra="forbid")

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]


class Patients(BaseModel):
    """Which patients of the crops serve for what: the others are trained on.

    A patient's part is drawn by a hash, so it stays when the table grows.
    """

    model_config = ConfigDict(extra="forbid")

    kept_out: tuple[str, ...] = Field(description="Used for nothing at all.")
    validation: float = Field(ge=0, le=1, description="Share of all patients.")
    test: float = Field(ge=0, le=1, description="Share of all patients.")

    def part_of(self, patient: str) -> str:
        """Return train, validation, test or kept_out."""
        if patient in self.kept_out:
            return "kept_out"
        place = int(hashlib.sha256(patient.encode()).hexdigest()[:8], 16) / 2**32
        if place < self.test:
            return "test"
        return "validation" if place < self.test + self.validation else "train"


class Training(BaseModel):
    """The whole of a training; nothing is set anywhere else."""

    model_config = ConfigDict(extra="forbid")

    title: str
    version: str
    notice: str
    seed: int
    seeds: Seeds
    patients: Patients | None = Field(default=None, description="Of the crops, if any.")
    clip: dict[str, Any] | None = Field(
        default=None, description="An open_clip model configuration, to train from nothing."
    )
    lora: LoraSettings = LoraSettings()
    augmentation: Augmentation = Augmentation()
    label_smoothing: float = 0.1
    backbone: Stage | None = Field(
        default=None, description="Without it, what lies in `backbone/` already is adapted."
    )
    adaptation: Stage
    calibration: Literal["beta", "platt", "isotonic"] = "beta"
    cache: Path = Path("var/inference")

    @model_validator(mode="after")
    def _a_backbone_from_nothing_has_a_configuration(self) -> "Training":
        if (self.clip is None) != (self.backbone is None):
            raise ValueError("`clip` and `backbone` are given together, or neither is")
        return self
