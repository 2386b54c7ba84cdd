"""The method's adaptation of a CLIP: LoRA and heads, by its losses, with early stopping."""

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from inference.errors import DataUnusable
from inference.model import embed_prompts
from inference.network import ImageOutput, NoduleNetwork, TextOutput
from inference.nodules import UNKNOWN
from inference.predict import malignant
from inference.prompts import Prompts, default_prompts
from inference.training.batches import Batch, Data, batches, steps_of
from inference.training.config import Stage, Training
from inference.training.losses import prompt_loss, published_loss
from inference.training.processes import Processes
from inference.validity import auroc

LOOKED_AT = 16  # nodules at once, while nothing is learned

logger = logging.getLogger("inference.train")


class Checkpoint:
    """How far a training is, written whole or not at all after each epoch.

    `key` is the hash of the configuration and of the nodules: what belongs to others is refused.
    """

    def __init__(self, file: Path, key: str, processes: Processes) -> None:
        self.file = file
        self._key = key
        self._processes = processes
        self.kept: dict[str, Any] = {"fold": 0, "history": []}
        if file.is_file():
            self.kept = torch.load(file, weights_only=True, map_location="cpu")
            if self.kept["configuration"] != key:
                raise DataUnusable(
                    f"{file} belongs to another configuration or other nodules: take it away to "
                    "start anew."
                )

    @property
    def fold(self) -> int:
        """The fold to go on with; those before it are done."""
        return int(self.kept["fold"])

    @property
    def history(self) -> list[dict[str, Any]]:
        """What was measured after each epoch so far."""
        return list(self.kept["history"])

    def keep(self, content: dict[str, Any]) -> None:
        """Take the place of what was kept; the first process writes."""
        self.kept = content | {"configuration": self._key}
        if self._processes.is_first:
            keep_checkpoint(self.file, self.kept)
            lines = [json.dumps(line) for line in content["history"]]
            metrics_of(self.file.parent).write_text("".join(f"{line}\n" for line in lines))
        self._processes.wait()

    def remove(self) -> None:
        """Forget it, at the end of a training."""
        if self._processes.is_first:
            self.file.unlink(missing_ok=True)


def metrics_of(folder: Path) -> Path:
    """Return the file with a line an epoch."""
    return folder / "metrics.jsonl"


