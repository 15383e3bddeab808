"""The heart: models that factorise p(x | y) = ∏_j p(x_j | x_<j, y) in some order of the dimensions.

A family gives two views of the same conditionals and inherits everything else:

- `_conditionals(z, context)`: all of them at once, for training and scoring;
- `_decoder(n, context)`: one at a time, with whatever cache makes a step cheap, for sampling and completion.

Here z [n, m] is an event flattened in visiting order: z[:, j] is the j-th dimension visited.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from ptheta.distributions import Distribution
from ptheta.errors import SpaceError, UsageError, nearest
from ptheta.models.autoregressive.guiding import Scales, revealed, scales_of
from ptheta.models.autoregressive.orders import Order, as_order, visiting_order
from ptheta.models.base import Model
from ptheta.models.checks import checked_count, evaluating, scoring
from ptheta.models.conditions import rows_of
from ptheta.sampling import (
    Effort,
    GuidedDecoder,
    Method,
    Warp,
    ancestral,
    fixed_point,
    generator_for,
    guided_pass,
    uniforms,
)
from ptheta.sampling.decoding import Decoder
from ptheta.sampling.guidance import Pass
from ptheta.spaces import Discrete, Image, Sequence, Space
from ptheta.typed import typed

CHUNK_DIMENSIONS = 2**18
"""Dimensions decoded together; bounds the memory of caches. It does not change the samples."""

CHUNK_LOGITS = 2**24
"""Logits of one fixed-point pass, of all dimensions of the events drawn together."""

Score = Callable[[Distribution, Tensor], Tensor]
"""Conditionals over [n, m] and their values → [n, m]."""

ANY_ORDER = "fit a model for any order: transformer --any-order"
"""Remedy where another order is asked for."""


class Autoregressive(Model):
    """Base of the autoregressive families.

    Args:
        space: of x.
        context_space: of y.
        order: visiting order: `raster`, `column`, `spiral`, a permutation of the flat indices 0 … m − 1, or None for
            the space's own (raster scan for images, channels of a pixel together).
    """

    visit: Tensor
    unvisit: Tensor
    noise_size: int = 1
    any_order: bool = False
    """Whether the weights were trained over all orders, so that `reordered` and arbitrary masks are possible."""

    def __init__(self, space: Space, context_space: Space | None = None, order: Order = None):
        super().__init__(space, context_space)
        self.order = as_order(order)
        visit = visiting_order(space, self.order)
        self.register_buffer("visit", visit, persistent=False)
        self.register_buffer("unvisit", visit.argsort(), persistent=False)

    # What a family gives

    @abstractmethod
    def _conditionals(self, z: Tensor, context: Tensor | None) -> Distribution:
        """All p(z_j | z_<j, context) over [n, m]; entry j must not depend on z_j or later."""

    @abstractmethod
    def _decoder(self, n: int, context: Tensor | None) -> Decoder:
        """The same conditionals, one step at a time."""

    def _conditions(self, context: Tensor | None) -> Any:
        """What the network makes of contexts [n, …] before it sees an event, encoded once for all passes over the
        same events; `rows_of` picks its rows. The contexts themselves where nothing is encoded."""
        return context

    def _conditionals_from(self, z: Tensor, conditions: Any, first: int) -> Distribution:
        """All p(z_j | z_<j, context) from dimension number `first` on, over [n, m − first], given `_conditions`."""
        return self._conditionals(z, conditions)[:, first:]

    def reordered(self, order: Order | Tensor) -> Autoregressive:
        """The same weights as a distribution that visits its dimensions in another order: a view to score, draw and
        complete with. It shares the weights; learn, move and save the model itself.

        Args:
            order: a named order, or flat indices [m].

        Raises:
            UsageError: the model was trained for one order only, or it is not an order.
        """
        raise UsageError(f"{type(self).__name__} was trained for one order only", ANY_ORDER)

    def random_orders(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Orders in which a model of any order is trained, [n, m]: numbers of dimensions as its own order counts them.

        Args:
            n: rows.
            generator: None: the global one of the model's device.
        """
        raise UsageError(f"{type(self).__name__} was trained for one order only", ANY_ORDER)

    def _log_prob_in(self, x: Tensor, orders: Tensor, context: Tensor | None) -> Tensor:
        """log p of validated events, each visited in an order of its own [n, m]; nats [n], float64."""
        raise NotImplementedError

    def _guided_decoder(self, n: int, context: Tensor | None, scales: Scales) -> Decoder:
        """A decoder of n events, guided by their contexts unless the scale is 1."""
        if scales == (1,):
            return self._decoder(n, context)
        rows = revealed(self.context_space, context, len(scales))
        return GuidedDecoder(self._decoder(len(rows), rows), scales)

    @property
    def faster_method(self) -> Method:
        """The faster way to draw events on the model's device: `ancestral` or `fixed_point`."""
        return "ancestral"

    # What every autoregressive model has

    def flatten(self, x: Tensor) -> Tensor:
        """Events [n, *shape] → [n, m] in visiting order."""
        return x.reshape(len(x), self.space.dimensions)[:, self.visit]

    def unflatten(self, z: Tensor) -> Tensor:
        """[n, m] in visiting order → events [n, *shape]."""
        return z[:, self.unvisit].reshape(len(z), *self.space.shape)

    def conditionals(self, x: Any, context: Any = None) -> Distribution:
        """All conditionals p(x_j | x_<j, context) at once, over [n, m] in visiting order."""
        x, context = self._validated(x, context)
        with evaluating(self):
            return self._conditionals(self.flatten(x), context)

    def decoder(self, n: int, context: Any = None) -> Decoder:
        """A stateful decoder of n events."""
        return self._decoder(checked_count(n), self._validated_context(context, n))

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        return self._scored(x, context, lambda conditionals, z: conditionals.log_prob(z))

    def fitted(self, x: Tensor, context: Tensor | None) -> Tensor:
        """log p(x | context), nats [n]; of a model of any order, in random orders."""
        if not self.any_order:
            return super().fitted(x, context)
        return self._log_prob_in(x, self.random_orders(len(x)), context)

    def smoothed(self, x: Tensor, context: Tensor | None, smoothing: float) -> Tensor:
        """What is raised with labels smoothed by ε, nats [n], in one order: see `Distribution.smoothed_log_prob`."""
        return self._scored(x, context, lambda conditionals, z: conditionals.smoothed_log_prob(z, smoothing))

    def _scored(self, x: Tensor, context: Tensor | None, score: Score) -> Tensor:
        """The sum over dimensions of what a score says of the conditionals and their values, [n]."""
        z = self.flatten(x)
        return score(self._conditionals(z, context), z).sum(-1)

    def log_prob_in_random_orders(self, x: Any, context: Any = None, *, seed: int = 0) -> Tensor:
        """log p(x | context) of a model of any order, each event in an order of its own, as it was trained.

        Args:
            x, context: as for `log_prob`.
            seed: of the orders, see `random_orders`.

        Returns:
            Nats [n], float64.
        """
        x, context = self._validated(x, context)
        orders = self.random_orders(len(x), torch.Generator().manual_seed(seed))
        with scoring(self, x, context):
            return self._log_prob_in(x, orders, context)

    def log_prob_per_dimension(self, x: Any, context: Any = None) -> Tensor:
        """log p(x_j | x_<j) of every dimension, nats, float64 [n, *space.shape]; its sum is `log_prob`."""
        x, context = self._validated(x, context)
        z = self.flatten(x)
        with scoring(self, x, context):
            return self.unflatten(self._conditionals(z, context).log_prob(z))

    def log_prob_per_token(self, sequences: SequenceOf[Any], context: Any = None) -> list[Tensor]:
        """log p of every token of sequences of any length, for a model of sequences.

        This family knows events of m tokens only: a longer sequence is read as one event after the other, each from
        its own start, and the rest as the beginning of one.

        Args:
            sequences: integers [k] each.
            context: a row for each sequence, or one.

        Returns:
            Nats [k] each, float64, on the CPU.

        Raises:
            UsageError: the model's order is not the sequence's, or its space holds no sequences.
        """
        space, m = self.space, self.space.dimensions
        if not isinstance(space, Sequence) or not torch.equal(self.visit.cpu(), torch.arange(m)):
            raise UsageError(f"{self.space} is not read token by token", "fit a text from its beginning to its end")
        rows = [space.validate_tokens(row) for row in sequences]
        context = self._validated_context(context, len(rows))
        scores = []
        for i, row in enumerate(rows):
            events = row.new_zeros(-(-len(row) // m) * m)
            events[: len(row)] = row
            events = events.view(-1, m)
            with torch.no_grad():
                parts = [
                    self.log_prob_per_dimension(part, None if context is None else context[i : i + 1])
                    for part in events.split(max(1, CHUNK_DIMENSIONS // m))
                ]
            scores.append(torch.cat([part.flatten() for part in parts])[: len(row)].cpu() if parts else row.double())
        return scores

    def _sample(
        self,
        n: int,
        context: Tensor | None,
        generator: torch.Generator,
        *,
        method: Method = "auto",
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        guidance: float | tuple[float, ...] = 1.0,
        effort: Effort | None = None,
        prefix: Tensor | None = None,
    ) -> Tensor:
        """Events [n, *space.shape].

        Args:
            n: how many.
            context: n rows, validated.
            generator: of the noise.
            method: ancestral: one dimension after the other, with caches; fixed_point: all dimensions at once, again
                and again until nothing changes; auto: the faster. Both give the same events for the same seed, up to
                the rounding of the conditionals
            temperature: below 1 is more certain, 0 takes the most probable value
            top_k: keep the k most probable values; 0 keeps all
            top_p: keep the smallest set of values whose probability reaches p
            min_p: keep values at least min_p times as probable as the most probable one
            guidance: above 1 overstates what the context says, see `ptheta.sampling.guidance`: one scale, or one for
                each part of the context; what is drawn then no longer follows p(x | context)
            effort: filled in with the method and the number of network passes.
            prefix: first values of the events in visiting order, [n, k], kept as they are.
        """
        warp = Warp(temperature, top_k, top_p, min_p)
        return self._draw(n, context, prefix, warp, generator, method, effort, guidance)

    @typed
    def complete(
        self,
        x: Any,
        keep: Tensor | np.ndarray | float,
        n: int = 1,
        context: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Tensor:
        """Draw the missing part of partial events from its exact conditional distribution.

        A model for any order visits what is kept first, so its mask may be arbitrary.

        Args:
            x: events [b, *space.shape]; what is not kept is ignored, but must be in the space.
            keep: fraction of the dimensions kept, from the first in visiting order, or a mask [*space.shape], or
                [height, width] for images, True where x is kept.
            n: completions of each event.
            context: b rows, or one.
            seed, generator: as for `sample`.
            options: of `sample`: method, temperature, guidance …, see `_sample`.

        Returns:
            Events [b, n, *space.shape].

        Raises:
            UsageError: the mask is not a beginning of the visiting order, and the model knows no other.
        """
        n, options = checked_count(n), self._checked_options(options)
        x, context = self._validated(x, context)
        mask = self.kept(keep).reshape(-1)
        model, kept = self, int(mask.sum())
        if not bool(mask[self.visit][:kept].all()):
            model = self.reordered(torch.cat([self.visit[mask[self.visit]], self.visit[~mask[self.visit]]]))
        prefix = model.flatten(x)[:, :kept].repeat_interleave(n, 0)
        context = None if context is None else context.repeat_interleave(n, 0)
        drawn = model._sample(len(prefix), context, generator_for(seed, generator), prefix=prefix, **options)
        return drawn.reshape(len(x), n, *self.space.shape)

    def kept(self, keep: Tensor | np.ndarray | float) -> Tensor:
        """What a fraction or a mask keeps: bool [*space.shape], on the model's device.

        Raises:
            UsageError: the model cannot complete exactly what the mask leaves out.
        """
        m, shape = self.space.dimensions, self.space.shape
        if isinstance(keep, int | float):
            if not 0 <= keep <= 1:
                raise UsageError(f"keep is {keep}", "give a fraction from 0 to 1")
            return (self.unvisit < round(keep * m)).reshape(shape)
        try:
            keep = torch.as_tensor(keep)
        except (TypeError, ValueError, RuntimeError):
            raise UsageError(f"keep is {keep!r}", f"give a fraction from 0 to 1, or a mask {list(shape)}") from None
        if isinstance(self.space, Image) and tuple(keep.shape) == shape[1:]:
            keep = keep.expand(shape)  # all channels of a pixel
        if tuple(keep.shape) != shape:
            raise SpaceError(f"the mask has shape {list(keep.shape)}", f"a mask for {self.space} has {list(shape)}")
        mask = keep.to(self.device).bool()
        visited = mask.reshape(-1)[self.visit]
        if not self.any_order and not bool(visited[: int(visited.sum())].all()):
            raise UsageError(
                f"{type(self).__name__} completes exactly only what follows a kept beginning, and the mask keeps "
                "other dimensions",
                f"keep a beginning of the model's order (the top rows, if it is raster), or {ANY_ORDER}",
            )
        return mask

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
        """Events after a prefix [n, k], in chunks, all noise drawn first."""
        m = self.space.dimensions
        scales = scales_of(guidance, self.context_space, self.context_dropout > 0)
        if method not in get_args(Method):
            raise UsageError(f"no method is called {method!r}", nearest(str(method), list(get_args(Method))))
        if prefix is not None and prefix.shape[1] == m:  # nothing is missing
            return self.unflatten(prefix)
        chosen = self.faster_method if method == "auto" else method
        noise = uniforms(n, m, self.noise_size, generator=generator)
        chunk = max(1, CHUNK_DIMENSIONS // m)
        if chosen == "fixed_point" and isinstance(self.space, Discrete):
            chunk = max(1, min(chunk, CHUNK_LOGITS // (m * self.space.levels)))
        parts: list[Tensor] = []
        with torch.inference_mode(), evaluating(self):
            for start in range(0, n, chunk):
                rows = slice(start, min(start + chunk, n))
                given = None if context is None else context[rows]
                begun = torch.zeros(rows.stop - start, 0) if prefix is None else prefix[rows]
                begun = begun.to(self.device, self.event_dtype)
                u = noise[rows].to(self.device)
                if chosen == "ancestral":
                    passes = m - begun.shape[1]

                    def advance(step: int, start: int = start, size: int = len(begun), of: int = passes) -> None:
                        if effort is not None:
                            effort.check((start + size * step / of) / n)

                    drawn = ancestral(self._guided_decoder(len(begun), given, scales), u, begun, warp, advance)
                else:
                    drawn, passes = fixed_point(self._guided_pass(len(begun), given, scales), u, begun, warp)
                parts.append(drawn)
                if effort is not None:
                    effort.add(chosen, passes)
        drawn = torch.cat(parts) if parts else torch.zeros(0, m, device=self.device)
        return self.unflatten(drawn.to(self.event_dtype))

    def _guided_pass(self, n: int, context: Tensor | None, scales: Scales) -> Pass:
        if scales == (1,):
            return self._pass(context)
        return guided_pass(self._pass(revealed(self.context_space, context, len(scales))), n, scales)

    def _pass(self, context: Tensor | None) -> Pass:
        """One network pass over some rows of a chunk, as `fixed_point` asks for it; contexts are encoded once."""
        conditions = self._conditions(context)
        return lambda z, rows, first: self._conditionals_from(z, rows_of(conditions, rows), first)

    @property
    def event_dtype(self) -> torch.dtype:
        """Type of events: int64 for discrete ones, float64 for real ones, whatever the model's own type."""
        return torch.long if self.space.countable else torch.float64
