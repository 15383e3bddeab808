"""The contract every model keeps: p_θ(x | context).

Rules that hold for all families, and that the shared contract tests check:

- A model is built as `Family(space, context_space=None, **hyperparameters)`, and every hyperparameter is kept as an
  attribute of the same name, so that `Family(space, context_space, **model.hyperparameters())` is the same
  architecture. Types and defaults in that signature are the command line's flags.
- A context has n rows, or one row that is broadcast; a model without a context space accepts none.
- A model with a `context_dropout` above 0 was trained with contexts left out now and then, and is p_θ(x) without one;
  any other model with a context space needs a context.
- Log-probabilities are nats per event, summed over dimensions in float64. They carry a graph while the model is in
  training mode, as a new one is, and where x or a context asks for its gradient; in evaluation mode, which the models
  of runs are in, they are plain numbers. `fitted` is always differentiable.
- `elbo` is what every model with a density answers: log p itself if the density is exact, else a lower bound on it,
  whose noise is a function of the seed and the event's index, so that it depends neither on the batch size nor on what
  else is in the batch. `log_prob` is for exact densities only, and nothing that is a bound goes by its name.
- A parameter of the constructor annotated with a `Model` is a part: a model that this one is made of; one annotated
  with a tuple of them is several. Parts are stored in the run's config, and their weights under the parameter's name.
- Randomness comes from an explicit seed or generator; the global random state is never touched.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from ptheta.errors import ContextError, DensityError, UsageError
from ptheta.models.checks import (
    annotated,
    check_spaces,
    checked_count,
    checked_options,
    constructor,
    evaluating,
    holds,
    kept,
    returned,
    scoring,
)
from ptheta.models.conditions import ContextEncoder, left_out
from ptheta.models.density import Density, noise_of_events
from ptheta.models.given import checked_context, context_rows
from ptheta.sampling import generator_for
from ptheta.spaces import Label, Space
from ptheta.typed import typed


class Model(nn.Module, ABC):
    """A distribution p_θ(x), or p_θ(x | context).

    Args:
        space: of x.
        context_space: of the context y; None for an unconditional model.

    Raises:
        SpaceError: the family cannot model that space.
    """

    _anchor: Tensor
    density: Density = Density.EXACT
    """Of the family, or of the instance, where it depends on the parts it is made of."""
    objective: str = "maximum_likelihood"
    """Name of what `fit` minimises, see `ptheta.training.objectives`."""
    noise_size: int = 1
    """r: numbers of noise for one draw: uniforms of a dimension, or standard normals of an event's bound."""
    spaces: ClassVar[tuple[type[Space], ...]] = (Space,)
    """Kinds of event space the family can model."""
    sized_by: ClassVar[tuple[str, ...]] = ("width", "layers")
    """Hyperparameters, whole numbers, that are smaller where few steps fit into a budget in minutes."""
    context_spaces: ClassVar[tuple[type[Space], ...]] = (Label,)
    """Kinds of context space it can condition on."""
    context_dropout: float = 0.0
    """Part of the training events whose context is left out, so that the model also knows p_θ(x)."""

    def __init__(self, space: Space, context_space: Space | None = None):
        super().__init__()
        check_spaces(type(self).__name__, space, self.spaces, context_space, self.context_spaces)
        self.space = space
        self.context_space = context_space
        self.frozen = False
        self.origin: dict[str, str] | None = None
        # Follows .to(): says on which device and in which dtype the model works, even when it has no parameters.
        self.register_buffer("_anchor", torch.zeros(()), persistent=False)

    # What a family gives

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        """log p(x | context) in nats, [n] float64, for validated x and context with n rows; exact densities only."""
        raise NotImplementedError

    def _log_weight(self, x: Tensor, context: Tensor | None, noise: Tensor) -> Tensor:
        """log p(x, z | context) − log q(z | x, context) for z drawn with noise: of a model with latent variables, whose
        mean is the evidence lower bound.

        Args:
            x, context: validated, n rows.
            noise: standard normals [n, noise_size], of the model's type.

        Returns:
            Nats [n], differentiable.
        """
        raise NotImplementedError

    def _elbo(self, x: Tensor, context: Tensor | None, draws: int, noise: Callable[[int], Tensor]) -> Tensor:
        """The bound from some draws, nats [n]; noise(k) is that of draw k, [n, noise_size].

        The importance-weighted bound, log of the mean weight (Burda et al. 2016, arXiv:1509.00519).
        """
        weights = torch.stack([self._log_weight(x, context, noise(k)).double() for k in range(draws)])
        return weights[0] if draws == 1 else weights.logsumexp(0) - math.log(draws)

    def _sample(self, n: int, context: Tensor | None, generator: torch.Generator) -> Tensor:
        """n events [n, *space.shape], for a validated context with n rows.

        Further keyword arguments of a family's own `_sample`, with defaults, are the options of `sample` and the flags
        of `ptheta sample`; `Args:` in its docstring is their help.
        """
        raise NotImplementedError

    def _prepare(self, chunks: Iterable[Tensor]) -> None:
        """Set data-dependent constants (centring, output biases) from chunks of training events [k, *space.shape]."""

    def _own_parameters(self) -> int:
        """Number of parameters, without those of parts."""
        of_parts = {id(p) for part in self.parts().values() for p in part.parameters()}
        return sum(p.numel() for p in self.parameters() if id(p) not in of_parts)

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Defaults of `ptheta.training.Settings` that suit the model."""
        return {}

    def fitted(self, x: Tensor, context: Tensor | None) -> Tensor:
        """What maximum likelihood raises: log p(x | context), or a bound from one draw, differentiable, nats [n].

        Args:
            x, context: as `space.validate` returns them, n rows; see `without_some` for the context.
        """
        if self.density is Density.EXACT:
            return returned(self, "_log_prob", self._log_prob(x, context), (len(x),), True)
        if self.density is Density.IMPLICIT:
            raise self._no_density()
        noise = torch.randn(len(x), self.noise_size, device=self.device, dtype=self.dtype)
        return self._elbo(x, context, 1, lambda _: noise)

    # What every model has

    def prepare(self, events: Tensor | Iterable[Tensor]) -> None:
        """Set data-dependent constants (centring, output biases) from training events, once, before learning.

        Args:
            events: [n, *space.shape], or chunks of them, which may be gone through more than once.
        """
        self._prepare([events] if isinstance(events, Tensor) else events)

    def prepare_context(self, contexts: Tensor | Iterable[Tensor]) -> None:
        """Set what depends on the contexts, moments of numbers, from those of training events, once.

        Args:
            contexts: [n, *context_space.shape], or chunks of them. Frozen parts stay as they are; parts with contexts
                of their own are the family's to prepare.
        """
        of_parts = {id(module) for part in self.parts().values() for module in part.modules()}
        for module in self.modules():
            if isinstance(module, ContextEncoder) and id(module) not in of_parts:
                module.prepare([contexts] if isinstance(contexts, Tensor) else contexts)
        for part in self.parts().values():
            if not part.frozen and part.context_space == self.context_space:
                part.prepare_context(contexts)

    def prepare_pairs(self, events: Iterable[Tensor], contexts: Iterable[Tensor]) -> None:
        """Set what depends on training events and their contexts together, once, before learning.

        Args:
            events, contexts: chunks [k, *space.shape] and [k, *context_space.shape] of equally many rows.
        """

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._anchor.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type it computes in."""
        return self._anchor.dtype

    @property
    def free_parameters(self) -> int:
        """Number of free parameters, an exact integer; those of frozen parts are not free."""
        if self.frozen:
            return 0
        return self._own_parameters() + sum(part.free_parameters for part in self.parts().values())

    @property
    def total_parameters(self) -> int:
        """Free parameters and those of frozen parts."""
        return self._own_parameters() + sum(part.total_parameters for part in self.parts().values())

    @property
    def family_class(self) -> type[Model]:
        """The family: the class, but of an ensemble that of its members."""
        return type(self)

    @classmethod
    def hyperparameter_signature(cls) -> dict[str, inspect.Parameter]:
        """Name → parameter (type, default) of every hyperparameter."""
        return {name: parameter for name, parameter in constructor(cls).items() if not holds(parameter, Model)}

    @classmethod
    def part_names(cls) -> list[str]:
        """Names of the models that a model of this family is made of."""
        return [name for name, parameter in constructor(cls).items() if holds(parameter, Model)]

    def hyperparameters(self) -> dict[str, Any]:
        """The values with which the model was built.

        Raises:
            FitError: the model does not keep one as an attribute.
        """
        return kept(self, self.hyperparameter_signature())

    def parts(self) -> dict[str, Model]:
        """Name → model of everything that this model is made of; of several under one name, NAME.0, NAME.1 …"""
        found: dict[str, Model] = {}
        for name in self.part_names():
            part = getattr(self, name)
            if isinstance(part, Model):
                found[name] = part
            elif part is not None:
                found |= {f"{name}.{number}": one for number, one in enumerate(part)}
        return found

    def freeze(self, origin: Mapping[str, str] | None = None) -> Self:
        """Keep this model's weights as they are, from now on, wherever it is a part.

        Args:
            origin: digests of the run it comes from, kept in the config of the whole.
        """
        self.frozen, self.origin = True, None if origin is None else dict(origin)
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules; frozen parts stay in evaluation mode."""
        super().train(mode and not self.frozen)
        return self

    @classmethod
    def sampling_signature(cls) -> dict[str, inspect.Parameter]:
        """Name → parameter (type, default) of every option of `sample`."""
        parameters = inspect.signature(cls._sample, eval_str=True).parameters
        return {k: annotated(v) for k, v in parameters.items() if v.kind is v.KEYWORD_ONLY}

    def log_prob(self, x: Any, context: Any = None) -> Tensor:
        """log p(x | context).

        Args:
            x: events [n, *space.shape].
            context: [n, *context_space.shape], one row, or names of labels; a mapping if it has parts.

        Returns:
            Nats [n], float64; −∞ for an event of probability 0. Differentiable in training mode (`model.train()`), or
            where x or the context requires a gradient.

        Raises:
            DensityError: the model has only a bound, or no density.
            SpaceError: x is not a batch of events.
            ContextError: the context is missing, unwanted or of the wrong number of rows.
        """
        if self.density is not Density.EXACT:
            raise self._no_density()
        x, context = self._validated(x, context)
        if len(x) == 0:  # no family meets an empty batch
            return torch.zeros(0, dtype=torch.float64, device=self.device)
        with scoring(self, x, context):
            return returned(self, "_log_prob", self._log_prob(x, context), (len(x),), True)

    @typed
    def elbo(
        self, x: Any, context: Any = None, *, draws: int = 1, seed: int = 0, index: Tensor | None = None
    ) -> Tensor:
        """log p(x | context) where it is known, else a lower bound on it.

        Args:
            x, context: as for `log_prob`.
            draws: of the latent variables; more than one give the importance-weighted bound (Burda et al. 2016,
                arXiv:1509.00519), which is the tighter the more there are.
            seed: of the draws, whose noise is a function of seed and index, on every device.
            index: numbers of the events [n]; None: 0 … n − 1.

        Returns:
            Nats [n], float64.

        Raises:
            DensityError: the model has no density.
            SpaceError, ContextError: as for `log_prob`.
        """
        if draws < 1:
            raise UsageError(f"{draws} draws", "give at least 1")
        if self.density is Density.EXACT:
            return self.log_prob(x, context)
        if self.density is Density.IMPLICIT:
            raise self._no_density()
        x, context = self._validated(x, context)
        if len(x) == 0:
            return torch.zeros(0, dtype=torch.float64, device=self.device)
        noise = noise_of_events(len(x), self.noise_size, seed, index)
        with scoring(self, x, context):
            return self._elbo(x, context, draws, lambda draw: noise(draw).to(self.device, self.dtype)).double()

    def _no_density(self) -> DensityError:
        bounded = self.density is Density.LOWER_BOUND
        instead = "use elbo for its bound" if bounded else "judge it by its samples"
        return DensityError(f"{type(self).__name__} has {self.density.phrase}", instead)

    @typed
    def sample(
        self,
        n: int,
        context: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Tensor:
        """Draw events.

        Args:
            n: how many.
            context: n rows, or one row that is broadcast.
            seed: same seed, same machine → same samples.
            generator: instead of a seed; on the CPU unless the model says otherwise.
            options: of the family, see its `_sample`: of autoregressive models `temperature`, `guidance` …

        Returns:
            Events [n, *space.shape].

        Raises:
            UsageError: the family has no such option.
        """
        n, options = checked_count(n), self._checked_options(options)
        context = self._validated_context(context, n)
        with torch.no_grad(), evaluating(self):
            drawn = self._sample(n, context, generator_for(seed, generator), **options)
        return returned(self, "_sample", drawn, (n, *self.space.shape), not self.space.countable)

    def _checked_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of `sample`, each of its type."""
        return checked_options(type(self).__name__, self.sampling_signature(), options)

    @typed
    def sample_each(self, k: int, context: Any, **how: Any) -> Tensor:
        """Draw k events for each of n contexts.

        Args:
            k: how many for each.
            context: n rows.
            how: as for `sample`.

        Returns:
            Events [n, k, *space.shape].

        Raises:
            ContextError: the model has no context.
        """
        k = checked_count(k)
        if self.context_space is None:
            raise ContextError("this model has no context", "use sample, or fit with a context")
        rows = self._context_rows(context)
        drawn = self.sample(len(rows) * k, rows.repeat_interleave(k, 0), **how)
        return drawn.reshape(len(rows), k, *self.space.shape)

    def without_some(self, context: Tensor | None) -> Tensor | None:
        """In training, the context with a random part of its rows left out; of several parts also single ones."""
        if context is None or self.context_space is None or not (self.training and self.context_dropout):
            return context
        return left_out(context, self.context_space, self.context_dropout)

    def _validated(self, x: Any, context: Any) -> tuple[Tensor, Tensor | None]:
        """x and context checked, on the model's device, with equal numbers of rows."""
        x = self.space.validate(x).to(self.device)
        if x.is_floating_point():
            x = x.double()  # a float32 model sees them standardised; before that float32 could not tell 1.7e9 from + 60
        return x, self._validated_context(context, len(x))

    def _validated_context(self, context: Any, n: int) -> Tensor | None:
        optional = self.context_dropout > 0
        return checked_context(self.context_space, context, n, optional=optional, device=self.device)

    def _context_rows(self, context: Any) -> Tensor:
        """A context checked, as rows."""
        assert self.context_space is not None
        return context_rows(self.context_space, context, optional=self.context_dropout > 0)
