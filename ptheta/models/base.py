"""The contract every model keeps: p_θ(x | context).

Rules that hold for all families, and that the shared contract tests check:

- A model is built as `Family(space, context_space=None, **hyperparameters)`, and every hyperparameter is kept as an
  attribute of the same name, so that `Family(space, context_space, **model.hyperparameters())` is the same
  architecture. Types and defaults in that signature are the command line's flags.
- A context has n rows, or one row that is broadcast; a model without a context space accepts none.
- A model with a `context_dropout` above 0 was taught with contexts left out now and then, and is p_θ(x) without one;
  any other model with a context space needs a context.
- Log-probabilities are nats per event, summed over dimensions in float64.
- Randomness comes from an explicit seed or generator; the global random state is never touched.
"""

from __future__ import annotations

import enum
import inspect
from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ptheta.errors import ContextError, DensityError, SpaceError, UsageError
from ptheta.models.conditions import ContextEncoder
from ptheta.sampling import generator_for
from ptheta.spaces import Joint, Label, Space


class Density(enum.Enum):
    """What a model can say about log p(x)."""

    EXACT = "exact"
    LOWER_BOUND = "lower bound"
    IMPLICIT = "implicit"


class Model(nn.Module, ABC):
    """A distribution p_θ(x), or p_θ(x | context).

    Args:
        space: of x.
        context_space: of the context y; None for an unconditional model.

    Raises:
        SpaceError: the family cannot model that space.
    """

    density: ClassVar[Density] = Density.EXACT
    spaces: ClassVar[tuple[type[Space], ...]] = (Space,)
    """Kinds of event space the family can model."""
    context_spaces: ClassVar[tuple[type[Space], ...]] = (Label,)
    """Kinds of context space it can condition on."""
    recipe: ClassVar[Mapping[str, Any]] = {}
    """Defaults of `ptheta.training.Settings` that suit the family."""
    context_dropout: float = 0.0
    """Part of the training events whose context is left out, so that the model also knows p_θ(x)."""

    def __init__(self, space: Space, context_space: Space | None = None):
        super().__init__()
        name = type(self).__name__
        if not isinstance(space, self.spaces):
            fits = " or ".join(s.__name__ for s in self.spaces)
            raise SpaceError(f"{name} cannot model {space}", f"its spaces are {fits}; see `ptheta zoo`")
        if context_space is not None and not isinstance(context_space, self.context_spaces):
            fits = " or ".join(s.__name__ for s in self.context_spaces) or "no context at all"
            raise SpaceError(f"{name} cannot condition on {context_space}", f"it takes {fits}")
        self.space = space
        self.context_space = context_space
        # Follows .to(): says on which device and in which dtype the model works, even when it has no parameters.
        self.register_buffer("_anchor", torch.zeros(()), persistent=False)

    # What a family gives

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        """log p(x | context) in nats, [n] float64, for validated x and context with n rows."""
        raise NotImplementedError

    def _sample(self, n: int, context: Tensor | None, generator: torch.Generator) -> Tensor:
        """n events [n, *space.shape], for a validated context with n rows."""
        raise NotImplementedError

    def prepare(self, x: Tensor) -> None:
        """Set data-dependent constants (centring, output biases) from training events, once, before learning."""

    def prepare_context(self, context: Tensor) -> None:
        """Set what depends on the contexts, moments of numbers, from those of training events, once."""
        for module in self.modules():
            if isinstance(module, ContextEncoder):
                module.prepare(context)

    # What every model has

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._anchor.device  # type: ignore[return-value]

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type it computes in."""
        return self._anchor.dtype  # type: ignore[return-value]

    @property
    def free_parameters(self) -> int:
        """Number of free parameters, an exact integer."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @classmethod
    def hyperparameter_signature(cls) -> dict[str, inspect.Parameter]:
        """Name → parameter (type, default) of every hyperparameter."""
        parameters = inspect.signature(cls.__init__, eval_str=True).parameters
        return {k: v for k, v in parameters.items() if k not in ("self", "space", "context_space")}

    def hyperparameters(self) -> dict[str, Any]:
        """The values with which the model was built."""
        return {name: getattr(self, name) for name in self.hyperparameter_signature()}

    def log_prob(self, x: Any, context: Any = None) -> Tensor:
        """log p(x | context).

        Args:
            x: events [n, *space.shape].
            context: [n, *context_space.shape], one row, or names of labels; a mapping if it has parts.

        Returns:
            Nats [n], float64; −∞ for an event of probability 0.

        Raises:
            DensityError: the model has only a bound, or no density.
            SpaceError: x is no batch of events.
            ContextError: the context is missing, unwanted or of the wrong number of rows.
        """
        if self.density is not Density.EXACT:
            instead = "use elbo for its bound" if self.density is Density.LOWER_BOUND else "judge it by its samples"
            raise DensityError(f"the density of {type(self).__name__} is {self.density.value}, not exact", instead)
        x, context = self._validated(x, context)
        if len(x) == 0:  # no family meets an empty batch
            return torch.zeros(0, dtype=torch.float64, device=self.device)
        with evaluating(self):
            return self._log_prob(x, context)

    def elbo(self, x: Any, context: Any = None, *, samples: int = 1) -> Tensor:
        """Evidence lower bound on log p(x | context), nats [n] float64.

        Args:
            x, context: as for `log_prob`.
            samples: of the latent variables, over which the bound is averaged.

        Raises:
            DensityError: the model has no bound.
        """
        instead = "use log_prob, which is exact" if self.density is Density.EXACT else "judge it by its samples"
        raise DensityError(f"the density of {type(self).__name__} is {self.density.value}, no bound", instead)

    def sample(
        self, n: int, context: Any = None, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw events.

        Args:
            n: how many.
            context: n rows, or one row that is broadcast.
            seed: same seed, same machine → same samples.
            generator: instead of a seed; on the CPU unless the model says otherwise.

        Returns:
            Events [n, *space.shape].
        """
        n = checked_count(n)
        context = self._validated_context(context, n)
        with torch.no_grad(), evaluating(self):
            return self._sample(n, context, generator_for(seed, generator))

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

    def players(self) -> dict[str, nn.Module]:
        """Modules whose parameters are learned in turn."""
        return {"model": self}

    def loss(self, x: Tensor, context: Tensor | None = None, player: str = "model") -> Tensor:
        """What fit minimises, a scalar: mean negative log-likelihood in nats per dimension."""
        return -self._log_prob(x, self._forgetting(context)).mean() / self.space.dimensions

    def _forgetting(self, context: Tensor | None) -> Tensor | None:
        """In training, the context with a random part of its rows left out; of several parts also single ones."""
        if context is None or self.context_space is None or not (self.training and self.context_dropout):
            return context
        n, space, nothing = len(context), self.context_space, self.context_space.null(1).to(context.device)
        left = torch.rand(n, device=context.device) < self.context_dropout
        if isinstance(space, Joint):
            sizes = torch.tensor([part.dimensions for _, part in space.parts], device=context.device)
            single = torch.rand(n, len(sizes), device=context.device) < self.context_dropout
            left = (left[:, None] | single).repeat_interleave(sizes, 1)
        return torch.where(left.reshape(n, *left.shape[1:], *(1,) * (context.ndim - left.ndim)), nothing, context)

    def _validated(self, x: Any, context: Any) -> tuple[Tensor, Tensor | None]:
        """x and context checked, on the model's device, with equal numbers of rows."""
        x = self.space.validate(x).to(self.device)
        if x.is_floating_point():
            x = x.double()  # a float32 model sees them standardised; before that float32 could not tell 1.7e9 from + 60
        return x, self._validated_context(context, len(x))

    def _validated_context(self, context: Any, n: int) -> Tensor | None:
        if self.context_space is None:
            if context is not None:
                raise ContextError("this model has no context", "leave the context out, or fit with one")
            return None
        if context is None and not self.context_dropout:
            raise ContextError(f"this model needs a context in {self.context_space}", "give n rows, or one for all")
        rows = self.context_space.null(1) if context is None else self._context_rows(context)
        if len(rows) not in (1, n):
            raise ContextError(f"the context has {len(rows)} rows for {n} events", "give n rows, or one for all")
        rows = rows.to(self.device)  # before it is broadcast, which then stays one row in memory
        return rows.expand(n, *rows.shape[1:]) if len(rows) == 1 and n != 1 else rows

    def _context_rows(self, context: Any) -> Tensor:
        """A context checked, as rows; rows that say nothing (`Space.null`) only where the model knows p_θ(x)."""
        space, knows = self.context_space, self.context_dropout > 0
        assert space is not None
        try:
            if knows and isinstance(context, Tensor) and context.ndim and tuple(context.shape[1:]) == space.shape:
                said = context[~space.is_null(context)]
                if len(said) < len(context):
                    space.validate(said)
                    return context
            rows = space.validate(context)
        except SpaceError as error:
            raise ContextError(f"the context does not match: {error.problem}", error.remedy) from error
        if isinstance(space, Joint) and not knows and bool((absent := space.absent(rows)).any()):
            part = space.names[int(absent.any(0).int().argmax())]
            raise ContextError(f"the context says nothing of {part}", "give all parts, or fit with a context dropout")
        return rows.double() if rows.is_floating_point() else rows


class evaluating:
    """Context manager: evaluation mode within, the former mode after.

    Convolutions on a GPU use full float32 within, not TF32, so that full passes and cached steps round alike.
    """

    def __init__(self, module: nn.Module):
        self.module = module

    def __enter__(self):
        self.before = self.module.training, torch.backends.cudnn.allow_tf32
        self.module.eval()
        torch.backends.cudnn.allow_tf32 = False

    def __exit__(self, *_):
        training, torch.backends.cudnn.allow_tf32 = self.before
        self.module.train(training)


def checked_count(n: int) -> int:
    """A number of events.

    Raises:
        UsageError: it is negative.
    """
    if n < 0:
        raise UsageError(f"{n} samples asked for", "give a number of at least 0")
    return int(n)
