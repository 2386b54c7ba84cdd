"""Train the small CLIP of the demonstration model from nothing: every weight of both towers.

    python -m inference.pretrain pretrain.yaml --crops folder/lidc_nodules.csv

It stands where a published CLIP stands otherwise; `python -m inference.train` then adapts it by
the method. The folder of the configuration becomes the backbone. Nodules are crops of real ones
(`inference/crops.py`), which are of the patients that the adaptation trains on, and generated
ones. Beside matching sentences, the image tower learns to diagnose, to measure and to grade, and
where the readers drew the nodule's outline: `masks/` beside `images/`, bit k of a pixel being
reader k. What does so is thrown away afterwards. Few nodules teach more when each of their
pixels says something.
"""

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy import ndimage
from torch import nn
from torch.nn import functional

from inference.backbone import Backbone, full_tokenizer, new_backbone
from inference.crops import NODULE_AT, SCORES, Crops, read_crops
from inference.errors import DataUnusable, ModelUnusable
from inference.generated import LEARNED, generated_nodules
from inference.impressions import every_wording, impression
from inference.nodules import STORED_WIDTH, Nodules
from inference.preprocess import PLANE_MM, normalised
from inference.prompts import FEATURES
from inference.settings import Settings, read_settings
from inference.stem import ConvStem
from inference.training.adaptation import keep_checkpoint
from inference.training.config import Augmentation, Patients
from inference.training.losses import (
    contrastive_loss,
    known_cross_entropy,
    learned_columns,
    prompt_loss,
)

READERS = 4  # bits of a mask
CHECKPOINT = "pretraining.checkpoint"
RECORD = "pretraining.json"  # the command and what it took, for the card of the model
logger = logging.getLogger("inference.pretrain")


class Pretraining(BaseModel):
    """The whole of a pretraining; nothing is set anywhere else."""

    model_config = ConfigDict(extra="forbid")

    seed: int
    generated: tuple[int, int]  # seeds of phantom.nodule_cube, from and up to
    patients: Patients
    clip: dict[str, Any]  # an open_clip model configuration
    stem: tuple[int, ...]  # widths of the convolutions before the transformer
    augmentation: Augmentation = Augmentation()
    epochs: int  # each crop once an epoch
    crops_a_batch: int
    generated_a_batch: int
    learning_rate: float
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    outline_weight: float = 1.0
    cache: Path = Path("var/inference")


class Looks(NamedTuple):
    """Augmented looks at nodules, one a row."""

    images: torch.Tensor  # (n, 3, size, size)
    outlines: torch.Tensor  # (n, 1, size, size), share of readers that drew a pixel in


class Heads(nn.Module):
    """What the image tower learns by and does not keep."""

    def __init__(self, features: int, outline: int) -> None:
        super().__init__()
        self.diagnosis = nn.Linear(features, 2)
        self.size = nn.Linear(features, 1)
        self.scores = nn.Linear(features, len(SCORES))
        self.categories = nn.ModuleList(nn.Linear(features, len(FEATURES[of])) for of in LEARNED)
        self.outline = nn.Conv2d(outline, 1, 1)


def outlines_of(table: Path, crops: Crops) -> NDArray[np.uint8]:
    """Read the readers' outlines as the planes of crops lie, (n, STORED_WIDTH, STORED_WIDTH).

    255 is inside by all readers that drew one.

    Raises:
        DataUnusable: a mask cannot be read.
    """
    spacing = crops.numbers("pixel_spacing")
    found = np.empty((len(crops), STORED_WIDTH, STORED_WIDTH), dtype=np.uint8)
    offsets = np.arange(STORED_WIDTH) - STORED_WIDTH // 2
    for row, (name, mm) in enumerate(zip(crops.columns["file"], spacing, strict=True)):
        path = table.parent / "masks" / str(name)
        try:
            with Image.open(path) as image:
                bits = np.asarray(image)
        except OSError as error:
            raise DataUnusable(f"The mask {path} cannot be read.") from error
        drawn = [layer for k in range(READERS) if (layer := (bits >> k) & 1).any()]
        share = np.mean(drawn, axis=0) if drawn else np.zeros(bits.shape)
        at = NODULE_AT + offsets / mm
        plane = ndimage.map_coordinates(share, np.meshgrid(at, at, indexing="ij"), order=1)
        found[row] = np.rint(plane * 255)
    return found


