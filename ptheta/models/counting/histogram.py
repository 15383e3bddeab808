"""The full joint table over all events, held as sparse counts, so that any K^m works."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.distributions import Categorical
from ptheta.errors import DensityError, UsageError
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.models.counting.base import Counting
from ptheta.numbers import count
from ptheta.sampling.decoding import Decoder
from ptheta.spaces import Discrete, Label

MAX_TABLE = 2**22
"""Most cells that `Histogram.table` writes out."""

PENDING = 2**16
"""Fewest observed rows that are merged into the store together."""


class Histogram(Counting, Autoregressive):
    """p(x) = (count(x) + c / |cells|) / (N + c): the full joint, with a Dirichlet prior of total mass c spread evenly.

    Only the events seen are stored: distinct rows, sorted in visiting order, and their counts. Events that begin alike
    lie side by side, so binary search gives the conditionals exactly:
    p(x_j | x_<j) = (count(x_≤j) + c / ∏_{i≤j} K_i) / (count(x_<j) + c / ∏_{i<j} K_i).
    What follows a beginning of probability 0 is uniform.

    Args:
        space: discrete events.
        context_space: labels; each has a table of its own.
        concentration: c, in events; 0 for relative frequencies, which give unseen events probability 0.

    >>> import torch
    >>> model = Histogram(Discrete((2,), 2), concentration=1.0)
    >>> model.observe(torch.tensor([[0, 1], [0, 1], [1, 1]]))
    >>> model.table()
    tensor([[0.0625, 0.5625],
            [0.0625, 0.3125]], dtype=torch.float64)
    """

    spaces = (Discrete,)
    context_spaces = (Label,)
    growing = ("rows", "counts")
    rows: Tensor  # [u, 1 + m]: label (0 without a context), event in visiting order; distinct and sorted
    counts: Tensor  # [u] int64
    allowed: Tensor | None  # [m, K]

    def __init__(self, space: Discrete, context_space: Label | None = None, *, concentration: float = 1.0):
        super().__init__(space, context_space)
        if not 0 <= concentration < math.inf:
            raise UsageError(f"concentration is {concentration}", "give a finite number of at least 0")
        self.concentration = concentration
        self._levels = space.levels
        self._labels = 1 if context_space is None else context_space.levels
        sizes = torch.tensor(space.sizes or [space.levels]).expand(space.dimensions)[self.visit]
        log_cells = torch.cat([torch.zeros(1), sizes]).double()
        log_cells[1:] = log_cells[1:].log().cumsum(0)
        allowed = space.allowed()
        dtype = _compact_type(max(space.levels, self._labels))
        self.register_buffer("rows", torch.zeros(0, 1 + space.dimensions, dtype=dtype))
        self.register_buffer("counts", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("allowed", None if allowed is None else allowed[self.visit], persistent=False)
        self._log_cells: list[float] = log_cells.tolist()  # log ∏_{i<j} K_i for j = 0 … m
        self._pending: list[Tensor] = []
        self._cumulative: Tensor | None = None

    def _own_parameters(self) -> int:
        """(Number of events − 1) for each label, an exact integer of any length."""
        return self._labels * (self._events() - 1)

    def _events(self) -> int:
        count = self.space.event_count
        assert count is not None
        return count

    # Counting

    def observe(self, x: Tensor, context: Any = None) -> None:
        """Count events.

        Args:
            x: [n, *space.shape], any integer type.
            context: labels, n or one.

        Raises:
            SpaceError, ContextError: as `log_prob`; nothing is counted then.
        """
        assert isinstance(self.space, Discrete)
        x = self.space.check(x)
        self._pending.append(self._as_rows(x, self._validated_context(context, len(x))))
        if sum(map(len, self._pending)) >= max(PENDING, len(self.rows)):
            self._merge()

    def finish(self) -> None:
        """Merge what was observed last."""
        self._merge()

    def _as_rows(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Label and event in visiting order, [n, 1 + m] in the store's type."""
        z = self.flatten(x.to(self.device)).to(self.rows.dtype)
        label = z.new_zeros(len(z)) if context is None else context.to(z.dtype)
        return torch.cat([label[:, None], z], 1)

    def _merge(self) -> None:
        """Bring the store up to date with all rows observed."""
        if not self._pending:
            return
        rows = torch.cat([self.rows, *(batch.to(self.rows.device) for batch in self._pending)])
        keys = sortable(rows)
        order = keys.argsort(kind="stable")
        keys = keys[order]
        first = np.flatnonzero(np.concatenate([[len(keys) > 0], keys[1:] != keys[:-1]]))  # of each run of equal rows
        weights = np.ones(len(rows), dtype=np.int64)
        weights[: len(self.counts)] = self.counts.cpu().numpy()
        counts = np.add.reduceat(weights[order], first) if len(first) else weights
        self.rows = rows[torch.from_numpy(order[first]).to(rows.device)]
        self.counts = torch.from_numpy(counts).to(rows.device)
        self._pending = []
        self._cumulative = None

    def _counts_before(self) -> Tensor:
        """Number of events observed in the rows before each, [u + 1]."""
        self._merge()
        if self._cumulative is None or self._cumulative.device != self.counts.device:
            self._cumulative = torch.cat([self.counts.new_zeros(1), self.counts.cumsum(0)])
        return self._cumulative

    # Probabilities

    def _log_mass(self, count: Tensor, j: int) -> Tensor:
        """log(count + c / ∏_{i<j} K_i), float64; the second term can be far below the smallest float."""
        if self.concentration == 0:
            return count.double().log()
        prior = math.log(self.concentration) - self._log_cells[j]
        return torch.logaddexp(count.double().log(), torch.tensor(prior, dtype=torch.float64, device=count.device))

    def _label_ranges(self, n: int, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """First and last + 1 row of each event's label, [n] each."""
        begin = torch.zeros(n, dtype=torch.long, device=self.device)
        end = torch.full_like(begin, len(self.rows))
        if context is None:
            return begin, end
        column = self.rows[:, 0].contiguous()
        label = context.to(column.dtype)
        return torch.searchsorted(column, label), torch.searchsorted(column, label, right=True)

    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        cumulative = self._counts_before()
        begin, end = self._label_ranges(len(x), context)
        keys, wanted = sortable(self.rows), sortable(self._as_rows(x, context))
        at = np.searchsorted(keys, wanted)
        found = np.zeros(len(wanted), dtype=bool)
        inside = at < len(keys)
        found[inside] = keys[at[inside]] == wanted[inside]
        at = torch.from_numpy(at).to(self.device)
        count = torch.zeros_like(at)
        found = torch.from_numpy(found).to(self.device)
        count[found] = self.counts[at[found]]
        mass = self._log_mass(count, self.space.dimensions)
        total = self._log_mass(cumulative[end] - cumulative[begin], 0)
        return torch.where(total > -torch.inf, mass - total, -self._log_cells[-1])  # nothing seen, no prior: uniform

    def _conditionals(self, z: Tensor, context: Tensor | None) -> Categorical:
        decoder = self._decoder(len(z), context)
        steps = [decoder.step(None if j == 0 else z[:, j - 1]).logits for j in range(z.shape[1])]
        return Categorical(torch.stack(steps, 1))

    def _decoder(self, n: int, context: Tensor | None) -> _HistogramDecoder:
        return _HistogramDecoder(self, n, context)

    def table(self) -> Tensor:
        """The probability of every event, float64, indexed by the event's own values: [K_1, …, K_m].

        With a context the labels come first: p(x | y) is `table()[y, x_1, …, x_m]`.

        Raises:
            DensityError: there are more than 2^22 cells.
        """
        assert isinstance(self.space, Discrete)
        cells = self._events() * self._labels
        if cells > MAX_TABLE:
            raise DensityError(
                f"the table has {count(cells)} cells, more than {MAX_TABLE:,}",
                "call log_prob with the events you need, or draw from it with sample",
            )
        sizes = self.space.sizes or (self.space.levels,) * self.space.dimensions
        flat = torch.cartesian_prod(*(torch.arange(k) for k in sizes)).reshape(-1, *self.space.shape)
        labels = [None] if self.context_space is None else torch.arange(self._labels)[:, None]
        p = torch.stack([self.log_prob(flat, label).exp() for label in labels])
        return p.reshape(sizes if self.context_space is None else (self._labels, *sizes))

    # State

    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        """As for every module, up to date with all that was observed."""
        self._merge()
        return super().state_dict(*arguments, **options)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self._pending = []
        self._cumulative = None
        super()._load_from_state_dict(*arguments)


class _HistogramDecoder(Decoder):
    """Remembers the range of rows that begin like each event, and narrows it by one column a step."""

    def __init__(self, model: Histogram, n: int, context: Tensor | None):
        self.model, self.j = model, 0
        self.cumulative = model._counts_before()
        self.begin, self.end = model._label_ranges(n, context)
        self.edges = torch.empty(0)
        self.pair = torch.arange(2, device=model.device)

    def step(self, previous: Tensor | None) -> Categorical:
        """p(x_j | x_<j)."""
        if previous is not None:
            self.begin, self.end = self.edges.gather(1, previous[:, None] + self.pair).unbind(1)
        self.edges = self._split(self.model.rows[:, self.j + 1].contiguous())
        count = self.cumulative[self.edges].diff(dim=1)  # [n, K]
        total = self.cumulative[self.end] - self.cumulative[self.begin]
        self.j += 1
        logits = self.model._log_mass(count, self.j) - self.model._log_mass(total, self.j - 1)[:, None]
        if self.model.concentration == 0:
            logits[total == 0] = 0.0
        if self.model.allowed is not None:
            logits = logits.masked_fill(~self.model.allowed[self.j - 1], -torch.inf)
        return Categorical(logits)

    def _split(self, column: Tensor) -> Tensor:
        """Where each level begins in every event's range of a column that is sorted there, [n, K + 1]."""
        levels = torch.arange(self.model._levels + 1, device=column.device)
        edges = self.begin[:, None].repeat(1, len(levels))
        some = (self.begin < self.end).nonzero()[:, 0]
        low = edges[some]
        high = self.end[some, None].expand_as(low)
        width = self.end - self.begin
        for _ in range(int(width.max()).bit_length() if len(width) else 0):  # binary search
            middle = (low + high) // 2
            less = column[middle.clamp(max=len(column) - 1)] < levels
            less &= low < high
            low = torch.where(less, middle + 1, low)
            high = torch.where(less, high, torch.minimum(middle, high))
        edges[some] = low
        return edges


def _compact_type(levels: int) -> torch.dtype:
    """Smallest integer type that holds all levels."""
    return torch.uint8 if levels <= 2**8 else torch.int16 if levels <= 2**15 else torch.int32


def sortable(rows: Tensor) -> np.ndarray:
    """Rows [n, w] of non-negative integers as n strings of bytes whose order is that of the rows."""
    array = rows.cpu().numpy()
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder(">"), copy=False))
    return array.view(f"S{array.itemsize * array.shape[1]}")[:, 0]
