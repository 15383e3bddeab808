"""Samples in a run folder, in the form of the data."""

from __future__ import annotations

from pathlib import Path

import torch

from ptheta.files import write_text
from ptheta.reporting.pictures import grid, save_picture
from ptheta.runs import Run
from ptheta.spaces import Label

CELLS = 64
"""Pictures in a grid of samples, about."""


def write_samples(run: Run, seed: int = 0) -> list[Path]:
    """Write samples.png for pictures, samples.txt for everything else.

    A conditional model gets a row of the grid for each of its first labels.

    Args:
        run: its model samples.
        seed: of the samples.
    """
    model, codec = run.model, run.codec
    labels = model.context_space
    if isinstance(labels, Label):
        rows = min(labels.levels, 12)
        columns = max(1, CELLS // rows)
        context = torch.arange(rows).repeat_interleave(columns)
        titles = [name[:16] for name in labels.names[:rows]]
    else:
        columns, context, titles = 8, None, None
    n = CELLS if context is None else len(context)
    if codec.is_picture:
        x = model.sample(n, context, seed=seed).cpu()
        sheet = grid([codec.picture(event) for event in x], columns, titles=titles)
        return [save_picture(sheet, run.path / "samples.png")]
    x = model.sample(min(n, 16), None if context is None else context[:16], seed=seed).cpu()
    path = run.path / "samples.txt"
    write_text(path, codec.text(x))
    return [path]
