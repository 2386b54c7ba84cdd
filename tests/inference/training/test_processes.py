"""Two processes that share a batch learn what one learns with all of it."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.inference.examples import write_tiny_backbone

# Trains a few steps without dropout, whose chance is each process's own, and keeps the losses
# and weights of the first process.
SCRIPT = """
import sys
from pathlib import Path
import numpy as np, torch
from torch import nn
from inference.generated import LEARNED
from inference.lora import LoraSettings
from inference.network import NoduleNetwork
from inference.nodules import Nodules
from inference.prompts import FEATURES
from inference.training.adaptation import loss_of, look, optimiser
from inference.training.batches import Data, batches
from inference.training.config import Training
from inference.training.processes import Processes
from inference.backbone import BackboneSettings, load_backbone

out = Path(sys.argv[1])
training = Training.model_validate({
    "title": "", "version": "", "notice": "", "seed": 1,
    "adaptation": {"epochs": 1, "nodules_per_epoch": 24, "batch": 8, "learning_rate": 0.01,
                   "views": 2, "prompt_loss": 1.0},
})
processes = Processes(device="cpu")
rng = np.random.default_rng(0)
nodules = Nodules(
    rng.integers(0, 255, (21, 9, 64, 64)).astype(np.uint8),
    np.stack([rng.integers(0, len(c), 21) for c in FEATURES.values()], 1),
    rng.uniform(4, 20, 21), np.arange(21) % 3 == 0, rng.random(21),
)
torch.manual_seed(0)
backbone = load_backbone(BackboneSettings(name="local-dir:backbone"), out)
network = NoduleNetwork(backbone, LoraSettings(dropout=0.0))
for module in network.modules():
    if isinstance(module, nn.Dropout):
        module.p = 0.0
data = Data(nodules, backbone, training)
stage = training.adaptation
trained = [p for p in network.parameters() if p.requires_grad]
optimizer, schedule = optimiser(stage, trained, 3)
rng, losses = np.random.default_rng(5), []
for batch in batches([data], stage, rng, processes):
    assert len(batch.images) == 8 // processes.count
    loss = loss_of(training, network, batch, rng, LEARNED, processes)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    processes.average_gradients(trained)
    optimizer.step(); schedule.step()
    losses.append(loss.item())
scores, named = look(network, data, LEARNED, processes)
if processes.is_first:
    torch.save({"losses": losses, "scores": torch.from_numpy(scores),
                "weights": network.trained_state()}, out / f"{processes.count}.pt")
"""


def a_free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def run(folder: Path, count: int) -> dict[str, Any]:
    """Run the script in `count` processes, as a launcher starts them."""
    port = a_free_port()
    running = []
    for number in range(count):
        several = {
            "WORLD_SIZE": str(count), "RANK": str(number), "LOCAL_RANK": str(number),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
        }  # fmt: skip
        environment = os.environ | (several if count > 1 else {})
        command = [sys.executable, "-c", SCRIPT, str(folder)]
        running.append(subprocess.Popen(command, env=environment | {"OMP_NUM_THREADS": "1"}))
    assert [one.wait(timeout=400) for one in running] == [0] * count
    found: dict[str, Any] = torch.load(folder / f"{count}.pt", weights_only=True)
    return found


def test_two_processes_have_the_loss_and_the_weights_of_one_with_the_whole_batch(
    tmp_path: Path,
) -> None:
    write_tiny_backbone(tmp_path)
    one, two = run(tmp_path, 1), run(tmp_path, 2)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(two["scores"], one["scores"], atol=1e-5)
    for name, weights in one["weights"].items():
        if name == "image_head.attend.2.bias":
            continue  # softmax takes no notice of it: its gradient is rounding, scaled up by Adam
        torch.testing.assert_close(two["weights"][name], weights, atol=2e-4, rtol=1e-3)
    assert len(set(one["losses"])) == 3
