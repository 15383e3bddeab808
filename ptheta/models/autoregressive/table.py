"""Transformer over the columns of a table, in any order: every subset of columns can be conditioned on or imputed.

A step visits one column. It is given the value of the column visited before it and which column comes next:

    h_t = value(x_{σ(t−1)}) + from(σ(t−1)) + to(σ(t)) + context
    h   = blocks of causal attention, then feed-forward
    p(x_{σ(t)} | x_{σ(<t)}) = the cell's distribution from h_t (`ptheta.distributions.cells`)

Values enter as an embedding of their code (level, atom, missing, other number) and, of numbers, as their standardised
value and its place among quantiles of the training column (Gorishniy et al. 2022, arXiv:2203.05556, piecewise linear
encoding).

Orders: a random part of the columns first, then the rest, each in the model's own order (cf. Uria et al. 2014,
arXiv:1310.1757; Pannatier et al. 2024, arXiv:2404.09562). That is what conditioning on a part needs, and it is learned
for every part. `log_prob` and `sample` use the model's own order.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.distributions import Cell, Row, Scale, cell_mixture, codes_of, real_columns
from ptheta.distributions.warps import UNCHANGED, Warp
from ptheta.errors import UsageError
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.autoregressive.imputing import Imputing
from ptheta.models.autoregressive.orders import Order, as_order, visiting_order
from ptheta.models.checks import check_heads, check_sizes
from ptheta.models.conditions import CONTEXTS, ContextVector, checked_part
from ptheta.nn import Block, KeyValueCache, Layers, norm
from ptheta.sampling.decoding import Decoder
from ptheta.spaces import Real, Space, Table

OWN_ORDER = 0.5
"""Part of the training rows that are visited in the model's own order."""

LOGITS = 2**22
"""Logits of one optimiser step, about, at most: wide columns take smaller batches."""


