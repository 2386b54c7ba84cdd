"""How nodules are drawn, worded and learned from; the network is tiny and its weights random."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.backbone import BackboneSettings, load_backbone
from inference.generated import LEARNED
from inference.lora import LoraSettings
from inference.network import NoduleNetwork
from inference.nodules import Nodules
from inference.prompts import FEATURES
from inference.training.adaptation import Checkpoint, metrics_of, train_network
from inference.training.batches import Data
from inference.training.config import Training
from inference.training.processes import Processes
from tests.inference.examples import write_tiny_backbone

STAGE = {"epochs": 1, "nodules_per_epoch": 8, "batch": 4, "learning_rate": 1e-3, "views": 2}


def nodules(count: int = 60) -> Nodules:
    rng = np.random.default_rng(0)
    return Nodules(
        rng.integers(0, 255, (count, 9, 64, 64)).astype(np.uint8),
        np.stack([rng.integers(0, len(of), count) for of in FEATURES.values()], axis=1),
        rng.uniform(4, 20, count),
        np.arange(count) % 6 == 0,
        rng.random(count),
    )


def a_training(**changed: Any) -> Training:
    given = {"title": "", "version": "", "notice": "", "seed": 1, "adaptation": STAGE}
    return Training.model_validate(given | changed)


class Two(Processes):
    """One of two processes, as far as drawing goes."""

    def __init__(self, number: int) -> None:
        self.device, self.count, self.number = torch.device("cpu"), 2, number


@pytest.fixture
def network(tmp_path: Path) -> Iterator[NoduleNetwork]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so little is faster without handing it over
    write_tiny_backbone(tmp_path)
    backbone = load_backbone(BackboneSettings(name="local-dir:backbone"), tmp_path)
    yield NoduleNetwork(backbone, LoraSettings())
    torch.set_num_threads(threads)


def test_classes_are_drawn_equally_often_or_as_often_as_they_are(network: NoduleNetwork) -> None:
    few = nodules()
    few = Nodules(
        few.planes, few.categories, few.diameter_mm, few.malignant, few.malignant.astype(np.float64)
    )
    for sampler, expected in (("balanced", 0.5), ("uniform", 1 / 6)):
        data = Data(few, network.backbone, a_training(sampler=sampler))
        drawn = data.some(600, 1, np.random.default_rng(0), Processes(device="cpu"))
        assert drawn.chances[:, 1].mean().item() == pytest.approx(expected, abs=0.06)


def test_the_shares_of_two_processes_are_the_batch_of_one(network: NoduleNetwork) -> None:
    data = Data(nodules(), network.backbone, a_training())
    whole = data.some(6, 2, np.random.default_rng(3), Processes(device="cpu"))
    halves = [data.some(6, 2, np.random.default_rng(3), Two(number)) for number in (0, 1)]
    for name, column in whole._asdict().items():
        together = torch.cat([getattr(half, name) for half in halves])
        torch.testing.assert_close(together, column)
    with pytest.raises(ValueError, match="cannot share 5"):
        data.some(5, 2, np.random.default_rng(3), Two(0))


def test_training_stops_once_validation_no_longer_gets_better_and_keeps_the_best(
    network: NoduleNetwork, tmp_path: Path
) -> None:
    # A rate so small that the network stays as it is: no epoch is better than the first.
    stage = STAGE | {"epochs": 20, "patience": 2, "learning_rate": 1e-30, "weight_decay": 0.0}
    training, processes = a_training(adaptation=stage), Processes(device="cpu")
    data = Data(nodules(), network.backbone, training)
    before = {name: tensor.clone() for name, tensor in network.trained_state().items()}
    checkpoint = Checkpoint(tmp_path / "training.checkpoint", "key", processes)
    train_network(training, [data], [data], network, LEARNED, checkpoint, processes)
    assert [line["epoch"] for line in checkpoint.history] == [1, 2, 3]
    assert len(metrics_of(tmp_path).read_text().splitlines()) == 3
    after = network.trained_state()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, atol=1e-20, rtol=0)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_few_nodules_can_be_learned_by_heart(
    network: NoduleNetwork, tmp_path: Path, precision: str
) -> None:
    stage = STAGE | {"epochs": 6, "nodules_per_epoch": 48, "batch": 8, "learning_rate": 3e-3}
    training = a_training(
        adaptation=stage | {"patience": 6}, precision=precision,
        augmentation={"shift_mm": 0, "flip": 0, "degrees": 0, "noise": 0, "log_gamma": 0},
    )  # fmt: skip
    few, processes = nodules(8), Processes(training.precision, "cpu")
    few.planes[few.malignant] //= 4  # the malignant ones are dark
    data = Data(
        Nodules(
            few.planes,
            few.categories,
            few.diameter_mm,
            few.malignant,
            few.malignant.astype(np.float64),
        ),
        network.backbone,
        training,
    )
    checkpoint = Checkpoint(tmp_path / "training.checkpoint", "key", processes)
    train_network(training, [data], [data], network, LEARNED, checkpoint, processes)
    first, last = checkpoint.history[0], checkpoint.history[-1]
    assert last["loss"] < first["loss"]
    assert last["validation_auroc"] == [1.0]
