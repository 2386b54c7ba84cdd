"""Convolutions before the transformer: folded, saved and loaded, they compute the same."""

from pathlib import Path

import pytest
import torch

from inference.backbone import BackboneSettings, load_backbone, new_backbone
from inference.errors import ModelUnusable
from inference.stem import ConvStem
from tests.inference.examples import TINY_CLIP

WIDTHS = (4, 8, 16, 24, 32)  # five stages: tokens of 16 pixels, as TINY_CLIP has
SMALL = TINY_CLIP | {"text_cfg": TINY_CLIP["text_cfg"] | {"vocab_size": 49408}}


def a_stem() -> ConvStem:
    """A stem whose normalisations have seen something."""
    torch.manual_seed(0)
    stem = ConvStem(WIDTHS, folded=False).train()
    for _ in range(3):
        stem(torch.randn(4, 3, 64, 64) * 2 + 1)
    return stem.eval()


def test_a_folded_stem_computes_the_same_for_one_image_as_for_many() -> None:
    stem = a_stem()
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        before = stem(images)
        stem.fold()
        assert torch.allclose(stem(images), before, atol=1e-5)
        stem.train()  # nothing is left in it that would learn from a batch
        assert torch.allclose(stem(images[:1]), before[:1], atol=1e-5)
    assert not [m for m in stem.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert stem.state_dict().keys() == ConvStem(WIDTHS).state_dict().keys()


def test_a_backbone_with_a_stem_is_loaded_as_it_was_saved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stem = a_stem()
    stem.fold()
    made = new_backbone(SMALL, list(range(49408)), stem)
    made.save(SMALL, tmp_path / "backbone")
    loaded = load_backbone(BackboneSettings(name="local-dir:backbone"), tmp_path)
    assert not [record for record in caplog.records if "randomly" in record.message]
    images = torch.randn(2, 3, 64, 64)
    made.eval()
    loaded.eval()
    with torch.no_grad():
        assert torch.allclose(loaded.encode_images(images), made.encode_images(images), atol=1e-6)
    assert loaded.grid == (4, 4)

    (tmp_path / "backbone/stem.json").write_text("[4, 8, 16, 24]")
    with pytest.raises(ModelUnusable, match="tokens are"):
        load_backbone(BackboneSettings(name="local-dir:backbone"), tmp_path)
    (tmp_path / "backbone/stem.json").write_text("[4, 8, 12, 24, 32]")
    with pytest.raises(ModelUnusable, match="cannot be loaded"):
        load_backbone(BackboneSettings(name="local-dir:backbone"), tmp_path)