class TableTransformer(Imputing):
    """Causal transformer over columns.

    Args:
        space: a table, or a vector of real numbers.
        context_space: of any kind, or None.
        width: of the stream.
        layers: blocks.
        heads: attention heads.
        components: logistic densities of a number's mixture.
        bins: quantile bins in which a number enters.
        dropout: probability with which entries of a branch are dropped in training.
        context_dropout: see `Model.context_dropout`.
        any_order: learn to condition on every part of the columns; without, the model knows its own order only.
        order: in which columns are visited, a permutation of their numbers; None: as they stand.
    """

    spaces = (Table, Real)
    context_spaces = CONTEXTS
    noise_size = Row.noise_size

    edges: Tensor
    own: Tensor

    def __init__(
        self,
        space: Space,
        context_space: Space | None = None,
        *,
        width: int = 64,
        layers: int = 3,
        heads: int = 4,
        components: int = 8,
        bins: int = 24,
        dropout: float = 0.0,
        context_dropout: float = 0.1,
        any_order: bool = True,
        order: Order = None,
    ):
        super().__init__(space, context_space, order)
        check_sizes(width=width, layers=layers, heads=heads, components=components, bins=bins)
        check_heads(width, heads)
        checked_part(dropout, "dropout")
        self.context_dropout = checked_part(context_dropout)
        self.width, self.layers, self.heads, self.components = width, layers, heads, components
        self.bins, self.dropout, self.any_order = bins, dropout, any_order
        self.columns = (space if isinstance(space, Table) else real_columns(space.dimensions)).columns
        m = space.dimensions
        sizes = [column.codes for column in self.columns]
        self.starts = [sum(sizes[:j]) for j in range(m + 1)]  # of a column's codes among all
        self.scale = Scale(self.columns)
        self.code = nn.Embedding(self.starts[-1], width)
        self.number = nn.Parameter(torch.randn(m, 1 + bins, width) * 0.1)
        self.source = nn.Parameter(torch.randn(m, width) * 0.1)
        self.target = nn.Parameter(torch.randn(m, width) * 0.1)
        self.start = nn.Parameter(torch.randn(width) * 0.1)
        self.condition = ContextVector(context_space, width)
        self.blocks: Layers[Block] = Layers(Block(width, heads, None, dropout) for _ in range(layers))
        self.drop = nn.Dropout(dropout)
        self.code_out = nn.Parameter(torch.zeros(self.starts[-1], width))
        self.code_bias = nn.Parameter(torch.zeros(self.starts[-1]))
        self.mixture_out = nn.Parameter(torch.zeros(m, 3 * components, width))
        self.mixture_bias = nn.Parameter(torch.zeros(m, 3 * components))
        nn.init.normal_(self.code.weight, std=0.1)
        self.register_buffer("own", self.visit, persistent=False)  # a view visits otherwise, and learns as the model
        self.register_buffer("edges", torch.linspace(-2, 2, bins + 1).repeat(m, 1))  # of the bins, in y
        still = torch.ones(1, width // heads), torch.zeros(1, width // heads)
        self.register_buffer("_cos", still[0], persistent=False)
        self.register_buffer("_sin", still[1], persistent=False)

    @property
    def recipe(self) -> dict[str, Any]:
        """Settings that suit it."""
        batch = max(16, min(256, LOGITS // self.starts[-1]))
        return {"optimizer": "muon", "learning_rate": 6e-3, "batch_size": batch, "precision": "native"}

    @property
    def event_dtype(self) -> torch.dtype:
        """Rows are float64, whatever their columns hold."""
        return torch.float64

    def _prepare(self, chunks: Iterable[Tensor]) -> None:
        """Scales, quantiles and frequencies of codes from training rows."""
        x = torch.cat([part.reshape(len(part), -1) for part in chunks])  # [n, m]; quantiles need all values of a column
        for j, column in enumerate(self.columns):
            code = codes_of(column, x[:, j])
            counts = torch.bincount(code, minlength=column.codes).double() + 0.5
            logits = (counts / counts.sum()).log()
            with torch.no_grad():
                self.code_bias[self.starts[j] : self.starts[j + 1]] = logits - logits.mean()
            if column.is_category:
                continue
            others = x[code == column.codes - 1, j]
            present = x[~torch.isnan(x[:, j]), j]
            self.scale.fit(j, others if len(others) > 1 else present)
            y = self.scale(present if len(present) else x.new_zeros(1), j)
            levels = torch.linspace(0, 1, self.bins + 1, dtype=torch.float64, device=x.device)
            edges = torch.quantile(y[:: max(1, len(y) // 100_000)], levels)
            self.edges[j] = edges + 1e-3 * torch.arange(self.bins + 1, device=x.device)  # apart where quantiles repeat

    def reordered(self, order: Order | Tensor) -> Autoregressive:
        """The same weights, visiting in another order; see `Autoregressive.reordered`. Learned for orders that visit
        a part of the columns first and then the rest, each in the model's own order."""
        if not self.any_order:
            raise UsageError("this table model was trained for one order only", "fit it without --no-any-order")
        visit = visiting_order(self.space, as_order(order)).to(self.device)
        view = copy.copy(self)
        view._buffers = dict(self._buffers)
        view.visit, view.unvisit = visit, visit.argsort()
        return view

    def random_orders(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """A random part of the columns first, then the rest, each in the model's own order; see `Autoregressive`."""
        place = torch.arange(self.space.dimensions, device=self.device)

        def uniform(*shape: int) -> Tensor:
            where = self.device if generator is None else generator.device
            return torch.rand(shape, generator=generator, device=where, dtype=torch.float64).to(self.device)

        first = uniform(n, len(place)) < uniform(n, 1)
        first &= uniform(n, 1) >= OWN_ORDER
        return (place + len(place) * ~first).argsort(1)

    def _log_prob_in(self, x: Tensor, orders: Tensor, context: Tensor | None) -> Tensor:
        x = x.reshape(len(x), self.space.dimensions).double()
        visits = self.own[orders]
        h = self._stream(x, visits, self._conditions(context))
        h = torch.empty_like(h).scatter_(1, visits[..., None].expand_as(h), h)  # [n, m, width] in the columns' order
        with torch.autocast(self.device.type, enabled=False):  # masses and densities need their digits
            return self._row(h.to(self.dtype), list(range(x.shape[1]))).log_prob(x).sum(-1)

    def _filled(self, x: Tensor, context: Tensor | None, noise: Tensor, warp: Warp = UNCHANGED) -> Tensor:
        """Rows with their missing cells drawn, noise [n, m, 3]: every row visits its present cells first."""
        x, missing = x.clone(), torch.isnan(x)
        n, m = x.shape
        visits = (self.own.argsort() + m * missing).argsort(1)
        known = int((~missing).sum(1).min())
        if known == m:
            return x
        caches, condition = self._caches(n), self.condition(context)[0]
        values = self._values(torch.where(missing, self._fillers(), x))  # drawn cells are put in as they come
        columns = [j for j in range(m) if bool(missing[:, j].any())]
        h = None
        for t in range(known, m):
            first = 0 if h is None else t
            h = self._through(self._inputs(values, visits, condition, first, t + 1), caches)[:, -1]
            visited = visits[:, t]
            for j in columns:
                rows = ((visited == j) & missing[:, j]).nonzero()[:, 0]
                if len(rows):
                    drawn = self._cell(h[rows], j).present().warped(warp).sample(noise[rows, j])
                    x[rows, j] = drawn
                    values[rows, j] = self._value(drawn, j)
        return x

    def _log_prob_of_part(self, x: Tensor, left_out: Tensor, context: Tensor | None) -> Tensor:
        m = x.shape[1]
        visits = (self.own.argsort() + m * left_out).argsort(1)
        h = self._stream(x, visits, self._conditions(context))
        h = torch.empty_like(h).scatter_(1, visits[..., None].expand_as(h), h)  # in the columns' order
        return torch.where(left_out, 0.0, self._row(h.to(self.dtype), list(range(m))).log_prob(x)).sum(1)

    # The network

    def _value(self, x: Tensor, j: int) -> Tensor:
        """Embedding [n, width] of cells x [n] of column j."""
        column = self.columns[j]
        code = codes_of(column, x)
        embedded = self.code(code + self.starts[j])
        if column.is_category:
            return embedded
        missing = torch.isnan(x)
        y = self.scale(torch.where(missing, self.scale.centre[j], x), j)
        edges = self.edges[j].double()
        place = ((y[:, None] - edges[:-1]) / (edges[1:] - edges[:-1])).clamp(0, 1)
        features = torch.cat([y[:, None].clamp(-8, 8), place], 1).to(self.dtype)
        return embedded + (features * ~missing[:, None]) @ self.number[j]

    def _values(self, x: Tensor) -> Tensor:
        """Embeddings [n, m, width] of rows x [n, m] in the columns' order."""
        return torch.stack([self._value(x[:, j], j) for j in range(x.shape[1])], 1)

    def _inputs(self, values: Tensor, visits: Tensor, condition: Tensor | float, first: int, last: int) -> Tensor:
        """Inputs of the steps first … last − 1, [n, last − first, width]."""
        before = visits[:, max(first - 1, 0) : last - 1]
        inputs = values.gather(1, before[..., None].expand(-1, -1, self.width)) + self.source[before]
        if first == 0:
            inputs = torch.cat([self.start.expand(len(values), 1, -1), inputs], 1)
        return self._conditioned(inputs + self.target[visits[:, first:last]], condition)

    def _conditioned(self, h: Tensor, condition: Tensor | float) -> Tensor:
        return self.drop(h + condition[:, None] if isinstance(condition, Tensor) else h)

    def _through(self, h: Tensor, caches: list[KeyValueCache] | None = None) -> Tensor:
        """The stream after all blocks."""
        still = (self._cos, self._sin)  # columns have no places that turn
        for number, block in enumerate(self.blocks):
            h = block(h, (still, still), None if caches is None else caches[number])
        return norm(h)

    def _caches(self, n: int) -> list[KeyValueCache]:
        m, size = self.space.dimensions, self.width // self.heads
        return [KeyValueCache(n, self.heads, size, m, None, m, self.start) for _ in self.blocks]

    def _stream(self, x: Tensor, visits: Tensor, condition: Tensor | float) -> Tensor:
        """[n, m, width] at all steps, from rows x [n, m] in the columns' order."""
        return self._through(self._inputs(self._values(x), visits, condition, 0, x.shape[1]))

    def _cell(self, h: Tensor, j: int) -> Cell:
        """Column j's conditional from the stream [n, width]."""
        codes = slice(self.starts[j], self.starts[j + 1])
        column = self.columns[j]
        logits = h @ self.code_out[codes].T + self.code_bias[codes]
        if column.is_category:
            return Cell(column, j, self.scale, logits, None)
        mixture = cell_mixture(h @ self.mixture_out[j].T + self.mixture_bias[j])
        return Cell(column, j, self.scale, logits, mixture)

    def _row(self, h: Tensor, columns: list[int]) -> Row:
        """Conditionals of columns from the stream [n, k, width] at the steps that visit them."""
        return Row([self._cell(h[:, t], j) for t, j in enumerate(columns)])

    def _conditions(self, context: Tensor | None) -> Tensor | float:
        return self.condition(context)[0]

    def _conditionals(self, z: Tensor, context: Tensor | None) -> Row:
        return self._conditionals_from(z, self._conditions(context), 0)

    def _conditionals_from(self, z: Tensor, conditions: Tensor | float, first: int) -> Row:
        h = self._stream(z[:, self.unvisit].double(), self.visit.expand(len(z), -1), conditions)
        return self._row(h[:, first:], self.visit.tolist()[first:])

    def _decoder(self, n: int, context: Tensor | None) -> Decoder:
        return _ColumnDecoder(self, n, context)


class _ColumnDecoder(Decoder):
    """Keeps keys and values of the columns visited."""

    def __init__(self, model: TableTransformer, n: int, context: Tensor | None):
        self.model, self.n, self.condition, self.t = model, n, model.condition(context)[0], 0
        self.caches, self.columns = model._caches(n), model.visit.tolist()

    def step(self, previous: Tensor | None) -> Cell:
        model, column = self.model, self.columns[self.t]
        if previous is None:
            inputs = model.start.expand(self.n, -1)
        else:
            before = self.columns[self.t - 1]
            inputs = model._value(previous, before) + model.source[before]
        h = model._through(model._conditioned((inputs + model.target[column])[:, None], self.condition), self.caches)
        self.t += 1
        return model._cell(h[:, 0], column)
