"""Guidance: overstate what a context says.

With parts of the context revealed one after the other, v_0 without any, v_1 with the first, …, v_K with all,

    ṽ = v_0 + Σ_k s_k (v_k − v_{k−1}),

where v are log-probabilities of a conditional (or a score, or a velocity). With one scale s this is classifier-free
guidance (Ho & Salimans 2022, arXiv:2207.12598): s = 1 is p_θ(x | y) and s = 0 is p_θ(x). With two it is the guidance of
editing by instruction (Brooks et al. 2023, arXiv:2211.09800, eq. 3). What any scales other than 1 draw follows neither,
and no density is known for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ptheta.distributions import Categorical
from ptheta.distributions.base import Distribution
from ptheta.sampling.decoding import Decoder

Pass = Callable[[Tensor, Tensor, int], Distribution]
"""(values [b, m], rows [b], first) → conditionals over [b, m − first]; see `fixed_point`."""


def guide(values: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """ṽ from K + 1 tensors of one shape and K scales.

    Args:
        values: v_0, without a context, to v_K, with all of it.
        scales: s_1 … s_K.
    """
    mixed = values[0]
    for before, after, scale in zip(values[:-1], values[1:], scales, strict=True):
        mixed = mixed + scale * (after - before)
    return mixed


def guided_logits(logits: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """Logits [..., K] float64 from those of v_0 … v_K; a level that any of them rules out stays ruled out."""
    values = [part.double().log_softmax(-1) for part in logits]
    possible = torch.stack([torch.isfinite(value) for value in values]).all(0)
    return torch.where(possible, guide(values, scales), -torch.inf)


def guided(conditionals: Distribution, scales: Sequence[float]) -> Categorical:
    """A batch of conditionals from K + 1, one after the other: n with all of the context, …, the same n without any."""
    revealed = conditionals.level_logits().chunk(len(scales) + 1)
    return Categorical(guided_logits(revealed[::-1], scales))


class GuidedDecoder(Decoder):
    """A decoder of n events from one of (K + 1) n: n with all of the context, …, the same n without any.

    Args:
        decoder: of (K + 1) n events.
        scales: s_1 … s_K.
    """

    def __init__(self, decoder: Decoder, scales: Sequence[float]):
        self.decoder, self.scales = decoder, scales

    def prefill(self, values: Tensor) -> Distribution:
        """After the first values [n, k]."""
        return guided(self.decoder.prefill(self._repeated(values)), self.scales)

    def step(self, previous: Tensor | None) -> Distribution:
        """After the previous dimension took the values [n]."""
        return guided(self.decoder.step(None if previous is None else self._repeated(previous)), self.scales)

    def settled(self, previous: Tensor) -> Tensor | None:
        """See `Decoder.settled`."""
        settled = self.decoder.settled(self._repeated(previous))
        return None if settled is None else settled[: len(previous)]

    def _repeated(self, values: Tensor) -> Tensor:
        return torch.cat([values] * (len(self.scales) + 1))


def guided_pass(conditionals: Pass, n: int, scales: Sequence[float]) -> Pass:
    """A pass of `fixed_point` over n events from one over (K + 1) n."""

    def guided_conditionals(values: Tensor, rows: Tensor, first: int) -> Distribution:
        times = len(scales) + 1
        every = torch.cat([rows + n * k for k in range(times)])
        return guided(conditionals(torch.cat([values] * times), every, first), scales)

    return guided_conditionals
