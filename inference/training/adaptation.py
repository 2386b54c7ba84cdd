"""The method's adaptation of a CLIP: LoRA and heads, by its losses, with early stopping."""

import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from inference.errors import DataUnusable
from inference.generated import LEARNED
from inference.model import embed_prompts
from inference.network import NoduleNetwork
from inference.nodules import UNKNOWN
from inference.predict import malignant
from inference.prompts import Prompts, default_prompts
from inference.training.batches import Data, batches
from inference.training.config import Stage, Training
from inference.training.losses import contrastive_loss, prompt_loss

logger = logging.getLogger("inference.train")


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
