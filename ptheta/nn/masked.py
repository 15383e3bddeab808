"""Masked linear layers: networks whose output j sees inputs before j only (Germain et al. 2015, MADE)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskedLinear(nn.Linear):
    """A linear layer in which unit i sees input k only where mask[i, k] is true.

    Args:
        mask: bool [out, in].
    """

    mask: Tensor

    def __init__(self, mask: Tensor):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)
        fan_in = mask.sum(1).clamp(min=1)
        with torch.no_grad():
            self.weight.normal_().div_(fan_in[:, None].sqrt())
            self.bias.zero_()

    def masked_weight(self) -> Tensor:
        """The weight with forbidden entries zero, [out, in]."""
        return self.weight * self.mask

    def forward(self, input: Tensor) -> Tensor:
        """[n, in] → [n, out]."""
        return F.linear(input, self.masked_weight(), self.bias)


def masked_layers(inputs: Tensor, width: int, layers: int) -> tuple[Tensor, list[Tensor]]:
    """Degrees and masks of the hidden layers.

    A hidden unit of degree d sees the first d dimensions. Degrees are spread evenly and sorted, the same in every
    layer, so residual connections keep them.

    Args:
        inputs: number of the dimension (0 … m − 1) to which every input belongs, [in].
        width: units of a hidden layer.
        layers: hidden layers.

    Returns:
        degrees [width], and one mask [out, in] for each layer.
    """
    m = int(inputs.max()) + 1
    degrees = torch.arange(width) * m // width  # 0 … m − 1
    first = degrees[:, None] > inputs[None, :]
    hidden = degrees[:, None] >= degrees[None, :]
    return degrees, [first] + [hidden] * (layers - 1)
