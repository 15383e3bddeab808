"""Markov MLP: p(x_j | x_{j−1}, …, x_{j−d}) from an MLP that sees a window of d values.

Bengio et al. 2003, "A Neural Probabilistic Language Model", with one set of weights for all positions. Discrete
events get softmax conditionals; real events get mixtures of logistics or Gaussians.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ptheta.distributions import CategoricalHead, Distribution, MixtureHead, MixtureKind, head_for
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.autoregressive.orders import Order
from ptheta.models.checks import check_sizes
from ptheta.models.conditions import CONTEXTS, ContextVector, checked_part
from ptheta.models.inputs import Mapped, ScalarInputs, marginal_logits, moments
from ptheta.sampling.decoding import Decoder
from ptheta.spaces import Discrete, Real, Sequence, Space


class MarkovMLP(Autoregressive):
    """h_j = MLP(x_{j−1}, …, x_{j−d}, position j), then a softmax or a mixture density.

    Args:
        space: discrete or real.
        context_space: of any kind, or None.
        window: d, how many values before it a value depends on.
        width: hidden units.
        layers: hidden layers.
        dropout: probability with which hidden units are dropped in training.
        positions: whether the MLP also knows j; None: yes, but not for sequences.
        mixture: density of real values, `logistic` or `gaussian`.
        components: of the mixture.
        context_dropout: see `Model.context_dropout`.
        order: visiting order, see `Autoregressive`.
    """

    spaces = (Discrete, Real)
    context_spaces = CONTEXTS

    def __init__(
        self,
        space: Space,
        context_space: Space | None = None,
        *,
        window: int = 8,
        width: int = 256,
        layers: int = 2,
        dropout: float = 0.1,
        positions: bool | None = None,
        mixture: MixtureKind = "logistic",
        components: int = 8,
        context_dropout: float = 0.1,
        order: Order = None,
    ):
        super().__init__(space, context_space, order)
        check_sizes(window=window, width=width, layers=layers, components=components)
        self.window, self.width, self.layers, self.dropout = window, width, layers, dropout
        self.positions, self.mixture, self.components = positions, mixture, components
        self.context_dropout = checked_part(context_dropout)
        m = space.dimensions
        self.head = head_for(space, self.visit, mixture, components)
        self.noise_size = self.head.noise_size
        self.inputs = ScalarInputs(space, self.head)
        features = self.inputs.channels + 1  # the last one says that the value exists
        placed = not isinstance(space, Sequence) if positions is None else positions
        self.first = nn.Linear(window * features, width)
        self.place = nn.Parameter(torch.zeros(m, width)) if placed else None
        self.output_bias = nn.Parameter(torch.zeros(m, self.head.size)) if placed else None
        self.condition = ContextVector(context_space, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(layers - 1))
        self.out = nn.Linear(width, self.head.size)
        self.drop = nn.Dropout(dropout)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    @property
    def recipe(self) -> dict[str, Any]:
        """Settings that suit it."""
        return {"optimizer": "adamw", "learning_rate": 2e-3, "batch_size": 64}

    def _prepare(self, chunks: Iterable[Tensor]) -> None:
        """Start at the marginals of the training events."""
        z = Mapped(self.flatten, chunks)
        if isinstance(self.head, MixtureHead):
            self.head.standardise(*moments(z))
        elif isinstance(self.head, CategoricalHead) and self.output_bias is not None:
            self.output_bias.data.copy_(marginal_logits(z, self.head.size))

    def _features(self, z: Tensor, step: int | None = None) -> Tensor:
        """[n, m] → [n, m, channels + 1], or [n] → [n, channels + 1]."""
        return F.pad(self.inputs(z, self.dtype, step), (0, 1), value=1.0)

    def _outputs(self, windows: Tensor, condition: Tensor | float, step: int | None) -> Tensor:
        """Windows [n, m, d · features] and a context's vector → numbers for the head [n, m, size]; one step: [n, …]."""
        index = slice(None) if step is None else step
        h = self.first(windows)
        if isinstance(condition, Tensor):
            h = h + (condition if step is not None else condition[:, None])
        if self.place is not None:
            h = h + self.place[index]
        h = self.drop(F.gelu(h))
        for layer in self.hidden:
            h = h + self.drop(F.gelu(layer(h)))
        outputs = self.out(h)
        return outputs if self.output_bias is None else outputs + self.output_bias[index]

    def _conditions(self, context: Tensor | None) -> Tensor | float:
        return self.condition(context)[0]

    def _conditionals(self, z: Tensor, context: Tensor | None) -> Distribution:
        return self._conditionals_from(z, self._conditions(context), 0)

    def _conditionals_from(self, z: Tensor, conditions: Tensor | float, first: int) -> Distribution:
        features = self._features(z)  # [n, m, f]
        past = F.pad(features, (0, 0, self.window, 0))[:, :-1]  # [n, d + m − 1, f]
        windows = past.unfold(1, self.window, 1)  # [n, m, f, d]
        return self.head(self._outputs(windows.flatten(2), conditions, None))[:, first:]

    def _decoder(self, n: int, context: Tensor | None) -> Decoder:
        return _WindowDecoder(self, n, context)


class _WindowDecoder(Decoder):
    """Keeps the last d values' features."""

    def __init__(self, model: MarkovMLP, n: int, context: Tensor | None):
        self.model, self.condition, self.j = model, model.condition(context)[0], 0
        self.past = torch.zeros(n, model.inputs.channels + 1, model.window, device=model.device, dtype=model.dtype)

    def step(self, previous: Tensor | None) -> Distribution:
        if previous is not None:
            latest = self.model._features(previous, self.j - 1)[:, :, None]
            self.past = torch.cat([self.past[:, :, 1:], latest], 2)
        outputs = self.model._outputs(self.past.flatten(1), self.condition, self.j)
        self.j += 1
        return self.model.head(outputs, self.j - 1)
