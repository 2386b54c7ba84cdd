"""A small CLIP trained from nothing; stands where a published one stands otherwise."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from inference.backbone import Backbone
from inference.prompts import FEATURES
from inference.training.adaptation import optimiser, seeded
from inference.training.batches import SIZES_MM, Data, batches, steps_of
from inference.training.config import Stage, Training
from inference.training.losses import (
    contrastive_loss,
    known_cross_entropy,
    learned_columns,
    prompt_loss,
)
from inference.training.processes import Processes

logger = logging.getLogger("inference.train")


def train_backbone(
    training: Training,
    stage: Stage,
    sources: list[Data],
    backbone: Backbone,
    features: Sequence[str],
    processes: Processes,
) -> None:
    """Train every weight of a CLIP that starts from nothing.

    A nodule's image feature is the mean over a few planes; linear classifiers beside the
    contrastive loss (diagnosis, features and size), thrown away afterwards, tell it what to
    look for. In float32; several processes see negatives of all of them.
    """
    clip = backbone.clip.to(processes.device)
    seeded(training.seed, 0)
    counts = [2, len(SIZES_MM) + 1, *(len(FEATURES[feature]) for feature in features)]
    classifiers = nn.ModuleList([nn.Linear(backbone.features, count) for count in counts])
    classifiers.to(processes.device)
    clip.requires_grad_(requires_grad=True)
    clip.train()
    scale: Any = clip.logit_scale
    parameters = [*clip.parameters(), *classifiers.parameters()]
    optimizer, schedule = optimiser(stage, parameters, steps_of(sources, stage))
    together = processes.gathered

    def embed(texts: list[str]) -> torch.Tensor:
        tokens = backbone.tokenize(texts).to(processes.device)
        return functional.normalize(backbone.encode_texts(tokens), dim=1)

    for epoch in range(stage.epochs):
        losses, began = [], time.monotonic()
        rng = seeded(training.seed, 1, epoch)
        shown = tqdm(
            batches(sources, stage, rng, processes),
            total=steps_of(sources, stage),
            desc=f"backbone, epoch {epoch + 1}",
            unit="batch",
            disable=None if processes.is_first else True,
            leave=False,
        )
        for batch in shown:
            views = functional.normalize(backbone.encode_images(batch.images.flatten(0, 1)), dim=1)
            pooled = together(views.view(*batch.images.shape[:2], -1).mean(dim=1))
            image = functional.normalize(pooled, dim=1)
            text = functional.normalize(together(backbone.encode_texts(batch.tokens)), dim=1)
            chances, categories = together(batch.chances), together(batch.categories)
            temperature = scale.clamp(0, np.log(100)).exp()
            named = zip(classifiers[2:], learned_columns(categories, features), strict=True)
            loss = (
                contrastive_loss(image, text, temperature, training.label_smoothing)
                + functional.cross_entropy(classifiers[0](pooled * 10), chances)
                + functional.cross_entropy(classifiers[1](pooled * 10), together(batch.sizes))
                + sum(
                    known_cross_entropy(classify(pooled * 10), column) for classify, column in named
                )
            )
            if features:
                loss = loss + stage.prompt_loss * prompt_loss(
                    image, categories, temperature, embed, rng, features
                )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            processes.average_gradients(parameters)
            nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if processes.is_first:
            logger.info(
                "backbone, epoch %d of %d: loss %.3f, %.0f s",
                epoch + 1, stage.epochs, np.mean(losses), time.monotonic() - began,
            )  # fmt: skip
    clip.cpu()
