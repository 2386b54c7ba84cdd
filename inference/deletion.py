"""Check that relevance maps point at what matters: `python -m inference.deletion MODEL`.

The tenth of the cells that a map calls most relevant is replaced by lung, and for comparison as
many cells of each plane at random, many times. A map that is of use makes the score fall further.
Nodules are generated ones held out from training; with `--data` those of a table of crops that
the model has not seen (`inference/crops.py`), in their one plane.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from inference.crops import read_crops
from inference.errors import DataUnusable, ModelUnusable
from inference.estimates import Estimate, over_patients
from inference.evaluate import folder_of, seen_patients
from inference.explain import faithfulness, relevance
from inference.generated import generated_nodules
from inference.model import Model, choose_device, load_model
from inference.nodules import Nodules
from inference.predict import malignant
from inference.preprocess import PLANE_MM, network_input, normalised
from inference.settings import read_settings

HELD_OUT = range(5_000_000, 5_000_600)
DRAWS = 20
LUNG = 0.1  # -850 HU on the scale of planes
SUSPICIOUS = 0.5


class Drops(NamedTuple):
    """How far scores fall, each (n,)."""

    probability: NDArray[np.float64]
    most_relevant: NDArray[np.float64]
    at_random: NDArray[np.float64]


def drops_of(model: Model, nodules: Nodules, draws: int = DRAWS) -> Drops:
    """Delete cells of every nodule, by the first fold."""
    network, calibrate, contract = model.networks[0], model.calibrations[0], model.card.input
    edge = (nodules.planes.shape[-1] - PLANE_MM) // 2
    inner = slice(edge, edge + PLANE_MM)
    lung = normalised(torch.full((1, 1, 1, 1), LUNG), contract.mean, contract.std)[0]

    def calibrated(logits: torch.Tensor) -> torch.Tensor:
        return torch.tensor([calibrate(p) for p in malignant(logits).tolist()])

    rows = []
    for planes in nodules.planes[:, :, inner, inner]:
        grey = torch.from_numpy(planes).float() / 255
        images = network_input(grey, contract.size, contract.mean, contract.std).to(model.device)
        output, maps = relevance(network, images)
        drop = faithfulness(network, images, output, maps, lung.to(model.device), calibrated, draws)
        rows.append((float(calibrated(output.logits)[0]), *drop))
    return Drops(*(np.array(column) for column in zip(*rows, strict=True)))


def difference_of(drops: Drops, patient: NDArray[np.str_]) -> Estimate:
    """Return how much further scores fall by the map than at random, over patients."""
    further = drops.most_relevant - drops.at_random
    return over_patients(lambda rows: float(further[rows].mean()), patient)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a model's folder, or demo")
    parser.add_argument("--data", type=Path, help="a table of crops")
    parser.add_argument("--nodules", type=int, default=200, help="how many at most")
    parser.add_argument("--cache", type=Path, default=Path("var/inference"))
    parser.add_argument("--json", type=Path, help="where to write what was found")
    arguments = parser.parse_args()
    settings = read_settings(os.environ)
    torch.set_num_threads(settings.threads)
    folder = folder_of(arguments.model)
    try:
        model = load_model(folder.name, folder.parent, choose_device(settings.device))
        if arguments.data:
            crops = read_crops(arguments.data, leave_out_missing=True)
            fresh = ~np.isin(crops.patient, sorted(seen_patients(folder)))
            if not fresh.any():
                raise DataUnusable("the model has seen every patient of the table")
            chosen = crops.rows(fresh & (fresh.cumsum() <= arguments.nodules))
            nodules, patient = chosen.nodules, chosen.patient
        else:
            nodules = generated_nodules(HELD_OUT, arguments.cache)
            nodules = nodules.rows(np.arange(min(len(nodules), arguments.nodules)))
            patient = np.arange(len(nodules)).astype(str)
    except (DataUnusable, ModelUnusable, OSError) as error:
        print(f"The maps cannot be checked: {error}", file=sys.stderr)
        return 1
    drops = drops_of(model, nodules)
    found = {}
    for name, of in {
        "all": np.full(len(patient), fill_value=True),
        f"probability above {SUSPICIOUS}": drops.probability > SUSPICIOUS,
    }.items():
        if not of.any():
            continue
        chosen_drops = Drops(*(column[of] for column in drops))
        by_map, at_random = chosen_drops.most_relevant, chosen_drops.at_random
        found[name] = {
            "nodules": int(of.sum()),
            "most_relevant": float(by_map.mean()),
            "at_random": float(at_random.mean()),
            "further_by": difference_of(chosen_drops, patient[of]).model_dump(),
            "share_further": float((by_map > at_random).mean()),
        }
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
