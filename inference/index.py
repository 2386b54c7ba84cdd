"""Make the reference set of a model: nodules of known truth to lay beside new ones.

    python -m inference.index MODEL

The nodules are generated, so that they may be handed on with the model. What training looks
like is learned from their embeddings, and with `--crops` from those of the model's own training
patients as well; of these only the mean and the covariance are kept, no image.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from inference.crops import read_crops
from inference.errors import DataUnusable, ModelUnusable
from inference.evaluate import PATIENTS, folder_of
from inference.generated import generated_nodules
from inference.model import Model, choose_device, load_model
from inference.nodules import Nodules
from inference.preprocess import PLANE_MM, network_input
from inference.reference import (
    ARRAYS,
    TABLE,
    UNLIKE_SHARE,
    Known,
    ReferenceTable,
    mahalanobis,
    spread_of,
)
from inference.settings import Settings, read_settings

SHOWN = range(3_000_000, 3_000_300)  # seeds no model was trained or tested with
FITTED = range(1_000_000, 1_002_400)  # those the demonstration model was trained on
HELD_OUT = range(2_000_000, 2_000_700)
BATCH = 16


@torch.no_grad()
def embeddings_of(model: Model, nodules: Nodules) -> NDArray[np.float64]:
    """Return what the first fold makes of nodules, (n, width), of unit length."""
    contract, edge = model.card.input, (nodules.planes.shape[-1] - PLANE_MM) // 2
    inner = slice(edge, edge + PLANE_MM)
    found = []
    for first in range(0, len(nodules), BATCH):
        planes = nodules.planes[first : first + BATCH, :, inner, inner]
        grey = torch.from_numpy(planes).flatten(0, 1).float() / 255
        images = network_input(grey, contract.size, contract.mean, contract.std)
        images = images.view(*planes.shape[:2], *images.shape[1:]).to(model.device)
        found.append(model.networks[0].images(images).embedding.cpu().double().numpy())
    return np.concatenate(found)


def make_index(
    folder: Path,
    settings: Settings,
    cache: Path,
    crops: Path | None = None,
    shown: range = SHOWN,
    fitted: range = FITTED,
    held_out: range = HELD_OUT,
) -> ReferenceTable:
    """Write the reference set into a model's folder.

    Raises:
        ModelUnusable, DataUnusable: one of them cannot be read.
    """
    for name in (TABLE, ARRAYS):
        (folder / name).unlink(missing_ok=True)  # of other weights, it would not load
    model = load_model(folder.name, folder.parent, choose_device(settings.device))
    known = generated_nodules(shown, cache)
    sources = {"generated": embeddings_of(model, generated_nodules(fitted, cache))}
    apart = [embeddings_of(model, generated_nodules(held_out, cache))]
    if crops:
        patients = json.loads((folder / PATIENTS).read_text())
        of = read_crops(crops)
        for name in ("train", "validation"):
            found = embeddings_of(model, of.rows(np.isin(of.patient, patients[name])).nodules)
            if name == "train":
                sources["crops"] = found
            else:
                apart.append(found)
    mean, precision = spread_of(np.concatenate(list(sources.values())))
    # Each source by itself, so that neither is unlike more often than the other.
    above = max(
        float(np.quantile(mahalanobis(one, mean, precision), UNLIKE_SHARE)) for one in apart
    )
    edge = (known.planes.shape[-1] - PLANE_MM) // 2
    table = ReferenceTable(
        weights_hash=model.weights_hash,
        made_by=f"python -m inference.index MODEL{' --crops TABLE' if crops else ''}",
        fitted_on={name: len(found) for name, found in sources.items()},
        unlike_above=above,
        nodules=tuple(
            Known(
                id=f"generated-{seed}",
                malignant=bool(malignant),
                truth="generated",
                diameter_mm=round(float(mm), 1),
            )
            for seed, malignant, mm in zip(shown, known.malignant, known.diameter_mm, strict=True)
        ),
    )
    save_file(
        {
            "embeddings": embeddings_of(model, known).astype(np.float32),
            "thumbnails": np.ascontiguousarray(
                known.planes[:, 0, edge : edge + PLANE_MM, edge : edge + PLANE_MM]
            ),
            "mean": mean.astype(np.float32),
            "precision": precision.astype(np.float32),
        },
        folder / ARRAYS,
    )
    (folder / TABLE).write_text(table.model_dump_json(indent=1) + "\n")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a model's folder, or demo")
    parser.add_argument("--crops", type=Path, help="the table of crops the model was trained on")
    parser.add_argument("--cache", type=Path, default=Path("var/inference"))
    arguments = parser.parse_args()
    settings = read_settings(os.environ)
    torch.set_num_threads(settings.threads)
    try:
        table = make_index(folder_of(arguments.model), settings, arguments.cache, arguments.crops)
    except (DataUnusable, ModelUnusable, OSError) as error:
        print(f"The reference set cannot be made: {error}", file=sys.stderr)
        return 1
    print(
        f"{len(table.nodules)} nodules; unlike the training data above {table.unlike_above:.1f}, "
        f"fitted on {table.fitted_on}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
