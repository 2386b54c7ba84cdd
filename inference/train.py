"""Train a model on generated nodules and on crops of real ones.

    python -m inference.train train.yaml --crops folder/lidc_nodules.csv

Two stages. First a small CLIP is trained from scratch, all of its weights, since none can
be had here; this stands where a published CLIP stands otherwise, and is left out where the
folder has a `backbone/` already. Then it is frozen and
adapted exactly as the method says: LoRA on q, k and v, attention pooling over the planes,
contrastive loss and two classifiers. The folder of the configuration becomes the model.

Generated nodules are seen in nine planes, crops (`inference/crops.py`) in the axial one
alone. What stands for malignancy is the chance a generated nodule's truth is drawn from,
and the mean suspicion of a crop's readers: a target between 0 and 1.
"""

import argparse
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from inference.backbone import (
    Backbone,
    BackboneSettings,
    full_tokenizer,
    load_backbone,
    new_backbone,
)
from inference.calibration import fit_beta
from inference.crops import ENOUGH_READERS, Crops, read_crops
from inference.errors import DataUnusable, ModelUnusable
from inference.estimates import over_patients
from inference.evaluate import PATIENTS, measure
from inference.generated import LEARNED, generated_nodules
from inference.impressions import every_wording, impression
from inference.lora import LoraSettings
from inference.model import (
    CALIBRATION,
    CARD,
    PROMPTS,
    CalibrationPoint,
    Card,
    InputContract,
    embed_prompts,
)
from inference.network import NoduleNetwork
from inference.nodules import STORED_WIDTH, UNKNOWN, Nodules
from inference.predict import malignant
from inference.preprocess import PLANE_MM, network_input, normalised
from inference.prompts import FEATURES, Prompts, Validity, default_prompts, phrases
from inference.settings import Settings, read_settings
from inference.validity import weighted_auroc_with_interval

SIZES_MM = (6.0, 8.0, 11.0, 15.0, 20.0)
BACKBONE_FOLDER, FOLD_FILE = "backbone", "fold0.safetensors"
CHECKPOINT = "training.checkpoint"

logger = logging.getLogger("inference.train")


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
    cache: Path = Path("var/inference")

    @model_validator(mode="after")
    def _a_backbone_from_nothing_has_a_configuration(self) -> "Training":
        if (self.clip is None) != (self.backbone is None):
            raise ValueError("`clip` and `backbone` are given together, or neither is")
        return self


class Data:
    """Nodules of one source as torch tensors, drawn at random and augmented."""

    def __init__(self, nodules: Nodules, backbone: Backbone, augmentation: Augmentation) -> None:
        self.nodules = nodules
        self.planes = torch.from_numpy(nodules.planes)
        self.categories = torch.from_numpy(nodules.categories)
        self.chances = torch.from_numpy(np.stack([1 - nodules.chance, nodules.chance], 1)).float()
        self.sizes = torch.from_numpy(np.digitize(nodules.diameter_mm, SIZES_MM))
        self._backbone = backbone
        self._augmentation = augmentation

    def some(self, count: int, views: int, rng: np.random.Generator) -> "Batch":
        """Draw nodules, malignant and benign ones equally often."""
        truth = self.nodules.malignant
        weight = np.where(truth, 1 / truth.mean(), 1 / (1 - truth.mean()))
        rows = rng.choice(len(truth), count, p=weight / weight.sum())
        texts = [
            impression(self.nodules.features(row), self.nodules.diameter_mm[row], rng)
            for row in rows
        ]
        return Batch(
            self._augmented(rows, views, rng),
            self._backbone.tokenize(texts),
            self.chances[rows],
            self.categories[rows],
            self.sizes[rows],
        )

    def _augmented(
        self, rows: NDArray[np.int64], views: int, rng: np.random.Generator
    ) -> torch.Tensor:
        """Shift, turn and flip in the plane, resample once, then change grey values."""
        how, size = self._augmentation, self._backbone.image_size
        # The one view of a crop is seen as often, each time shifted and turned anew.
        known = self.nodules.planes.shape[1]
        chosen = np.stack([rng.permutation(9)[:views] % known for _ in rows])
        grey = self.planes[rows[:, None], chosen].flatten(0, 1).float()[:, None] / 255
        n = len(grey)
        angle = np.deg2rad(rng.uniform(-how.degrees, how.degrees, n))
        flips = np.where(rng.random((n, 2)) < how.flip, -1, 1)
        scale = PLANE_MM / STORED_WIDTH
        theta = np.empty((n, 2, 3), dtype=np.float32)
        theta[:, 0, 0], theta[:, 0, 1] = np.cos(angle), -np.sin(angle)
        theta[:, 1, 0], theta[:, 1, 1] = np.sin(angle), np.cos(angle)
        theta[:, :, :2] *= scale * flips[:, None, :]
        theta[:, :, 2] = rng.uniform(-1, 1, (n, 2)) * how.shift_mm * 2 / STORED_WIDTH
        grid = functional.affine_grid(
            torch.from_numpy(theta), [n, 1, size, size], align_corners=False
        )
        grey = functional.grid_sample(grey, grid, padding_mode="border", align_corners=False)
        gamma = np.exp(rng.uniform(-how.log_gamma, how.log_gamma, (n, 1, 1, 1)))
        noise = rng.standard_normal(grey.shape, dtype=np.float32) * how.noise
        grey = grey.pow(torch.from_numpy(gamma.astype(np.float32))) + torch.from_numpy(noise)
        images = normalised(grey.clamp(0, 1), self._backbone.mean, self._backbone.std)
        return images.view(len(rows), views, *images.shape[1:])

    def plain(self, rows: slice) -> torch.Tensor:
        """Return images (n, views, 3, size, size) as a prediction would see them."""
        edge = (STORED_WIDTH - PLANE_MM) // 2
        planes = self.planes[rows, :, edge:-edge, edge:-edge].flatten(0, 1).float() / 255
        images = network_input(
            planes, self._backbone.image_size, self._backbone.mean, self._backbone.std
        )
        return images.view(-1, self.planes.shape[1], *images.shape[1:])


