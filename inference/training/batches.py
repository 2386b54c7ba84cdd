"""Batches to train on: nodules drawn at random, augmented, each with a sentence."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from inference.backbone import Backbone
from inference.impressions import impression
from inference.nodules import STORED_WIDTH, Nodules
from inference.preprocess import PLANE_MM, network_input, normalised
from inference.training.config import Augmentation, Stage

SIZES_MM = (6.0, 8.0, 11.0, 15.0, 20.0)


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
