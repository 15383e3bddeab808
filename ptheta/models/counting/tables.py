"""Tables of counts: every dimension independently, or given the few visited just before it.

The maximum-likelihood estimate of a table is relative frequency; a symmetric Dirichlet prior adds `pseudo_count` to
every cell. So one pass of counting is all the learning there is, and these models are the yardstick for all others.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from ptheta.distributions import Categorical
from ptheta.errors import UsageError
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.counting.base import Counting
from ptheta.sampling.decoding import Decoder
from ptheta.spaces import Discrete, Label

MAX_CELLS = 2**28
"""Most counts a model may hold (2 GiB), checked before any allocation."""

CHUNK = 2**20
"""Values counted together: few enough to stay in a processor's cache."""


class Tables(Counting, Autoregressive):
    """p(x) = ∏_j p(x_j | x_{j−r} … x_{j−1}), with a table of counts for each dimension j; all share one flat buffer.

    The cell of the values (x_{j−h} … x_j), h = min(r, j), is `start[j] + Σ_l strides[l − 1, j] x_{j−l} + x_j`: the
    levels of x_j for one history lie side by side, a row. A row that was never seen is uniform.

    Args:
        space: discrete events.
        context_space: labels; each has tables of its own.
        history: r.
        shared: dimensions r, r + 1, … use one table.
        pseudo_count: added to every cell.
    """

    spaces = (Discrete,)
    context_spaces = (Label,)
    counts: Tensor  # [labels, cells] int64
    start: Tensor  # [m]
    strides: Tensor  # [h, m]; row l − 1 is for lag l
    allowed: Tensor | None  # [m, K]

    def __init__(self, space: Discrete, context_space: Label | None, history: int, shared: bool, pseudo_count: float):
        super().__init__(space, context_space)
        if not 0 <= pseudo_count < math.inf:
            raise UsageError(f"pseudo_count is {pseudo_count}", "give a finite number of at least 0")
        if history < 0:
            raise UsageError(f"the order of the chain is {history}", "give 0 or more")
        if shared and space.sizes is not None:
            raise UsageError(f"the dimensions of {space} differ in size and cannot share a table", "use shared=False")
        self.pseudo_count = pseudo_count
        m = space.dimensions
        sizes = [space.levels] * m if space.sizes is None else [space.sizes[i] for i in self.visit.tolist()]
        labels = 1 if context_space is None else context_space.levels

        start: list[int] = []
        tables: list[tuple[int, int]] = []  # (cells, levels) of each table
        cells = 0
        for j, (size, levels) in enumerate(zip(_table_sizes(sizes, history), sizes)):
            if shared and j > history:
                start.append(start[-1])
                continue
            start.append(cells)
            tables.append((size, levels))
            cells += size
            if cells * labels > MAX_CELLS:
                raise UsageError(
                    f"{type(self).__name__} of order {history} on {space} needs more than {MAX_CELLS:,} counts",
                    "use shared=True, a smaller order or fewer levels",
                )
        self._blocks = [(k, sum(size for size, _ in run)) for k, run in groupby(tables, lambda table: table[1])]
        self._log_table: Tensor | None = None

        size = torch.tensor(sizes)
        lags = min(history, m - 1)
        strides = torch.ones(lags + 1, m, dtype=torch.int64)
        for lag in range(1, lags + 1):
            strides[lag, lag:] = strides[lag - 1, lag:] * size[1 : m - lag + 1]
        allowed = space.allowed()
        self.register_buffer("counts", torch.zeros(labels, cells, dtype=torch.int64))
        self.register_buffer("start", torch.tensor(start), persistent=False)
        self.register_buffer("strides", strides[1:], persistent=False)
        self.register_buffer("allowed", None if allowed is None else allowed[self.visit], persistent=False)

    def _own_parameters(self) -> int:
        """Σ over the rows of all tables of (levels − 1), exact."""
        return len(self.counts) * sum(cells // levels * (levels - 1) for levels, cells in self._blocks)

    def observe(self, x: Tensor, context: Any = None) -> None:
        """Count events.

        Args:
            x: [n, *space.shape], any integer type; never copied whole.
            context: labels, n or one.

        Raises:
            SpaceError, ContextError: as `log_prob`; nothing is counted then.
        """
        assert isinstance(self.space, Discrete)
        x = self.space.check(x)
        context = self._validated_context(context, len(x))
        self._log_table = None
        cells = self.counts.numel()
        dtype = torch.int16 if cells < 2**15 else torch.int32
        rows = max(1, CHUNK // self.space.dimensions)
        for i in range(0, len(x), rows):
            z = self.flatten(x[i : i + rows].to(self.device)).to(dtype)
            index = self._rows(z, None if context is None else context[i : i + rows].to(dtype)).add_(z).reshape(-1)
            if cells <= index.numel():
                self.counts += torch.bincount(index, minlength=cells).reshape(self.counts.shape)
            else:
                self.counts.view(-1).index_add_(0, index.int(), self.counts.new_ones(()).expand(len(index)))

    def _rows(self, z: Tensor, context: Tensor | None) -> Tensor:
        """First cell of the row of every z_j given its past, [n, m] in z's type."""
        rows = self.start.to(z.dtype).repeat(len(z), 1)
        for lag, stride in enumerate(self.strides.to(z.dtype), 1):
            rows[:, lag:] += z[:, :-lag] * stride[lag:]
        return rows if context is None else rows.add_(context[:, None] * self.counts.shape[1])

    def _log_probabilities(self) -> Tensor:
        """Log-probability of every cell given its row, nats float64 [labels × cells]."""
        if self._log_table is None:
            parts: list[Tensor] = []
            sides = [cells for _, cells in self._blocks]
            for (levels, _), counts in zip(self._blocks, self.counts.split(sides, 1)):
                mass = counts.reshape(len(counts), -1, levels).double() + self.pseudo_count
                total = mass.sum(-1, keepdim=True)
                p = torch.where(total > 0, mass / total, 1 / levels)
                parts.append(p.log_().reshape(len(counts), -1))
            self._log_table = torch.cat(parts, 1).reshape(-1)
        return self._log_table

    def _categorical(self, rows: Tensor, allowed: Tensor | None) -> Categorical:
        """Conditionals of the rows that begin at cells `rows` [...]."""
        assert isinstance(self.space, Discrete)
        cells = rows[..., None] + torch.arange(self.space.levels, device=self.device)  # [..., K]
        table = self._log_probabilities()
        if allowed is None:
            return Categorical(table[cells])
        return Categorical(table[cells.clamp_(max=len(table) - 1)].masked_fill_(~allowed, -torch.inf))

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        z = self.flatten(x)
        return self._log_probabilities()[self._rows(z, context).add_(z)].sum(-1)

    def _conditionals(self, z: Tensor, context: Tensor | None) -> Categorical:
        return self._categorical(self._rows(z, context), self.allowed)

    def _decoder(self, n: int, context: Tensor | None) -> Decoder:
        return _TablesDecoder(self, n, context)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self._log_table = None
        super()._load_from_state_dict(*arguments)

    def _apply(self, *arguments: Any, **options: Any):
        self._log_table = None
        return super()._apply(*arguments, **options)


class _TablesDecoder(Decoder):
    """Remembers the last r values."""

    def __init__(self, model: Tables, n: int, context: Tensor | None):
        self.model, self.j = model, -1
        self.past: deque[Tensor] = deque(maxlen=len(model.strides))  # latest first
        cells = model.counts.shape[1]
        self.base = torch.zeros(n, dtype=torch.long, device=model.device) if context is None else context * cells

    def step(self, previous: Tensor | None) -> Categorical:
        """p(x_j | x_{j−r} … x_{j−1})."""
        self.j += 1
        if previous is not None:
            self.past.appendleft(previous)
        rows = self.base + self.model.start[self.j]
        for stride, value in zip(self.model.strides[:, self.j], self.past):
            rows = rows + stride * value
        allowed = self.model.allowed
        return self.model._categorical(rows, None if allowed is None else allowed[self.j])


def _table_sizes(sizes: Sequence[int], history: int) -> Iterator[int]:
    """Cells of each dimension's table: the product of its own size and those of the `history` before it."""
    product = 1
    for j, size in enumerate(sizes):
        product *= size
        if j > history:
            product //= sizes[j - history - 1]
        yield product


class Independent(Tables):
    """p(x) = ∏_j p(x_j): every dimension independently.

    Args:
        space: discrete events.
        context_space: labels; each has tables of its own.
        pseudo_count: added to every count (a symmetric Dirichlet prior); 0 for relative frequencies, which give
            unseen values probability 0.

    >>> import torch
    >>> from ptheta.spaces import Discrete
    >>> model = Independent(Discrete((2,), 2), pseudo_count=0)
    >>> model.observe(torch.tensor([[0, 1], [1, 1]]))
    >>> model.log_prob([[0, 1], [0, 0]]).exp()
    tensor([0.5000, 0.0000], dtype=torch.float64)
    """

    def __init__(self, space: Discrete, context_space: Label | None = None, *, pseudo_count: float = 0.5):
        super().__init__(space, context_space, 0, False, pseudo_count)


class MarkovChain(Tables):
    """p(x) = ∏_j p(x_j | x_{j−r} … x_{j−1}): each dimension given the r visited just before it.

    Args:
        space: discrete events.
        context_space: labels; each has tables of its own.
        order: r; the first dimensions, which have fewer before them, use all they have.
        shared: one table for all dimensions from the r-th on, as in a stationary n-gram model of text; otherwise one
            for each.
        pseudo_count: added to every count (a symmetric Dirichlet prior); 0 for relative frequencies, which give
            unseen transitions probability 0.

    Raises:
        UsageError: the tables would hold more than 2^28 counts.

    >>> from ptheta.spaces import Image
    >>> MarkovChain(Image(28, 28, levels=2)).free_parameters
    1567
    """

    def __init__(
        self,
        space: Discrete,
        context_space: Label | None = None,
        *,
        order: int = 1,
        shared: bool = False,
        pseudo_count: float = 0.5,
    ):
        super().__init__(space, context_space, order, shared, pseudo_count)
        self.order: int = order  # of the chain; dimensions are visited in the space's own order
        self.shared = shared
