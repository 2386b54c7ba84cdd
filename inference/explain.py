"""What in the image moved the prediction.

Relevance is that of the last layer: R = I + mean over heads of relu(gradient x attention),
read in the row of the class token. The gradient of the malignancy margin is taken through
the attention pooling, so one backward pass serves all nine views and the maps share a
scale. It is what the model attended to, not an outline of the nodule.

Chefer H, Gur S, Wolf L. Generic attention-model explainability for interpreting bi-modal
and encoder-decoder transformers. ICCV 2021.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from inference.network import ImageOutput, NoduleNetwork

DELETED_SHARE = 0.1  # of all cells of the nine planes
# One, so that an explanation costs less than three looks; `inference.deletion` draws more.
RANDOM_DRAWS = 1


class Faithfulness(NamedTuple):
    """How far the score falls when cells are replaced by parenchyma, from 0 to 1."""

    deletion_drop: float  # the most relevant cells
    random_drop: float  # as many in each plane at random, the mean over the draws


def malignancy_margin(output: ImageOutput) -> torch.Tensor:
    """Return how far malignant is ahead of benign, a logit for each nodule."""
    return output.logits[:, 1] - output.logits[:, 0]


def category_margin(
    category: torch.Tensor, rest: torch.Tensor
) -> Callable[[ImageOutput], torch.Tensor]:
    """Return the margin of one semantic category over the mean of the others.

    `category` is the prompt embedding (256,), `rest` those of the others, (n, 256).
    """
    direction = category - rest.mean(dim=0)
    return lambda output: output.embedding @ direction


def relevance(
    network: NoduleNetwork,
    planes: torch.Tensor,
    margin: Callable[[ImageOutput], torch.Tensor] = malignancy_margin,
) -> tuple[ImageOutput, torch.Tensor]:
    """Look at one nodule and map what spoke for `margin`.

    `planes` is (9, 3, size, size). Returns the output, with a batch of one, and the maps
    (9, rows, columns), unnormalised, never negative.
    """
    with torch.enable_grad(), network.backbone.last_attention() as gathered:
        output = network.images(planes[None])
        (gradient,) = torch.autograd.grad(margin(output).sum(), gathered[0])
    attention = gathered[0].detach()
    # The identity only adds to the class token itself, which no cell shows.
    maps = (gradient * attention).relu().mean(dim=1)[:, 0, 1:]
    detached = ImageOutput(*(tensor.detach() for tensor in output))
    return detached, maps.view(-1, *network.backbone.grid)


def delete_cells(images: torch.Tensor, cells: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Fill cells of images with a value.

    `images` is (..., 3, height, width), `cells` bool (..., rows, columns), `value` (3, 1, 1).
    """
    height, width = images.shape[-2:]
    rows, columns = cells.shape[-2:]
    pixels = cells.repeat_interleave(height // rows, -2).repeat_interleave(width // columns, -1)
    return torch.where(pixels.unsqueeze(-3), value, images)


@torch.no_grad()
def faithfulness(
    network: NoduleNetwork,
    planes: torch.Tensor,
    output: ImageOutput,
    maps: torch.Tensor,
    parenchyma: torch.Tensor,
    score: Callable[[torch.Tensor], torch.Tensor],
    draws: int = RANDOM_DRAWS,
) -> Faithfulness:
    """Measure whether what a map points at matters for the score.

    `planes` is (9, 3, size, size), with the `output` and `maps` that `relevance` returned for
    them; `parenchyma` is (3, 1, 1) on the scale of the planes; `score` turns logits (n, 2)
    into scores (n,); `draws` random choices of cells are compared with.
    """
    count = max(1, round(DELETED_SHARE * maps.numel()))
    most = torch.zeros(maps.numel(), dtype=torch.bool, device=maps.device)
    most[maps.flatten().topk(count).indices] = True
    deleted = most.view_as(maps)
    # A fixed seed: the same nodule must give the same numbers.
    generator = torch.Generator().manual_seed(0)
    variants = [deleted]
    for _ in range(draws):
        order = torch.rand(maps.shape, generator=generator).flatten(1).argsort(dim=1).argsort(dim=1)
        chosen = order.to(maps.device) < deleted.flatten(1).sum(dim=1, keepdim=True)
        variants.append(chosen.view_as(maps))
    # One at a time: a batch of all would need several times the memory and no less time.
    scores = torch.cat(
        [
            score(network.images(delete_cells(planes, cells, parenchyma)[None]).logits)
            for cells in variants
        ]
    )
    drops = score(output.logits) - scores
    return Faithfulness(float(drops[0]), float(drops[1:].mean()))
