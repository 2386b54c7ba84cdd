from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from inference.backbone import BackboneSettings, load_backbone, new_backbone
from inference.lora import LoraSettings, SeparateAttention, merge_lora
from inference.network import NoduleNetwork
from tests.inference.examples import TINY_CLIP, randomise_lora


def a_tiny_network() -> NoduleNetwork:
    config = TINY_CLIP | {"text_cfg": TINY_CLIP["text_cfg"] | {"vocab_size": 49408}}
    return NoduleNetwork(new_backbone(config, list(range(49408))), LoraSettings())


def test_separate_projections_compute_what_multihead_attention_computes() -> None:
    torch.manual_seed(0)
    joined = nn.MultiheadAttention(768, 12, batch_first=True).eval()
    nn.init.normal_(joined.in_proj_bias)
    separate = SeparateAttention.equal_to(joined)
    x = torch.randn(2, 50, 768)
    mask = torch.full((50, 50), float("-inf")).triu(1)

    for attn_mask in (None, mask):
        expected = joined(x, x, x, need_weights=False, attn_mask=attn_mask)[0]
        for fused in (True, False):
            separate.fused = fused
            found = separate(x, x, x, attn_mask=attn_mask)[0]
            assert (found - expected).abs().max() < 2e-6


def test_vit_b_32_has_the_published_number_of_weights_and_every_lora_weight_learns() -> None:
    settings = BackboneSettings(name="ViT-B-32-quickgelu", random_weights=True)
    network = NoduleNetwork(load_backbone(settings, Path()), LoraSettings())
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    lora = {name: p for name, p in trained.items() if ".lora_" in name}
    assert sum(p.numel() for p in lora.values()) == 184_320
    assert sum(p.numel() for p in trained.values()) == 547_334

    randomise_lora(network)  # while B is zero, A has no gradient
    before = {name: p.detach().clone() for name, p in trained.items()}
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-4, weight_decay=0.1)
    images = network.images(torch.randn(2, 1, 3, 224, 224))
    texts = network.texts(network.backbone.tokenize(["A 9 mm nodule.", "A 20 mm nodule."]))
    logits = network.temperature() * images.embedding @ texts.embedding.T
    truth = torch.tensor([0, 1])
    loss = functional.cross_entropy(logits, truth, label_smoothing=0.1)
    loss += functional.cross_entropy(images.logits, truth)
    loss += functional.cross_entropy(texts.logits, truth)
    torch.autograd.backward(loss)
    optimizer.step()

    for name, parameter in lora.items():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0, name
    # Decay alone changes every weight that is not zero, by far less than a step does.
    assert all((p - before[name]).abs().max() > 5e-5 for name, p in lora.items())


def test_dropout_of_lora_is_active_in_training_and_only_there() -> None:
    network = a_tiny_network()
    randomise_lora(network)
    images = torch.randn(1, 9, 3, 64, 64)

    network.train()
    assert not torch.equal(network.images(images).embedding, network.images(images).embedding)
    network.eval()
    assert torch.equal(network.images(images).embedding, network.images(images).embedding)


def test_merging_changes_no_prediction_and_happens_once() -> None:
    torch.manual_seed(1)
    network = a_tiny_network().eval()
    randomise_lora(network)
    images = torch.randn(3, 9, 3, 64, 64)
    tokens = network.backbone.tokenize(["The nodule is solid."])
    with torch.no_grad():
        before = network.images(images), network.texts(tokens)
        network.merge()
        after = network.images(images), network.texts(tokens)

    assert network.merged
    for first, second in zip(before, after, strict=True):
        for a, b in zip(first, second, strict=True):
            assert (a - b).abs().max() < 2e-6
    assert not any(".lora_" in name for name, _ in network.named_parameters())
    assert merge_lora(network) == 0  # nothing is left that could be added a second time


def test_an_adapter_kept_and_loaded_again_predicts_the_same_merged_or_not() -> None:
    torch.manual_seed(2)
    network = a_tiny_network().eval()
    randomise_lora(network)
    images = torch.randn(2, 9, 3, 64, 64)
    kept = {name: tensor.clone() for name, tensor in network.trained_state().items()}
    again = a_tiny_network().eval()
    again.backbone.load_state_dict(network.backbone.state_dict())
    assert not torch.equal(again.images(images).logits, network.images(images).logits)
    again.load_trained_state(kept)
    assert torch.equal(again.images(images).logits, network.images(images).logits)
    again.merge()
    assert (again.images(images).logits - network.images(images).logits).abs().max() < 2e-6


def test_what_is_merged_can_be_neither_kept_nor_given_another_adapter() -> None:
    network = a_tiny_network()
    randomise_lora(network)
    kept = network.trained_state()
    network.merge()
    with pytest.raises(ValueError, match="merged"):
        network.trained_state()
    with pytest.raises(ValueError, match="merged"):
        network.load_trained_state(kept)


def test_lora_changes_predictions_at_all() -> None:
    torch.manual_seed(1)
    network = a_tiny_network().eval()
    images = torch.randn(1, 9, 3, 64, 64)
    plain = network.images(images).embedding
    randomise_lora(network)
    assert (network.images(images).embedding - plain).abs().max() > 1e-3