def keep_checkpoint(file: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all."""
    partial = file.with_suffix(".part")
    torch.save(content, partial)
    partial.replace(file)


def key_of(training: Training, nodules: str) -> str:
    """Return the hash that a checkpoint must have been made under."""
    return hashlib.sha256(f"{training.model_dump_json()} {nodules}".encode()).hexdigest()


def seeded(*numbers: int) -> np.random.Generator:
    """Start all chance anew, from numbers that say where in the training it is."""
    seeds = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    torch.manual_seed(int(seeds[0]))
    return np.random.default_rng(numbers)


def train_network(
    training: Training,
    sources: Sequence[Data],
    validation: Sequence[Data],
    network: NoduleNetwork,
    features: Sequence[str],
    checkpoint: Checkpoint,
    processes: Processes,
    fold: int = 0,
) -> None:
    """Adapt a network by the method's losses; it ends as it was at its best validation.

    After each epoch all that the next one depends on is kept, and every epoch has its own seeds,
    so that a training that was killed goes on as if it had not been.
    """
    stage, train_with = training.adaptation, list(sources)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer, schedule = optimiser(stage, parameters, steps_of(train_with, stage))
    best, best_state, since, first = np.inf, network.trained_state(), 0, 0
    kept = checkpoint.kept
    if kept["fold"] == fold and "epoch" in kept:
        network.load_trained_state(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        schedule.load_state_dict(kept["schedule"])
        best, since, first = kept["best"], kept["since"], kept["epoch"]
        best_state = kept["best_state"]
        logger.info("going on after epoch %d of %d", first, stage.epochs)

    for epoch in range(first, stage.epochs):
        if since >= stage.patience:
            break
        network.train()
        began, losses = time.monotonic(), []
        rng = seeded(training.seed, 2, fold, epoch)
        torch.manual_seed(torch.initial_seed() + processes.number)  # of dropout
        shown = tqdm(
            batches(train_with, stage, rng, processes),
            total=steps_of(train_with, stage),
            desc=f"fold {fold}, epoch {epoch + 1}",
            unit="batch",
            disable=None if processes.is_first else True,
            leave=False,
        )
        for batch in shown:
            loss = loss_of(training, network, batch, rng, features, processes)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            processes.average_gradients(parameters)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            shown.set_postfix(loss=f"{np.mean(losses[-50:]):.3f}", refresh=False)
        measured = validated(network, validation, features, processes)
        value = measured.loss
        if value < best:
            best, since = value, 0
            best_state = {name: t.clone() for name, t in network.trained_state().items()}
        else:
            since += 1
        line = {
            "fold": fold,
            "epoch": epoch + 1,
            "loss": round(float(np.mean(losses)), 5),
            "validation_loss": round(value, 5),
            "validation_auroc": measured.auroc,
            "seconds": round(time.monotonic() - began, 1),
        }
        if processes.is_first:
            logger.info(
                "fold %d, epoch %d of %d: loss %.3f, validation loss %.3f, AUROC %s, %.0f s",
                fold, epoch + 1, stage.epochs, line["loss"], value,
                ", ".join(f"{area:.3f}" for area in measured.auroc), line["seconds"],
            )  # fmt: skip
        checkpoint.keep(
            {
                "fold": fold,
                "epoch": epoch + 1,
                "network": network.trained_state(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "best": best,
                "best_state": best_state,
                "since": since,
                "history": [*checkpoint.history, line],
            },
        )
    network.load_trained_state(best_state)


def loss_of(
    training: Training,
    network: NoduleNetwork,
    batch: Batch,
    rng: np.random.Generator,
    features: Sequence[str],
    processes: Processes,
) -> torch.Tensor:
    """Return the loss of the whole batch, of which each process looks at its share."""
    stage = training.adaptation
    with processes.autocast():
        image, text = network.images(batch.images), network.texts(batch.tokens)
    together = processes.gathered
    image = ImageOutput(
        together(image.embedding.float()), image.view_weights, together(image.logits.float())
    )
    text = TextOutput(together(text.embedding.float()), together(text.logits.float()))
    chances, categories = together(batch.chances), together(batch.categories)
    scale = network.temperature()
    loss = published_loss(image, text, chances, scale, training.label_smoothing)
    if stage.prompt_loss and features:

        def embed(texts: list[str]) -> torch.Tensor:
            tokens = network.backbone.tokenize(texts).to(processes.device)
            with processes.autocast():
                return network.texts(tokens).embedding.float()

        named = prompt_loss(image.embedding, categories, scale, embed, rng, features)
        loss = loss + stage.prompt_loss * named
    return loss


def optimiser(stage: Stage, parameters: list[nn.Parameter], steps: int) -> tuple[Any, Any]:
    """Return AdamW and the course of its rate, for `steps` batches an epoch."""
    optimizer = torch.optim.AdamW(
        parameters, lr=stage.learning_rate, weight_decay=stage.weight_decay
    )
    if stage.schedule == "constant":
        return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, stage.learning_rate, total_steps=stage.epochs * steps + 1, pct_start=0.1
    )
    return optimizer, schedule


class Validated(NamedTuple):
    """What a network is worth on the nodules it is chosen by."""

    loss: float  # mean over sources
    auroc: list[float]  # by source


def validated(
    network: NoduleNetwork,
    validation: Sequence[Data],
    features: Sequence[str],
    processes: Processes,
) -> Validated:
    """Look at all nodules to validate with; every process is told the same."""
    looks = [look(network, data, features, processes) for data in validation]
    pairs = list(zip(looks, validation, strict=True))
    return Validated(
        float(np.mean([validation_loss(*seen, data, features) for seen, data in pairs])),
        [round(auroc(seen[0], data.nodules.malignant), 4) for seen, data in pairs],
    )


@torch.no_grad()
def look(
    network: NoduleNetwork, data: Data, features: Sequence[str], processes: Processes
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Return the scores (n,), and feature -> probabilities (n, categories), of all nodules.

    In float32, as predictions are made.
    """
    network.eval()
    prompts = embed_prompts(network, prompts_of(features), processes.device)

    def some(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = slice(number * LOOKED_AT, (number + 1) * LOOKED_AT)
        output = network.images(data.plain(rows).to(processes.device))
        return output.embedding.cpu(), output.logits.cpu()

    outputs = processes.each(-(-len(data.nodules) // LOOKED_AT), some)
    embeddings = torch.cat([embedding for embedding, _ in outputs])
    scores = malignant(torch.cat([logits for _, logits in outputs])).numpy()
    scale = network.temperature().cpu()
    named = {
        feature: (scale * embeddings @ torch.stack(list(of.values())).cpu().T)
        .double()
        .softmax(dim=1)
        .numpy()
        for feature, of in prompts.items()
    }
    return scores, named


def prompts_of(features: Sequence[str]) -> Prompts:
    """Return the sentences that stand for the categories of these features."""
    everything = default_prompts().root
    return Prompts({feature: everything[feature] for feature in features})


def validation_loss(
    scores: NDArray[np.float64],
    named: dict[str, NDArray[np.float64]],
    data: Data,
    features: Sequence[str],
) -> float:
    """Return the cross-entropy of the diagnosis plus the mean one of the features."""
    chance, p = data.nodules.chance, scores.clip(1e-12, 1 - 1e-12)
    of_diagnosis = -(chance * np.log(p) + (1 - chance) * np.log(1 - p)).mean()
    of_features = []
    for feature in features:
        category = data.nodules.categories_of(feature)
        known = np.flatnonzero(category != UNKNOWN)
        if known.size:
            of_features.append(-np.log(named[feature][known, category[known]].clip(1e-12)).mean())
    return float(of_diagnosis + (np.mean(of_features) if of_features else 0.0))
