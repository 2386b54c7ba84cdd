"""Nodules with a known truth to lay beside a new one, and whether it is unlike all training.

A model's folder may hold them, made by `python -m inference.index`: `reference.safetensors` with
embeddings and small axial images, `reference.json` with what is known of each nodule.

Lee K, Lee K, Lee H, Shin J. A simple unified framework for detecting out-of-distribution samples
and adversarial attacks. NeurIPS 2018 (Mahalanobis distance in the space of a network).
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file

from inference.errors import ModelUnusable

TABLE, ARRAYS = "reference.json", "reference.safetensors"
NEIGHBOURS = 5
# Embeddings fill few of their dimensions: without a floor, rounding would decide.
FLOOR = 0.01  # of the mean variance, added to every direction
UNLIKE_SHARE = 0.99  # of held out nodules lie nearer than what counts as unlike

Floats = NDArray[np.float64]


class Known(BaseModel):
    """A nodule of the reference set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    malignant: bool
    truth: str  # where the truth comes from
    diameter_mm: float


class ReferenceTable(BaseModel):
    """What `reference.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights_hash: str  # of the model whose embeddings these are
    made_by: str
    fitted_on: dict[str, int]  # source -> nodules that say what training looks like
    unlike_above: float
    nodules: tuple[Known, ...]


@dataclass(frozen=True)
class Reference:
    """A reference set.

    Attributes
    ----------
    table : ReferenceTable
    embeddings : float64, shape (n, width), of unit length
    thumbnails : uint8, shape (n, height, width)
        Axial, one pixel a millimetre, HU from -1000 to 500 as 0 to 255.
    mean, precision : float64, shapes (width,) and (width, width)
        Of the embeddings of training.
    """

    table: ReferenceTable
    embeddings: Floats
    thumbnails: NDArray[np.uint8]
    mean: Floats
    precision: Floats

    def similar(self, embedding: Floats, count: int = NEIGHBOURS) -> list[dict[str, Any]]:
        """Return the nearest nodules, nearest first, as plain JSON values.

        `distance` is one less the cosine, from 0 (the same) to 2; of equal distances the one
        that stands first in the table.
        """
        distances = 1 - self.embeddings @ embedding
        return [
            {
                **self.table.nodules[row].model_dump(),
                "distance": float(max(distances[row], 0.0)),
                "thumbnail": _png(self.thumbnails[row]),
            }
            for row in np.argsort(distances, kind="stable")[:count]
        ]

    def likeness(self, embedding: Floats) -> dict[str, Any]:
        """Say how far an embedding lies from those of training: a flag, never a rejection."""
        distance = float(mahalanobis(embedding[None], self.mean, self.precision)[0])
        above = self.table.unlike_above
        return {"distance": distance, "unlike_above": above, "unlike": distance > above}


def spread_of(embeddings: Floats) -> tuple[Floats, Floats]:
    """Return mean (width,) and precision (width, width) of embeddings (n, width)."""
    covariance = np.cov(embeddings, rowvar=False)
    floor = FLOOR * np.trace(covariance) / len(covariance)
    precision: Floats = np.linalg.inv(covariance + floor * np.eye(len(covariance)))
    return embeddings.mean(axis=0), precision


def mahalanobis(embeddings: Floats, mean: Floats, precision: Floats) -> Floats:
    """Return the distances (n,) of embeddings (n, width) from a mean."""
    away = embeddings - mean
    squares: Floats = np.einsum("na,ab,nb->n", away, precision, away)
    distances: Floats = np.sqrt(squares.clip(0))
    return distances


def load_reference(folder: Path, weights_hash: str) -> Reference | None:
    """Load the reference set of a model's folder; None where there is none.

    Raises:
        ModelUnusable: it is incomplete, or of another model.
    """
    if not (folder / TABLE).is_file():
        return None
    try:
        table = ReferenceTable.model_validate_json((folder / TABLE).read_text())
        arrays = load_file(folder / ARRAYS)
        reference = Reference(
            table,
            arrays["embeddings"].astype(np.float64),
            arrays["thumbnails"],
            arrays["mean"].astype(np.float64),
            arrays["precision"].astype(np.float64),
        )
    except (OSError, KeyError, ValidationError, SafetensorError) as error:
        raise ModelUnusable(f"The reference set ({TABLE}, {ARRAYS}) is unreadable.") from error
    if table.weights_hash != weights_hash:
        raise ModelUnusable(
            f"{TABLE} belongs to other weights: make it again with python -m inference.index."
        )
    n = len(table.nodules)
    if not n == len(reference.embeddings) == len(reference.thumbnails):
        raise ModelUnusable(f"{TABLE} and {ARRAYS} differ in how many nodules they hold.")
    return reference


def _png(grey: NDArray[np.uint8]) -> str:
    """Return an image as PNG in base64."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
