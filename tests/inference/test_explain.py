import pytest
import torch

from inference.explain import category_margin, delete_cells, malignancy_margin, relevance
from inference.model import Model
from inference.network import ImageOutput
from tests.inference.examples import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_model(tmp_path_factory.mktemp("models"))


def test_relevance_is_gradient_times_attention_of_the_last_layer(model: Model) -> None:
    """Against the definition, view by view, with a gradient by finite differences."""
    network = model.networks[0].double()
    planes = torch.randn(9, 3, 64, 64, dtype=torch.float64)
    _, maps = relevance(network, planes)
    assert maps.shape == (9, 4, 4)
    attention = network.backbone.clip.visual.transformer.resblocks[-1].attn  # type: ignore

    with network.backbone.last_attention() as gathered, torch.no_grad():
        network.images(planes[None])
    probabilities = gathered[0].detach()
    view, cell = 4, 1 + 6

    def margin_with(change: float, head: int) -> float:
        changed = probabilities.clone()
        changed[view, head, 0, cell] += change
        hook = attention.attn_drop.register_forward_hook(lambda *_: changed)
        attention.fused = False
        try:
            with torch.no_grad():
                return float(malignancy_margin(network.images(planes[None])))
        finally:
            attention.fused = True
            hook.remove()

    expected = 0.0
    for head in range(probabilities.shape[1]):
        slope = (margin_with(1e-5, head) - margin_with(-1e-5, head)) / 2e-5
        expected += max(0.0, slope * float(probabilities[view, head, 0, cell]))
    expected /= probabilities.shape[1]
    found = float(maps.flatten(1)[view, cell - 1])
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-15)
    network.float()


def test_explaining_leaves_the_prediction_as_it_is(model: Model) -> None:
    network, planes = model.networks[0], torch.randn(9, 3, 64, 64)
    with torch.no_grad():
        before = network.images(planes[None])
    during, _ = relevance(network, planes)
    with torch.no_grad():
        after = network.images(planes[None])
    for a, b, c in zip(before, during, after, strict=True):
        assert torch.equal(a, c)
        assert (a - b).abs().max() < 1e-6


def test_a_category_has_a_map_of_its_own(model: Model) -> None:
    prompts = model.prompt_embeddings[0]["margin"]
    rest = torch.stack([prompts["smooth"], prompts["lobulated"]])
    margin = category_margin(prompts["spiculated"], rest)
    planes = torch.randn(9, 3, 64, 64)
    _, of_malignancy = relevance(model.networks[0], planes)
    output, of_spicules = relevance(model.networks[0], planes, margin)
    assert isinstance(output, ImageOutput)
    assert not torch.allclose(of_malignancy, of_spicules)


def test_deleting_a_cell_changes_its_pixels_and_no_others() -> None:
    images = torch.ones(9, 3, 64, 64)
    cells = torch.zeros(9, 4, 4, dtype=torch.bool)
    cells[2, 1, 3] = True
    changed = delete_cells(images, cells, torch.zeros(3, 1, 1)) == 0
    assert changed[2, :, 16:32, 48:64].all()
    assert changed.sum() == 3 * 16 * 16
