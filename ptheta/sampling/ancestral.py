"""Ancestral sampling: draw x_1, then x_2 given x_1, and so on.

All randomness is drawn first, as uniforms u [n, m, r]; the event is then a deterministic function of u. So one seed
gives one sample, whatever the batch size, and methods that use the same u give the same events.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, Protocol, Self

import torch
from torch import Tensor

from ptheta.sampling.warps import UNCHANGED, Warp

Method = Literal["auto", "ancestral", "fixed_point"]
"""How events are drawn; `auto` takes the faster."""


PROBED = 1.0
"""Seconds after which it is clear how long a draw takes."""


class PatienceError(Exception):
    """A draw that would take longer than it may.

    Args:
        seconds: that it would take, about.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        super().__init__(f"the draw would take {seconds:.0f} seconds")


class Effort:
    """What a draw took, filled in by `sample` and `complete`.

    Args:
        patience: seconds; a draw step by step that will clearly take longer is given up. None: any time.

    Attributes:
        method: `ancestral` or `fixed_point`; empty before the draw.
        passes: network passes (for `ancestral`: cached steps) until the slowest event was finished, summed over
            chunks that were drawn one after the other.
        chunks: how many chunks.
    """

    def __init__(self, patience: float | None = None):
        self.method, self.passes, self.chunks = "", 0, 0
        self._patience, self._clock = patience, time.perf_counter()

    @property
    def said(self) -> str:
        """In words: 784 steps, or 41 fixed-point passes."""
        return f"{self.passes:,} {'steps' if self.method == 'ancestral' else 'fixed-point passes'}"

    def add(self, method: str, passes: int) -> None:
        """Note a chunk."""
        self.method, self.passes, self.chunks = method, self.passes + passes, self.chunks + 1

    def check(self, part: float) -> None:
        """Hear which part of the draw is done.

        Raises:
            PatienceError: at this rate it takes longer than `patience`.
        """
        seconds = time.perf_counter() - self._clock
        if self._patience is not None and part > 0 and seconds > PROBED and seconds / part > self._patience:
            raise PatienceError(seconds / part)


class Drawable(Protocol):
    """What conditionals must offer: a draw from uniforms."""

    def warped(self, warp: Warp) -> Self:
        """Reshaped by temperature and the like."""
        ...

    def sample(self, noise: Tensor) -> Tensor:
        """Values [...] from uniforms [..., r]."""
        ...


class Stepper(Protocol):
    """What a decoder must offer: the next conditional."""

    def prefill(self, values: Tensor) -> Drawable:
        """The conditional of the dimension that follows the first values [n, k]."""
        ...

    def step(self, previous: Tensor | None) -> Drawable:
        """The conditional of the next dimension, after the previous one took the values `previous` [n]."""
        ...

    def settled(self, previous: Tensor) -> Tensor | None:
        """The value of all later dimensions [n], if the previous one's values [n] leave no doubt; else None."""
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


def ancestral(
    decoder: Stepper,
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
        advance: is told before every step how many were made.

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
