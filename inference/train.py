"""Train a model on generated nodules, on tables of nodules and on crops of real ones.

    python -m inference.train train.yaml
    python -m inference.train train.yaml --crops folder/lidc_nodules.csv
    torchrun --nproc_per_node 4 -m inference.train train.yaml

A CLIP is frozen and adapted exactly as the method says: LoRA on q, k and v, attention pooling
over the planes, contrastive loss and two classifiers, early stopping, a network a fold. Where
none can be had, a first stage trains a small CLIP from nothing (`clip` and `backbone` in the
configuration). The folder of the configuration becomes the model; `docs/model.md` describes it.

A training that was killed goes on after its last whole epoch when it is started again. Several
processes, one a GPU, share each batch and learn what one process would.

Generated nodules and volumes are seen in nine planes, crops (`inference/crops.py`) in the axial
one alone. What stands for malignancy is a target between 0 and 1: the chance a generated
nodule's truth is drawn from, the readers' mean suspicion where a table has one, else the label.
"""

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from inference.backbone import full_tokenizer, load_backbone, new_backbone
from inference.crops import read_crops
from inference.data.__main__ import Bar
from inference.errors import ArchiveUnavailable, DataUnusable, ModelUnusable
from inference.evaluate import PATIENTS
from inference.impressions import every_wording
from inference.model import CARD, Card
from inference.network import NoduleNetwork
from inference.pretrain import record_of
from inference.settings import Settings, read_settings
from inference.training.adaptation import (
    Checkpoint,
    key_of,
    metrics_of,
    seeded,
    train_network,
)
from inference.training.batches import Data
from inference.training.card import Fold, fold_file, write_card
from inference.training.config import BACKBONE_FOLDER, OWN_BACKBONE, Training
from inference.training.from_nothing import train_backbone
from inference.training.parts import (
    Source,
    crops_source,
    features_of,
    generated_source,
    hash_of,
    refuse_leakage,
    table_source,
)
from inference.training.processes import Processes

CHECKPOINT = "training.checkpoint"
CONFIGURATION = "training.json"  # with every default

logger = logging.getLogger("inference.train")


def read_training(file: Path) -> Training:
    """Read a configuration.

    Raises:
        OSError, yaml.YAMLError, pydantic.ValidationError: it cannot be used.
    """
    return Training.model_validate(yaml.safe_load(file.read_text()))


def sources_of(
    training: Training, folder: Path, settings: Settings, crops: Path | None
) -> list[Source]:
    """Gather all nodules: generated ones first, then tables, then crops.

    Raises:
        DataUnusable: there are none, they are unusable, or what serves for two things.
    """
    if crops is not None and training.patients is None:
        raise DataUnusable("Crops need `patients` in the configuration.")
    if training.patients and crops is None and not training.data:
        raise DataUnusable(
            "`patients` in the configuration need a table: `data`, or crops by --crops."
        )
    sources = []
    if training.seeds:
        sources.append(generated_source(training.seeds, training.cache))
    for of in training.data:
        bar = Bar(of.table.stem, "nodule")
        sources.append(table_source(training, of, folder, settings.service_token, bar))
    if crops is not None and training.patients:
        sources.append(crops_source(read_crops(crops), training.patients))
    if not sources:
        raise DataUnusable("There is nothing to train on: name `seeds` or `data`, or --crops.")
    refuse_leakage(sources)
    return sources


