"""Cells of table rows by a model that knows every part of a row given any other: drawn, guessed, integrated over."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ptheta.data.codecs import RowCodec
from ptheta.data.holes import best_guess
from ptheta.data.splits import allocate
from ptheta.distributions.warps import UNCHANGED, Warp
from ptheta.evaluation.nats import suited_batch
from ptheta.models.autoregressive.imputing import Imputing
from ptheta.sampling import generator_for


def filled(
    model: Imputing,
    codec: RowCodec,
    rows: np.ndarray,
    draws: int,
    context: Tensor | None,
    best: bool,
    seed: int | None,
    warp: Warp = UNCHANGED,
) -> np.ndarray:
    """Rows [b, m] with their missing cells drawn, [b, draws, m], or as one best guess, [b, 1, m].

    Beyond a gigabyte they lie in a temporary file.

    Args:
        model, codec: of the run.
        rows: NaN where a cell is to be drawn.
        draws: of each cell.
        context: b rows, or one.
        best: whether to guess.
        seed: of the draws.
        warp: of what is drawn from.
    """
    result, done = allocate((len(rows), 1 if best else draws, rows.shape[1]), rows.dtype), 0
    for part in model.imputed(rows, draws, context, generator_for(seed, None), warp):
        found = part.cpu().numpy()
        result[done : done + len(found)] = best_guess(codec, found)[:, None] if best else found
        done += len(found)
    return result


def of_known(model: Imputing, x: np.ndarray, unknown: np.ndarray, context: Tensor | None) -> np.ndarray:
    """log p of the cells of rows that are not unknown, nats [n] float64.

    Args:
        model: of the rows.
        x: rows [n, m].
        unknown: bool [n, m], whose cells are integrated over.
        context: n rows, or one; None without.
    """
    rows, mask = torch.from_numpy(x), torch.from_numpy(unknown)
    given = None if context is None else context.expand(len(x), *context.shape[1:])
    parts = [
        model.log_prob_of_part(rows[some], mask[some], None if given is None else given[some]).detach().cpu()
        for some in torch.arange(len(x)).split(suited_batch(model))
    ]
    return torch.cat(parts).numpy() if parts else np.empty(0)