class Batch(NamedTuple):
    images: torch.Tensor  # (n, views, 3, size, size)
    tokens: torch.Tensor  # (n, context)
    chances: torch.Tensor  # (n, 2): benign, malignant
    categories: torch.Tensor  # (n, features)
    sizes: torch.Tensor  # (n,), place among SIZES_MM


def batches(sources: list[Data], stage: Stage, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield the batches of an epoch, of each source the same number of nodules."""
    for _ in range(stage.nodules_per_epoch // stage.batch):
        parts = [source.some(stage.batch // len(sources), stage.views, rng) for source in sources]
        yield Batch(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def contrastive_loss(
    images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """Return the symmetric cross-entropy of matching images and texts, both (n, width)."""
    logits = scale * images @ texts.T
    target = torch.arange(len(logits))
    return (
        functional.cross_entropy(logits, target, label_smoothing=smoothing)
        + functional.cross_entropy(logits.T, target, label_smoothing=smoothing)
    ) / 2


def prompt_loss(
    images: torch.Tensor,
    categories: torch.Tensor,
    scale: torch.Tensor,
    embed: Callable[[list[str]], torch.Tensor],
    rng: np.random.Generator,
) -> torch.Tensor:
    """Return the mean cross-entropy of naming each feature's category by one prompt each."""
    names = [(feature, category) for feature in LEARNED for category in FEATURES[feature]]
    prompts = embed([f"The nodule is {rng.choice(phrases(*name))}." for name in names])
    logits = scale * images @ prompts.T
    losses, first = [], 0
    for feature in LEARNED:
        count = len(FEATURES[feature])
        named = categories[:, list(FEATURES).index(feature)]
        losses.append(known_cross_entropy(logits[:, first : first + count], named))
        first += count
    return torch.stack(losses).mean()


def known_cross_entropy(logits: torch.Tensor, named: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy over nodules whose category is known; 0 if none is."""
    total = functional.cross_entropy(logits, named, ignore_index=UNKNOWN, reduction="sum")
    return total / (named != UNKNOWN).sum().clamp(min=1)


def train_backbone(
    training: Training, stage: Stage, sources: list[Data], backbone: Backbone
) -> None:
    """Train every weight of a CLIP that starts from nothing.

    A nodule's image feature is the mean over a few planes; linear classifiers beside the
    contrastive loss (diagnosis, features and size), thrown away afterwards, tell it what to
    look for.
    """
    clip = backbone.clip
    rng = np.random.default_rng([training.seed, 1])
    counts = [2, len(SIZES_MM) + 1, *(len(FEATURES[feature]) for feature in LEARNED)]
    classifiers = nn.ModuleList([nn.Linear(backbone.features, count) for count in counts])
    clip.requires_grad_(requires_grad=True)
    clip.train()
    scale: Any = clip.logit_scale
    optimizer, schedule = optimiser(stage, [*clip.parameters(), *classifiers.parameters()])

    def embed(texts: list[str]) -> torch.Tensor:
        return functional.normalize(backbone.encode_texts(backbone.tokenize(texts)), dim=1)

    for epoch in range(stage.epochs):
        losses, began = [], time.monotonic()
        for images, tokens, chances, categories, sizes in batches(sources, stage, rng):
            views = functional.normalize(backbone.encode_images(images.flatten(0, 1)), dim=1)
            pooled = views.view(*images.shape[:2], -1).mean(dim=1)
            image = functional.normalize(pooled, dim=1)
            text = functional.normalize(backbone.encode_texts(tokens), dim=1)
            temperature = scale.clamp(0, np.log(100)).exp()
            named = zip(classifiers[2:], learned_columns(categories), strict=True)
            loss = (
                contrastive_loss(image, text, temperature, training.label_smoothing)
                + functional.cross_entropy(classifiers[0](pooled * 10), chances)
                + functional.cross_entropy(classifiers[1](pooled * 10), sizes)
                + sum(
                    known_cross_entropy(classify(pooled * 10), column) for classify, column in named
                )
                + stage.prompt_loss * prompt_loss(image, categories, temperature, embed, rng)
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        logger.info(
            "backbone, epoch %d of %d: loss %.3f, %.0f s",
            epoch + 1, stage.epochs, np.mean(losses), time.monotonic() - began,
        )  # fmt: skip


def learned_columns(categories: torch.Tensor) -> list[torch.Tensor]:
    """Return the columns of (n, features) that can be learned."""
    return [categories[:, list(FEATURES).index(feature)] for feature in LEARNED]


def train_network(
    training: Training,
    sources: list[Data],
    validation: list[Data],
    network: NoduleNetwork,
    checkpoint: Path,
) -> None:
    """Adapt a network by the method's losses; it ends as it was at its best validation.

    After each epoch all that the next one depends on is written to `checkpoint`, random
    generators included, so that a training that was killed goes on as if it had not been.
    """
    stage = training.adaptation
    rng = np.random.default_rng([training.seed, 2])
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer, schedule = optimiser(stage, parameters)
    best, best_state, since, first = np.inf, network.trained_state(), 0, 0
    key = hashlib.sha256(training.model_dump_json().encode()).hexdigest()
    if checkpoint.is_file():
        kept = torch.load(checkpoint, weights_only=True)
        if kept["configuration"] != key:
            raise DataUnusable(
                f"{checkpoint} belongs to another configuration: take it away to start anew."
            )
        network.load_trained_state(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        schedule.load_state_dict(kept["schedule"])
        rng.bit_generator.state = json.loads(kept["numpy"])
        torch.set_rng_state(kept["torch"])
        best, since, first = kept["best"], kept["since"], kept["epoch"]
        best_state = kept["best_state"]
        logger.info("going on after epoch %d of %d", first, stage.epochs)

    def embed(texts: list[str]) -> torch.Tensor:
        return network.texts(network.backbone.tokenize(texts)).embedding

    for epoch in range(first, stage.epochs):
        if since >= stage.patience:
            break
        network.train()
        began = time.monotonic()
        for images, tokens, chances, categories, _ in batches(sources, stage, rng):
            image, text = network.images(images), network.texts(tokens)
            loss = contrastive_loss(
                image.embedding, text.embedding, network.temperature(), training.label_smoothing
            )
            loss = loss + functional.cross_entropy(image.logits, chances) / 2
            loss = loss + functional.cross_entropy(text.logits, chances) / 2
            if stage.prompt_loss:
                loss = loss + stage.prompt_loss * prompt_loss(
                    image.embedding, categories, network.temperature(), embed, rng
                )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        value = float(np.mean([validation_loss(*look(network, one), one) for one in validation]))
        logger.info(
            "adaptation, epoch %d of %d: validation loss %.3f, %.0f s",
            epoch + 1, stage.epochs, value, time.monotonic() - began,
        )  # fmt: skip
        if value < best:
            best, since = value, 0
            best_state = {name: t.clone() for name, t in network.trained_state().items()}
        else:
            since += 1
        keep_checkpoint(
            checkpoint,
            {
                "configuration": key,
                "epoch": epoch + 1,
                "network": network.trained_state(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "numpy": json.dumps(rng.bit_generator.state),
                "torch": torch.get_rng_state(),
                "best": best,
                "best_state": best_state,
                "since": since,
            },
        )
    network.load_trained_state(best_state)
    checkpoint.unlink(missing_ok=True)


def keep_checkpoint(file: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all."""
    partial = file.with_suffix(".part")
    torch.save(content, partial)
    partial.replace(file)


def optimiser(stage: Stage, parameters: list[nn.Parameter]) -> tuple[Any, Any]:
    optimizer = torch.optim.AdamW(
        parameters, lr=stage.learning_rate, weight_decay=stage.weight_decay
    )
    steps = stage.epochs * (stage.nodules_per_epoch // stage.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, stage.learning_rate, total_steps=steps + 1, pct_start=0.1
    )
    return optimizer, schedule


@torch.no_grad()
def look(
    network: NoduleNetwork, data: Data
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Return the scores (n,), and feature -> probabilities (n, categories), of all nodules."""
    network.eval()
    prompts = embed_prompts(network, learned_prompts(), torch.device("cpu"))
    outputs = [
        network.images(data.plain(slice(first, first + 16)))
        for first in range(0, len(data.nodules), 16)
    ]
    embeddings = torch.cat([output.embedding for output in outputs])
    scores = malignant(torch.cat([output.logits for output in outputs])).numpy()
    scale = network.temperature()
    named = {
        feature: (scale * embeddings @ torch.stack(list(of.values())).T)
        .double()
        .softmax(dim=1)
        .numpy()
        for feature, of in prompts.items()
    }
    return scores, named


def learned_prompts() -> Prompts:
    everything = default_prompts().root
    return Prompts({feature: everything[feature] for feature in LEARNED})


def validation_loss(
    scores: NDArray[np.float64], named: dict[str, NDArray[np.float64]], data: Data
) -> float:
    """Return the cross-entropy of the diagnosis plus the mean one of the features."""
    chance, p = data.nodules.chance, scores.clip(1e-12, 1 - 1e-12)
    of_diagnosis = -(chance * np.log(p) + (1 - chance) * np.log(1 - p)).mean()
    of_features = []
    for feature in LEARNED:
        category = data.nodules.categories_of(feature)
        known = np.flatnonzero(category != UNKNOWN)
        if known.size:
            of_features.append(-np.log(named[feature][known, category[known]].clip(1e-12)).mean())
    return float(of_diagnosis + np.mean(of_features))


def diagnosis_auroc(scores: NDArray[np.float64], data: Data) -> dict[str, Any]:
    value, interval = weighted_auroc_with_interval(
        np.stack([-scores, scores], axis=1), data.nodules.malignant.astype(np.int64)
    )
    return {"auroc": round(value, 3), "interval": [round(edge, 3) for edge in interval]}


class Parts(NamedTuple):
    """The nodules of one source: generated, or crops."""

    train: Data
    validation: Data
    test: Data
    crops: Crops | None = None  # the readers' scores of `test`, where these are crops


def validity_of(
    feature: str, looks: list[tuple[Data, dict[str, NDArray[np.float64]]]]
) -> Validity | None:
    """Measure a feature; `looks` are the nodules it was chosen by, then those of the test.

    None where they name it for no nodule.
    """
    measured = []
    for data, named in looks:
        category = data.nodules.categories_of(feature)
        known = category != UNKNOWN
        if not known.any():
            return None
        value, interval = weighted_auroc_with_interval(named[feature][known], category[known])
        measured.append((value, interval, int(known.sum())))
    value, interval, n = measured[-1]
    return Validity(
        auroc=round(value, 3),
        interval=(round(interval[0], 3), round(interval[1], 3)),
        n=n,
        valid=min(of[1][0] for of in measured) > 0.5,
    )


def _mean_of(values: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
    return float(values[rows].mean())


def calibration_curve(
    probabilities: NDArray[np.float64],
    chance: NDArray[np.float64],
    patient: NDArray[np.str_],
    bins: int = 10,
) -> tuple[CalibrationPoint, ...]:
    """Hold probabilities against what stands for malignancy, both (n,), in bins of equal width."""
    points = []
    which = np.clip(np.ceil(probabilities * bins).astype(int) - 1, 0, bins - 1)
    for place in np.unique(which):
        of = which == place
        share = over_patients(partial(_mean_of, chance[of]), patient[of])
        if share.estimate is None or share.lower is None or share.upper is None:
            continue
        points.append(
            CalibrationPoint(
                low=place / bins,
                high=(place + 1) / bins,
                n=int(of.sum()),
                mean_probability=round(float(probabilities[of].mean()), 3),
                share=round(share.estimate, 3),
                lower=round(share.lower, 3),
                upper=round(share.upper, 3),
            )
        )
    return tuple(points)


def write_card(
    training: Training,
    command: str,
    seconds: float,
    network: NoduleNetwork,
    sources: list[Parts],
    folder: Path,
) -> None:
    """Calibrate on the validation nodules, measure on the test ones, and write the folder.

    A feature counts as valid where it is on crops of real nodules, if these name it, and on
    generated ones otherwise.
    """
    chosen_by = [look(network, of.validation) for of in sources]
    calibration = fit_beta(
        np.concatenate([scores for scores, _ in chosen_by]),
        np.concatenate([of.validation.nodules.chance for of in sources]),
    )
    tested = [look(network, of.test) for of in sources]
    semantic: dict[str, Validity] = {}
    performance: dict[str, Any] = {}
    curve: tuple[CalibrationPoint, ...] = ()
    curve_truth = ""
    for of, (_, before), (scores, named) in zip(sources, chosen_by, tested, strict=True):
        for feature in LEARNED:
            found = validity_of(feature, [(of.validation, before), (of.test, named)])
            if found:
                semantic[feature] = found
        probabilities = np.array([calibration(p) for p in scores])
        chance = of.test.nodules.chance
        alone = np.arange(len(chance)).astype(str)
        curve = calibration_curve(probabilities, chance, of.crops.patient if of.crops else alone)
        curve_truth = (
            "mean suspicion of nodules of patients held out" if of.crops else "generated nodules"
        )
        if of.crops:
            about = {"name": folder.name, "version": training.version}
            performance["crops of patients held out"] = measure(
                of.crops, probabilities, named, about
            ).model_dump(exclude={"model"})
        else:
            truth = of.test.nodules.malignant
            performance["generated nodules held out"] = {
                "n": len(truth),
                "malignant": int(truth.sum()),
                "model": diagnosis_auroc(scores, of.test),
                "diameter_alone": diagnosis_auroc(of.test.nodules.diameter_mm, of.test),
                "best_possible": diagnosis_auroc(of.test.nodules.chance, of.test),
                "brier": round(float(np.mean((probabilities - truth) ** 2)), 3),
                "semantic": {
                    feature: found.auroc
                    for feature in LEARNED
                    if (found := validity_of(feature, [(of.test, named)]))
                },
            }
    backbone = network.backbone
    card = Card(
        title=training.title,
        version=training.version,
        notice=training.notice,
        demonstration=True,
        backbone=BackboneSettings(name=f"local-dir:{BACKBONE_FOLDER}"),
        lora=training.lora,
        folds=(FOLD_FILE,),
        input=InputContract(size=backbone.image_size, mean=backbone.mean, std=backbone.std),
        token_mm=round(PLANE_MM / backbone.grid[0], 1),
        semantic={feature: semantic[feature] for feature in LEARNED if feature in semantic},
        calibration=curve,
        calibration_truth=curve_truth,
        performance=performance,
        training={
            "command": command,
            "seconds": round(seconds),
            "nodules": {
                name: [len(of.train.nodules), len(of.validation.nodules), len(of.test.nodules)]
                for name, of in zip(("generated", "crops"), sources, strict=False)
            },
        },
    )
    save_file(network.trained_state(), folder / FOLD_FILE)
    (folder / CALIBRATION).write_text(json.dumps([calibration.model_dump()], indent=2) + "\n")
    (folder / PROMPTS).write_text(learned_prompts().model_dump_json(indent=2) + "\n")
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    logger.info("%s", json.dumps(card.performance))
    logger.info("%s", {name: (v.auroc, v.valid) for name, v in semantic.items()})


def parts_of_crops(crops: Crops, patients: Patients) -> dict[str, Crops]:
    """Split crops by patient; those to measure with have three readers or more.

    Raises:
        DataUnusable: a part is left without suspicious or without other nodules, or the
            same image is in two parts, under the names of two patients.
    """
    part = np.array([patients.part_of(str(name)) for name in crops.patient])
    split = {}
    for name in ("train", "validation", "test"):
        of = crops.rows((part == name) & ((name == "train") | (crops.readers >= ENOUGH_READERS)))
        if len(np.unique(of.nodules.malignant)) < 2:
            raise DataUnusable(f"Too few crops: those to {name} with are not of both classes.")
        split[name] = of
    _refuse_leakage(split)
    return split


def _refuse_leakage(split: dict[str, Crops]) -> None:
    """Look for images that are in two parts: patients alone do not tell where names differ."""
    seen: dict[bytes, tuple[str, str]] = {}
    for name, of in split.items():
        for planes, patient in zip(of.nodules.planes, of.patient, strict=True):
            here = (name, str(patient))
            there = seen.setdefault(hashlib.sha256(planes.tobytes()).digest(), here)
            if there[0] != name:
                raise DataUnusable(
                    f"Patients {there[1]} ({there[0]}) and {here[1]} ({name}) share an image: "
                    "what is measured would have been trained on."
                )


def train(
    file: Path, settings: Settings, table: Path | None = None, *, only_measure: bool = False
) -> None:
    """Train what `file` describes, into its folder, also on the crops of `table` if given.

    With `only_measure` the network in the folder is left as it is: it is calibrated and
    measured again, and the card is written anew.

    Raises:
        DataUnusable: the table and the configuration do not agree, or crops are unusable.
    """
    began = time.monotonic()
    training = Training.model_validate(yaml.safe_load(file.read_text()))
    if (table is None) != (training.patients is None):
        raise DataUnusable("Crops need both --crops and `patients` in the configuration.")
    folder = file.parent
    torch.manual_seed(training.seed)
    torch.set_num_threads(settings.threads)
    sets = [
        {
            name: generated_nodules(range(*seeds), training.cache)
            for name, seeds in training.seeds.model_dump().items()
        }
    ]
    of_crops = None
    if table and training.patients:
        of_crops = parts_of_crops(read_crops(table), training.patients)
        sets.append({name: crops.nodules for name, crops in of_crops.items()})
    logger.info("nodules ready after %.0f s", time.monotonic() - began)

    # A training that was killed while it adapted has its backbone already.
    done = only_measure or (folder / CHECKPOINT).is_file()
    if training.backbone and training.clip and not done:
        full = full_tokenizer(training.clip["text_cfg"]["context_length"])
        vocabulary = sorted(set(full(every_wording()).flatten().tolist()))
        text_config = training.clip["text_cfg"] | {"vocab_size": len(vocabulary)}
        config = training.clip | {"text_cfg": text_config}
        backbone = new_backbone(config, vocabulary)
        train_backbone(
            training,
            training.backbone,
            [Data(of["train"], backbone, training.augmentation) for of in sets],
            backbone,
        )
        backbone.save(config, folder / BACKBONE_FOLDER)

    adapted = load_backbone(BackboneSettings(name=f"local-dir:{BACKBONE_FOLDER}"), folder)
    network = NoduleNetwork(adapted, training.lora)
    sources = []
    for of in sets:
        parts = {name: Data(part, adapted, training.augmentation) for name, part in of.items()}
        sources.append(Parts(parts["train"], parts["validation"], parts["test"]))
    (folder / PATIENTS).unlink(missing_ok=True)
    if of_crops:
        seen = {
            name: sorted({str(patient) for patient in of_crops[name].patient})
            for name in ("train", "validation")
        }
        (folder / PATIENTS).write_text(json.dumps(seen) + "\n")
        sources[1] = sources[1]._replace(crops=of_crops["test"])
    if only_measure:
        network.load_trained_state(load_file(folder / FOLD_FILE))
        seconds = Card.model_validate_json((folder / CARD).read_text()).training["seconds"]
    else:
        train_network(
            training,
            [of.train for of in sources],
            [of.validation for of in sources],
            network,
            folder / CHECKPOINT,
        )
        seconds = time.monotonic() - began
    command = f"python -m inference.train {file}" + (
        " --crops FOLDER/lidc_nodules.csv" if table else ""
    )
    write_card(training, command, seconds, network, sources, folder)


def main() -> int:
    logger.setLevel(logging.INFO)
    logger.propagate = False  # open_clip makes the root logger talk
    logger.addHandler(logging.StreamHandler(sys.stdout))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the configuration; its folder becomes the model")
    parser.add_argument("--crops", type=Path, help="a table of crops, as inference.crops reads it")
    parser.add_argument(
        "--measure", action="store_true", help="leave the network, measure it and write the card"
    )
    arguments = parser.parse_args()
    try:
        train(
            arguments.file,
            read_settings(os.environ),
            arguments.crops,
            only_measure=arguments.measure,
        )
    except (OSError, yaml.YAMLError, ValidationError, DataUnusable, ModelUnusable) as error:
        print(f"Training cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
