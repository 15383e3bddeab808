"""Encoders of contexts: from a label, a text, a picture, a sound or numbers to what a model is conditioned on.

Every encoder gives the same two things, so any model can take any context:

- tokens [n, S, width], for models that attend to them, and which of them are there [n, S];
- one vector [n, width], for models that take one.

Texts, pictures and sounds go through the blocks of `ptheta.nn.attention`, each token seeing all that are there; in a
transformer's own blocks, causal attention takes the tokens as further keys.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ptheta.nn.attention import Block, Encoded, norm
from ptheta.nn.layers import Layers
from ptheta.nn.rotary import Rotary

PATCHES = 8
"""A picture is cut into at most about this many patches a side."""

STRIDES = (4, 4, 4, 2)
"""Of the convolutions over a waveform: a token for every 128 samples."""


class Encoder(nn.Module):
    """Blocks over tokens, and a vector of what they hold on average.

    Args:
        coordinates: of the tokens [S, axes].
        width, heads: of the stream.
        layers: blocks.
        dropout: in the blocks and on the embeddings.
    """

    def __init__(self, coordinates: Tensor, width: int, layers: int, heads: int, dropout: float):
        super().__init__()
        self.rotary = Rotary(coordinates, width // heads)
        self.blocks: Layers[Block] = Layers(Block(width, heads, None, dropout) for _ in range(layers))
        self.drop = nn.Dropout(dropout)
        self.pool = nn.Linear(width, width)
        self.register_state_dict_post_hook(_without_attention)
        self.register_load_state_dict_pre_hook(_with_attention)

    def forward(self, h: Tensor, present: Tensor) -> Encoded:
        """Embeddings [n, S, width] of tokens, and which are there [n, S]; at least one in every row."""
        h = self.drop(h)
        turn = self.rotary.at(slice(0, h.shape[1]))
        for block in self.blocks:
            h = block(h, (turn, turn), seen=present[:, None, None])
        h = norm(h)
        share = present.to(h.dtype) / present.sum(1, keepdim=True)
        return Encoded(self.pool((share[:, None] @ h)[:, 0]), h, present)


def _renamed(state: dict[str, Any], prefix: str, old: str, new: str) -> None:
    """Rename what lies below a prefix, in place and in order."""
    entries = list(state.items())
    state.clear()
    for name, value in entries:
        below = name.startswith(prefix)
        state[prefix + re.sub(old, new, name[len(prefix) :]) if below else name] = value


def _without_attention(encoder: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    """Weights are kept under the names they had when an encoder's blocks were of a class of their own."""
    _renamed(state, prefix, r"^(blocks\.\d+)\.attention\.", r"\1.")


def _with_attention(encoder: nn.Module, state: dict[str, Any], prefix: str, *others: Any) -> None:
    """The inverse of `_without_attention`."""
    _renamed(state, prefix, r"^(blocks\.\d+)\.(query_key_value|out)\.", r"\1.attention.\2.")


class ValuesEncoder(nn.Module):
    """Discrete values without a place: one vector each, and their sum.

    Args:
        dimensions: values.
        levels: of each.
        width: of a vector.
    """

    def __init__(self, dimensions: int, levels: int, width: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(dimensions, levels, width) * 0.1)

    def forward(self, values: Tensor) -> Encoded:
        """[n, dimensions]."""
        tokens = self.table[torch.arange(values.shape[1], device=values.device), values]
        return Encoded(tokens.sum(1), tokens, torch.ones_like(values, dtype=torch.bool))


