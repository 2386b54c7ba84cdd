"""A few convolutions before a vision transformer, in place of its cut into patches.

A transformer that sees patches has to learn from data what neighbouring pixels have to do with
each other; a small one, from a few thousand nodules, does not. With a stem it does.

Xiao T et al. Early convolutions help transformers see better. NeurIPS 2021.
"""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class ConvStem(nn.Module):
    """Images (n, 3, size, size) -> (n, width, rows, columns), a token per `patch` pixels.

    Each stage is two 3 x 3 convolutions; every stage but the first halves the resolution, so
    that four make tokens of 8 pixels. While it is trained, each is normalised over the batch;
    `fold` then works the statistics into the weights, and nothing depends on a batch any more.
    """

    def __init__(self, widths: tuple[int, ...], *, folded: bool = True) -> None:
        super().__init__()
        self.widths = widths
        before = (3, *widths)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *_layer(before[number], width, 1 if number == 0 else 2, folded),
                *_layer(width, width, 1, folded),
            )
            for number, width in enumerate(widths)
        )
        self.project = nn.Conv2d(widths[-1], widths[-1], 1)

    @property
    def patch(self) -> int:
        """Pixels of a token's edge."""
        return int(2 ** (len(self.widths) - 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images
        for stage in self.stages:
            x = stage(x)
        projected: torch.Tensor = self.project(x)
        return projected

    def fold(self) -> None:
        """Work the normalisations into the convolutions, for good; outputs stay the same."""
        self.eval()
        for number, stage in enumerate(self.stages):
            folded: list[nn.Module] = []
            for layer in stage.children():
                if isinstance(layer, nn.BatchNorm2d):
                    convolution = folded.pop()
                    assert isinstance(convolution, nn.Conv2d)
                    folded.append(fuse_conv_bn_eval(convolution, layer))
                else:
                    folded.append(layer)
            self.stages[number] = nn.Sequential(*folded)


def _layer(before: int, after: int, stride: int, folded: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, 3, stride, 1, bias=folded)
    normalisation: list[nn.Module] = [] if folded else [nn.BatchNorm2d(after)]
    return [convolution, *normalisation, nn.ReLU()]
