"""MADE: masked autoencoder for distribution estimation; all conditionals from one pass of one MLP.

Germain et al. 2015 (arXiv:1502.03509). Departures: hidden layers are residual (Durkan & Nash 2019, ResMADE), all have
the same sorted degrees, and the output also sees the inputs directly, as in the paper's experiments. Where levels are
numbers, as of pictures and sounds, each dimension outputs a few coefficients of functions of the level, shared by all
dimensions, in place of one number for each level (`rank`).

Decoding is incremental: a hidden unit of degree d is final once d values are known, so each unit is computed exactly
once and a whole event costs about one pass, not m of them.
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
from ptheta.models.levels import OrdinalLogits, rank_for
from ptheta.nn import Layers, MaskedLinear, masked_layers
from ptheta.sampling.decoding import Decoder
from ptheta.spaces import Discrete, Real, Space


class MADE(Autoregressive):
    """Masked autoencoder.

    Args:
        space: discrete or real.
        context_space: of any kind, or None.
        width: units of a hidden layer.
        layers: hidden layers.
        dropout: probability with which hidden units are dropped in training.
        rank: coefficients from which the logits of a dimension are made; 0: one logit for each level; None: at most 8
            where levels are numbers, 0 otherwise.
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
        width: int = 512,
        layers: int = 2,
        dropout: float = 0.3,
        rank: int | None = None,
        mixture: MixtureKind = "logistic",
        components: int = 8,
        context_dropout: float = 0.1,
        order: Order = None,
    ):
        super().__init__(space, context_space, order)
        check_sizes(width=width, layers=layers, components=components)
        check_sizes(0, rank=rank)
        self.width, self.layers, self.dropout, self.rank = width, layers, dropout, rank
        self.mixture, self.components = mixture, components
        self.context_dropout = checked_part(context_dropout)
        m = space.dimensions
        self.head = head_for(space, self.visit, mixture, components)
        self.noise_size = self.head.noise_size
        self.inputs = ScalarInputs(space, self.head)
        inputs = torch.arange(m).repeat_interleave(self.inputs.channels)  # dimension of every input
        degrees, masks = masked_layers(inputs, width, layers)
        self.levels = OrdinalLogits(m, self.head.size, rank_for(space, rank))
        outputs = torch.arange(m).repeat_interleave(self.levels.rank)  # dimension of every output
        self.first_units: list[int] = torch.searchsorted(degrees, torch.arange(m + 1)).tolist()  # of every degree
        self.hidden: Layers[MaskedLinear] = Layers(MaskedLinear(mask) for mask in masks)
        self.condition = ContextVector(context_space, width, len(masks))
        self.out = MaskedLinear(outputs[:, None] >= degrees[None, :])
        self.direct = MaskedLinear(outputs[:, None] > inputs[None, :])
        self.drop = nn.Dropout(dropout)
        for last in (self.out, self.direct):
            nn.init.zeros_(last.weight)

    def _own_parameters(self) -> int:
        """Weights that a mask keeps at zero are not free."""
        masks = [layer.mask for layer in self.modules() if isinstance(layer, MaskedLinear)]
        return super()._own_parameters() - sum(int((~mask).sum()) for mask in masks)

    @property
    def recipe(self) -> dict[str, Any]:
        """Settings that suit it."""
        return {"optimizer": "adamw", "learning_rate": 1e-3, "batch_size": 100}

    def _prepare(self, chunks: Iterable[Tensor]) -> None:
        """Start at the marginals of the training events."""
        z = Mapped(self.flatten, chunks)
        if isinstance(self.head, MixtureHead):
            self.head.standardise(*moments(z))
        elif isinstance(self.head, CategoricalHead):
            self.levels.start_at(marginal_logits(z, self.head.size))

    def _conditions(self, context: Tensor | None) -> list[Tensor | float]:
        return self.condition(context)

    def _conditionals(self, z: Tensor, context: Tensor | None) -> Distribution:
        return self._conditionals_from(z, self._conditions(context), 0)

    def _conditionals_from(self, z: Tensor, conditions: list[Tensor | float], first: int) -> Distribution:
        x = self.inputs(z, self.dtype).flatten(1)  # [n, m · channels]
        below, *others = conditions
        h = self.drop(F.relu(self.hidden[0](x) + below))
        for layer, condition in zip(list(self.hidden)[1:], others):
            h = h + self.drop(F.relu(layer(h) + condition))
        outputs = self.out(h) + self.direct(x)
        return self.head(self.levels(outputs.view(len(z), self.space.dimensions, self.levels.rank)))[:, first:]

    def _decoder(self, n: int, context: Tensor | None) -> Decoder:
        return _DegreeDecoder(self, n, context)


class _DegreeDecoder(Decoder):
    """Finishes the units of degree j when x_j is asked for."""

    def __init__(self, model: MADE, n: int, context: Tensor | None):
        m = model.space.dimensions
        self.model, self.j = model, 0
        self.weights = [layer.masked_weight() for layer in model.hidden]
        self.bias = [layer.bias + condition for layer, condition in zip(model.hidden, model.condition(context))]
        self.out, self.direct = model.out.masked_weight(), model.direct.masked_weight()
        zeros = torch.zeros(n, 1, device=model.device, dtype=model.dtype)
        self.x = zeros.repeat(1, m * model.inputs.channels)
        self.units = [zeros.repeat(1, model.width) for _ in model.hidden]
        self.first = model.first_units

    def step(self, previous: Tensor | None) -> Distribution:
        model, j, channels = self.model, self.j, self.model.inputs.channels
        seen = j * channels
        if previous is not None:
            self.x[:, seen - channels : seen] = model.inputs(previous, model.dtype, j - 1)
        a, b = self.first[j], self.first[j + 1]  # units of degree j
        below, known = self.x, seen
        for layer, (weight, bias) in enumerate(zip(self.weights, self.bias)):
            h = F.relu(F.linear(below[:, :known], weight[a:b, :known]) + bias[..., a:b])
            self.units[layer][:, a:b] = h if layer == 0 else self.units[layer - 1][:, a:b] + h
            below, known = self.units[layer], b
        rows = slice(j * model.levels.rank, (j + 1) * model.levels.rank)
        outputs = F.linear(below[:, :b], self.out[rows, :b], model.out.bias[rows])
        outputs = outputs + F.linear(self.x[:, :seen], self.direct[rows, :seen], model.direct.bias[rows])
        self.j += 1
        return model.head(model.levels(outputs, j), j)
