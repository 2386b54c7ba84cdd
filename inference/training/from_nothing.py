"""A small CLIP trained from nothing; stands where a published one stands otherwise."""

import logging
import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from inference.backbone import Backbone
from inference.generated import LEARNED
from inference.prompts import FEATURES
from inference.training.adaptation import optimiser
from inference.training.batches import SIZES_MM, Data, batches
from inference.training.config import Stage, Training
from inference.training.losses import (
    contrastive_loss,
    known_cross_entropy,
    learned_columns,
    prompt_loss,
)

logger = logging.getLogger("inference.train")


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
