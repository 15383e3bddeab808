"""A mixture of models of one family, learned independently of each other:

    p(x | y) = 1/K Σ_k p_k(x | y)

Its nats are never more than the mean of its members' (log is concave).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.errors import UsageError
from ptheta.models.base import Model
from ptheta.models.density import Density
from ptheta.sampling import uniforms
from ptheta.spaces import Space


class Ensemble(Model):
    """1/K Σ_k p_k of K members, which were learned independently.

    An event is drawn from one member, chosen at random. Its density is exact if all members' are; else the mixture of
    their bounds, which is a bound.

    Args:
        space, context_space: those of the members.
        members: models of one family, at least one.

    Raises:
        UsageError: the members do not go together.
    """

    def __init__(self, space: Space, context_space: Space | None = None, *, members: tuple[Model, ...]):
        _check(space, context_space, members)
        super().__init__(space, context_space)
        self.members: Sequence[Any] = nn.ModuleList(members)  # type: ignore[assignment]
        first = members[0]
        self.density = Density.weakest(*(member.density for member in members))
        self.objective, self.noise_size = first.objective, max(member.noise_size for member in members)
        self.context_dropout = first.context_dropout
        self.sampling_signature = type(first).sampling_signature  # type: ignore[method-assign]

    @property
    def family_class(self) -> type[Model]:
        """The members' family."""
        return self.members[0].family_class

    @property
    def log_prior(self) -> Tensor:
        """log π_k = −log K of the members, float64 [K]."""
        k = len(self.members)
        return torch.full((k,), -math.log(k), dtype=torch.float64, device=self.device)

    @property
    def recipe(self) -> Mapping[str, Any]:
        """That of the members."""
        return self.members[0].recipe

    def _prepare(self, chunks: Iterable[Tensor]) -> None:
        for member in self.members:
            member.prepare(chunks)

    def prepare_pairs(self, events: Iterable[Tensor], contexts: Iterable[Tensor]) -> None:
        """See `Model.prepare_pairs`."""
        for member in self.members:
            member.prepare_pairs(events, contexts)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self._mixed(member._log_prob(x, context) for member in self.members)

    def _elbo(self, x: Tensor, context: Tensor | None, draws: int, noise: Callable[[int], Tensor]) -> Tensor:
        return self._mixed(
            member._log_prob(x, context)
            if member.density is Density.EXACT
            else member._elbo(x, context, draws, lambda k, size=member.noise_size: noise(k)[:, :size])
            for member in self.members
        )

    def _mixed(self, scores: Iterable[Tensor]) -> Tensor:
        """log Σ_k π_k p_k from log p_k [n] of every member; nats [n], float64."""
        joint = torch.stack([score.double() for score in scores]) + self.log_prior[:, None]
        impossible = torch.isneginf(joint).all(0)  # whose sum has no gradient
        return torch.where(impossible, joint[0], torch.where(impossible, 0.0, joint).logsumexp(0))

    def _sample(self, n: int, context: Tensor | None, generator: torch.Generator, **options: Any) -> Tensor:
        chosen = self._chosen(self.log_prior.expand(n, -1), generator)
        parts, order = [], []
        for number, member in enumerate(self.members):
            rows = (chosen == number).nonzero()[:, 0]
            if len(rows) or (not n and not number):
                given = None if context is None else context[rows]
                parts.append(member._sample(len(rows), given, generator, **options))
                order.append(rows)
        return torch.cat(parts)[torch.cat(order).argsort()]

    def _chosen(self, log_weights: Tensor, generator: torch.Generator) -> Tensor:
        """The member [n] that each event is drawn from, by log weights [n, K]."""
        return self._by(log_weights, uniforms(len(log_weights), generator=generator).to(self.device))

    @staticmethod
    def _by(log_weights: Tensor, u: Tensor) -> Tensor:
        """The member [n] that a uniform [n] chooses by log weights [n, K]."""
        cdf = log_weights.softmax(-1).cumsum(-1)
        chosen = torch.searchsorted(cdf / cdf[:, -1:], u[:, None].contiguous(), right=True)[:, 0]
        return chosen.clamp(max=log_weights.shape[-1] - 1)


def _check(space: Space, context_space: Space | None, members: Sequence[Model]) -> None:
    if not members:
        raise UsageError("an ensemble has no members", "give at least one")
    first = members[0]
    for member in members:
        if type(member) is not type(first):
            kinds = f"a {type(first).__name__} and a {type(member).__name__}"
            raise UsageError(f"members of an ensemble are {kinds}", "give models of one family")
        if (member.space, member.context_space) != (space, context_space):
            what = f"a member is over {member.space}, the ensemble over {space}"
            raise UsageError(what, "give members of the same space and context")
    if first.density is Density.IMPLICIT:
        raise UsageError(f"{type(first).__name__} has no density that could be mixed", "fit one member")
