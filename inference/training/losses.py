"""What training makes small: the published losses, and naming categories by prompts."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional

from inference.generated import LEARNED
from inference.network import ImageOutput, TextOutput
from inference.nodules import UNKNOWN
from inference.prompts import FEATURES, phrases


def published_loss(
    image: ImageOutput,
    text: TextOutput,
    chances: torch.Tensor,
    scale: torch.Tensor,
    smoothing: float,
) -> torch.Tensor:
    """Return the contrastive loss plus the mean of both classifiers' cross-entropies.

    `chances` is (n, 2), benign and malignant; a label is a chance of 0 or 1.
    """
    loss = contrastive_loss(image.embedding, text.embedding, scale, smoothing)
    loss = loss + functional.cross_entropy(image.logits, chances) / 2
    return loss + functional.cross_entropy(text.logits, chances) / 2


def contrastive_loss(
    images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """Return the symmetric cross-entropy of matching images and texts, both (n, width)."""
    logits = scale * images @ texts.T
    target = torch.arange(len(logits), device=logits.device)
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
    features: Sequence[str] = LEARNED,
) -> torch.Tensor:
    """Return the mean cross-entropy of naming each feature's category by one prompt each."""
    names = [(feature, category) for feature in features for category in FEATURES[feature]]
    prompts = embed([f"The nodule is {rng.choice(phrases(*name))}." for name in names])
    logits = scale * images @ prompts.T
    losses, first = [], 0
    for feature in features:
        count = len(FEATURES[feature])
        named = categories[:, list(FEATURES).index(feature)]
        losses.append(known_cross_entropy(logits[:, first : first + count], named))
        first += count
    return torch.stack(losses).mean()


def known_cross_entropy(logits: torch.Tensor, named: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy over nodules whose category is known; 0 if none is."""
    total = functional.cross_entropy(logits, named, ignore_index=UNKNOWN, reduction="sum")
    return total / (named != UNKNOWN).sum().clamp(min=1)


def learned_columns(
    categories: torch.Tensor, features: Sequence[str] = LEARNED
) -> list[torch.Tensor]:
    """Return the columns of (n, len(FEATURES)) that are these features'."""
    return [categories[:, list(FEATURES).index(feature)] for feature in features]
