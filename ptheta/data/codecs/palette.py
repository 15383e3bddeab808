"""Pictures ↔ events of a `Grid` space: every pixel is one of a few colours (as in ImageGPT, Chen et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import Place, as_array, compact, nowhere
from ptheta.data.codecs.images import ImageCodec, PictureCodec
from ptheta.data.codecs.picture_files import DEPTHS
from ptheta.data.options import MAX_COLOURS
from ptheta.spaces import Grid

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

CELLS = 2**22
"""Distances computed together; bounds memory."""

PIXELS = 2**20
"""Pixels looked up together; bounds memory."""


@dataclass(frozen=True)
class PaletteCodec(PictureCodec):
    """Pictures ↔ tokens; a token is the number of the palette's colour nearest to the pixel in RGB.

    Of colours equally near it is the first. Pictures lose what the palette has not: scores are of tokens, not of them.

    Args:
        height, width: pixels, and the `Grid` space with as many levels as colours.
        colours: distinct [r, g, b], each 0 … 255.
        channels, white, resize, fit, deep: of the pictures, as in `ImageCodec`; grey ones are read as RGB.
    """

    height: int
    width: int
    colours: list[list[int]]
    channels: int = 3
    white: int = 255
    resize: bool = False
    fit: str = "stretch"
    deep: int = DEPTHS[-1]

    kind = "palette"
    choosy = ("resize", "fit")
    named_unit = "palette token"

    def __post_init__(self):
        array = np.array(self.colours)
        if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind != "i":
            raise ValueError("a palette is a list of [r, g, b], whole numbers")
        if not 2 <= len(array) <= MAX_COLOURS or array.min() < 0 or array.max() > 255:
            raise ValueError(f"a palette has 2 to {MAX_COLOURS:,} colours of 0 to 255")
        if len(np.unique(packed(array))) < len(array):
            raise ValueError("the colours of a palette are distinct")

    @property
    def space(self) -> Grid:
        """Grid(height, width, number of colours)."""
        return Grid(self.height, self.width, len(self.colours))

    @property
    def dtype(self) -> np.dtype:
        """uint8, or int16 or int32 beyond 256 colours."""
        return compact(len(self.colours))

    @cached_property
    def _pictures(self) -> ImageCodec:
        """Reads the pictures without loss."""
        size = self.height, self.width
        return ImageCodec(*size, self.channels, self.white + 1, self.white, self.resize, fit=self.fit, deep=self.deep)

    @cached_property
    def _palette(self) -> np.ndarray:
        return np.array(self.colours, np.uint8)  # [K, 3]

    @cached_property
    def _tokens(self) -> np.ndarray:
        """Packed colour → token + 1, or 0 where it was not asked for yet; pages that are never touched cost nothing."""
        return np.zeros(2**24, np.int32)

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Tokens [n, height, width] of pictures, encoded pictures, arrays or bytes."""
        return self.tokens(self._pictures.encode(raw, place))

    def tokens(self, x: np.ndarray) -> np.ndarray:
        """Tokens [n, height, width] of events [n, channels, height, width] of pictures without loss."""
        tokens = np.empty((len(x), self.height, self.width), self.dtype)
        size = max(1, PIXELS // (self.height * self.width))
        for start in range(0, len(x), size):
            tokens[start : start + size] = self.nearest(rgb(self._pictures, x[start : start + size]))
        return tokens

    def nearest(self, pixels: np.ndarray) -> np.ndarray:
        """The number [...] of the colour nearest to pixels [..., 3]; every colour is looked for only once."""
        codes = packed(pixels)
        new = np.unique(codes[self._tokens[codes] == 0])
        self._tokens[new] = nearest(self._palette, unpacked(new)) + 1
        return self._tokens[codes] - 1

    def picture(self, event: Tensor | np.ndarray) -> Picture:
        """One event [height, width] as an RGB picture."""
        from PIL import Image as pil

        return pil.fromarray(self._palette[as_array(event)])


def nearest(palette: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """argmin_k |palette_k − colour|² for colours [N, 3], exact, the first if equal: int64 [N]."""
    found = np.empty(len(colours), np.int64)
    centres = palette.astype(np.float32)
    size = max(1, CELLS // len(palette))
    for start in range(0, len(colours), size):
        part = colours[start : start + size].astype(np.float32)
        # |c|² − 2 p·c orders as |p − c|² does; float32 holds whole numbers below 2²⁴ exactly
        found[start : start + size] = ((centres**2).sum(1) - 2 * (part @ centres.T)).argmin(1)
    return found


def rgb(codec: ImageCodec, x: np.ndarray) -> np.ndarray:
    """8-bit RGB pixels [n, height, width, 3] of a codec's events [n, channels, height, width]; grey is repeated."""
    pixels = np.moveaxis(codec.shades()[x], 1, -1)
    return np.broadcast_to(pixels, (*pixels.shape[:-1], 3))


def packed(pixels: np.ndarray) -> np.ndarray:
    """RGB pixels [..., 3] as one number each, 0 … 2²⁴ − 1."""
    r, g, b = np.moveaxis(pixels.astype(np.int32), -1, 0)
    return r << 16 | g << 8 | b


def unpacked(codes: np.ndarray) -> np.ndarray:
    """The inverse of `packed`: uint8 [..., 3]."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1).astype(np.uint8)
