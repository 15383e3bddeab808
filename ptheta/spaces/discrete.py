"""Spaces of integers: pictures, grids and sequences of tokens, labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.errors import SpaceError, nearest
from ptheta.names import canonical
from ptheta.spaces.base import Space

MAX_LEVELS = 2**24
"""Most levels a dimension may have."""


@dataclass(frozen=True)
class Discrete(Space):
    """Arrays of integers: dimension i takes values 0 … levels − 1, or 0 … sizes[i] − 1 where sizes are given.

    Args:
        shape: shape of one event.
        levels: K, the number of values of a dimension (of the largest, if they differ).
        sizes: number of values of each dimension, in flat order, if they differ; their maximum is `levels`.

    >>> Discrete((2, 2), 3).event_count
    81
    >>> Discrete((2,), 5, (5, 2)).event_count
    10
    """

    kind = "discrete"
    noun = "discrete values"
    shape: tuple[int, ...] = ()
    levels: int = 2
    sizes: tuple[int, ...] | None = None

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.levels <= MAX_LEVELS:
            raise SpaceError(f"{self.levels} levels are not usable", f"levels go from 1 to {MAX_LEVELS:,}")
        if self.sizes is not None and (
            len(self.sizes) != self.dimensions or min(self.sizes) < 1 or max(self.sizes) != self.levels
        ):
            raise SpaceError(
                f"sizes {list(self.sizes)[:8]} do not fit {self.dimensions} dimensions of at most {self.levels} levels",
                "give one size for each dimension, the largest equal to levels",
            )

    @property
    def event_count(self) -> int:
        """Number of different events, exact."""
        return math.prod(self.sizes) if self.sizes else self.levels**self.dimensions

    @property
    def countable(self) -> bool:
        """True."""
        return True

    def allowed(self) -> Tensor | None:
        """Which levels each dimension has: bool [m, K] in flat order, or None if all have all."""
        if self.sizes is None:
            return None
        return torch.arange(self.levels) < torch.tensor(self.sizes)[:, None]

    def reduced(self, dimensions: int) -> Discrete | None:
        """As many values in a row, each of all levels."""
        return None if not self.shape else Discrete((min(dimensions, self.dimensions),), self.levels)

    def validate(self, x: Any) -> Tensor:
        """Check a batch of integers; returns int64 [n, *shape]."""
        return self.check(x).long()

    def check(self, x: Any) -> Tensor:
        """As `validate`, but in x's own integer type, without a copy: for long passes over compact data."""
        x = self.as_batch(x)
        if x.is_floating_point() or x.is_complex():
            raise SpaceError(f"x holds {x.dtype} values", f"events of {self} are integers; cast or round them yourself")
        if x.dtype in (torch.uint16, torch.uint32, torch.uint64):  # torch compares few of these
            x = x.long()
        if len(x) == 0:
            return x
        limits: int | Tensor = self.levels
        if self.sizes is not None:
            limits = torch.tensor(self.sizes, device=x.device).reshape(self.shape)
        least, most = (x.min(), x.max()) if self.sizes is None else (x.amin(0), x.amax(0))
        if bool(((least < 0) | (most.long() >= limits)).any()):  # long: uint8 cannot be compared with 256
            x = x.long()
            index = tuple(int(i) for i in ((x < 0) | (x >= limits)).nonzero()[0])
            limit = self.levels if isinstance(limits, int) else int(limits[index[1:]])
            raise SpaceError(
                f"x{list(index)} is {int(x[index])}, outside the levels 0 to {limit - 1}",
                "remove or recode that value; nothing is clamped",
            )
        return x

    def __str__(self) -> str:
        return f"Discrete(shape={list(self.shape)}, levels={self.levels}{', sizes differ' if self.sizes else ''})"


