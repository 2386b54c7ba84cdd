"""Two nodules kept with a model, and the scores it must give them on any machine.

    python -m inference.selftest MODEL            prints what a registry needs, as JSON
    python -m inference.selftest MODEL --write    keeps two generated nodules with the model

A model whose scores differ from the kept ones by more than the tolerance has other weights, or
runs on libraries that compute something else: it must not be registered.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from inference.errors import DataUnusable, ModelUnusable
from inference.evaluate import folder_of
from inference.generated import generated_nodules
from inference.model import Model, choose_device, load_model
from inference.nodules import STORED_WIDTH
from inference.preprocess import PLANE_MM, network_input
from inference.settings import read_settings

FILE = "selftest.safetensors"
SEEDS = range(4_000_000, 4_000_002)
TOLERANCE = 1e-4  # of a score from 0 to 1, and of the cosine between embeddings


@torch.no_grad()
def answers(model: Model, planes: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return scores (n, folds) and embeddings (n, folds, width) of planes (n, 9, 50, 50)."""
    contract = model.card.input
    grey = torch.from_numpy(planes).flatten(0, 1).float() / 255
    images = network_input(grey, contract.size, contract.mean, contract.std)
    images = images.view(len(planes), -1, *images.shape[1:]).to(model.device)
    outputs = [network.images(images) for network in model.networks]
    scores = [one.logits.double().softmax(dim=1)[:, 1].cpu().numpy() for one in outputs]
    embeddings = [one.embedding.double().cpu().numpy() for one in outputs]
    return np.stack(scores, axis=1), np.stack(embeddings, axis=1)


def write(model: Model, folder: Path, cache: Path) -> None:
    """Keep two generated nodules with what the model makes of them."""
    edge = (STORED_WIDTH - PLANE_MM) // 2
    planes = generated_nodules(SEEDS, cache).planes[:, :, edge:-edge, edge:-edge]
    scores, embeddings = answers(model, planes)
    save_file(
        {"planes": np.ascontiguousarray(planes), "scores": scores, "embeddings": embeddings},
        folder / FILE,
    )


def check(model: Model, folder: Path) -> dict[str, Any]:
    """Compare what the model says now with what it said; plain JSON values.

    Raises:
        ModelUnusable: there are no nodules to compare on.
    """
    try:
        kept = load_file(folder / FILE)
        scores, embeddings = answers(model, kept["planes"])
        of_scores = float(np.abs(scores - kept["scores"]).max())
        of_embeddings = float(1 - (embeddings * kept["embeddings"]).sum(axis=2).min())
    except FileNotFoundError as error:
        raise ModelUnusable(
            f"The model has no {FILE}: keep two nodules with it by "
            "python -m inference.selftest MODEL --write."
        ) from error
    except (KeyError, ValueError, SafetensorError) as error:
        raise ModelUnusable(f"{FILE} does not fit the model: {error}.") from error
    return {
        "nodules": len(scores),
        "score_differs_by": of_scores,
        "embedding_differs_by": of_embeddings,
        "tolerance": TOLERANCE,
        "passed": max(of_scores, of_embeddings) <= TOLERANCE,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a model's folder, or demo")
    parser.add_argument("--write", action="store_true", help="keep two nodules with the model")
    parser.add_argument("--cache", type=Path, default=Path("var/inference"))
    arguments = parser.parse_args()
    settings = read_settings(os.environ)
    torch.set_num_threads(settings.threads)
    folder = folder_of(arguments.model)
    try:
        model = load_model(folder.name, folder.parent, choose_device(settings.device))
        if arguments.write:
            write(model, folder, arguments.cache)
        found = check(model, folder)
    except (DataUnusable, ModelUnusable, OSError) as error:
        print(f"The model cannot be tested: {error}", file=sys.stderr)
        return 1
    input_contract = model.card.input.model_dump(mode="json")
    print(
        json.dumps(
            {"model": model.describe(), "input": input_contract, "selftest": found}, indent=1
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
