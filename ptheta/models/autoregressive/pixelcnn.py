"""PixelCNN: an image in raster order, each pixel from the pixels above and to the left, by gated convolutions.

van den Oord et al. 2016 (arXiv:1606.05328), with the output of PixelCNN++ (Salimans et al. 2017, arXiv:1701.05517) for
images of many levels. The network looks at whole pixels; within a pixel the head conditions g on r, and b on r and g,
so channel dependencies are explicit and one network pass serves all channels. `ptheta.nn.gated` says how the stacks
differ from the paper's.

Decoding keeps the rows that the vertical kernels can see and the row's own features to the left: a step costs one
pixel of the horizontal stack, and once a row, one row of the vertical stack.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ptheta.distributions import Distribution
from ptheta.errors import UsageError
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.autoregressive.pixel_heads import CategoricalPixelHead, LogisticPixelHead
from ptheta.models.checks import check_sizes
from ptheta.models.conditions import CONTEXTS, PictureConditions, checked_part
from ptheta.models.inputs import Mapped, as_signal
from ptheta.models.levels import rank_for
from ptheta.nn import CausalConvolution, GatedBlock, Layers, channel_norm
from ptheta.sampling import Method
from ptheta.sampling.decoding import Decoder
from ptheta.spaces import Grid, Image, Space

Likelihood = Literal["auto", "categorical", "logistic"]

MANY_LEVELS = 64
"""From this many levels on, a mixture of logistics says more with fewer numbers than a softmax."""

KERNEL = (2, 3, 2)
"""Rows and columns of a layer's vertical kernel, and pixels of its horizontal one."""


