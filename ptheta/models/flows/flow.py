"""Normalizing flows: a density by the change of variables, p(x) = N(f(x); 0, 1) |det ∂f/∂x|.

f is a chain of autoregressive transforms from zuko (Rozet et al. 2022): affine ones (MAF, Papamakarios et al. 2017,
arXiv:1705.07057) or monotonic rational-quadratic splines (NSF, Durkan et al. 2019, arXiv:1906.04032). Departures:

- f starts as the standardisation of the training events, since the last layers of its networks start at zero; a few
  distant values do not count in it.
- Networks compute in the model's own type and see standardised values within ±`SEEN`; what they parameterise is
  applied in float64 to the values as they are. So an outlier neither overflows a network nor loses its digits, and
  the inverse of f is its inverse to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ptheta.errors import UsageError, nearest
from ptheta.models.base import Model
from ptheta.models.checks import check_sizes, evaluating
from ptheta.models.conditions import CONTEXTS, ContextVector, checked_part
from ptheta.models.inputs import SEEN, moments
from ptheta.spaces import Real, Space

FlowKind = Literal["nsf", "maf"]
Permutation = Literal["reverse", "random"]

BOUND = 10.0
"""Splines bend standardised values within ± this and leave others as they are: columns have tails beyond zuko's 5."""

SLOPE = 0.05
"""How steep a transform may get: about 1/`SLOPE`² a spline at most and 1/`SLOPE` an affine transform, so that repeated
values cannot raise the likelihood without bound."""

CONTEXT_WIDTH = 32
"""Numbers by which a context enters the networks."""

DRAWN = 2**22
"""Parameters of transforms held together while drawing; bounds memory."""


def import_zuko() -> ModuleType:
    """The package zuko, imported at the first call.

    Its import switches off the validation of arguments of all of torch's distributions; here it stays as it was.
    """
    validates = Distribution._validate_args
    try:
        import zuko
    finally:
        Distribution.set_default_validate_args(validates)
    return zuko