@dataclass(frozen=True)
class Image(Discrete):
    """Pictures of integer levels, [channels, height, width].

    The default order is raster scan over pixels with the channels of a pixel as dimensions of their own:
    r, then g given r, then b given r and g.

    Args:
        height, width: pixels.
        channels: 1 grey, 3 RGB.
        levels: values of a sub-pixel; 256 for 8-bit pictures, 2 for binary ones.

    >>> Image(28, 28, levels=2).dimensions
    784
    """

    kind = "image"
    noun = "pictures"
    ordered = True

    def __init__(self, height: int, width: int, channels: int = 1, levels: int = 256):
        object.__setattr__(self, "shape", (channels, height, width))
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "sizes", None)
        self.__post_init__()

    @property
    def axes(self) -> tuple[str, ...]:
        """Channels of pixels in rows and columns."""
        return "channel", "height", "width"

    @property
    def channels(self) -> int:
        """Sub-pixels of a pixel."""
        return self.shape[0]

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return self.shape[1]

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return self.shape[2]

    def reduced(self, dimensions: int) -> Image:
        """A picture of the same shape."""
        height, width = _smaller(self.height, self.width, dimensions / self.channels)
        return Image(height, width, self.channels, self.levels)

    def order(self) -> Tensor:
        """Raster order over pixels, channels of a pixel together: flat indices [m] into [channels, height, width]."""
        return torch.arange(self.dimensions).reshape(self.shape).permute(1, 2, 0).reshape(-1)

    def coordinates(self) -> Tensor:
        """(row, column, channel) of every dimension, [m, 3]."""
        c, h, w = (torch.arange(s) for s in self.shape)
        channel, row, column = torch.meshgrid(c, h, w, indexing="ij")
        return torch.stack([row, column, channel], -1).reshape(-1, 3)

    def __str__(self) -> str:
        colour = {1: "grey", 3: "RGB"}.get(self.channels, f"{self.channels}-channel")
        return f"Image({self.height}×{self.width} {colour}, {self.levels} levels)"


@dataclass(frozen=True)
class Grid(Discrete):
    """Grids of tokens, [height, width], whose levels have no order: colours of a palette, codes of a tokeniser.

    The default order is raster scan.

    Args:
        height, width: tokens.
        levels: different tokens.

    >>> print(Grid(32, 32, 512), Grid(2, 2, 512).event_count == 512**4)
    Grid(32×32, 512 levels) True
    """

    kind = "grid"
    noun = "grids"

    def __init__(self, height: int, width: int, levels: int):
        object.__setattr__(self, "shape", (height, width))
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "sizes", None)
        self.__post_init__()

    @property
    def axes(self) -> tuple[str, ...]:
        """Tokens in rows and columns."""
        return "height", "width"

    @property
    def channels(self) -> int:
        """One: a place holds one token."""
        return 1

    @property
    def height(self) -> int:
        """Rows of tokens."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Columns of tokens."""
        return self.shape[1]

    def reduced(self, dimensions: int) -> Grid:
        """A grid of the same shape."""
        return Grid(*_smaller(self.height, self.width, dimensions), self.levels)

    def coordinates(self) -> Tensor:
        """(row, column) of every dimension, [m, 2]."""
        return torch.cartesian_prod(*(torch.arange(s) for s in self.shape))

    def __str__(self) -> str:
        return f"Grid({self.height}×{self.width}, {self.levels} levels)"


