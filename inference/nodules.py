"""Nodules to train and measure with, whatever they come from: planes, features and truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.prompts import FEATURES

STORED_WIDTH = 64  # mm: PLANE_MM, and room for shifts and turns
UNKNOWN = -1  # in place of a category that nobody has named


@dataclass(frozen=True)
class Nodules:
    """Nodules, one a row.

    Attributes
    ----------
    planes : uint8, shape (n, views, STORED_WIDTH, STORED_WIDTH)
        HU from -1000 to 500 as 0 to 255, one pixel a millimetre. Nine views, or the axial
        one alone where no more is known.
    categories : int64, shape (n, len(FEATURES))
        Place of the category in its feature, or UNKNOWN.
    diameter_mm : float64, shape (n,)
        NaN where nobody has measured it.
    malignant : bool, shape (n,)
    chance : float64, shape (n,)
        Of malignancy: of generated nodules what the truth was drawn from, so that no model
        can do better on average; otherwise the readers' mean suspicion, from 0 to 1.
    """

    planes: NDArray[np.uint8]
    categories: NDArray[np.int64]
    diameter_mm: NDArray[np.float64]
    malignant: NDArray[np.bool_]
    chance: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.malignant)

    def features(self, row: int) -> dict[str, str]:
        """Return feature -> category of one nodule, without those that are unknown."""
        return {
            feature: FEATURES[feature][place]
            for feature, place in zip(FEATURES, self.categories[row], strict=True)
            if place != UNKNOWN
        }

    def categories_of(self, feature: str) -> NDArray[np.int64]:
        """Return the places of one feature's categories, or UNKNOWN, (n,)."""
        of: NDArray[np.int64] = self.categories[:, list(FEATURES).index(feature)]
        return of

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Nodules":
        """Return some of the nodules."""
        return Nodules(
            self.planes[chosen],
            self.categories[chosen],
            self.diameter_mm[chosen],
            self.malignant[chosen],
            self.chance[chosen],
        )


def joined(parts: Sequence[Nodules]) -> Nodules:
    """Return the nodules of several parts, one after the other."""
    return Nodules(
        np.concatenate([of.planes for of in parts]),
        np.concatenate([of.categories for of in parts]),
        np.concatenate([of.diameter_mm for of in parts]),
        np.concatenate([of.malignant for of in parts]),
        np.concatenate([of.chance for of in parts]),
    )
