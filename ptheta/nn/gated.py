"""Gated convolutions over what was visited before: rows above, and pixels to the left.

van den Oord et al. 2016 (arXiv:1606.05328), Gated PixelCNN: a vertical stack sees the rows above, without a blind spot,
and feeds a horizontal stack that sees the row's pixels to the left. Departures: features are normalised before each
convolution, gates are a · silu(b) in place of tanh(a) · σ(b), branches end in a projection that starts at zero, so
that a layer starts as the identity, and the vertical stack has skip connections too.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def channel_norm(x: Tensor) -> Tensor:
    """x [n, channels, …] scaled to root mean square 1 over its channels."""
    return x * (x.square().mean(1, keepdim=True) + 1e-6).rsqrt()


class CausalConvolution(nn.Linear):
    """A convolution whose kernel ends at the present pixel, or before it.

    A vertical kernel covers `height` rows ending with the present one and is centred on the present column; a
    horizontal one covers `width` pixels of the present row, ending with the present one. Strict ones end one row, or
    one pixel, earlier. The weight is the matrix [out, in · height · width] that also serves one pixel at a time.

    Args:
        inputs, outputs: channels.
        height, width: of the kernel; height 1 for a horizontal one.
        vertical: which kind.
        strict: leave the present row (pixel) out.
    """

    def __init__(
        self, inputs: int, outputs: int, height: int, width: int, *, vertical: bool = False, strict: bool = False
    ):
        super().__init__(inputs * height * width, outputs)
        self.kernel = (outputs, inputs, height, width)
        self.vertical, self.strict = vertical, strict
        nn.init.normal_(self.weight, std=(inputs * height * width) ** -0.5)
        nn.init.zeros_(self.bias)

    @property
    def before(self) -> int:
        """Rows (pixels) before the present one that are seen."""
        _, _, height, width = self.kernel
        return (height if self.vertical else width) - 1 + self.strict

    def forward(self, x: Tensor) -> Tensor:
        """[n, in, H, W] → [n, out, H, W]."""
        weight = self.weight.view(self.kernel)
        if self.vertical:
            return F.conv2d(x, weight, self.bias, padding=(self.before, self.kernel[3] // 2))[:, :, : x.shape[2]]
        return F.conv2d(x, weight, self.bias, padding=(0, self.before))[..., : x.shape[3]]

    def row(self, above: Tensor) -> Tensor:
        """One row [n, out, W] from the rows that it sees, [n, in, height, W]."""
        return F.conv2d(above, self.weight.view(self.kernel), self.bias, padding=(0, self.kernel[3] // 2))[:, :, 0]

    def pixel(self, left: Tensor) -> Tensor:
        """One pixel [n, out] from the pixels that it sees, [n, in, width]."""
        return F.linear(left.flatten(1), self.weight, self.bias)


class GatedBlock(nn.Module):
    """One layer of both stacks.

    Args:
        width: channels of each stack.
        kernel: rows and columns of the vertical kernel, and pixels of the horizontal one.
        dropout: probability with which entries of a branch are dropped in training.
    """

    def __init__(self, width: int, kernel: tuple[int, int, int], dropout: float):
        super().__init__()
        rows, columns, left = kernel
        self.vertical = CausalConvolution(width, 2 * width, rows, columns, vertical=True)
        self.vertical_out = CausalConvolution(width, width, 1, 1)
        self.horizontal = CausalConvolution(width, 2 * width, 1, left)
        self.cross = CausalConvolution(width, 2 * width, 1, 1)
        self.horizontal_out = CausalConvolution(width, width, 1, 1)
        self.drop = nn.Dropout(dropout)
        for last in (self.vertical_out, self.horizontal_out):
            nn.init.zeros_(last.weight)

    def gate(self, x: Tensor) -> Tensor:
        """[n, 2 · width, …] → [n, width, …]."""
        value, gate = x.chunk(2, 1)
        return self.drop(value * F.silu(gate))

    def forward(self, above: Tensor, left: Tensor, context: Tensor | float) -> tuple[Tensor, Tensor]:
        """Both streams [n, width, H, W], and a context [n, 2 · width, 1, 1]."""
        above = above + self.vertical_out(self.gate(self.vertical(channel_norm(above)) + context))
        mixed = self.horizontal(channel_norm(left)) + self.cross(channel_norm(above)) + context
        return above, left + self.horizontal_out(self.gate(mixed))