def train(
    file: Path, settings: Settings, table: Path | None = None, *, only_measure: bool = False
) -> None:
    """Train what `file` describes, into its folder, also on the crops of `table` if given.

    With `only_measure` the networks in the folder are left as they are: they are calibrated and
    measured again, and the card is written anew.

    Raises:
        DataUnusable: the table and the configuration do not agree, or nodules are unusable.
        ModelUnusable: the backbone cannot be had.
    """
    began = time.monotonic()
    training = read_training(file)
    folder = file.parent
    processes = Processes(training.precision, settings.device)
    torch.set_num_threads(settings.threads)
    with processes.first_alone():  # it fills the caches, which the others read
        sources = sources_of(training, folder, settings, table)
    features = features_of(sources)
    if processes.is_first:
        logger.info("nodules ready after %.0f s", time.monotonic() - began)
        (folder / CONFIGURATION).write_text(training.model_dump_json(indent=2) + "\n")
        _write_patients(folder, sources)
    checkpoint = Checkpoint(folder / CHECKPOINT, key_of(training, hash_of(sources)), processes)
    earlier = sum(line["seconds"] for line in checkpoint.history)  # before it was killed

    # A training that was killed while it adapted has its backbone already.
    if training.clip and not only_measure and not checkpoint.file.is_file():
        _new_backbone(training, folder, sources, features, processes)

    folds = []
    for number in range(training.folds):
        seeded(training.seed, 3, number)
        network = NoduleNetwork(load_backbone(training.start, folder), training.lora)
        network.to(processes.device)
        split = [source.fold(number, training.folds, training.seed) for source in sources]
        if only_measure or number < checkpoint.fold:
            network.load_trained_state(load_file(folder / fold_file(number)))
        else:
            train_network(
                training,
                [Data(of.train.nodules, network.backbone, training) for of in split],
                [Data(of.validation.nodules, network.backbone, training) for of in split],
                network,
                features,
                checkpoint,
                processes,
                number,
            )
            if processes.is_first:
                part = folder / f".{fold_file(number)}.part"
                save_file(network.trained_state(), part)
                part.replace(folder / fold_file(number))
            checkpoint.keep({"fold": number + 1, "history": checkpoint.history})
        folds.append(Fold(network, split))
    seconds = {"training": earlier + time.monotonic() - began}
    if only_measure:
        seconds = {"training": _seconds_of_training(folder)}
    command = f"python -m inference.train {file}" + (
        " --crops FOLDER/lidc_nodules.csv" if table else ""
    )
    before = record_of(folder / BACKBONE_FOLDER) if training.start.name == OWN_BACKBONE else {}
    if before:
        seconds = {"pretraining": before["seconds"]} | seconds
        command = f"{before['command']} && {command}"
    history = _epochs_of(folder) if only_measure else checkpoint.history
    write_card(training, command, seconds, folds, features, history, processes, folder)
    checkpoint.remove()
    processes.wait()


def _seconds_of_training(folder: Path) -> float:
    """Return how long the networks in a folder were trained, as their card says."""
    told = Card.model_validate_json((folder / CARD).read_text()).training
    return float(told.get("seconds_of", {}).get("training", told["seconds"]))


def _epochs_of(folder: Path) -> list[dict[str, Any]]:
    """Return what was measured after each epoch of the networks in a folder, if it is known."""
    file = metrics_of(folder)
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _new_backbone(
    training: Training,
    folder: Path,
    sources: list[Source],
    features: tuple[str, ...],
    processes: Processes,
) -> None:
    """Train a small CLIP from nothing and keep it in the folder."""
    if training.backbone is None or training.clip is None:
        return
    full = full_tokenizer(training.clip["text_cfg"]["context_length"])
    vocabulary = sorted(set(full(every_wording()).flatten().tolist()))
    text_config = training.clip["text_cfg"] | {"vocab_size": len(vocabulary)}
    config = training.clip | {"text_cfg": text_config}
    torch.manual_seed(training.seed)
    backbone = new_backbone(config, vocabulary)
    data = [Data(of.train.nodules, backbone, training) for of in sources]
    train_backbone(training, training.backbone, data, backbone, features, processes)
    if processes.is_first:
        backbone.save(config, folder / BACKBONE_FOLDER)
    processes.wait()


def _write_patients(folder: Path, sources: list[Source]) -> None:
    """Keep whom the model has seen, so that an evaluation leaves them out."""
    (folder / PATIENTS).unlink(missing_ok=True)
    seen = {
        name: sorted({str(p) for of in sources if of.real for p in getattr(of, name).patient})
        for name in ("train", "validation")
    }
    if any(seen.values()):
        (folder / PATIENTS).write_text(json.dumps(seen) + "\n")


def main() -> int:
    logger.setLevel(logging.INFO)
    logger.propagate = False  # open_clip makes the root logger talk
    logger.addHandler(logging.StreamHandler(sys.stdout))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="the configuration; its folder becomes the model")
    parser.add_argument("--crops", type=Path, help="a table of crops, as inference.crops reads it")
    parser.add_argument(
        "--measure", action="store_true", help="leave the networks, measure them, write the card"
    )
    arguments = parser.parse_args()
    try:
        train(
            arguments.file,
            read_settings(os.environ),
            arguments.crops,
            only_measure=arguments.measure,
        )
    except (
        OSError, yaml.YAMLError, ValidationError, DataUnusable, ModelUnusable, ArchiveUnavailable
    ) as error:  # fmt: skip
        print(f"Training cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