class NumbersEncoder(nn.Module):
    """Real values: standardised, squeezed beyond some deviations, through an MLP.

    Args:
        dimensions: values.
        width: of the vector.
    """

    shift: Tensor
    unit: Tensor

    def __init__(self, dimensions: int, width: int):
        super().__init__()
        self.hidden, self.out = nn.Linear(2 * dimensions, 2 * width), nn.Linear(2 * width, width)
        self.register_buffer("shift", torch.zeros(dimensions, dtype=torch.float64))
        self.register_buffer("unit", torch.ones(dimensions, dtype=torch.float64))

    def _apply(self, fn, recurse: bool = True):
        """Follow the model to a device, but keep location and unit in float64, whatever the model's type."""
        shift, unit = self.shift, self.unit
        super()._apply(fn, recurse)
        self.shift, self.unit = shift.to(self.shift.device), unit.to(self.unit.device)
        return self

    def prepare(self, values: Tensor) -> None:
        """Take the moments of training contexts [n, dimensions]."""
        deviation = values.double().std(0, unbiased=False)
        self.shift.copy_(values.double().mean(0))
        self.unit.copy_(torch.where(deviation > 0, deviation, 1.0))

    def forward(self, values: Tensor) -> Encoded:
        """[n, dimensions]."""
        z = ((values.double() - self.shift) / self.unit).to(self.hidden.weight.dtype)
        z = torch.asinh(z)
        vector = self.out(F.silu(self.hidden(torch.cat([z, torch.sin(2 * z)], 1))))
        return Encoded(vector, vector[:, None], torch.ones(len(z), 1, dtype=torch.bool, device=z.device))


class TextEncoder(nn.Module):
    """Token sequences that end.

    Args:
        length, levels: of the sequences.
        end: the token that ends a text; what follows is not there.
        width, layers, heads, dropout: see `Encoder`.
        word_dropout: probability with which a token says nothing in training (Gal and Ghahramani 2016).
    """

    def __init__(
        self,
        length: int,
        levels: int,
        end: int | None,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
        word_dropout: float = 0.0,
    ):
        super().__init__()
        self.end, self.word_dropout = end, word_dropout
        self.token = nn.Embedding(levels, width)
        nn.init.normal_(self.token.weight, std=0.1)
        self.encoder = Encoder(torch.arange(length)[:, None], width, layers, heads, dropout)

    def forward(self, tokens: Tensor) -> Encoded:
        """[n, length]; the rows are cut to the longest text."""
        present = torch.ones_like(tokens, dtype=torch.bool)
        if self.end is not None:
            ended = tokens == self.end
            present = ended.int().cumsum(1) - ended.int() == 0  # up to and including the first end
            longest = max(1, int(present.sum(1).max())) if len(tokens) else 1
            tokens, present = tokens[:, :longest], present[:, :longest]
        h = self.token(tokens)
        if self.training and self.word_dropout:
            h = h * (torch.rand(tokens.shape, device=h.device) >= self.word_dropout)[..., None]
        return self.encoder(h, present)


