"""Decoding one dimension at a time: the decoder, its noise, what it took."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ptheta.distributions.base import Distribution
from ptheta.typed import checked_seed


class Decoder(ABC):
    """Conditionals one at a time, never recomputing the past."""

    @abstractmethod
    def step(self, previous: Tensor | None) -> Distribution:
        """p(x_j | x_<j) over [n].

        Args:
            previous: the values [n] that x_{j−1} took; None at the first step.
        """

    def prefill(self, values: Tensor) -> Distribution:
        """Read the first values [n, k] at once; returns the conditional that follows them, over [n]."""
        conditional = self.step(None)
        for previous in values.unbind(1):
            conditional = self.step(previous)
        return conditional

    def weighed(self, values: Tensor) -> tuple[Tensor, Distribution]:
        """As `prefill`, and log p of the values that were read, nats [n] float64."""
        conditional = self.step(None)
        total = torch.zeros(len(values), dtype=torch.float64, device=values.device)
        for previous in values.unbind(1):
            total = total + conditional.log_prob(previous)
            conditional = self.step(previous)
        return total, conditional

    def settled(self, previous: Tensor) -> Tensor | None:
        """The value of all later dimensions [n], if the values x_{j−1} [n] leave no doubt; else None."""
        return None

    def extend(self, values: Tensor) -> Distribution:
        """After values [n, t] more: the conditionals that follow each of them, [n, t]; only some decoders can."""
        raise NotImplementedError(f"{type(self).__name__} reads one value at a time")

    def rewind(self, count: int) -> None:
        """Forget the last `count` of the values extended together."""
        raise NotImplementedError(f"{type(self).__name__} does not forget")

    def keep(self, rows: Tensor) -> None:
        """Continue with these rows [k], which may repeat."""
        raise NotImplementedError(f"{type(self).__name__} keeps all of its rows")


PROBED = 1.0
"""Seconds after which it is clear how long a draw takes; less where less than some of them are left."""

SHARE = 0.2
"""Part of the patience that finding that out takes, at most: fewer events can be drawn in what is left."""


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
    def summary(self) -> str:
        """In words: 784 steps, or 41 fixed-point passes."""
        return f"{self.passes:,} {'steps' if self.method == 'ancestral' else 'fixed-point passes'}"

    def add(self, method: str, passes: int) -> None:
        """Note a chunk."""
        self.method, self.passes, self.chunks = method, self.passes + passes, self.chunks + 1

    def check(self, part: float) -> None:
        """Report which part of the draw is done.

        Raises:
            PatienceError: at this rate it takes longer than `patience`.
        """
        seconds = time.perf_counter() - self._clock
        if self._patience is None or part <= 0:
            return
        if seconds > min(PROBED, SHARE * self._patience) and seconds / part > self._patience:
            raise PatienceError(seconds / part)


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
        fresh.manual_seed(checked_seed(seed))
    return fresh


def uniforms(*shape: int, generator: torch.Generator) -> Tensor:
    """Uniforms in the open interval (0, 1), float64, on the generator's device."""
    u = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    return u.clamp_(2.0**-54, 1.0 - 2.0**-53)
