"""Decoding a mixture: the conditionals of Σ_k π_k p_k from those of its parts.

    p(x_j | x_<j) = Σ_k w_k p_k(x_j | x_<j),    w_k ∝ π_k p_k(x_<j)

so a part counts the more the better it predicted what came before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ptheta.distributions.base import Distribution
from ptheta.sampling.decoding import Decoder


def mixed(parts: Sequence[Distribution], log_joint: Tensor) -> Distribution:
    """Σ_k w_k p_k.

    Args:
        parts: K distributions over batches of one shape.
        log_joint: log π_k p_k(x_<j) [K, *batch_shape], float64; up to a constant for each entry of the batch. Where all
            are −∞, since what came before has probability 0, every part counts alike.
    """
    impossible = torch.isneginf(log_joint).all(0)
    log_joint = torch.where(impossible, 0.0, log_joint)
    return type(parts[0]).mix(parts, log_joint.log_softmax(0))


class MixedDecoder(Decoder):
    """A decoder of n events of a mixture.

    Args:
        decoders: of its K parts, of n events each.
        log_prior: log π_k [K], float64.
        n: events.
    """

    def __init__(self, decoders: Sequence[Decoder], log_prior: Tensor, n: int):
        self.decoders = list(decoders)
        self.log_joint = log_prior[:, None].repeat(1, n)  # of what was read, [K, n]
        self.last: list[Distribution] | None = None  # the parts' conditionals that follow it, over [n]
        self._before: tuple[Tensor, list[Distribution] | None] = self.log_joint, None  # the last values were extended
        self._extended: tuple[list[Distribution], Tensor] | None = None  # over [n, t], and log joints [K, n, t]

    def step(self, previous: Tensor | None) -> Distribution:
        """p(x_j | x_<j) over [n]."""
        if previous is not None and self.last is not None:
            self.log_joint = self.log_joint + _log_probs(self.last, previous)
        self.last = [decoder.step(previous) for decoder in self.decoders]
        return mixed(self.last, self.log_joint)

    def prefill(self, values: Tensor) -> Distribution:
        """Read the first values [n, k]."""
        return self.weighed(values)[1]

    def weighed(self, values: Tensor) -> tuple[Tensor, Distribution]:
        """See `Decoder.weighed`."""
        found = [decoder.weighed(values) for decoder in self.decoders]
        before, self.last = self.log_joint.logsumexp(0), [conditional for _, conditional in found]
        self.log_joint = self.log_joint + torch.stack([total for total, _ in found])
        return self.log_joint.logsumexp(0) - before, mixed(self.last, self.log_joint)

    def extend(self, values: Tensor) -> Distribution:
        """After values [n, t] more: the conditionals that follow each of them, [n, t]."""
        parts = [decoder.extend(values) for decoder in self.decoders]
        first = torch.zeros_like(self.log_joint) if self.last is None else _log_probs(self.last, values[:, 0])
        later = _log_probs([part[:, :-1] for part in parts], values[:, 1:])
        joint = self.log_joint[..., None] + torch.cat([first[..., None], later], -1).cumsum(-1)
        self._before, self._extended = (self.log_joint, self.last), (parts, joint)
        self.log_joint, self.last = joint[..., -1], [part[:, -1] for part in parts]
        return mixed(parts, joint)

    def settled(self, previous: Tensor) -> Tensor | None:
        """See `Decoder.settled`: where all parts leave no doubt."""
        values = [decoder.settled(previous) for decoder in self.decoders]
        return None if any(value is None for value in values) else values[0]

    def rewind(self, count: int) -> None:
        """Forget the last values of those extended together."""
        if not count:
            return
        assert self._extended is not None
        for decoder in self.decoders:
            decoder.rewind(count)
        parts, joint = self._extended
        kept = joint.shape[-1] - count
        self._extended = [part[:, :kept] for part in parts], joint[..., :kept]
        self.log_joint, self.last = self._before
        if kept:
            self.log_joint, self.last = joint[..., kept - 1], [part[:, kept - 1] for part in parts]

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the rows."""
        for decoder in self.decoders:
            decoder.keep(rows)
        self.log_joint, self._extended = self.log_joint[:, rows], None
        self.last = None if self.last is None else [part[rows] for part in self.last]


def _log_probs(parts: Sequence[Distribution], values: Tensor) -> Tensor:
    """log p_k of values of the parts' batch shape, [K, *batch_shape]."""
    return torch.stack([part.log_prob(values) for part in parts])
