"""Ancestral sampling: draw x_1, then x_2 given x_1, and so on.

All randomness is drawn first, as uniforms u [n, m, r]; the event is then a deterministic function of u. So one seed
gives one sample, whatever the batch size, and methods that use the same u give the same events.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Drawable(Protocol):
    """What a conditional must offer: a draw from uniforms."""

    def sample(self, noise: Tensor) -> Tensor:
        """Values [n] from uniforms [n, r]."""
        ...


class Stepper(Protocol):
    """What a decoder must offer: the next conditional."""

    def step(self, previous: Tensor | None) -> Any:
        """The conditional of the next dimension, after the previous one took the values `previous` [n]."""
        ...


def generator_for(seed: int | None, generator: torch.Generator | None) -> torch.Generator:
    """The given generator, or a new one on the CPU from `seed`, or from the system's entropy; never the global one.

    Noise is drawn on the CPU, so that a seed means the same uniforms on every device.
    """
    if generator is not None:
        return generator
    fresh = torch.Generator()
    if seed is None:
        fresh.seed()
    else:
        fresh.manual_seed(seed)
    return fresh


def uniforms(*shape: int, generator: torch.Generator) -> Tensor:
    """Uniforms in the open interval (0, 1), float64, on the generator's device."""
    u = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    return u.clamp_(2.0**-54, 1.0 - 2.0**-53)


def ancestral(decoder: Stepper, noise: Tensor, prefix: Tensor | None = None, warp=None) -> Tensor:
    """Draw events one dimension at a time.

    Args:
        decoder: gives one conditional a step.
        noise: uniforms [n, m, r].
        prefix: values of the first dimensions, [n, k], kept as they are.
        warp: function of a conditional, applied before drawing from it.

    Returns:
        Values [n, m] in visiting order.
    """
    n, m, _ = noise.shape
    if prefix is None:
        prefix = noise.new_zeros(n, 0)
    values: list[Tensor] = []
    for j in range(m):
        previous = values[-1] if values else None
        conditional = decoder.step(previous)  # also for kept values: the decoder must see them
        if j < prefix.shape[1]:
            values.append(prefix[:, j])
        else:
            values.append((conditional if warp is None else warp(conditional)).sample(noise[:, j]))
    return torch.stack(values, 1)