class Flow(Model):
    """Normalizing flow over real values.

    Drawing takes as many network passes through each transform as there are dimensions, scoring takes one; with
    `passes=2` (coupling) drawing takes two, at some cost in fit.

    Args:
        space: real, of any shape; dimensions are visited in the order in which they are stored.
        context_space: of any kind, or None.
        kind: `nsf`, neural splines, or `maf`, affine transforms.
        transforms: how many follow each other.
        width: units of a hidden layer of the network of a transform.
        layers: hidden layers of it.
        bins: of a spline.
        passes: groups of dimensions in a transform, each conditioned on the groups before it; None: every dimension
            is a group of its own.
        permutation: of the dimensions from one transform to the next, `reverse` or `random`.
        context_dropout: see `Model.context_dropout`.

    Raises:
        UsageError: a hyperparameter that makes no sense.
    """

    spaces = (Real,)
    context_spaces = CONTEXTS

    def __init__(
        self,
        space: Space,
        context_space: Space | None = None,
        *,
        kind: FlowKind = "nsf",
        transforms: int = 3,
        width: int = 128,
        layers: int = 2,
        bins: int = 16,
        passes: int | None = None,
        permutation: Permutation = "reverse",
        context_dropout: float = 0.1,
    ):
        super().__init__(space, context_space)
        for name, value, known in (
            ("kind", kind, ["nsf", "maf"]),
            ("permutation", permutation, ["reverse", "random"]),
        ):
            if value not in known:
                raise UsageError(f"no {name} of a flow is called {value!r}", nearest(str(value), known))
        check_sizes(transforms=transforms, width=width, layers=layers)
        check_sizes(2, bins=bins, passes=passes)
        self.kind, self.transforms, self.width, self.layers = kind, transforms, width, layers
        self.bins, self.passes, self.permutation = bins, passes, permutation
        self.context_dropout = checked_part(context_dropout)
        self.units = Units(space.dimensions)
        self.condition = ContextVector(context_space, CONTEXT_WIDTH)
        self.chain = nn.ModuleList(self._transform(number) for number in range(transforms))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # Whoever unpickles a flow gets zuko through `import_zuko`, before its parts name it.
        return _revived, (type(self),), self.__getstate__()

    def _transform(self, number: int) -> nn.Module:
        """The transform `number` of the chain, as zuko builds it, starting as the identity."""
        zuko, m = import_zuko(), self.space.dimensions
        if self.permutation == "reverse":
            order = torch.arange(m) if number % 2 == 0 else torch.arange(m).flip(0)
        else:
            order = torch.randperm(m, generator=torch.Generator().manual_seed(number))
        spline = self.kind == "nsf"
        shapes = [(self.bins,), (self.bins,), (self.bins - 1,)] if spline else [(), ()]
        transform = zuko.flows.MaskedAutoregressiveTransform(
            m,
            0 if self.context_space is None else CONTEXT_WIDTH,
            self.passes,
            order,
            univariate=_spline if spline else _affine,
            shapes=shapes,
            hidden_features=[self.width] * self.layers,
        )
        if hasattr(transform, "hyper"):
            transform.hyper = Conditioner(transform.hyper)
            start = list(transform.hyper.net[-1].parameters())
        else:  # of one dimension without a context, whose parameters depend on nothing
            start = list(transform.parameters())
        for parameter in start:
            nn.init.zeros_(parameter)
        return transform

    def _own_parameters(self) -> int:
        """Weights that a mask keeps at zero are not free."""
        masks = [mask for layer in self.modules() if isinstance(mask := getattr(layer, "mask", None), Tensor)]
        return super()._own_parameters() - sum(int((~mask).sum()) for mask in masks)

    @property
    def recipe(self) -> dict[str, Any]:
        """Settings that suit it."""
        return {"optimizer": "adamw", "learning_rate": 6e-3, "batch_size": 256}

    def _prepare(self, chunks: Iterable[Tensor]) -> None:
        """Start as independent normal distributions with the moments of the training events."""
        self.units.set(*moments(x.reshape(len(x), -1) for x in chunks))

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        z = self.units.standardised(x.reshape(len(x), -1))  # [n, m]
        u, log_slope = self._f(context).call_and_ladj(z)
        return _standard_normal(u) + log_slope - self.units.log_unit.sum()

    def _sample(self, n: int, context: Tensor | None, generator: torch.Generator) -> Tensor:
        noise = self._noise(n, generator)
        rows = max(1, DRAWN // (self.space.dimensions * 3 * self.bins))
        parts = [
            self._f(None if context is None else context[start : start + rows]).inv(noise[start : start + rows])
            for start in range(0, n, rows)
        ]
        z = torch.cat(parts) if parts else noise
        return self.units.restored(z).reshape(n, *self.space.shape)

    def normalised(self, x: Any, context: Any = None) -> Tensor:
        """f(x) of events [n, *space.shape]: float64 [n, m], independent standard normals if the model is right."""
        x, context = self._validated(x, context)
        with evaluating(self):
            return self._f(context)(self.units.standardised(x.reshape(len(x), -1)))

    def rsample_and_log_prob(self, n: int, context: Any = None, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw events that can be differentiated by the parameters (pathwise gradients), and their log-density.

        All network passes of the draw stay in memory for the gradient: as many as there are dimensions, or `passes`.

        Args:
            n: how many.
            context: n rows, or one row that is broadcast.
            generator: of the noise.

        Returns:
            Events [n, *space.shape] and log p(x | context) in nats [n], both float64.
        """
        noise = self._noise(n, generator)
        z, log_slope = self._f(self._validated_context(context, n)).inv.call_and_ladj(noise)
        log_prob = _standard_normal(noise) - log_slope - self.units.log_unit.sum()
        return self.units.restored(z).reshape(n, *self.space.shape), log_prob

    def _noise(self, n: int, generator: torch.Generator) -> Tensor:
        noise = torch.randn(n, self.space.dimensions, generator=generator, device=generator.device, dtype=torch.float64)
        return noise.to(self.device)

    def _f(self, context: Tensor | None) -> Any:
        """The chain of transforms from standardised values [n, m] to noise, given a context with n rows."""
        vector = None if self.context_space is None else self.condition(context)[0]
        return import_zuko().transforms.ComposedTransform(*(transform(vector) for transform in self.chain))


class Units(nn.Module):
    """Location and unit of every dimension, [m] float64 whatever the model's type.

    Args:
        dimensions: m.
    """

    shift: Tensor
    log_unit: Tensor

    def __init__(self, dimensions: int):
        super().__init__()
        self.register_buffer("shift", torch.zeros(dimensions, dtype=torch.float64))
        self.register_buffer("log_unit", torch.zeros(dimensions, dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        """Follow the model to a device, but stay in float64 whatever the model's type."""
        return super()._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)

    def set(self, shift: Tensor, unit: Tensor) -> None:
        """Take the location and unit [m]."""
        self.shift.copy_(shift)
        self.log_unit.copy_(unit.log())

    def standardised(self, x: Tensor) -> Tensor:
        """(x − shift) / unit of x [n, m], float64."""
        return (x - self.shift) * torch.exp(-self.log_unit)

    def restored(self, z: Tensor) -> Tensor:
        """x of standardised z [n, m], float64."""
        return self.shift + z * torch.exp(self.log_unit)


class Conditioner(nn.Module):
    """A network that sees bounded values in the type of its own weights.

    Args:
        net: values [n, m], and a context's after them, → parameters.
    """

    def __init__(self, net: nn.Sequential):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """[n, m + context] → [n, parameters]."""
        return self.net(x.clamp(-SEEN, SEEN).to(next(self.net.parameters()).dtype))


def _spline(*parameters: Tensor) -> Any:
    """zuko's rational-quadratic splines of single values, in float64."""
    return import_zuko().transforms.MonotonicRQSTransform(*(p.double() for p in parameters), bound=BOUND, slope=SLOPE)


def _affine(*parameters: Tensor) -> Any:
    """zuko's affine transforms of single values, in float64."""
    return import_zuko().transforms.MonotonicAffineTransform(*(p.double() for p in parameters), slope=SLOPE)


def _standard_normal(u: Tensor) -> Tensor:
    """log N(u; 0, 1) of u [n, m] in nats [n], float64."""
    return -0.5 * (u.square() + math.log(2 * math.pi)).sum(-1)


def _revived(cls: type[Flow]) -> Flow:
    """A flow that is about to be filled by unpickling."""
    import_zuko()
    return cls.__new__(cls)