class PatchEncoder(nn.Module):
    """Pictures, cut into patches.

    Args:
        channels, height, columns: of the feature maps that are given.
        width, layers, heads, dropout: see `Encoder`.
    """

    def __init__(self, channels: int, height: int, columns: int, width: int, layers: int, heads: int, dropout: float):
        super().__init__()
        self.patch = max(1, -(-max(height, columns) // PATCHES))
        rows, across = -(-height // self.patch), -(-columns // self.patch)
        self.missing = (0, across * self.patch - columns, 0, rows * self.patch - height)
        self.first = nn.Conv2d(channels, width // 2, 3, padding=1)
        self.cut = nn.Conv2d(channels + width // 2, width, self.patch, self.patch)
        self.place = nn.Parameter(torch.randn(rows * across, width) * 0.02)
        coordinates = torch.cartesian_prod(torch.arange(rows), torch.arange(across))
        self.encoder = Encoder(coordinates.reshape(-1, 2), width, layers, heads, dropout)

    def forward(self, maps: Tensor) -> Encoded:
        """[n, channels, height, columns]."""
        h = torch.cat([maps, F.silu(self.first(maps))], 1)
        h = self.cut(F.pad(h, self.missing)).flatten(2).transpose(1, 2) + self.place
        return self.encoder(h, torch.ones(h.shape[:2], dtype=torch.bool, device=h.device))


class FrameEncoder(nn.Module):
    """Spectrograms, frame by frame: two convolutions over time, then blocks; a token for every four frames.

    Args:
        frames, bands: of the spectrograms.
        width, layers, heads, dropout: see `Encoder`.
    """

    def __init__(self, frames: int, bands: int, width: int, layers: int, heads: int, dropout: float):
        super().__init__()
        self.first = nn.Conv1d(bands, width, 5, stride=2, padding=2)
        self.second = nn.Conv1d(width, width, 5, stride=2, padding=2)
        slots = ((frames + 1) // 2 + 1) // 2
        self.encoder = Encoder(torch.arange(slots)[:, None], width, layers, heads, dropout)

    def forward(self, frames: Tensor, sounding: Tensor) -> Encoded:
        """Loudness [n, frames, bands] from −1 to 1, and which frames come before the sound's end [n, frames]."""
        h = F.silu(self.first(frames.transpose(1, 2)))
        h = F.silu(self.second(h)).transpose(1, 2)
        present = sounding[:, ::4]
        present[:, 0] = True
        return self.encoder(h, present)


class WaveEncoder(nn.Module):
    """Waveforms: strided convolutions over samples, then blocks.

    Args:
        samples: of the waveforms.
        width, layers, heads, dropout: see `Encoder`.
    """

    def __init__(self, samples: int, width: int, layers: int, heads: int, dropout: float):
        super().__init__()
        sides = [1] + [width] * len(STRIDES)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(a, b, 2 * stride, stride, padding=stride) for a, b, stride in zip(sides, sides[1:], STRIDES)
        )
        slots = samples
        for stride in STRIDES:
            slots = slots // stride + 1
        self.encoder = Encoder(torch.arange(slots)[:, None], width, layers, heads, dropout)

    def forward(self, samples: Tensor, sounding: Tensor) -> Encoded:
        """Loudness [n, samples] from −1 to 1, and which samples come before the sound's end [n, samples]."""
        h = samples[:, None]
        for convolution in self.convolutions:
            h = F.silu(convolution(h))
        h = h.transpose(1, 2)
        starts = torch.arange(h.shape[1], device=h.device) * math.prod(STRIDES)
        present = starts < sounding.sum(1, keepdim=True)
        present[:, 0] = True
        return self.encoder(h, present)


class ContextMaps(nn.Module):
    """Feature maps over the places of an event from pictures of any size, or from a vector.

    A vector becomes a coarse picture, which gated convolutions refine before it is spread over the places; a picture is
    spread first. The result has `width` channels, what is computed with half as many: the convolutions over all
    places would otherwise cost more than the model that it conditions.

    Args:
        channels: of the pictures; 0: a vector is given.
        width: of the vector and of the maps.
        height, columns: of the event.
    """

    COARSE = 4
    """Places a side that share one of a vector's coarse pixels."""
    SPREADS = (1, 2, 4)
    """Dilations of the convolutions over a picture; over a coarse one only the first."""

    def __init__(self, channels: int, width: int, height: int, columns: int):
        super().__init__()
        self.size, self.inner = (height, columns), max(1, width // 2)
        self.coarse = (-(-height // self.COARSE), -(-columns // self.COARSE))
        self.draw = None if channels else nn.Linear(width, self.inner * self.coarse[0] * self.coarse[1])
        self.first = nn.Conv2d(channels, self.inner, 5, padding=2) if channels else None
        spreads = self.SPREADS if channels else self.SPREADS[:1]
        self.blocks = nn.ModuleList(
            nn.Conv2d(self.inner, 2 * self.inner, 3, padding=spread, dilation=spread) for spread in spreads
        )
        self.out = nn.Conv2d(self.inner, width, 1)

    def forward(self, given: Tensor) -> Tensor:
        """Pictures [n, channels, …, …] or vectors [n, width] → [n, width, height, columns]."""
        if self.draw is not None:
            h = self.draw(norm(given)).view(len(given), self.inner, *self.coarse)
        else:
            assert self.first is not None
            h = self.first(spread_over(given, self.size))
        for block in self.blocks:
            value, gate = block(F.silu(h)).chunk(2, 1)
            h = h + value * torch.sigmoid(gate)
        return self.out(spread_over(h, self.size))


def spread_over(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps [n, channels, …, …] at another size, by bilinear interpolation."""
    return maps if maps.shape[2:] == size else F.interpolate(maps, size=size, mode="bilinear")
