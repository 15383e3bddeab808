"""Pictures: grids of events and of their surprise, with words beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ptheta.files import replacing
from ptheta.reporting.lettering import text_width, write

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

CELL = 64
"""Pixels along the longer side of a cell of a grid, at least; small events are enlarged by a whole factor."""

SHEET = 1400
"""Pixels that a sheet with words is wide, about, at most."""

LINE = 16
"""Pixels of a line of text."""

BETWEEN, PAPER, INK = (96, 96, 96), (255, 255, 255), (0, 0, 0)
"""Colours between cells, and of paper and ink where something is written."""


def grid(
    pictures: Sequence[Picture | None],
    columns: int | None = None,
    gap: int = 2,
    *,
    titles: list[str] | None = None,
    headers: list[str] | None = None,
    captions: list[str] | None = None,
) -> Picture:
    """Pictures of one size side by side, row after row, enlarged without smoothing if they are small.

    Args:
        pictures: of one size; None leaves a cell empty.
        columns: in a row; None: about as many as rows.
        gap: pixels between cells.
        titles: one for each row, written to its left.
        headers: one for each column, written above it.
        captions: one for each picture, written below it.
    """
    from PIL import Image, ImageDraw

    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    cells = [picture and enlarged(picture) for picture in pictures]
    width, height = next(cell for cell in cells if cell).size
    words = [*(headers or []), *(captions or [])]
    pitch = max([width, *(text_width(word) + 4 for word in words)]) + gap
    step = height + gap + (LINE if captions else 0)
    left = gap if titles is None else gap + 8 + max(map(text_width, titles))
    top = gap if headers is None else gap + LINE
    written = titles is not None or bool(words)
    sheet = Image.new("RGB", (left + columns * pitch, top + rows * step), PAPER if written else BETWEEN)
    pen = ImageDraw.Draw(sheet)

    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        x, y = left + column * pitch, top + row * step
        if cell:
            sheet.paste(cell, (x + (pitch - gap - width) // 2, y))
        if captions and number < len(captions):
            write(pen, x + (pitch - gap) / 2, y + height + LINE / 2, captions[number], INK, centred=True)
    for row, title in enumerate(titles or []):
        write(pen, 4, top + row * step + height / 2, title, INK)
    for column, header in enumerate(headers or []):
        write(pen, left + column * pitch + (pitch - gap) / 2, top - LINE / 2 - 1, header, INK, centred=True)
    return sheet


def enlarged(picture: Picture, cell: int = CELL) -> Picture:
    """A picture in RGB, repeated by the whole factor that brings its longer side near this many pixels."""
    from PIL import Image

    factor = max(1, round(cell / max(picture.size)))
    return picture.convert("RGB").resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def fitted(picture: Picture, model: Picture | None) -> Picture:
    """A picture as large as another, on paper: enlarged by a whole factor, or shrunk if it is larger."""
    from PIL import Image

    assert model is not None
    size = model.size
    scale = min(size[0] / picture.width, size[1] / picture.height)
    scale = int(scale) if scale >= 1 else scale
    inner = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    whole = Image.new("RGB", size, PAPER)
    at = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    whole.paste(picture.convert("RGB").resize(inner, how), at)
    return whole


def headed(sheet: Picture, lines: list[str], *, least: int = 460) -> Picture:
    """Lines of text above a sheet, on paper, broken where they are too long.

    Args:
        sheet: below the text.
        lines: of text.
        least: pixels that the text may be wide if the sheet is narrower.
    """
    from PIL import Image, ImageDraw

    width = max(sheet.width, least)
    broken = [part for line in lines for part in _broken(line, width - 8)]
    whole = Image.new("RGB", (width, sheet.height + LINE * len(broken) + 6), PAPER)
    pen = ImageDraw.Draw(whole)
    for number, line in enumerate(broken):
        write(pen, 4, 3 + LINE * number + LINE / 2, line, INK)
    whole.paste(sheet, (0, LINE * len(broken) + 6))
    return whole


def together(sheets: list[Picture], *, gap: int, down: bool = False) -> Picture:
    """Sheets side by side, or one below the other, on paper."""
    from PIL import Image

    along = [sheet.height if down else sheet.width for sheet in sheets]
    across = max(sheet.width if down else sheet.height for sheet in sheets)
    length = sum(along) + gap * (len(sheets) - 1)
    whole = Image.new("RGB", (across, length) if down else (length, across), PAPER)
    for number, sheet in enumerate(sheets):
        start = sum(along[:number]) + gap * number
        whole.paste(sheet, (0, start) if down else (start, 0))
    return whole


def surprise_grid(
    pictures: list[Picture], log_prob: Tensor, *, top: float | None = None, captions: list[str] | None = None
) -> Picture:
    """Events above maps of their surprise −log p(x_j | x_<j): dark is expected, bright is surprising.

    Args:
        pictures: n events.
        log_prob: nats of every dimension, [n, height, width] or [n, channels, height, width]; channels are summed.
        top: nats of a pixel that are shown brightest; None: as `surprise_scale` says.
        captions: n, written below the maps.
    """
    import matplotlib
    from PIL import Image

    surprise = _surprise(log_prob)
    top = surprise_scale(log_prob) if top is None else top
    colours = matplotlib.colormaps["magma"](np.clip(np.nan_to_num(surprise, posinf=top) / max(top, 1e-9), 0, 1))
    maps: list[Picture] = [Image.fromarray((c[..., :3] * 255).round().astype(np.uint8)) for c in colours]
    pairs = [together([enlarged(a), enlarged(b)], gap=2, down=True) for a, b in zip(pictures, maps)]
    columns = max(1, min(12, SHEET // pairs[0].width, len(pairs)))
    return grid(pairs, columns, captions=captions)


def surprise_scale(log_prob: Tensor) -> float:
    """Nats of a pixel that only one in 200 exceeds, among those of positive probability."""
    surprise = _surprise(log_prob)
    finite = surprise[np.isfinite(surprise)]
    return float(np.percentile(finite, 99.5)) if finite.size else 1.0


def _surprise(log_prob: Tensor) -> np.ndarray:
    """Nats of every pixel, [n, height, width]."""
    height, width = log_prob.shape[-2:]
    return -log_prob.reshape(len(log_prob), -1, height, width).sum(1).numpy()


def _broken(line: str, width: float) -> list[str]:
    """A line of text in pieces of at most `width` pixels, broken between words."""
    pieces = [""]
    for word in line.split():
        longer = f"{pieces[-1]} {word}".strip()
        if pieces[-1] and text_width(longer) > width:
            pieces.append(word)
        else:
            pieces[-1] = longer
    return pieces


def save_picture(picture: Picture, path: Path) -> Path:
    """Write a PNG durably."""
    with replacing(path) as temporary:
        picture.save(temporary, "PNG")
    return path
