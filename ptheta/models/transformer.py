"""Causal transformer over any discrete space.

Slot j predicts x_j from x_{<j}:

    h_j = embedding(x_{j−1}) + local(neighbours of j already visited) + place(j) + context
    h   = blocks of causal attention with rotary positions, then feed-forward
    p(x_j | x_<j, y) = softmax(head(h_j) + bias_j)

Features:
- positions follow the geometry of the space: rotary over rows, columns (and channels) for images, over the index for
  sequences; images also have learned places
- `local`: the slot is told the values of its nearest visited neighbours (above, left …), which attention would
  otherwise have to find
- `window`: each block sees so many slots; decoding keeps a ring of keys and values of that size
- decoding with a key–value cache equals the parallel pass
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ptheta.distributions import CategoricalHead, Distribution
from ptheta.errors import UsageError
from ptheta.models.autoregressive import Autoregressive, Decoder
from ptheta.models.inputs import ContextVector, marginal_logits
from ptheta.models.levels import level_embedding
from ptheta.models.orders import Order
from ptheta.nn import Block, KeyValueCache, Rotary, rms_norm
from ptheta.spaces import Discrete, Sequence, Space

MAX_BIAS = 2**21
"""A learned output bias for every level of every dimension is used up to so many numbers."""


class Transformer(Autoregressive):
    """Causal transformer.

    Args:
        space: discrete.
        context_space: labels, or None.
        width: of the stream.
        layers: blocks.
        heads: attention heads.
        window: slots a block sees, itself included; None for all.
        local: radius of the neighbourhood of visited values given to each slot; None: 2 for images, 0 otherwise.
        dropout: probability with which entries of a branch are dropped in training.
        order: visiting order, see `Autoregressive`.
    """

    spaces = (Discrete,)
    recipe = {"optimizer": "muon", "learning_rate": 3e-3, "batch_size": 32}  # noqa: RUF012

    def __init__(
        self,
        space: Space,
        context_space: Space | None = None,
        *,
        width: int = 96,
        layers: int = 4,
        heads: int = 4,
        window: int | None = None,
        local: int | None = None,
        dropout: float = 0.2,
        order: Order = None,
    ):
        super().__init__(space, context_space, order)
        assert isinstance(space, Discrete)
        if width < 2 * heads or width % (2 * heads):
            raise UsageError(f"width {width} does not fit {heads} heads", "width must be a multiple of 2 · heads")
        if layers < 1 or (window is not None and window < 1):
            raise UsageError("layers and window must be at least 1", "give larger numbers")
        self.width, self.layers, self.heads, self.window = width, layers, heads, window
        self.local, self.dropout = local, dropout
        m, levels = space.dimensions, space.levels
        coordinates = space.coordinates()[self.visit]  # [m, axes]
        self.head = CategoricalHead(space, self.visit)
        self.token = level_embedding(space, width, std=0.1)  # the last one: nothing came before
        placed = not isinstance(space, Sequence)
        self.place = nn.Parameter(torch.randn(m, width) * 0.02) if placed else None
        radius = (2 if coordinates.shape[1] > 1 else 0) if local is None else local
        self.neighbours = Neighbourhood(coordinates, radius, space, width) if radius else None
        self.condition = ContextVector(context_space, width)
        rotary = Rotary(coordinates, width // heads)
        self.blocks = nn.ModuleList(Block(width, heads, rotary, window, dropout) for _ in range(layers))
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(width, levels, bias=False)
        self.output_bias = nn.Parameter(torch.zeros(m, levels)) if placed and m * levels <= MAX_BIAS else None
        nn.init.zeros_(self.out.weight)

    def prepare(self, x: Tensor) -> None:
        """Start at the marginals of the training events x [n, *shape]."""
        if self.output_bias is not None:
            self.output_bias.data.copy_(marginal_logits(self.flatten(x), self.head.size))

    def _embed(self, previous: Tensor, around: Tensor | None, context: Tensor | None, slots: slice) -> Tensor:
        """Stream at the given slots [n, t, width] from the tokens before them [n, t] and around them [n, t, s]."""
        h = self.token(previous)
        if self.neighbours is not None and around is not None:
            h = h + self.neighbours(around)
        if self.place is not None:
            h = h + self.place[slots]
        condition = self.condition(context)
        if isinstance(condition, Tensor):
            h = h + condition[:, None]
        return self.drop(h)

    def _outputs(self, h: Tensor, slots: slice) -> Tensor:
        """Logits [n, t, K] from the stream."""
        logits = self.out(rms_norm(h))
        return logits if self.output_bias is None else logits + self.output_bias[slots]

    def _conditionals(self, z: Tensor, context: Tensor | None) -> Distribution:
        slots = slice(0, z.shape[1])
        start = z.new_full((len(z), 1), self.head.size)
        previous = torch.cat([start, z[:, :-1]], 1)
        around = None if self.neighbours is None else self.neighbours.gather(z)
        h = self._embed(previous, around, context, slots)
        for block in self.blocks:
            h = block(h)
        return self.head(self._outputs(h, slots))

    def _decoder(self, n: int, context: Tensor | None) -> Decoder:
        return _CachedDecoder(self, n, context)


class Neighbourhood(nn.Module):
    """Embeds the values of a dimension's nearest neighbours that were visited before it.

    Neighbours are dimensions whose coordinates differ by at most `radius` along each of the first two axes (rows and
    columns; all channels of a pixel). Each offset has its own weights.

    Args:
        coordinates: [m, axes] in visiting order.
        radius: in pixels.
        space: of the events.
        width: of the output.
        size: of the embedding of one value.
    """

    index: Tensor

    def __init__(self, coordinates: Tensor, radius: int, space: Discrete, width: int, size: int = 16):
        super().__init__()
        index = visited_neighbours(coordinates, radius)
        self.register_buffer("index", index, persistent=False)  # [m, s], −1 where there is none
        self.levels = space.levels
        self.value = level_embedding(space, size, std=0.5)  # the last one: no such neighbour, or not visited yet
        self.mix = nn.Linear(index.shape[1] * size, width, bias=False)

    def gather(self, z: Tensor, slot: int | None = None) -> Tensor:
        """Values around every slot [n, m, s] of z [n, m], or around one slot [n, 1, s]."""
        index = self.index if slot is None else self.index[slot : slot + 1]
        values = z[:, index.clamp(min=0).flatten()].view(len(z), *index.shape)
        return torch.where(index >= 0, values, self.levels)

    def forward(self, around: Tensor) -> Tensor:
        """[n, t, s] → [n, t, width]."""
        return self.mix(self.value(around).flatten(2))


def visited_neighbours(coordinates: Tensor, radius: int) -> Tensor:
    """For every slot, the slots of its neighbours visited before it, [m, s], −1 where there is none.

    Columns are offsets (Δrow, Δcolumn, channel); offsets that no slot can use are left out.
    """
    m, axes = coordinates.shape
    slot_of = {tuple(c): j for j, c in enumerate(coordinates.tolist())}
    steps = range(-radius, radius + 1)
    if axes == 1:
        offsets = [(d,) for d in steps]
    else:
        channels = range(int(coordinates[:, 2].max()) + 1) if axes > 2 else [0]
        offsets = [(dr, dc, c) for dr in steps for dc in steps for c in channels]
    columns: list[list[int]] = []
    for offset in offsets:
        column = []
        for j, here in enumerate(coordinates.tolist()):
            there = (here[0] + offset[0], *(h + o for h, o in zip(here[1:2], offset[1:2])), *offset[2:axes])
            neighbour = slot_of.get(there, m)
            column.append(neighbour if neighbour < j else -1)
        if max(column) >= 0:
            columns.append(column)
    return torch.tensor(columns or [[-1] * m]).T.contiguous()


class _CachedDecoder(Decoder):
    """Keeps keys and values of every block, and the values drawn so far."""

    def __init__(self, model: Transformer, n: int, context: Tensor | None):
        m, size = model.space.dimensions, model.width // model.heads
        slots = min(m, model.window or m)
        like = model.token.weight
        self.model, self.context, self.j = model, context, 0
        self.z = torch.full((n, m), model.head.size, device=model.device)
        self.caches = [KeyValueCache(n, model.heads, slots, size, like) for _ in model.blocks]

    def step(self, previous: Tensor | None) -> Distribution:
        model, j = self.model, self.j
        if previous is not None:
            self.z[:, j - 1] = previous
        before = self.z[:, j - 1 : j] if j else self.z.new_full((len(self.z), 1), model.head.size)
        around = None if model.neighbours is None else model.neighbours.gather(self.z, j)
        slots = slice(j, j + 1)
        h = model._embed(before, around, self.context, slots)
        for block, cache in zip(model.blocks, self.caches):
            h = block(h, cache)
        self.j += 1
        return model.head(model._outputs(h, slots)[:, 0], j)
