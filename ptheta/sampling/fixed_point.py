"""Exact parallel sampling by fixed-point iteration.

With its noise u drawn first, an event is x_j = draw(p(· | x_<j), u_j): a triangular system of equations. Jacobi
iteration x ← draw(p(· | x), u), all dimensions at once, reaches its one solution, the event that ancestral sampling
draws from the same noise, after at most m passes, and after far fewer where most draws do not hinge on their
neighbours (Song et al. 2021, arXiv:2002.03629; Wiggers & Hoogeboom 2020, arXiv:2002.09928).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ptheta.distributions.base import Distribution
from ptheta.distributions.warps import UNCHANGED, Warp


def fixed_point(
    conditionals: Callable[[Tensor, Tensor, int], Distribution],
    noise: Tensor,
    prefix: Tensor,
    warp: Warp = UNCHANGED,
) -> tuple[Tensor, int]:
    """Draw events by passes over all their dimensions.

    An event's beginning is final up to and including the first dimension that a pass still changed: what comes before
    it did not move, so it was drawn from the right past. Final beginnings are frozen: passes begin at the first
    dimension that is open in any event, and events that are final throughout leave the batch.

    Args:
        conditionals: (values [b, m], rows [b] of the batch, first) → conditionals over [b, m − first], the first of
            them of dimension `first`.
        noise: uniforms [n, m, r].
        prefix: values of the first dimensions, [n, k], kept as they are.
        warp: applied to every conditional before drawing from it.

    Returns:
        Values [n, m] in visiting order, and the number of passes.
    """
    n, m, _ = noise.shape
    values = torch.cat([prefix, prefix.new_zeros(n, m - prefix.shape[1])], 1)
    final = torch.full((n,), prefix.shape[1], device=values.device)  # dimensions of each event that are final
    rows = torch.arange(n if prefix.shape[1] < m else 0, device=values.device)
    passes = 0
    while len(rows):
        first = int(final[rows].min())
        before = values[rows, first:]
        drawn = conditionals(values[rows], rows, first).warped(warp).sample(noise[rows, first:])
        place = torch.arange(first, m, device=values.device)
        open_ = place >= final[rows, None]
        values[rows, first:] = torch.where(open_, drawn.to(values.dtype), before)
        moved = (values[rows, first:] != before) & open_
        final[rows] = torch.where(moved.any(1), first + moved.int().argmax(1) + 1, m)
        rows = rows[final[rows] < m]
        passes += 1
    return values, passes
