"""The heart: models that factorise p(x | y) = ∏_j p(x_j | x_<j, y) in some order of the dimensions.

A family gives two views of the same conditionals and inherits everything else:

- `_conditionals(z, context)`: all of them at once, for training and scoring;
- `_decoder(n, context)`: one at a time, with whatever cache makes a step cheap, for sampling and completion.

Here z [n, m] is an event flattened in visiting order: z[:, j] is the j-th dimension visited.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from ptheta.distributions import Distribution
from ptheta.errors import SpaceError, UsageError
from ptheta.models.base import Model, _count, _evaluating
from ptheta.sampling import Warp, ancestral, generator_for, uniforms
from ptheta.spaces import Space

CHUNK_DIMENSIONS = 2**18
"""Dimensions decoded together; bounds the memory of caches. It does not change the samples."""


class Decoder(ABC):
    """Conditionals one at a time, never recomputing the past."""

    @abstractmethod
    def step(self, previous: Tensor | None) -> Distribution:
        """p(x_j | x_<j) over [n].

        Args:
            previous: the values [n] that x_{j−1} took; None at the first step.
        """


class Autoregressive(Model):
    """Base of the autoregressive families.

    Args:
        space: of x.
        context_space: of y.
        order: visiting order, a permutation of the flat indices 0 … m − 1; None for the space's own (raster scan for
            images, channels of a pixel together).
    """

    visit: Tensor
    unvisit: Tensor
    noise_size: int = 1

    def __init__(self, space: Space, context_space: Space | None = None, order: tuple[int, ...] | None = None):
        super().__init__(space, context_space)
        m = space.dimensions
        self.order = None if order is None else tuple(order)
        visit = space.order() if order is None else torch.tensor(self.order)
        if sorted(visit.tolist()) != list(range(m)):
            raise UsageError(f"order is not a permutation of 0 to {m - 1}", "name every dimension once")
        self.register_buffer("visit", visit, persistent=False)
        self.register_buffer("unvisit", visit.argsort(), persistent=False)

    # What a family gives

    @abstractmethod
    def _conditionals(self, z: Tensor, context: Tensor | None) -> Distribution:
        """All p(z_j | z_<j, context) over [n, m]; entry j must not depend on z_j or later."""

    @abstractmethod
    def _decoder(self, n: int, context: Tensor | None) -> Decoder:
        """The same conditionals, one step at a time."""

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
        with _evaluating(self):
            return self._conditionals(self.flatten(x), context)

    def decoder(self, n: int, context: Any = None) -> Decoder:
        """A stateful decoder of n events."""
        return self._decoder(_count(n), self._validated_context(context, n))

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        z = self.flatten(x)
        return self._conditionals(z, context).log_prob(z).sum(-1)

    def log_prob_per_dimension(self, x: Any, context: Any = None) -> Tensor:
        """log p(x_j | x_<j) of every dimension, nats, float64 [n, *space.shape]; its sum is `log_prob`."""
        x, context = self._validated(x, context)
        z = self.flatten(x)
        with _evaluating(self):
            return self.unflatten(self._conditionals(z, context).log_prob(z))

    def sample(
        self,
        n: int,
        context: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
    ) -> Tensor:
        """Draw events, one dimension after the other.

        Args:
            n: how many.
            context: n rows, or one row that is broadcast.
            seed, generator: source of randomness; same seed, same machine → same samples.
            temperature, top_k, top_p, min_p: reshape every conditional, see `ptheta.sampling.Warp`.

        Returns:
            Events [n, *space.shape].
        """
        n = _count(n)
        warp = Warp(temperature, top_k, top_p, min_p)
        context = self._validated_context(context, n)
        return self._draw(n, context, None, warp, generator_for(seed, generator))

    def complete(
        self,
        x: Any,
        keep: Tensor | float,
        n: int = 1,
        context: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
    ) -> Tensor:
        """Draw the missing part of partial events from its exact conditional distribution.

        Args:
            x: events [b, *space.shape]; what is not kept is ignored, but must be in the space.
            keep: fraction of the dimensions kept, from the first in visiting order, or a mask [*space.shape], True
                where x is kept.
            n: completions of each event.
            context: b rows, or one.

        Returns:
            Events [b, n, *space.shape].

        Raises:
            UsageError: the mask is not a beginning of the visiting order; only those are exact for this model.
        """
        n = _count(n)
        x, context = self._validated(x, context)
        kept = self.kept(keep)
        prefix = self.flatten(x)[:, :kept].repeat_interleave(n, 0)
        context = None if context is None else context.repeat_interleave(n, 0)
        warp = Warp(temperature, top_k, top_p, min_p)
        drawn = self._draw(len(prefix), context, prefix, warp, generator_for(seed, generator))
        return drawn.reshape(len(x), n, *self.space.shape)

    def kept(self, keep: Tensor | float) -> int:
        """Number of leading dimensions, in visiting order, that a fraction or a mask keeps.

        Raises:
            UsageError: the mask keeps other dimensions too.
        """
        m = self.space.dimensions
        if not isinstance(keep, Tensor):
            if not 0 <= keep <= 1:
                raise UsageError(f"keep is {keep}", "give a fraction from 0 to 1")
            return round(keep * m)
        if tuple(keep.shape) != self.space.shape:
            raise SpaceError(
                f"the mask has shape {list(keep.shape)}", f"a mask for {self.space} has {list(self.space.shape)}"
            )
        mask = keep.to(self.device).bool().reshape(-1)[self.visit]
        kept = int(mask.sum())
        if not bool(mask[:kept].all()):
            raise UsageError(
                f"{type(self).__name__} completes exactly only what follows a kept beginning, and the mask keeps "
                "other dimensions",
                "keep a beginning of the model's order (the top rows of a picture)",
            )
        return kept

    def _draw(
        self, n: int, context: Tensor | None, prefix: Tensor | None, warp: Warp, generator: torch.Generator
    ) -> Tensor:
        """Ancestral sampling after a prefix [n, k], in chunks, all noise drawn first."""
        m = self.space.dimensions
        noise = uniforms(n, m, self.noise_size, generator=generator)
        chunk = max(1, CHUNK_DIMENSIONS // m)
        parts: list[Tensor] = []
        with torch.inference_mode(), _evaluating(self):
            for start in range(0, n, chunk):
                rows = slice(start, min(start + chunk, n))
                parts.append(
                    ancestral(
                        self._decoder(rows.stop - start, None if context is None else context[rows]),
                        noise[rows].to(self.device),
                        None if prefix is None else prefix[rows],
                        lambda conditional: conditional.warped(warp),
                    )
                )
        drawn = torch.cat(parts) if parts else torch.zeros(0, m, device=self.device)
        return self.unflatten(drawn.to(self.event_dtype))

    @property
    def event_dtype(self) -> torch.dtype:
        """Type of events: int64 for discrete ones, float64 for real ones, whatever the model's own type."""
        return torch.float64 if self.space.event_count is None else torch.long


class ConditionalsDecoder(Decoder):
    """A decoder that runs all conditionals at every step: the slow reference that caches are tested against.

    Args:
        model: any autoregressive model.
        n: events.
        context: validated, n rows.
    """

    def __init__(self, model: Autoregressive, n: int, context: Tensor | None):
        self.model, self.context, self.j = model, context, -1
        self.z = torch.zeros(n, model.space.dimensions, dtype=model.event_dtype, device=model.device)

    def step(self, previous: Tensor | None) -> Distribution:
        """p(x_j | x_<j) by a full pass."""
        if previous is not None:
            self.z[:, self.j] = previous
        self.j += 1
        return self.model._conditionals(self.z, self.context)[:, self.j]
