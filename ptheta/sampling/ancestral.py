"""Ancestral sampling: draw x_1, then x_2 given x_1, and so on.

All randomness is drawn first, as uniforms u [n, m, r]; the event is then a deterministic function of u. So one seed
gives one sample, whatever the batch size, and methods that use the same u give the same events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from ptheta.distributions.warps import UNCHANGED, Warp
from ptheta.sampling.decoding import Decoder

Method = Literal["auto", "ancestral", "fixed_point"]
"""How events are drawn; `auto` takes the faster."""


def ancestral(
    decoder: Decoder,
    noise: Tensor,
    prefix: Tensor | None = None,
    warp: Warp = UNCHANGED,
    advance: Callable[[int], None] | None = None,
) -> Tensor:
    """Draw events one dimension at a time.

    Args:
        decoder: gives one conditional a step.
        noise: uniforms [n, m, r].
        prefix: values of the first dimensions, [n, k], kept as they are.
        warp: applied to every conditional before drawing from it.
        advance: is called before every step with how many were made.

    Returns:
        Values [n, m] in visiting order.
    """
    n, m, _ = noise.shape
    prefix = noise.new_zeros(n, 0) if prefix is None else prefix
    kept = prefix.shape[1]
    if kept == m:
        return prefix
    conditional = decoder.prefill(prefix) if kept else decoder.step(None)
    values: list[Tensor] = []
    for j in range(kept, m):
        if advance is not None:
            advance(j - kept)
        if values:
            if (rest := decoder.settled(values[-1])) is not None:
                values += [rest] * (m - j)
                break
            conditional = decoder.step(values[-1])
        values.append(conditional.warped(warp).sample(noise[:, j]))
    return torch.cat([prefix, torch.stack(values, 1).to(prefix.dtype)], 1) if kept else torch.stack(values, 1)
