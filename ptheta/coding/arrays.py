"""NPY files of events: the same bytes come back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.codecs.arrays import ArrayCodec
from ptheta.data.codecs.images import ImageCodec
from ptheta.data.sources.files import read_npy


def read(path: Path, codec: ArrayCodec | ImageCodec) -> tuple[np.ndarray, dict[str, Any]]:
    """Events [n, *shape] of an NPY file, and how they become the file again."""
    array = np.asarray(read_npy(path))
    how = {"dtype": array.dtype.str, "shape": list(array.shape)}
    sides = len(codec.space.shape)
    if isinstance(codec, ImageCodec):
        alone = array.ndim == 2 or (array.ndim == 3 and array.shape[0] == codec.channels == 3)
    else:
        alone = array.ndim == sides
    return codec.encode(array[None] if alone else array), how


def restore(x: np.ndarray, codec: Any, how: dict[str, Any]) -> bytes:
    """The NPY file of events [n, *shape]."""
    shape, dtype = tuple(how["shape"]), np.dtype(how["dtype"])
    if isinstance(codec, ImageCodec):
        levels = np.arange(codec.levels) if codec.levels == codec.white + 1 else codec.shades()
        x = levels[x]  # [n, C, H, W]
        if len(shape) == 4 and shape[1:] != x.shape[1:]:
            x = x.transpose(0, 2, 3, 1)
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(x.reshape(shape).astype(dtype)), allow_pickle=False)
    return buffer.getvalue()
