"""Pictures: grids of events and of their surprise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ptheta.files import replacing

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

CELL = 64
"""Pixels along the longer side of a cell of a grid, at least; small events are enlarged by a whole factor."""


def grid(pictures: list[Picture], columns: int | None = None, gap: int = 2, titles: list[str] | None = None) -> Picture:
    """Pictures of one size side by side, row after row, enlarged without smoothing if they are small.

    Args:
        pictures: of one size.
        columns: in a row; None: about as many as rows.
        gap: pixels between cells.
        titles: one for each row, written to its left.
    """
    from PIL import Image, ImageDraw

    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    width, height = pictures[0].size
    factor = max(1, round(CELL / max(width, height)))
    width, height = width * factor, height * factor
    margin = 0 if titles is None else 8 + 7 * max(map(len, titles))
    size = (margin + columns * (width + gap) + gap, rows * (height + gap) + gap)
    sheet = Image.new("RGB", size, (96, 96, 96) if titles is None else (255, 255, 255))
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        cell = picture.convert("RGB").resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(cell, (margin + gap + column * (width + gap), gap + row * (height + gap)))
    if titles is not None:
        pen = ImageDraw.Draw(sheet)
        for row, title in enumerate(titles):
            pen.text((4, gap + row * (height + gap) + height // 2 - 6), title, fill=(0, 0, 0))
    return sheet


def surprise_grid(pictures: list[Picture], log_prob: Tensor) -> Picture:
    """Events above maps of their surprise −log p(x_j | x_<j): dark is expected, bright is surprising.

    Args:
        pictures: n events.
        log_prob: nats of every sub-pixel [n, channels, height, width]; channels are summed, one scale for all.
    """
    import matplotlib
    from PIL import Image

    surprise = -log_prob.sum(1).numpy()  # [n, height, width]
    finite = surprise[np.isfinite(surprise)]
    top = float(np.percentile(finite, 99.5)) if finite.size else 1.0
    colours = matplotlib.colormaps["magma"](np.clip(np.nan_to_num(surprise, posinf=top) / max(top, 1e-9), 0, 1))
    maps = [Image.fromarray((c[..., :3] * 255).round().astype(np.uint8)) for c in colours]
    columns = min(12, len(pictures))
    cells: list[Picture] = []
    for start in range(0, len(pictures), columns):
        pair = pictures[start : start + columns], maps[start : start + columns]
        for line in pair:
            cells += [p.convert("RGB") for p in line] + [Image.new("RGB", line[0].size)] * (columns - len(line))
    return grid(cells, columns)


def save_picture(picture: Picture, path: Path) -> Path:
    """Write a PNG durably."""
    with replacing(path) as temporary:
        picture.save(temporary, "PNG")
    return path
