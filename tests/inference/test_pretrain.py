"""The small CLIP of the demonstration model, trained on made crops with outlines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from inference.backbone import BackboneSettings, load_backbone
from inference.crops import read_crops
from inference.errors import DataUnusable
from inference.nodules import STORED_WIDTH
from inference.pretrain import CHECKPOINT, RECORD, outline_loss, outlines_of, record_of, run
from inference.settings import Settings
from inference.training.adaptation import keep_checkpoint
from inference.training.config import Patients
from tests.inference.crops import a_row, write_crops

CONFIGURATION = {
    "seed": 1,
    "generated": [1, 9],
    "patients": {"kept_out": ["P0"], "validation": 0.2, "test": 0.2},
    "clip": {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16,
        },
        "text_cfg": {"context_length": 48, "width": 32, "heads": 2, "layers": 1},
    },
    "stem": [4, 8, 16, 32],
    "epochs": 2,
    "crops_a_batch": 4,
    "generated_a_batch": 2,
    "learning_rate": 1e-3,
}  # fmt: skip


def write_masks(table: Path, rows: list[dict[str, object]]) -> None:
    """Discs of the size the table says, by two readers; the second draws only the upper half."""
    (table.parent / "masks").mkdir()
    y, x = np.indices((128, 128))
    for row in rows:
        radius = np.sqrt(float(str(row["mask_area_px"])) / np.pi)
        disc = np.hypot(y - 64.5, x - 64.5) <= radius
        bits = disc + 2 * (disc & (y < 64.5))
        Image.fromarray(bits.astype(np.uint8)).save(table.parent / "masks" / str(row["file"]))


def test_outlines_lie_where_the_planes_do_and_say_how_many_readers_drew_them(tmp_path) -> None:
    rows = [a_row(0, 16)]
    table = write_crops(tmp_path, rows)
    write_masks(table, rows)
    (drawn,) = outlines_of(table, read_crops(table)) / 255
    middle = STORED_WIDTH // 2
    # 16 mm at one pixel a millimetre: all readers above the middle and half of them below.
    assert drawn[middle - 4, middle] == pytest.approx(1)
    assert drawn[middle + 4, middle] == pytest.approx(0.5, abs=0.01)
    assert drawn[middle, middle - 9] == drawn[middle, middle + 9] == 0
    assert drawn.sum() == pytest.approx(0.75 * np.pi * 8**2, rel=0.05)
    (tmp_path / "masks" / rows[0]["file"]).unlink()
    with pytest.raises(DataUnusable, match="cannot be read"):
        outlines_of(table, read_crops(table))


def test_the_outline_that_was_drawn_costs_least() -> None:
    drawn = torch.zeros(2, 1, 32, 32)
    drawn[:, :, 8:16, 8:16] = 1
    fine = torch.nn.functional.interpolate(drawn, (8, 8), mode="area") * 20 - 10
    assert outline_loss(fine, drawn) < 0.05
    assert outline_loss(-fine, drawn) > 1
    assert outline_loss(torch.full_like(fine, -10), drawn) > 1  # nothing drawn is no way out


def test_a_pretraining_leaves_a_backbone_and_looks_at_patients_to_train_with_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [a_row(number, 6 + number) for number in range(24)]
    table = write_crops(tmp_path / "crops", rows)
    write_masks(table, rows)
    patients = Patients.model_validate(CONFIGURATION["patients"])
    for row in rows:  # what must not be looked at cannot be
        if patients.part_of(row["patient_id"]) != "train":
            (table.parent / "masks" / row["file"]).unlink()
    file = tmp_path / "backbone" / "pretrain.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(CONFIGURATION | {"cache": str(tmp_path / "cache")}))
    run(file, table, Settings(threads=1))

    made = load_backbone(BackboneSettings(name="local-dir:backbone"), tmp_path)
    assert made.grid == (4, 4)
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        features = made.eval().encode_images(images)
        assert torch.allclose(features[:1], made.encode_images(images[:1]), atol=1e-5)
    assert features.shape == (3, 16)
    weights = file.parent / "open_clip_model.safetensors"
    first = weights.read_bytes()

    # Killed after an epoch and begun again, it ends as if it had not been.
    def keep_and_die(*given: Any) -> None:
        keep_checkpoint(*given)
        raise Killed

    monkeypatch.setattr("inference.pretrain.keep_checkpoint", keep_and_die)
    with pytest.raises(Killed):
        run(file, table, Settings(threads=1))
    monkeypatch.setattr("inference.pretrain.keep_checkpoint", keep_checkpoint)
    weights.unlink()
    file.write_text(file.read_text().replace("learning_rate: 0.001", "learning_rate: 0.002"))
    with pytest.raises(DataUnusable, match="another configuration"):
        run(file, table, Settings(threads=1))
    file.write_text(file.read_text().replace("learning_rate: 0.002", "learning_rate: 0.001"))
    (file.parent / RECORD).unlink()
    run(file, table, Settings(threads=1))
    assert weights.read_bytes() == first
    assert "pretrain.yaml --crops" in record_of(file.parent)["command"]
    assert not (file.parent / CHECKPOINT).exists()


class Killed(BaseException):
    pass
