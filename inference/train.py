"""Train a model on generated nodules and on crops of real ones.

    python -m inference.train train.yaml --crops folder/lidc_nodules.csv

Two stages. First a small CLIP is trained from scratch, all of its weights, since none can
be had here; this stands where a published CLIP stands otherwise, and is left out where the
folder has a `backbone/` already. Then it is frozen and
adapted exactly as the method says: LoRA on q, k and v, attention pooling over the planes,
contrastive loss and two classifiers. The folder of the configuration becomes the model.

Generated nodules are seen in nine planes, crops (`inference/crops.py`) in the axial one
alone. What stands for malignancy is the chance a generated nodule's truth is drawn from,
and the mean suspicion of a crop's readers: a target between 0 and 1.
"""

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path

import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import load_file

from inference.backbone import BackboneSettings, full_tokenizer, load_backbone, new_backbone
from inference.crops import read_crops
from inference.errors import DataUnusable, ModelUnusable
from inference.evaluate import PATIENTS
from inference.generated import generated_nodules
from inference.impressions import every_wording
from inference.model import CARD, Card
from inference.network import NoduleNetwork
from inference.settings import Settings, read_settings
from inference.training.adaptation import train_network
from inference.training.batches import Data
from inference.training.card import BACKBONE_FOLDER, FOLD_FILE, write_card
from inference.training.config import Training
from inference.training.from_nothing import train_backbone
from inference.training.parts import Parts, parts_of_crops

CHECKPOINT = "training.checkpoint"

logger = logging.getLogger("inference.train")


def train(
    file: Path, settings: Settings, table: Path | None = None, *, only_measure: bool = False
) -> None:
    """Train what `file` describes, into its folder, also on the crops of `table` if given.

    With `only_measure` the network in the folder is left as it is: it is calibrated and
    measured again, and the card is written anew.

    Raises:
        DataUnusable: the table and the configuration do not agree, or crops are unusable.
    """
    began = time.monotonic()
    training = Training.model_validate(yaml.safe_load(file.read_text()))
    if (table is None) != (training.patients is None):
        raise DataUnusable("Crops need both --crops and `patients` in the configuration.")
    folder = file.parent
    torch.manual_seed(training.seed)
    torch.set_num_threads(settings.threads)
    sets = [
        {
            name: generated_nodules(range(*seeds), training.cache)
            for name, seeds in training.seeds.model_dump().items()
        }
    ]
    of_crops = None
    if table and training.patients:
        of_crops = parts_of_crops(read_crops(table), training.patients)
        sets.append({name: crops.nodules for name, crops in of_crops.items()})
    logger.info("nodules ready after %.0f s", time.monotonic() - began)

    # A training that was killed while it adapted has its backbone already.
    done = only_measure or (folder / CHECKPOINT).is_file()
    if training.backbone and training.clip and not done:
        full = full_tokenizer(training.clip["text_cfg"]["context_length"])
        vocabulary = sorted(set(full(every_wording()).flatten().tolist()))
        text_config = training.clip["text_cfg"] | {"vocab_size": len(vocabulary)}
        config = training.clip | {"text_cfg": text_config}
        backbone = new_backbone(config, vocabulary)
        train_backbone(
            training,
            training.backbone,
            [Data(of["train"], backbone, training.augmentation) for of in sets],
            backbone,
        )
        backbone.save(config, folder / BACKBONE_FOLDER)

    adapted = load_backbone(BackboneSettings(name=f"local-dir:{BACKBONE_FOLDER}"), folder)
    network = NoduleNetwork(adapted, training.lora)
    sources = []
    for of in sets:
        parts = {name: Data(part, adapted, training.augmentation) for name, part in of.items()}
        sources.append(Parts(parts["train"], parts["validation"], parts["test"]))
    (folder / PATIENTS).unlink(missing_ok=True)
    if of_crops:
        seen = {
            name: sorted({str(patient) for patient in of_crops[name].patient})
            for name in ("train", "validation")
        }
        (folder / PATIENTS).write_text(json.dumps(seen) + "\n")
        sources[1] = sources[1]._replace(crops=of_crops["test"])
    if only_measure:
        network.load_trained_state(load_file(folder / FOLD_FILE))
        seconds = Card.model_validate_json((folder / CARD).read_text()).training["seconds"]
    else:
        train_network(
            training,
            [of.train for of in sources],
            [of.validation for of in sources],
            network,
            folder / CHECKPOINT,
        )
        seconds = time.monotonic() - began
    command = f"python -m inference.train {file}" + (
        " --crops FOLDER/lidc_nodules.csv" if table else ""
    )
    write_card(training, command, seconds, network, sources, folder)


def main() -> int:
    logger.setLevel(logging.INFO)
    logger.propagate = False  # open_clip makes the root logger talk
    logger.addHandler(logging.StreamHandler(sys.stdout))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the configuration; its folder becomes the model")
    parser.add_argument("--crops", type=Path, help="a table of crops, as inference.crops reads it")
    parser.add_argument(
        "--measure", action="store_true", help="leave the network, measure it and write the card"
    )
    arguments = parser.parse_args()
    try:
        train(
            arguments.file,
            read_settings(os.environ),
            arguments.crops,
            only_measure=arguments.measure,
        )
    except (OSError, yaml.YAMLError, ValidationError, DataUnusable, ModelUnusable) as error:
        print(f"Training cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
