"""The network: nine planes and a sentence into one space, and a diagnosis from each.

Zhuang L et al. Vision-language model-based semantic-guided imaging biomarker for lung
nodule malignancy prediction. J Biomed Inform 2025;172:104947.
"""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from inference.backbone import Backbone
from inference.lora import LoraSettings, add_lora, merge_lora

EMBEDDING = 256
FIRST_LOGIT_SCALE = math.log(1 / 0.07)
GREATEST_LOGIT_SCALE = math.log(100)


class ImageOutput(NamedTuple):
    embedding: torch.Tensor  # (n, 256), of unit length
    view_weights: torch.Tensor  # (n, 9), summing to one
    logits: torch.Tensor  # (n, 2): benign, malignant


class TextOutput(NamedTuple):
    embedding: torch.Tensor  # (n, 256), of unit length
    logits: torch.Tensor  # (n, 2)


class ImageHead(nn.Module):
    """Pools the nine views by attention."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(features, EMBEDDING), nn.ReLU())
        self.attend = nn.Sequential(nn.Linear(EMBEDDING, 128), nn.Tanh(), nn.Linear(128, 1))

    def forward(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pool (n, views, features) into (n, 256), with the weights (n, views)."""
        projected = self.project(views)
        weights = self.attend(projected).softmax(dim=1)
        return (weights * projected).sum(dim=1), weights.squeeze(2)


class TextHead(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, EMBEDDING)
        self.mix = nn.Linear(EMBEDDING, EMBEDDING)
        self.dropout = nn.Dropout(0.1)
        self.norm = nn.LayerNorm(EMBEDDING)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        projected = self.project(x)
        mixed = self.dropout(self.mix(functional.gelu(projected)))
        normed: torch.Tensor = self.norm(mixed + projected)
        return normed


class NoduleNetwork(nn.Module):
    """A frozen backbone with LoRA, and the two heads."""

    def __init__(self, backbone: Backbone, lora: LoraSettings) -> None:
        super().__init__()
        add_lora(backbone.clip, lora)
        self.backbone = backbone
        self.image_head = ImageHead(backbone.features)
        self.text_head = TextHead(backbone.features)
        self.image_classifier = nn.Linear(EMBEDDING, 2)
        self.text_classifier = nn.Linear(EMBEDDING, 2)
        self.logit_scale = nn.Parameter(torch.tensor(FIRST_LOGIT_SCALE))
        self.merged = False

    def images(self, planes: torch.Tensor) -> ImageOutput:
        """Look at nodules, (n, 9, 3, size, size)."""
        features = self.backbone.encode_images(planes.flatten(0, 1))
        pooled, weights = self.image_head(features.view(*planes.shape[:2], -1))
        embedding = functional.normalize(pooled, dim=1)
        return ImageOutput(embedding, weights, self.image_classifier(embedding))

    def texts(self, tokens: torch.Tensor) -> TextOutput:
        """Read texts, (n, context) token numbers."""
        pooled = self.text_head(self.backbone.encode_texts(tokens))
        embedding = functional.normalize(pooled, dim=1)
        return TextOutput(embedding, self.text_classifier(embedding))

    def temperature(self) -> torch.Tensor:
        """Return what cosines are multiplied with, from 1 to 100."""
        return self.logit_scale.clamp(0, GREATEST_LOGIT_SCALE).exp()

    def trained_state(self) -> dict[str, torch.Tensor]:
        """Return what training changes: LoRA layers and heads.

        Raises:
            ValueError: the LoRA layers are merged, and adding them again would be wrong.
        """
        if self.merged:
            raise ValueError("a merged network has no state of its own to keep")
        return {
            name: parameter.detach().cpu().contiguous()
            for name, parameter in self.named_parameters()
            if not name.startswith("backbone.") or ".lora_" in name
        }

    def load_trained_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take what `trained_state` returned.

        Raises:
            ValueError: names or shapes are not exactly those of this network.
        """
        own = self.trained_state()
        if own.keys() != state.keys():
            differing = sorted(own.keys() ^ state.keys())
            raise ValueError(
                f"{len(differing)} weights are missing or too many: {differing[0]} ..."
            )
        for name, tensor in state.items():
            if own[name].shape != tensor.shape:
                raise ValueError(f"{name} is {tuple(tensor.shape)}, not {tuple(own[name].shape)}")
        self.load_state_dict(state, strict=False)  # names were compared above

    def merge(self) -> None:
        """Fold LoRA into the backbone, for good; predictions stay the same."""
        merge_lora(self.backbone)
        self.merged = True
