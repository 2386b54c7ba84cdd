"""The configuration of a training: every setting, validated before anything starts."""

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from inference.backbone import LOCAL, BackboneSettings
from inference.lora import LoraSettings

BACKBONE_FOLDER = "backbone"
OWN_BACKBONE = LOCAL + BACKBONE_FOLDER
Precision = Literal["float32", "bf16"]


class Stage(BaseModel):
    """Epochs over nodules drawn at random. The published stage has 100 epochs of batch 4."""

    model_config = ConfigDict(extra="forbid")

    epochs: int = Field(ge=1)
    nodules_per_epoch: int | None = Field(
        default=None, ge=1, description="By default as many as there are to train with."
    )
    batch: int = Field(ge=2, description="Of all processes together.")
    learning_rate: float = Field(gt=0)
    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    weight_decay: float = 0.1
    views: int = Field(default=9, ge=1, le=9, description="Planes of each nodule in a step.")
    prompt_loss: float = Field(
        default=0.0, description="Weight of naming the categories by prompts; 0 is published."
    )
    patience: int = Field(default=5, ge=1, description="Epochs without a better validation.")


class Augmentation(BaseModel):
    """How images change from one look to the next."""

    model_config = ConfigDict(extra="forbid")

    shift_mm: float = 5.0
    flip: float = 0.5
    degrees: float = 10.0
    noise: float = 0.02
    log_gamma: float = 0.2


class Wording(BaseModel):
    """How sentences about a nodule change (`inference/impressions.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    word_drop: float = Field(default=0.05, ge=0, lt=1, description="Share of words left out.")
    short: float = Field(default=0.4, ge=0, le=1, description="Share of short sentences.")


class Seeds(BaseModel):
    """Which generated nodules serve for what; the demonstration's own cases are elsewhere."""

    model_config = ConfigDict(extra="forbid")

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]


class Patients(BaseModel):
    """Which patients serve for what, where a table does not say: the others are trained on.

    A patient's part is drawn by a hash, so it stays when the table grows.
    """

    model_config = ConfigDict(extra="forbid")

    kept_out: tuple[str, ...] = Field(default=(), description="Used for nothing at all.")
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


class TableSource(BaseModel):
    """A table of nodules (`inference/data/table.py`), and where its series are."""

    model_config = ConfigDict(extra="forbid")

    table: Path = Field(description="Relative to the configuration.")
    dicom: Path | None = Field(default=None, description="Folder of the DICOM series.")
    dicomweb: str | None = Field(default=None, description="Root of a DICOMweb server.")


class CropStore(BaseModel):
    """Where planes that were cut are kept, and how much of them."""

    model_config = ConfigDict(extra="forbid")

    folder: Path = Path("var/inference/crops")
    limit_gb: float = Field(default=20.0, gt=0)


class Training(BaseModel):
    """The whole of a training; nothing is set anywhere else."""

    model_config = ConfigDict(extra="forbid")

    title: str
    version: str
    notice: str = Field(description="Shown to readers beside every prediction.")
    demonstration: bool = False
    seed: int
    # What is learned from: generated nodules, tables, and crops by --crops.
    seeds: Seeds | None = Field(default=None, description="Of generated nodules, if any.")
    data: tuple[TableSource, ...] = ()
    patients: Patients | None = Field(default=None, description="Of tables and crops.")
    folds: int = Field(default=1, ge=1, description="By patient; 1 validates on `validation`.")
    crops: CropStore = CropStore()
    cache: Path = Field(default=Path("var/inference"), description="Of generated nodules.")
    # The network.
    start: BackboneSettings = Field(
        default=BackboneSettings(name=OWN_BACKBONE),
        description="The CLIP that is adapted: an open_clip name, a hub id or a folder.",
    )
    clip: dict[str, Any] | None = Field(
        default=None, description="An open_clip model configuration, to train from nothing."
    )
    lora: LoraSettings = LoraSettings()
    # How it learns.
    sampler: Literal["balanced", "uniform"] = "balanced"
    augmentation: Augmentation = Augmentation()
    wording: Wording = Wording()
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    backbone: Stage | None = Field(
        default=None, description="With `clip`: the stage that trains it from nothing."
    )
    adaptation: Stage
    precision: Precision = "float32"
    calibration: Literal["beta", "platt", "isotonic"] = "beta"

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "Training":
        if (self.clip is None) != (self.backbone is None):
            raise ValueError("`clip` and `backbone` are given together, or neither is")
        if self.clip and self.start.name != OWN_BACKBONE:
            raise ValueError("a CLIP from nothing is not started from another one: leave `start`")
        return self
