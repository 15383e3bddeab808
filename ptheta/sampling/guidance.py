"""Guidance: overstate what a context says.

    log p̃_j(k) = log p(k | x_<j) + g · (log p(k | x_<j, y) − log p(k | x_<j)) + const

for every conditional (Ho & Salimans 2022, arXiv:2207.12598, on logits). g = 1 is p_θ(x | y) and g = 0 is p_θ(x); what
any other g draws follows neither, and no density is known for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

import torch
from torch import Tensor

from ptheta.sampling.ancestral import Drawable, Stepper


class Levels(Protocol):
    """Conditionals of levels: what guidance can act on."""

    def categorical(self) -> Levels:
        """The same as a categorical."""
        ...

    @property
    def logits(self) -> Tensor:
        """[..., K]."""
        ...

    def __getitem__(self, index) -> Self: ...


def guided_logits(told: Tensor, untold: Tensor, guidance: float) -> Tensor:
    """Logits [..., K] float64 from those given a context and those without."""
    told, untold = told.double().log_softmax(-1), untold.double().log_softmax(-1)
    mixed = untold + guidance * (told - untold)
    return torch.where(torch.isfinite(told) & torch.isfinite(untold), mixed, -torch.inf)


def guided(both: Levels, guidance: float) -> Drawable:
    """One batch of conditionals from two, one after the other: n given their contexts, then the same n without."""
    levels = both.categorical()
    told, untold = levels.logits.chunk(2)
    return type(levels)(guided_logits(told, untold, guidance))  # type: ignore[call-arg]


class GuidedStepper:
    """A decoder of n events from one of 2n: n given their contexts, then the same n without.

    Args:
        decoder: of 2n events.
        guidance: g.
    """

    def __init__(self, decoder: Stepper, guidance: float):
        self.decoder, self.guidance = decoder, guidance

    def prefill(self, values: Tensor) -> Drawable:
        """After the first values [n, k]."""
        return guided(self.decoder.prefill(torch.cat([values, values])), self.guidance)  # type: ignore[arg-type]

    def step(self, previous: Tensor | None) -> Drawable:
        """After the previous dimension took the values [n]."""
        twice = None if previous is None else torch.cat([previous, previous])
        return guided(self.decoder.step(twice), self.guidance)  # type: ignore[arg-type]

    def settled(self, previous: Tensor) -> Tensor | None:
        """See `Stepper.settled`."""
        settled = self.decoder.settled(torch.cat([previous, previous]))
        return None if settled is None else settled[: len(previous)]


def guided_pass(
    conditionals: Callable[[Tensor, Tensor, int], Drawable], n: int, guidance: float
) -> Callable[[Tensor, Tensor, int], Drawable]:
    """A pass of `fixed_point` over n events from one over 2n, of which the rows n … 2n − 1 are without a context."""

    def guided_conditionals(values: Tensor, rows: Tensor, first: int) -> Drawable:
        both = conditionals(torch.cat([values, values]), torch.cat([rows, rows + n]), first)
        return guided(both, guidance)  # type: ignore[arg-type]

    return guided_conditionals