@dataclass(frozen=True)
class Sequence(Discrete):
    """Token sequences of a fixed length.

    Args:
        length: tokens in one event.
        levels: size of the vocabulary.
        end: the token that ends a document, if there is one.

    >>> print(Sequence(256, 257, 256))
    Sequence(length=256, levels=257, end of document 256)
    """

    kind = "sequence"
    noun = "sequences of tokens"
    end: int | None = None

    def __init__(self, length: int, levels: int, end: int | None = None):
        object.__setattr__(self, "shape", (length,))
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "sizes", None)
        object.__setattr__(self, "end", end)
        self.__post_init__()

    def __post_init__(self):
        super().__post_init__()
        if self.end is not None and not 0 <= self.end < self.levels:
            raise SpaceError(
                f"the end of a document is token {self.end} of {self.levels}", f"give one of 0 to {self.levels - 1}"
            )

    @property
    def axes(self) -> tuple[str, ...]:
        """One axis: the places of tokens."""
        return ("token",)

    @property
    def length(self) -> int:
        """Tokens in one event."""
        return self.shape[0]

    def reduced(self, dimensions: int) -> Sequence:
        """A shorter sequence."""
        return type(self)(min(dimensions, self.length), self.levels, self.end)

    def validate_tokens(self, row: Any) -> Tensor:
        """A sequence of any length as int64 [k].

        Raises:
            SpaceError: not integers [k], or a token that the space lacks.
        """
        if isinstance(row, str | bytes):
            raise SpaceError(f"a sequence is the text {row!r:.40}", "give its tokens: run.codec.tokens(text)")
        row = torch.as_tensor(row)
        if row.ndim != 1 or (row.is_floating_point() and len(row)):
            raise SpaceError(
                f"a sequence has shape {list(row.shape)} of {row.dtype}", "give a list of sequences, each integers [k]"
            )
        row = row.long()
        wrong = (row < 0) | (row >= self.levels)
        if bool(wrong.any()):
            at = int(wrong.nonzero()[0])
            raise SpaceError(f"token {at} is {int(row[at])}, outside the levels 0 to {self.levels - 1}", "recode it")
        return row

    def __str__(self) -> str:
        end = "" if self.end is None else f", end of document {self.end}"
        return f"Sequence(length={self.length}, levels={self.levels}{end})"


@dataclass(frozen=True)
class Label(Discrete):
    """One class out of several; events have shape (), batches [n].

    Args:
        names: the classes' names, in the order of their numbers.

    >>> Label(("cat", "dog")).validate(["dog", "cat"])
    tensor([1, 0])
    """

    kind = "label"
    noun = "labels"
    names: tuple[str, ...] = ()

    def __init__(self, names: tuple[str, ...] | list[str]):
        names = tuple(str(n) for n in names)
        if not names or len(set(names)) != len(names):
            raise SpaceError(f"labels {list(names)[:8]} are empty or repeat", "give each class one name of its own")
        object.__setattr__(self, "shape", ())
        object.__setattr__(self, "levels", len(names))
        object.__setattr__(self, "sizes", None)
        object.__setattr__(self, "names", names)
        self.__post_init__()

    def validate(self, x: Any) -> Tensor:
        """Check class numbers, or class names (str), [n]; returns int64 [n]."""
        if isinstance(x, str | int):
            x = [x]
        if isinstance(x, list | tuple | np.ndarray) and len(x) and all(isinstance(name, str) for name in x):
            x = [self.index(name) for name in x]
        return super().validate(x)

    def index(self, name: str) -> int:
        """Number of the class called `name`, or whose name looks like it (`ptheta.names.canonical`).

        Raises:
            SpaceError: none is.
        """
        if (number := self.find(name)) is None:
            raise SpaceError(f"no label is called {name!r}", nearest(name, list(self.names)))
        return number

    def find(self, name: str) -> int | None:
        """As `index`, but None if no class is called so."""
        if name in self.names:
            return self.names.index(name)
        alike = [k for k, known in enumerate(self.names) if canonical(known) == canonical(name)]
        return alike[0] if len(alike) == 1 else None

    def __str__(self) -> str:
        return f"Label({', '.join(self.names[:10])}{', …' if len(self.names) > 10 else ''})"


def _smaller(height: int, width: int, cells: float) -> tuple[int, int]:
    """Sides of a rectangle of the same shape with about this many cells, at most as large."""
    scale = min(1.0, math.sqrt(cells / (height * width)))
    return max(1, round(height * scale)), max(1, round(width * scale))
