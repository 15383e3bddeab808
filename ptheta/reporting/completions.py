"""Completions as files, and masks of what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs.images import eight_bit, open_picture
from ptheta.errors import SourceError
from ptheta.files import replacing_folder
from ptheta.reporting.pictures import grid, save_picture
from ptheta.runs import Run
from ptheta.spaces import Grid, Image, Space, Spectrogram

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

ROWS = 64
"""Events in a picture of completions, at most; their files are written all."""

VEIL = (70, 80, 110)
"""A dull blue that no grey picture has."""


def write_completions(
    run: Run, x: Tensor, kept: Tensor, drawn: Tensor, directory: Path, names: list[str] | None = None
) -> list[Path]:
    """Write completions of events as files of the data's kind.

    For pictures the last file, `completions.png`, shows each original, what was kept of it, and its completions.

    Args:
        run: whose codec writes.
        x: events [b, *space.shape].
        kept: mask [*space.shape], True where events were kept.
        drawn: completions [b, n, *space.shape].
        directory: made if missing.
        names: of the events, written beside them if there are several.
    """
    with replacing_folder(directory) as temporary:
        files = run.codec.write(drawn.flatten(0, 1), temporary, "completion")
        if run.codec.is_picture:
            sheet = _sheet(run, x, kept, drawn, names)
            files.append(save_picture(sheet, temporary / "completions.png"))
    return [directory / file.relative_to(temporary) for file in files]


def _sheet(run: Run, x: Tensor, kept: Tensor, drawn: Tensor, names: list[str] | None) -> Picture:
    """Each original, what was kept of it, and its completions."""
    upright = run.codec.upright(kept[None])[0]
    shown = upright.reshape(-1, *upright.shape[-2:]).all(0).cpu().numpy()
    cells: list[Picture | None] = []
    for event, several in zip(x[:ROWS], drawn[:ROWS]):
        original = run.codec.pictures(event[None])[0]
        cells += [original, _veiled(original, shown), *run.codec.pictures(several)]
    headers = ["original", "kept", *(str(i + 1) for i in range(drawn.shape[1]))]
    titles = [name[:16] for name in names[:ROWS]] if names and len(names) > 1 else None
    return grid(cells, len(headers), titles=titles, headers=headers)


def read_mask(path: Path, space: Space) -> Tensor:
    """A mask [*space.shape] from a picture: True where it is at least half white; transparent pixels are not kept.

    Raises:
        SourceError: it is no picture of the space's size.
    """
    if not isinstance(space, Image | Grid):
        raise SourceError(f"{path} masks pictures, and the run is about {space}", "use --keep")
    height, width = space.shape[-2:]
    if isinstance(space, Spectrogram):  # whose pictures show time from left to right
        height, width = width, height
    picture = open_picture(str(path), lambda _: f"the mask {path}")
    if picture.size != (width, height):
        raise SourceError(
            f"{path} is {picture.height}×{picture.width} pixels, the run's pictures are {height}×{width}",
            "give a mask of that size",
        )
    white = eight_bit(picture, 1, background="black")[0] >= 128
    mask = torch.from_numpy(white)
    return (mask.flip(0).T if isinstance(space, Spectrogram) else mask).expand(space.shape)


def _veiled(picture: Picture, shown: np.ndarray) -> Picture:
    """A picture whose hidden pixels are veiled."""
    from PIL import Image as Pictures

    pixels = np.array(picture.convert("RGB"))
    pixels[~shown] = VEIL
    return Pictures.fromarray(pixels)
