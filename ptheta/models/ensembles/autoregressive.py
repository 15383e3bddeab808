"""Mixtures of autoregressive models, whose conditionals are known:

p(x_j | x_<j) = Σ_k w_k p_k(x_j | x_<j),    w_k ∝ π_k p_k(x_<j)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ptheta.distributions import Distribution
from ptheta.distributions.warps import UNCHANGED
from ptheta.errors import UsageError
from ptheta.models.autoregressive.base import CHUNK_DIMENSIONS, Autoregressive
from ptheta.models.autoregressive.imputing import Imputing
from ptheta.models.autoregressive.language import LanguageModel
from ptheta.models.autoregressive.orders import Order
from ptheta.models.base import Model
from ptheta.models.checks import evaluating
from ptheta.models.conditions import rows_of
from ptheta.models.ensembles.base import Ensemble
from ptheta.sampling import Effort, Method, Warp
from ptheta.sampling.decoding import Decoder
from ptheta.sampling.mixing import MixedDecoder, mixed
from ptheta.spaces import Space

UNBOUNDED = 2**40
"""Tokens, more than any sequence has."""


class AutoregressiveEnsemble(Ensemble, Autoregressive):
    """An ensemble whose members visit the dimensions of an event in the same order.

    Whatever is drawn as the model has it is drawn from one member, chosen by what is given: as fast as from that member
    alone. Warped or guided conditionals are those of the mixture.

    Args:
        space, context_space, members: see `Ensemble`.
    """

    members: Sequence[Autoregressive]

    def __init__(self, space: Space, context_space: Space | None = None, *, members: tuple[Model, ...]):
        super().__init__(space, context_space, members=members)
        first = self.members[0]
        self.order, self.any_order = first.order, first.any_order
        self.register_buffer("visit", first.visit, persistent=False)
        self.register_buffer("unvisit", first.unvisit, persistent=False)

    @property
    def event_dtype(self) -> torch.dtype:
        """That of the members."""
        return self.members[0].event_dtype

    @property
    def faster_method(self) -> Method:
        """That of the members."""
        return self.members[0].faster_method

    def _conditions(self, context: Tensor | None) -> list[Any]:
        return [member._conditions(context) for member in self.members]

    def _conditionals(self, z: Tensor, context: Tensor | None) -> Distribution:
        return self._conditionals_from(z, self._conditions(context), 0)

    def _conditionals_from(self, z: Tensor, conditions: Any, first: int) -> Distribution:
        parts = [member._conditionals_from(z, part, 0) for member, part in zip(self.members, conditions, strict=True)]
        scores = torch.stack([part.log_prob(z) for part in parts])  # [K, n, m]
        before = torch.cat([torch.zeros_like(scores[..., :1]), scores[..., :-1]], -1).cumsum(-1)
        joint = self.log_prior[:, None, None] + before
        return mixed([part[:, first:] for part in parts], joint[..., first:])

    def _decoder(self, n: int, context: Tensor | None) -> Decoder:
        return MixedDecoder([member._decoder(n, context) for member in self.members], self.log_prior, n)

    def _log_prob_in(self, x: Tensor, orders: Tensor, context: Tensor | None) -> Tensor:
        return self._mixed(member._log_prob_in(x, orders, context) for member in self.members)

    def random_orders(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """See `Autoregressive.random_orders`."""
        return self.members[0].random_orders(n, generator)

    def reordered(self, order: Order | Tensor) -> Autoregressive:
        """See `Autoregressive.reordered`."""
        views = tuple(member.reordered(order) for member in self.members)
        return type(self)(self.space, self.context_space, members=views).train(self.training)

    def _sample(self, n: int, context: Tensor | None, generator: torch.Generator, **options: Any) -> Tensor:
        return Autoregressive._sample(self, n, context, generator, **options)  # and so by `_draw`

    def _draw(
        self,
        n: int,
        context: Tensor | None,
        prefix: Tensor | None,
        warp: Warp,
        generator: torch.Generator,
        method: Method = "auto",
        effort: Effort | None = None,
        guidance: float | tuple[float, ...] = 1.0,
    ) -> Tensor:
        if not warp.is_identity or guidance not in (1, (1,)):
            return super()._draw(n, context, prefix, warp, generator, method, effort, guidance)
        with torch.inference_mode(), evaluating(self):
            chosen = self._chosen(self._posterior(n, context, prefix), generator)
        drawn = torch.zeros(n, *self.space.shape, dtype=self.event_dtype, device=self.device)
        for number, member in enumerate(self.members):
            rows = (chosen == number).nonzero()[:, 0]
            given = None if context is None else context[rows]
            begun = None if prefix is None else prefix[rows]
            drawn[rows] = member._draw(len(rows), given, begun, warp, generator, method, effort)
        return drawn

    def _posterior(self, n: int, context: Tensor | None, prefix: Tensor | None) -> Tensor:
        """log π_k p_k(x_<j) given the first values [n, j] of events, or none; [n, K] up to a constant of each row."""
        log_joint = self.log_prior.expand(n, -1)
        if prefix is None or not prefix.shape[1]:
            return log_joint
        m, parts = self.space.dimensions, []
        for rows in torch.arange(n, device=self.device).split(max(1, CHUNK_DIMENSIONS // m)):
            z = torch.zeros(len(rows), m, dtype=self.event_dtype, device=self.device)
            z[:, : prefix.shape[1]] = begun = prefix[rows].to(z)
            given = rows_of(context, rows)
            found = [m._conditionals(z, given)[:, : prefix.shape[1]].log_prob(begun).sum(1) for m in self.members]
            parts.append(torch.stack(found, -1))
        scores = torch.cat(parts)
        return log_joint + torch.where(torch.isneginf(scores).all(1, keepdim=True), 0.0, scores)


class LanguageEnsemble(AutoregressiveEnsemble, LanguageModel):
    """An ensemble of language models; of a sequence of any length, members count by all of it that was read.

    Args:
        space, context_space, members: see `Ensemble`.
    """

    members: Sequence[LanguageModel]

    def __init__(self, space: Space, context_space: Space | None = None, *, members: tuple[Model, ...]):
        super().__init__(space, context_space, members=members)
        first = self.members[0]
        self.window, self.reads_on, self.ends = first.window, first.reads_on, first.ends

    @property
    def start_token(self) -> int:
        """That of the members."""
        return self.members[0].start_token

    @property
    def reach(self) -> int:
        """All tokens before one say which members to trust."""
        return UNBOUNDED

    def reader(
        self, n: int, context: Tensor | None, slots: int, first: Tensor | None = None, compile: bool = False
    ) -> Decoder:
        """See `LanguageModel.reader`."""
        readers = [member.reader(n, context, slots, first, compile) for member in self.members]
        return MixedDecoder(readers, self.log_prior, n)


class TableEnsemble(AutoregressiveEnsemble, Imputing):
    """An ensemble of models that impute; the missing cells of a row are drawn from one member, chosen by its present
    ones, which is the mixture's own conditional.

    Args:
        space, context_space, members: see `Ensemble`.

    Raises:
        UsageError: the members see numbers in different scales.
    """

    members: Sequence[Imputing]

    def __init__(self, space: Space, context_space: Space | None = None, *, members: tuple[Model, ...]):
        super().__init__(space, context_space, members=members)
        first = self.members[0]
        self.columns, self.scale = first.columns, first.scale
        for member in self.members:  # else a mixture of cells is no cell
            if any(not torch.equal(a, b) for a, b in zip(member.scale.buffers(), first.scale.buffers(), strict=True)):
                remedy = "fit them to the same training rows, at most 50,000, by which scales are set"
                raise UsageError("members see the numbers of their columns in different scales", remedy)

    @property
    def _imputing_noise(self) -> int:
        return self.space.dimensions + 1

    def _log_prob_of_part(self, x: Tensor, left_out: Tensor, context: Tensor | None) -> Tensor:
        return self._mixed(member._log_prob_of_part(x, left_out, context) for member in self.members)

    def _filled(self, x: Tensor, context: Tensor | None, noise: Tensor, warp: Warp = UNCHANGED) -> Tensor:
        missing = torch.isnan(x)
        known = torch.where(missing, self._fillers(), x)
        scores = torch.stack([member._log_prob_of_part(known, missing, context) for member in self.members], -1)
        chosen = self._by(self.log_prior + scores, noise[:, -1, 0])
        x = x.clone()
        for number, member in enumerate(self.members):
            rows = (chosen == number).nonzero()[:, 0]
            if len(rows):
                x[rows] = member._filled(x[rows], rows_of(context, rows), noise[rows, :-1], warp)
        return x
