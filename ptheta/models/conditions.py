"""How a context enters a model: encoders by the context's space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ptheta.errors import UsageError
from ptheta.models.inputs import as_signal
from ptheta.nn import Conditioning, Layers
from ptheta.nn.context import (
    ContextMaps,
    Encoded,
    FrameEncoder,
    NumbersEncoder,
    PatchEncoder,
    TextEncoder,
    ValuesEncoder,
    WaveEncoder,
    spread_over,
)
from ptheta.spaces import Discrete, Grid, Image, Joint, Real, Sequence, Space

CONTEXTS: tuple[type[Space], ...] = (Discrete, Real, Joint)
"""Kinds of context space that every neural family can condition on."""


def checked_part(value: float, name: str = "context dropout") -> float:
    """A part that is left out in training: of the events their context, or what a hyperparameter names.

    Raises:
        UsageError: no part.
    """
    if not 0 <= value < 1:
        raise UsageError(f"{name} is {value}", "give a fraction from 0 to below 1")
    return value


def rows_of(conditions: Any, rows: Tensor) -> Any:
    """Some rows of what a network is conditioned on: of a tensor, of all that a list holds, of a `Conditioning`.

    >>> rows_of([torch.tensor([7, 8, 9]), 0.0], torch.tensor([2, 0]))
    [tensor([9, 7]), 0.0]
    """
    if isinstance(conditions, list):
        return [rows_of(one, rows) for one in conditions]
    if isinstance(conditions, Conditioning):
        return conditions.rows(rows)
    return conditions[rows] if isinstance(conditions, Tensor) else conditions


class ContextEncoder(nn.Module):
    """A context of any kind as tokens and a vector.

    A context of several parts gives the tokens of all parts and the sum of their vectors. A part that says nothing
    (`Space.null`) gives one learned token and one learned vector instead.

    Args:
        space: of the context.
        width: of tokens and vector.
        layers: blocks of attention over texts, pictures and sounds.
        heads: of their attention.
        dropout: in these blocks.
        word_dropout: of texts, see `TextEncoder`.
    """

    def __init__(
        self,
        space: Space,
        width: int,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
    ):
        super().__init__()
        self.space = space
        self.parts: Layers[Part] = Layers(
            Part(part, width, layers, heads, dropout, word_dropout) for _, part in parts_of(space)
        )

    def prepare(self, chunks: Iterable[Tensor]) -> None:
        """Take the moments of numbers from chunks of training contexts."""
        for number, part in enumerate(self.parts):
            if part.is_numeric:
                part.prepare(torch.cat([values_of(self.space, context)[number] for context in chunks]))

    def forward(self, context: Tensor) -> Encoded:
        """[n, *space.shape]; one row that was broadcast is encoded once."""
        n = len(context)
        if n > 1 and context.stride(0) == 0:
            one = self(context[:1])
            return Encoded(*(value.expand(n, *value.shape[1:]) for value in one))
        found = [part(values) for part, values in zip(self.parts, values_of(self.space, context))]
        if len(found) == 1:
            return found[0]
        return Encoded(
            torch.stack([one.vector for one in found]).sum(0),
            torch.cat([one.tokens for one in found], 1),
            torch.cat([one.present for one in found], 1),
        )


def parts_of(space: Space) -> tuple[tuple[str, Space], ...]:
    """The parts of a context's space, or the space itself under no name."""
    return space.parts if isinstance(space, Joint) else (("", space),)


def values_of(space: Space, context: Tensor) -> list[Tensor]:
    """The batches of a context's parts."""
    return list(space.split(context).values()) if isinstance(space, Joint) else [context]


