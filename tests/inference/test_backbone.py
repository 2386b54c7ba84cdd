from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from inference.backbone import BackboneSettings, Tokenizer, load_backbone, new_backbone
from inference.errors import ModelUnusable
from tests.inference.examples import TINY_CLIP

SMALL = TINY_CLIP | {"text_cfg": TINY_CLIP["text_cfg"] | {"vocab_size": 49408}}


def test_weights_come_from_a_tag_a_checkpoint_a_hub_or_a_folder_and_never_from_nowhere() -> None:
    BackboneSettings(name="ViT-B-32-quickgelu", pretrained="openai")
    BackboneSettings(name="ViT-B-32-quickgelu", pretrained="weights/clip.safetensors")
    BackboneSettings(name="hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224")
    BackboneSettings(name="local-dir:backbone")
    with pytest.raises(ValidationError, match="name `pretrained` weights"):
        BackboneSettings(name="ViT-B-32-quickgelu")


@pytest.mark.parametrize(
    "settings",
    [
        BackboneSettings(name="ViT-B-32-quickgelu", pretrained="no-such-tag"),
        BackboneSettings(name="ViT-B-9000", pretrained="openai"),
        BackboneSettings(name="local-dir:nowhere"),
    ],
    ids=lambda settings: settings.name,
)
def test_weights_that_cannot_be_had_are_named(settings: BackboneSettings, tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match=settings.name):
        load_backbone(settings, tmp_path)


def test_a_backbone_saved_for_open_clip_and_loaded_again_computes_the_same(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    backbone = new_backbone(SMALL, list(range(49408))).eval()
    backbone.save(SMALL, tmp_path / "backbone")
    again = load_backbone(BackboneSettings(name="local-dir:backbone"), tmp_path).eval()

    images = torch.randn(2, 3, 64, 64)
    tokens = again.tokenize(["The nodule is solid."])
    with torch.no_grad():
        assert torch.equal(again.encode_images(images), backbone.encode_images(images))
        assert torch.equal(again.encode_texts(tokens), backbone.encode_texts(tokens))
    assert (again.image_size, again.features, again.grid) == (64, 16, (4, 4))


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    backbone = new_backbone(SMALL, list(range(49408)))
    wider = SMALL | {"embed_dim": 24}
    backbone.save(wider, tmp_path / "backbone")
    with pytest.raises(ModelUnusable, match="local-dir:backbone"):
        load_backbone(BackboneSettings(name="local-dir:backbone"), tmp_path)


def test_a_small_vocabulary_keeps_the_order_of_tokens_and_refuses_words_it_lacks() -> None:
    def tokenize(texts: list[str]) -> torch.Tensor:
        return torch.tensor([[900, *(int(word) for word in text.split()), 901] for text in texts])

    small = Tokenizer(tokenize, [0, 17, 40, 900, 901])
    assert small(["17 40"]).tolist() == [[3, 1, 2, 4]]
    with pytest.raises(ModelUnusable, match='every word of "17 41"'):
        small(["17 41"])
    with pytest.raises(ModelUnusable):
        small(["17 99999"])
