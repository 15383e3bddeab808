"""Finding the codec of a column of pictures, encoded or as arrays or bytes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from ptheta.data.codecs.images import ImageCodec, channels_first, channels_of, open_picture
from ptheta.data.options import Options
from ptheta.data.splits import Split
from ptheta.data.tables import Source, as_numpy, missing, take
from ptheta.errors import SourceError


def picture_codec(source: Source, name: str, options: Options) -> tuple[ImageCodec, list[str]]:
    """Codec for the pictures in a column, as large and as coloured as the first unless the options say otherwise."""
    table = next(iter(source.tables.values()))
    first = next(table.chunks([name]))[name]
    kind = source.columns[name].kind
    if kind != "array" and not (absent := missing(first)).all():
        first = take(first, np.flatnonzero(~absent))
    notes: list[str] = []
    white = source.white or 255
    if kind == "bytes":
        height, width, channels, bits, note = _bytes_shape(first, name, options)
        notes.append(note)
        white = 1 if bits else white
    elif kind == "array":
        _, channels, height, width = channels_first(as_numpy(first)[:1]).shape
        if source.white is None and _largest(source, name) <= 1:
            white = 1
    else:
        picture = open_picture(first[0] if isinstance(first, list) else first[0].as_py(), lambda _: table.place(0))
        height, width, channels = picture.height, picture.width, channels_of(picture)
    if options.size:
        height, width = options.size
    levels = 2 if options.binarize != "none" else options.levels or white + 1
    if levels > white + 1:
        raise SourceError(f"these pictures have {white + 1} levels, not {levels}", f"give at most {white + 1} levels")
    resize = options.size is not None and kind != "bytes"
    convert = options.channels is not None
    if options.palette and kind != "bytes":
        channels = 3  # grey pictures among them are read as RGB
    channels = options.channels or channels
    codec = ImageCodec(height, width, channels, levels, white, resize, convert, options.binarize)
    return codec, notes


def _largest(source: Source, name: str) -> int:
    return max(int(as_numpy(c[name]).max()) for t in source.tables.values() for c in t.chunks([name]))


def _bytes_shape(first: Any, name: str, options: Options) -> tuple[int, int, int, bool, str]:
    """Height, width, channels of a column of bytes, and whether they are packed bits.

    They are bits if two levels are asked for, or if the column is called `bits` and nothing else is; otherwise one byte
    is one value.
    """
    length = len(first[0].as_py())
    bits = options.levels == 2 or (options.levels is None and options.binarize == "none" and name == "bits")
    channels = options.channels or 1
    values = 8 * length if bits else length
    if options.size:
        height, width = options.size
    else:
        height = width = math.isqrt(values // channels)
    m = height * width * channels
    if (-(-m // 8) if bits else m) != length:
        raise SourceError(
            f"{length} bytes of column {name!r} are no {'packed bits' if bits else 'bytes'} of a picture of"
            f" {height}x{width}", "give --size HxW, and --levels 2 if they are packed bits"
        )  # fmt: skip
    what = f"packed bits, highest first, of {height}×{width} pixels" if bits else f"one byte a value, {height}×{width}"
    return height, width, channels, bits, f"column {name}: {length} bytes read as {what}"


def two_valued(codec: ImageCodec, splits: dict[str, Split]) -> ImageCodec:
    """Where all 8-bit values are 0 or 255, the codec of two levels; the splits are recoded in place."""
    if codec.levels != 256 or not all(_is_two_valued(split.x) for split in splits.values()):
        return codec
    for split in splits.values():
        split.x //= 255
    return dataclasses.replace(codec, levels=2)


def _is_two_valued(x: np.ndarray) -> bool:
    head = x[:16]
    if ((head != 0) & (head != 255)).any():
        return False
    counts = np.zeros(256, np.int64)
    for start in range(0, len(x), 4096):
        counts += np.bincount(x[start : start + 4096].reshape(-1), minlength=256)
    return counts[0] + counts[255] == x.size and counts[255] > 0