class Part(nn.Module):
    """One part of a context: its encoder, and what stands for its absence."""

    def __init__(self, space: Space, width: int, layers: int, heads: int, dropout: float, word_dropout: float):
        super().__init__()
        self.space = space
        size = {"width": width, "layers": layers, "heads": heads, "dropout": dropout}
        levels, axes = space.levels if isinstance(space, Discrete) else 0, space.axes
        self.inputs: nn.Module | None = None
        self.encoder: nn.Module
        # Values [n, *shape] and the encoder's type → what the encoder takes.
        self.read: Callable[[Tensor, torch.dtype], tuple[Tensor, ...]]
        self.read = partial(in_a_row, dimensions=space.dimensions)
        if axes[-2:] == ("time", "band"):
            self.encoder, self.read = FrameEncoder(*space.shape[-2:], **size), partial(sounding_frames, levels=levels)
        elif isinstance(space, Image | Grid):
            self.inputs = PictureInputs(space)
            self.encoder = PatchEncoder(self.inputs.channels, space.height, space.width, **size)
        elif axes == ("time",):
            self.encoder, self.read = WaveEncoder(space.dimensions, **size), partial(sounding_samples, levels=levels)
        elif isinstance(space, Sequence):
            self.encoder = TextEncoder(space.length, levels, space.end, **size, word_dropout=word_dropout)
        elif levels:
            self.encoder = ValuesEncoder(space.dimensions, levels, width)
        else:
            self.encoder = NumbersEncoder(space.dimensions, width)
        self.nothing = nn.Parameter(torch.randn(2, width) * 0.02)  # token and vector

    @property
    def is_numeric(self) -> bool:
        """Whether the part is real numbers, which are standardised."""
        return isinstance(self.encoder, NumbersEncoder)

    def prepare(self, values: Tensor) -> None:
        """Take the moments of training contexts [n, *shape]."""
        if isinstance(self.encoder, NumbersEncoder):
            flat = values.reshape(len(values), self.space.dimensions)
            self.encoder.prepare(flat[~torch.isnan(flat).any(1)])

    def forward(self, values: Tensor) -> Encoded:
        """[n, *shape]."""
        absent = self.space.is_null(values)  # [n]
        safe = values.masked_fill(absent.reshape(len(absent), *(1,) * (values.ndim - 1)), 0)
        vector, tokens, present = self._encoded(safe)
        nothing = self.nothing.to(vector.dtype)
        first = torch.arange(tokens.shape[1], device=tokens.device) == 0
        return Encoded(
            torch.where(absent[:, None], nothing[1], vector),
            torch.where(absent[:, None, None], nothing[0], tokens),
            torch.where(absent[:, None], first, present),
        )

    def _encoded(self, values: Tensor) -> Encoded:
        dtype = self.nothing.dtype
        given = self.read(values, dtype) if self.inputs is None else (self.inputs(values, dtype),)
        return self.encoder(*given)


def sounding_frames(values: Tensor, dtype: torch.dtype, levels: int) -> tuple[Tensor, Tensor]:
    """Loudness [n, frames, bands] from −1 to 1, and which frames come before the sound's end [n, frames]."""
    frames = values[:, 0]
    sounding = (frames > 0).any(2).flip(1).cummax(1).values.flip(1)
    return as_signal(frames, levels, dtype), sounding


def sounding_samples(values: Tensor, dtype: torch.dtype, levels: int) -> tuple[Tensor, Tensor]:
    """Samples [n, samples] from −1 to 1, and which come before the sound's end [n, samples]."""
    silence = round((levels - 1) / 2)
    sounding = (values != silence).flip(1).cummax(1).values.flip(1)
    return as_signal(values, levels, dtype), sounding


def left_out(context: Tensor, space: Space, part: float, generator: torch.Generator | None = None) -> Tensor:
    """Contexts [n, *space.shape] of which a random part of the rows says nothing; of several parts also single ones.

    Args:
        context: rows.
        space: theirs.
        part: probability with which a row, or a part of one, is left out.
        generator: None: the global one of the context's device.
    """
    n, nothing = len(context), space.null(1).to(context.device)

    def chosen(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=context.device) < part

    left = chosen(n)
    if isinstance(space, Joint):
        sizes = torch.tensor([one.dimensions for _, one in space.parts], device=context.device)
        left = (left[:, None] | chosen(n, len(sizes))).repeat_interleave(sizes, 1)
    return torch.where(left.reshape(n, *left.shape[1:], *(1,) * (context.ndim - left.ndim)), nothing, context)


def in_a_row(values: Tensor, dtype: torch.dtype, dimensions: int) -> tuple[Tensor]:
    """The values as they are, [n, dimensions]."""
    return (values.reshape(len(values), dimensions),)