class PixelCNN(Autoregressive):
    """Gated convolutional network over pixels.

    Args:
        space: an image, or a grid of tokens.
        context_space: of any kind, or None; pictures are spread over the places of the event.
        width: channels of each stack.
        layers: gated layers; each sees one row further up and one column further to both sides.
        reach: rows above, columns to both sides and pixels to the left that the first layer sees.
        dropout: probability with which entries of a branch are dropped in training.
        likelihood: of a channel: `categorical`, `logistic` (a discretised mixture of logistics), or `auto`: logistic
            for images of 64 levels or more.
        components: of the mixture of logistics.
        rank: coefficients from which categorical logits are made, see `MADE`; None: at most 8 where levels are numbers.
        coupling: whether g depends on r, and b on r and g, of the same pixel; without it they are independent given
            the pixels before.
        context_dropout: see `Model.context_dropout`.
        order: `raster` or `column`.
    """

    spaces = (Image, Grid)
    context_spaces = CONTEXTS

    def __init__(
        self,
        space: Space,
        context_space: Space | None = None,
        *,
        width: int = 64,
        layers: int = 8,
        reach: int = 4,
        dropout: float = 0.1,
        likelihood: Likelihood = "auto",
        components: int = 10,
        rank: int | None = None,
        coupling: bool = True,
        context_dropout: float = 0.1,
        order: Literal["raster", "column"] | None = None,
    ):
        super().__init__(space, context_space, order)
        assert isinstance(space, Image | Grid)
        if order not in (None, "raster", "column"):
            raise UsageError(
                "PixelCNN visits pixels in raster or column order", "for other orders fit made or transformer"
            )
        check_sizes(width=width, layers=layers, reach=reach, components=components)
        check_sizes(0, rank=rank)
        if likelihood == "logistic" and not space.ordered:
            raise UsageError(f"the levels of {space} have no order", "use --likelihood categorical")
        self.width, self.layers, self.reach, self.dropout = width, layers, reach, dropout
        self.likelihood, self.components, self.rank, self.coupling = likelihood, components, rank, coupling
        self.context_dropout = checked_part(context_dropout)
        self.columns = space.height if order == "column" else space.width  # of the picture as it is visited
        self.channels = space.channels
        many = space.ordered and space.levels >= MANY_LEVELS
        if likelihood == "logistic" or (likelihood == "auto" and many):
            if rank is not None:
                raise UsageError("rank is for categorical likelihoods", "leave it out, or use --likelihood categorical")
            self.head = LogisticPixelHead(space.levels, self.channels, width, components, coupling)
        else:
            self.head = CategoricalPixelHead(space, self.channels, width, rank_for(space, rank), coupling)
        self.inputs = PixelInputs(space)
        self.first_above = CausalConvolution(
            self.inputs.channels, width, reach, 2 * reach + 1, vertical=True, strict=True
        )
        self.first_left = CausalConvolution(self.inputs.channels, width, 1, reach, strict=True)
        self.blocks: Layers[GatedBlock] = Layers(GatedBlock(width, KERNEL, dropout) for _ in range(layers))
        self.condition = None
        if context_space is not None:
            turned = order == "column"
            rows = space.width if turned else space.height  # of the picture as it is visited
            self.condition = PictureConditions(context_space, width, rows, self.columns, turned)
            self.told = nn.ModuleList(nn.Conv2d(width, 2 * width, 1) for _ in range(layers))

    @property
    def recipe(self) -> dict[str, Any]:
        """Settings that suit it."""
        return {"optimizer": "muon", "learning_rate": 4e-3, "batch_size": 16, "average": 0.998}

    def _prepare(self, chunks: Iterable[Tensor]) -> None:
        """Start at the marginals of the training events, if the likelihood is categorical."""
        self.head.prepare(Mapped(self.flatten, chunks))

    @property
    def faster_method(self) -> Method:
        """Fixed-point passes on a GPU, where a pass takes little longer than a step; cached steps on a CPU."""
        return "fixed_point" if self.device.type == "cuda" else "ancestral"

    def _pixels(self, z: Tensor) -> Tensor:
        """z [n, rows · columns · C] → [n, rows, columns, C]."""
        return z.view(len(z), z.shape[1] // (self.columns * self.channels), self.columns, self.channels)

    def _conditions(self, context: Tensor | None) -> list[Tensor | float]:
        """The context as each layer's gates see it, [n, 2 · width, H or 1, W or 1]."""
        if self.condition is None or context is None:
            return [0.0] * self.layers
        condition = self.condition(context)
        return [layer(condition) for layer in self.told]

    def _features(self, z: Tensor, conditions: list[Tensor | float], start: int = 0) -> Tensor:
        """Features [n, P, width] of the pixels of z [n, P · C], whose first row is number `start` of the picture."""
        x = self.inputs(self._pixels(z), self.dtype).contiguous(memory_format=torch.channels_last)
        above = self.first_above(x).to(self.dtype)  # the streams stay in full precision under autocast
        left = self.first_left(x).to(self.dtype) + above
        for block, condition in zip(self.blocks, conditions):
            if isinstance(condition, Tensor) and condition.shape[2] > 1:
                condition = condition[:, :, start : start + x.shape[2]]
            above, left = block(above, left, condition)
        return channel_norm(left).flatten(2).transpose(1, 2)

    def _conditionals(self, z: Tensor, context: Tensor | None) -> Distribution:
        return self.head(self._features(z, self._conditions(context)), self._pixels(z).flatten(1, 2))

    @property
    def _rows_seen(self) -> int:
        """Rows above a pixel on which its conditional can depend."""
        return self.reach + self.layers * (KERNEL[0] - 1)

    def _conditionals_from(self, z: Tensor, conditions: list[Tensor | float], first: int) -> Distribution:
        """From dimension `first` on; rows that no later pixel sees are cut off before the network."""
        row = max(0, first // (self.columns * self.channels) - self._rows_seen)
        start = row * self.columns
        pixels = self._pixels(z).flatten(1, 2)[:, start:]
        h = self._features(pixels.flatten(1), conditions, row)
        done = first // self.channels - start
        dims = self.head(h[:, done:], pixels[:, done:], first=first // self.channels)
        return dims[:, first % self.channels :]

    def _decoder(self, n: int, context: Tensor | None) -> Decoder:
        return _RowDecoder(self, n, context)


class PixelInputs(nn.Module):
    """Pixels as feature maps, and one more map of ones, which tells the picture from the zeros around it.

    Levels that are numbers lie in [−1, 1]; tokens are embedded.

    Args:
        space: an image, or a grid of tokens.
        size: of a token's embedding.
    """

    def __init__(self, space: Image | Grid, size: int = 32):
        super().__init__()
        self.levels = space.levels
        self.table = None if space.ordered else nn.Embedding(space.levels, size)
        self.channels = 1 + (space.channels if space.ordered else size)

    def forward(self, z: Tensor, dtype: torch.dtype) -> Tensor:
        """[n, rows, columns, C] → [n, channels, rows, columns]."""
        if self.table is not None:
            x = self.table(z[..., 0])
        else:
            x = as_signal(z, self.levels, dtype)
        return torch.cat([x, torch.ones_like(x[..., :1])], -1).permute(0, 3, 1, 2)


class _RowDecoder(Decoder):
    """Keeps the rows above and the features to the left, no more of either than the kernels see."""

    def __init__(self, model: PixelCNN, n: int, context: Tensor | None):
        self.model, self.n = model, n
        self.conditions = model._conditions(context)
        channels, height = model.inputs.channels, model.reach
        like = torch.zeros((), device=model.device, dtype=model.dtype)
        self.above = like.new_zeros(n, channels, height, model.columns)  # the rows above, as the first layer sees them
        self.rows = [like.new_zeros(n, model.width, KERNEL[0], model.columns) for _ in model.blocks]
        self.slot = 0
        self.before = torch.zeros(n, 0, dtype=torch.long, device=model.device)  # the present pixel's values

    def step(self, previous: Tensor | None) -> Distribution:
        model = self.model
        pixel, channel = divmod(self.slot, model.channels)
        row, column = divmod(pixel, model.columns)
        if previous is not None:
            self.before = torch.cat([self.before, previous[:, None].long()], 1)
            if channel == 0:
                self._finish_pixel((pixel - 1) % model.columns)
        if channel == 0:
            if column == 0:
                self._begin_row(row)
            self.h = self._features(column)
        self.slot += 1
        return model.head.channel(self.h, self.before, pixel)

    def _finish_pixel(self, column: int) -> None:
        model = self.model
        values = model.inputs(self.before[:, None, None], model.dtype)[..., 0]  # [n, channels, 1]
        self.row[..., model.reach + column] = values[..., 0]
        self.before = self.before[:, :0]

    def _begin_row(self, row: int) -> None:
        """The vertical stack of a row, which needs the rows above only."""
        model = self.model
        if row:
            finished = self.row[..., model.reach :]
            self.above = torch.cat([self.above[:, :, 1:], finished[:, :, None]], 2)
        self.row = self.above.new_zeros(self.n, model.inputs.channels, model.reach + model.columns)
        above = model.first_above.row(self.above)  # [n, width, W]
        self.start, self.crossed = above, []
        for number, (block, condition) in enumerate(zip(model.blocks, self.conditions)):
            self.rows[number] = torch.cat([self.rows[number][:, :, 1:], channel_norm(above)[:, :, None]], 2)
            context = condition  # [n, 2 · width, W or 1] of this row
            if isinstance(condition, Tensor):
                context = condition[:, :, row if condition.shape[2] > 1 else 0]
            gated = block.gate(block.vertical.row(self.rows[number]) + context)
            above = above + block.vertical_out.row(gated[:, :, None])
            self.crossed.append(block.cross.row(channel_norm(above)[:, :, None]) + context)
        self.lefts = [above.new_zeros(self.n, model.width, KERNEL[2]) for _ in model.blocks]

    def _features(self, column: int) -> Tensor:
        """Features [n, width] of the pixel in the present row."""
        model = self.model
        left = model.first_left.pixel(self.row[..., column : column + model.reach]) + self.start[..., column]
        for number, block in enumerate(model.blocks):
            self.lefts[number] = torch.cat([self.lefts[number][..., 1:], channel_norm(left)[..., None]], 2)
            mixed = block.horizontal.pixel(self.lefts[number]) + self.crossed[number][..., column]
            left = left + block.horizontal_out.pixel(block.gate(mixed)[..., None])
        return channel_norm(left)