def looks_at(
    planes: torch.Tensor,
    outlines: torch.Tensor,
    how: Augmentation,
    backbone: Backbone,
    rng: np.random.Generator,
) -> Looks:
    """Shift, turn and flip planes and outlines alike, (n, STORED_WIDTH, STORED_WIDTH) uint8."""
    n, size = len(planes), backbone.image_size
    angle = np.deg2rad(rng.uniform(-how.degrees, how.degrees, n))
    flips = np.where(rng.random((n, 2)) < how.flip, -1, 1)
    theta = np.empty((n, 2, 3), dtype=np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = np.cos(angle), -np.sin(angle)
    theta[:, 1, 0], theta[:, 1, 1] = np.sin(angle), np.cos(angle)
    theta[:, :, :2] *= PLANE_MM / STORED_WIDTH * flips[:, None, :]
    theta[:, :, 2] = rng.uniform(-1, 1, (n, 2)) * how.shift_mm * 2 / STORED_WIDTH
    grid = functional.affine_grid(torch.from_numpy(theta), [n, 1, size, size], align_corners=False)

    def seen(of: torch.Tensor, padding: str) -> torch.Tensor:
        return functional.grid_sample(
            of.float()[:, None] / 255, grid, padding_mode=padding, align_corners=False
        )

    gamma = np.exp(rng.uniform(-how.log_gamma, how.log_gamma, (n, 1, 1, 1))).astype(np.float32)
    noise = rng.standard_normal((n, 1, size, size), dtype=np.float32) * how.noise
    grey = seen(planes, "border").clamp(0, 1).pow(torch.from_numpy(gamma)) + torch.from_numpy(noise)
    images = normalised(grey.clamp(0, 1), backbone.mean, backbone.std)
    return Looks(images, seen(outlines, "zeros"))


def outline_loss(logits: torch.Tensor, outlines: torch.Tensor) -> torch.Tensor:
    """Return cross-entropy and Dice loss of outlines, at the resolution of `logits`."""
    wanted = functional.interpolate(outlines, logits.shape[-2:], mode="area")
    inside = logits.sigmoid()
    both = (inside * wanted).sum(dim=(1, 2, 3))
    dice = 1 - (2 * both + 1) / (inside.sum(dim=(1, 2, 3)) + wanted.sum(dim=(1, 2, 3)) + 1)
    # A nodule fills a small part of its plane: cross-entropy alone would hardly weigh.
    return 5 * functional.binary_cross_entropy_with_logits(logits, wanted) + dice.mean()


def _complete(crops: Crops) -> NDArray[np.bool_]:
    """Say of which nodules everything is known that is learned, (n,)."""
    known = [np.isfinite(crops.median[name]) for name in SCORES]
    complete: NDArray[np.bool_] = np.isfinite(crops.nodules.diameter_mm) & np.all(known, axis=0)
    return complete


def standardised(values: NDArray[np.float64]) -> torch.Tensor:
    """Return values (n, ...) with mean 0 and standard deviation 1 over n; 0 if all are equal."""
    spread = values.std(axis=0)
    centred = values - values.mean(axis=0)
    return torch.from_numpy(centred / np.where(spread > 0, spread, 1)).float()


def pretrain(
    settings: Pretraining,
    crops: Crops,
    outlines: NDArray[np.uint8],
    generated: Nodules,
    backbone: Backbone,
    stem: ConvStem,
    checkpoint: Path,
) -> float:
    """Train `backbone`, whose image tower begins with `stem`; it is folded at the end.

    After each epoch all that the next one depends on is written to `checkpoint`, so that a
    training that was killed goes on as if it had not been. Returns the seconds that were spent
    before it was.
    """
    started, earlier = time.monotonic(), 0.0
    clip: Any = backbone.clip
    rng = np.random.default_rng([settings.seed, 1])
    heads = Heads(backbone.features, stem.widths[-2])
    middle: list[torch.Tensor] = []
    hook = stem.stages[-2].register_forward_hook(lambda _m, _i, output: middle.append(output))
    clip.requires_grad_(requires_grad=True)
    parameters = [*clip.parameters(), *heads.parameters()]
    of, many = crops.nodules, settings.crops_a_batch
    steps = len(crops) // many
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.epochs * steps + 1, pct_start=0.15
    )
    planes, drawn = torch.from_numpy(of.planes[:, 0]), torch.from_numpy(outlines)
    sizes = standardised(np.log(of.diameter_mm))
    scores = standardised(np.stack([crops.median[name] for name in SCORES], axis=1))
    certain = torch.from_numpy(np.sqrt(crops.readers)).float()
    chance = np.concatenate([of.chance, generated.chance])
    chances = torch.from_numpy(np.stack([1 - chance, chance], axis=1)).float()
    categories = torch.from_numpy(np.concatenate([of.categories, generated.categories]))

    def words(row: int) -> str:
        source, at = (of, row) if row < len(of) else (generated, row - len(of))
        return impression(source.features(at), source.diameter_mm[at], rng)

    def embed(texts: list[str]) -> torch.Tensor:
        return functional.normalize(backbone.encode_texts(backbone.tokenize(texts)), dim=1)

    learning = (clip, heads, optimizer, schedule)
    key, first = settings.model_dump_json(), 0
    if checkpoint.is_file():
        kept = torch.load(checkpoint, weights_only=True)
        if kept["configuration"] != key:
            raise DataUnusable(
                f"{checkpoint} belongs to another configuration: take it away to start anew."
            )
        for part, state in zip(learning, kept["states"], strict=True):
            part.load_state_dict(state)
        rng.bit_generator.state = json.loads(kept["numpy"])
        torch.set_rng_state(kept["torch"])
        first, earlier = kept["epoch"], kept["seconds"]
        logger.info("going on after epoch %d of %d", first, settings.epochs)

    for epoch in range(first, settings.epochs):
        clip.train()
        began, losses = time.monotonic(), []
        order = rng.permutation(len(of))
        for step in range(steps):
            real = order[step * many : (step + 1) * many]
            made = rng.integers(0, len(generated), settings.generated_a_batch)
            views = torch.from_numpy(generated.planes[made, rng.integers(0, 9, len(made))])
            rows = np.concatenate([real, len(of) + made])
            looks = looks_at(
                torch.cat([planes[real], views]),
                torch.cat([drawn[real], torch.zeros_like(views)]),
                settings.augmentation,
                backbone,
                rng,
            )
            middle.clear()
            features = backbone.encode_images(looks.images)
            image = functional.normalize(features, dim=1)
            text = embed([words(int(row)) for row in rows])
            scale = clip.logit_scale.clamp(0, np.log(100)).exp()
            weight = torch.cat([certain[real], torch.ones(len(made))])
            diagnosis = functional.cross_entropy(
                heads.diagnosis(features), chances[rows], reduction="none"
            )
            named = zip(heads.categories, learned_columns(categories[rows]), strict=True)
            known = features[: len(real)]
            loss = (
                (diagnosis * weight).sum() / weight.sum()
                + functional.smooth_l1_loss(heads.size(known)[:, 0], sizes[real]) / 2
                + functional.smooth_l1_loss(heads.scores(known), scores[real]) / 2
                + settings.outline_weight
                * outline_loss(heads.outline(middle[0][: len(real)]), looks.outlines[: len(real)])
                + sum(known_cross_entropy(name(features), column) for name, column in named)
                / (2 * len(LEARNED))
                + contrastive_loss(image, text, scale, settings.label_smoothing) / 4
                + prompt_loss(image, categories[rows], scale, embed, rng) / 2
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        logger.info(
            "epoch %d of %d: loss %.3f, %.0f s",
            epoch + 1, settings.epochs, np.mean(losses), time.monotonic() - began,
        )  # fmt: skip
        keep_checkpoint(
            checkpoint,
            {
                "configuration": key,
                "epoch": epoch + 1,
                "seconds": earlier + time.monotonic() - started,
                "states": [part.state_dict() for part in learning],
                "numpy": json.dumps(rng.bit_generator.state),
                "torch": torch.get_rng_state(),
            },
        )
    hook.remove()
    clip.eval().requires_grad_(requires_grad=False)
    stem.fold()
    return earlier


def record_of(folder: Path) -> dict[str, Any]:
    """Return what is known of how a backbone's folder was made; nothing where it was not here."""
    file = folder / RECORD
    found: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return found


def run(file: Path, table: Path, settings: Settings) -> None:
    """Train what `file` describes, into its folder.

    Raises:
        DataUnusable: the table, an image or a mask cannot be used.
    """
    began = time.monotonic()
    told = Pretraining.model_validate(yaml.safe_load(file.read_text()))
    torch.manual_seed(told.seed)
    torch.set_num_threads(settings.threads)
    crops = read_crops(table)
    trained_on = np.array([told.patients.part_of(str(p)) == "train" for p in crops.patient])
    crops = crops.rows(trained_on & _complete(crops))
    outlines = outlines_of(table, crops)
    generated = generated_nodules(range(*told.generated), told.cache)
    full = full_tokenizer(told.clip["text_cfg"]["context_length"])
    vocabulary = sorted(set(full(every_wording()).flatten().tolist()))
    config = told.clip | {"text_cfg": told.clip["text_cfg"] | {"vocab_size": len(vocabulary)}}
    stem = ConvStem(told.stem, folded=False)
    backbone = new_backbone(config, vocabulary, stem)
    logger.info("%d crops ready after %.0f s", len(crops), time.monotonic() - began)
    checkpoint = file.parent / CHECKPOINT
    earlier = pretrain(told, crops, outlines, generated, backbone, stem, checkpoint)
    backbone.save(config, file.parent)
    seconds = earlier + time.monotonic() - began
    command = f"python -m inference.pretrain {file} --crops FOLDER/{table.name}"
    record = {"command": command, "seconds": round(seconds), "threads": settings.threads}
    (file.parent / RECORD).write_text(json.dumps(record, indent=2) + "\n")
    checkpoint.unlink()
    logger.info("done after %.0f s", seconds)


def main() -> int:
    logger.setLevel(logging.INFO)
    logger.propagate = False  # open_clip makes the root logger talk
    logger.addHandler(logging.StreamHandler(sys.stdout))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the configuration; its folder gets the backbone")
    parser.add_argument("--crops", type=Path, required=True, help="a table of crops, with masks/")
    arguments = parser.parse_args()
    try:
        run(arguments.file, arguments.crops, read_settings(os.environ))
    except (OSError, yaml.YAMLError, ValidationError, DataUnusable, ModelUnusable) as error:
        print(f"Pretraining cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