class PictureInputs(nn.Module):
    """Pictures [n, *shape] as feature maps [n, channels, height, width]: levels as numbers, tokens embedded.

    Args:
        space: an image, or a grid of tokens.
        size: of a token's embedding.
    """

    def __init__(self, space: Image | Grid, size: int = 16):
        super().__init__()
        self.levels = space.levels
        self.table = None if space.ordered else nn.Embedding(space.levels, size)
        self.channels = space.channels if space.ordered else size

    def forward(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """See the class."""
        if self.table is not None:
            return self.table(values).movedim(-1, 1).contiguous()
        return as_signal(values, self.levels, dtype)


class ContextVector(nn.Module):
    """A context as one vector [n, width] for each of several layers; zeros without a context space.

    Args:
        space: of the context, or None.
        width: of the vectors.
        layers: how many.
    """

    ENCODED: ClassVar[int] = 128
    """Width of the encoder of texts, pictures and sounds."""

    def __init__(self, space: Space | None, width: int, layers: int = 1):
        super().__init__()
        self.count = layers
        self.encoder = None if space is None else ContextEncoder(space, self.ENCODED)
        self.out = None if space is None else nn.ModuleList(nn.Linear(self.ENCODED, width) for _ in range(layers))

    def forward(self, context: Tensor | None) -> list[Tensor | float]:
        """[n, *space.shape] → a vector for each layer; 0.0 each if there is none."""
        if self.encoder is None or self.out is None or context is None:
            return [0.0] * self.count
        vector = self.encoder(context).vector
        return [out(vector) for out in self.out]


class PictureConditions(nn.Module):
    """What the layers of a model of pictures are conditioned on at each place: [n, width, height, columns].

    Pictures in the context are spread over the places of the event; other kinds give a vector, from which a coarse
    picture is made (van den Oord et al. 2016, arXiv:1606.05328, section 2.3).

    Args:
        space: of the context.
        width: of the condition.
        height, columns: places of the event as it is visited.
        turned: whether the event is visited by columns.
    """

    def __init__(self, space: Space, width: int, height: int, columns: int, turned: bool):
        super().__init__()
        self.space, self.turned = space, turned
        encoded = 8 * -(-width // 8)
        self.encoder = ContextEncoder(space, encoded)
        self.out = nn.Linear(encoded, width)
        self.inputs = nn.ModuleDict()
        channels = 0
        for i, (_, part) in enumerate(parts_of(space)):
            if isinstance(part, Image | Grid) and part.axes[-2:] == ("height", "width"):
                inputs = PictureInputs(part)
                self.inputs[str(i)] = inputs
                channels += inputs.channels + 1
        size = (columns, height) if turned else (height, columns)
        self.places = ContextMaps(channels, width, *size) if channels else None
        plain = all(part.countable and not part.shape for _, part in parts_of(space))
        self.coarse = None if plain else ContextMaps(0, width, *size)

    def forward(self, context: Tensor) -> Tensor:
        """[n, *space.shape] → [n, width, height, columns], or [n, width, 1, 1] for labels alone."""
        vector = self.out(self.encoder(context).vector)
        condition = vector[..., None, None]
        if self.coarse is not None:
            condition = condition + self.coarse(vector)
        if self.places is not None:
            condition = condition + self.places(self._pictures(context, vector.dtype))
        return condition.transpose(2, 3) if self.turned else condition

    def _pictures(self, context: Tensor, dtype: torch.dtype) -> Tensor:
        """All pictures of the context at the size of the places, each with a map that says whether it is there."""
        assert self.places is not None
        maps = []
        for (name, values), (_, part) in zip(enumerate(values_of(self.space, context)), parts_of(self.space)):
            if str(name) not in self.inputs:
                continue
            known = (~part.is_null(values)).to(dtype)[:, None, None, None]
            picture = self.inputs[str(name)](values.clamp(min=0), dtype) * known
            picture = spread_over(picture, self.places.size)
            maps.append(torch.cat([picture, known.expand(-1, 1, *self.places.size)], 1))
        return torch.cat(maps, 1)
