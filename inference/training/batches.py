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
from inference.training.config import Stage, Training
from inference.training.processes import Processes

SIZES_MM = (6.0, 8.0, 11.0, 15.0, 20.0)


class Batch(NamedTuple):
    """A share of a batch: n nodules of one process."""

    images: torch.Tensor  # (n, views, 3, size, size)
    tokens: torch.Tensor  # (n, context)
    chances: torch.Tensor  # (n, 2): benign, malignant
    categories: torch.Tensor  # (n, features)
    sizes: torch.Tensor  # (n,), place among SIZES_MM


class Data:
    """Nodules of one source as torch tensors, drawn at random and augmented."""

    def __init__(self, nodules: Nodules, backbone: Backbone, training: Training) -> None:
        self.nodules = nodules
        self.planes = torch.from_numpy(nodules.planes)
        self.categories = torch.from_numpy(nodules.categories)
        self.chances = torch.from_numpy(np.stack([1 - nodules.chance, nodules.chance], 1)).float()
        self.sizes = torch.from_numpy(np.digitize(nodules.diameter_mm, SIZES_MM))
        self._backbone = backbone
        self._training = training

    def some(self, count: int, views: int, rng: np.random.Generator, processes: Processes) -> Batch:
        """Draw nodules for all processes alike, and prepare this one's share of them.

        By the balanced sampler malignant and benign ones are drawn equally often.
        """
        truth = self.nodules.malignant
        weight = np.ones(len(truth))
        if self._training.sampler == "balanced":
            weight = np.where(truth, 1 / truth.mean(), 1 / (1 - truth.mean()))
        rows = rng.choice(len(truth), count, p=weight / weight.sum())
        texts = [
            impression(
                self.nodules.features(row),
                self.nodules.diameter_mm[row],
                rng,
                word_drop=self._training.wording.word_drop,
                short=self._training.wording.short,
            )
            for row in rows
        ]
        mine = processes.share(count)
        return Batch(
            self._augmented(rows, views, rng, mine),
            self._backbone.tokenize(texts[mine]),
            self.chances[rows[mine]],
            self.categories[rows[mine]],
            self.sizes[rows[mine]],
        )

    def _augmented(
        self, rows: NDArray[np.int64], views: int, rng: np.random.Generator, mine: slice
    ) -> torch.Tensor:
        """Shift, turn and flip in the plane, resample once, then change grey values.

        Chance is drawn for all rows, so that every process goes on with the same numbers.
        """
        how, size = self._training.augmentation, self._backbone.image_size
        # The one view of a crop is seen as often, each time shifted and turned anew.
        known = self.nodules.planes.shape[1]
        chosen = np.stack([rng.permutation(9)[:views] % known for _ in rows])
        n = len(rows) * views
        angle = np.deg2rad(rng.uniform(-how.degrees, how.degrees, n))
        flips = np.where(rng.random((n, 2)) < how.flip, -1, 1)
        scale = PLANE_MM / STORED_WIDTH
        theta = np.empty((n, 2, 3), dtype=np.float32)
        theta[:, 0, 0], theta[:, 0, 1] = np.cos(angle), -np.sin(angle)
        theta[:, 1, 0], theta[:, 1, 1] = np.sin(angle), np.cos(angle)
        theta[:, :, :2] *= scale * flips[:, None, :]
        theta[:, :, 2] = rng.uniform(-1, 1, (n, 2)) * how.shift_mm * 2 / STORED_WIDTH
        gamma = np.exp(rng.uniform(-how.log_gamma, how.log_gamma, (n, 1, 1, 1)))
        noise = rng.standard_normal((n, 1, size, size), dtype=np.float32) * how.noise

        of = slice(mine.start * views, mine.stop * views)
        grey = self.planes[rows[mine, None], chosen[mine]].flatten(0, 1).float()[:, None] / 255
        grid = functional.affine_grid(
            torch.from_numpy(theta[of]), [len(grey), 1, size, size], align_corners=False
        )
        grey = functional.grid_sample(grey, grid, padding_mode="border", align_corners=False)
        grey = grey.pow(torch.from_numpy(gamma[of].astype(np.float32)))
        grey = (grey + torch.from_numpy(noise[of])).clamp(0, 1)
        images = normalised(grey, self._backbone.mean, self._backbone.std)
        return images.view(-1, views, *images.shape[1:])

    def plain(self, rows: slice) -> torch.Tensor:
        """Return images (n, views, 3, size, size) as a prediction would see them."""
        edge = (STORED_WIDTH - PLANE_MM) // 2
        planes = self.planes[rows, :, edge:-edge, edge:-edge].flatten(0, 1).float() / 255
        images = network_input(
            planes, self._backbone.image_size, self._backbone.mean, self._backbone.std
        )
        return images.view(-1, self.planes.shape[1], *images.shape[1:])


def steps_of(sources: list[Data], stage: Stage) -> int:
    """Return how many batches an epoch has, at least one."""
    nodules = stage.nodules_per_epoch or sum(len(source.nodules) for source in sources)
    return max(nodules // stage.batch, 1)


def batches(
    sources: list[Data], stage: Stage, rng: np.random.Generator, processes: Processes
) -> Iterator[Batch]:
    """Yield this process's share of an epoch's batches, of each source as many nodules."""
    for _ in range(steps_of(sources, stage)):
        parts = [
            source.some(stage.batch // len(sources), stage.views, rng, processes)
            for source in sources
        ]
        yield Batch(
            *(torch.cat(columns).to(processes.device) for columns in zip(*parts, strict=True))
        )
