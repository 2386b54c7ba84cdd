"""From a volume and a point to the prediction bundle, step by step."""

import hashlib
import time
from typing import Any

import torch

from inference.archive import Volume
from inference.errors import PredictionImpossible
from inference.explain import Faithfulness, faithfulness, relevance
from inference.model import Model
from inference.network import ImageOutput
from inference.preprocess import PLANE_MM, Plane, network_input, nodule_input, normalised


def predict_nodule(
    model: Model,
    volume: Volume,
    nodule_mm: tuple[float, float, float],
    frame_of_reference_uid: str = "",
    *,
    explain: bool = True,
) -> dict[str, Any]:
    """Predict one nodule, at a point in LPS millimetres; plain JSON values.

    Several folds count equally: their calibrated probabilities, plane weights, relevance
    and semantic probabilities are averaged. The embedding is that of the first fold. Without
    `explain` there are no planes with relevance, and no faithfulness.

    Raises:
        PredictionImpossible: the point is not in the volume, or in another frame.
    """
    began = time.perf_counter()
    if frame_of_reference_uid not in {"", volume.frame_of_reference_uid}:
        raise PredictionImpossible(
            "other_frame_of_reference",
            f"The nodule's place is given in frame of reference {frame_of_reference_uid}, the "
            f"series lies in {volume.frame_of_reference_uid or 'none'}.",
        )
    nodule = nodule_input(volume, nodule_mm)
    contract = model.card.input
    on_cpu = network_input(
        torch.from_numpy(nodule.planes), contract.size, contract.mean, contract.std
    ).contiguous()
    planes = on_cpu.to(model.device)
    parenchyma = normalised(
        torch.full((1, 1, 1, 1), nodule.parenchyma, device=model.device),
        contract.mean,
        contract.std,
    )[0]

    outputs, maps, faithful = [], [], []
    for network, calibration in zip(model.networks, model.calibrations, strict=True):

        def calibrated(logits: torch.Tensor, calibrate: Any = calibration) -> torch.Tensor:
            return torch.tensor([calibrate(p) for p in malignant(logits).tolist()])

        if not explain:
            with torch.no_grad():
                outputs.append(network.images(planes[None]))
            continue
        output, fold_maps = relevance(network, planes)
        outputs.append(output)
        maps.append(fold_maps)
        faithful.append(faithfulness(network, planes, output, fold_maps, parenchyma, calibrated))

    raw = [float(malignant(output.logits)[0]) for output in outputs]
    probabilities = [calibrate(p) for calibrate, p in zip(model.calibrations, raw, strict=True)]
    prediction = {
        "status": "done",
        "model": model.describe(),
        "input_hash": hashlib.sha256(on_cpu.numpy().astype("<f4").tobytes()).hexdigest(),
        "probability_raw": _mean(raw),
        "probability": _mean(probabilities),
        "semantic": semantic_probabilities(model, outputs),
        "embedding": outputs[0].embedding[0].tolist(),
        "device": model.device.type,
    }
    if model.reference:
        embedding = outputs[0].embedding[0].cpu().double().numpy()
        prediction["similar"] = model.reference.similar(embedding)
        prediction["likeness"] = model.reference.likeness(embedding)
    if explain:
        weights = torch.stack([output.view_weights[0] for output in outputs]).mean(dim=0)
        prediction |= _explanation(nodule.places, weights, torch.stack(maps).mean(dim=0), faithful)
    return prediction | {"seconds": time.perf_counter() - began}


def _explanation(
    places: tuple[Plane, ...],
    weights: torch.Tensor,
    relevances: torch.Tensor,
    faithful: list[Faithfulness],
) -> dict[str, Any]:
    return {
        "planes": [
            {
                "name": place.name,
                "weight": weight,
                "centre_mm": place.centre_mm.tolist(),
                "row": place.row.tolist(),
                "column": place.column.tolist(),
                "cell_mm": PLANE_MM / relevances.shape[2],
                "relevance": plane.tolist(),
            }
            for place, weight, plane in zip(places, weights.tolist(), relevances, strict=True)
        ],
        "relevance_scale": float(relevances.max()),
        "faithfulness": {
            "deletion_drop": _mean([fold.deletion_drop for fold in faithful]),
            "random_drop": _mean([fold.random_drop for fold in faithful]),
        },
    }


def malignant(logits: torch.Tensor) -> torch.Tensor:
    """Return the probability of malignancy (n,) from logits (n, 2)."""
    return logits.double().softmax(dim=1)[:, 1]


def semantic_probabilities(model: Model, outputs: list[ImageOutput]) -> dict[str, dict[str, float]]:
    """Compare a nodule with the prompts of each valid feature, as the mean over folds."""
    result: dict[str, dict[str, float]] = {}
    for feature, categories in model.prompt_embeddings[0].items():
        folds = []
        for network, output, prompts in zip(
            model.networks, outputs, model.prompt_embeddings, strict=True
        ):
            sentences = torch.stack(list(prompts[feature].values()))
            with torch.no_grad():
                cosines = output.embedding[0] @ sentences.T
                folds.append((network.temperature() * cosines).double().softmax(dim=0))
        mean = torch.stack(folds).mean(dim=0).tolist()
        result[feature] = dict(zip(categories, mean, strict=True))
    return result


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
