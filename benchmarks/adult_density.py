"""Counting baselines of a table's density, in the space of the table model: same codes, same grids, same atoms.

A row's mass is ∏ p(code_j | code_parent(j)) · p(number_j | other number). Without parents columns are independent; the
best tree of parents is that of Chow and Liu (1968), a maximum spanning tree of the pairwise mutual information.
Numbers without an atom follow one mixture of logistics a column, fitted by gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from torch import Tensor

from ptheta.distributions import Cell, LogisticMixture, Scale, cell_mixture, codes_of
from ptheta.spaces import Table

COMPONENTS = 16
STEPS = 300
FITTED_ON = 10_000
PSEUDO = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Pseudo-counts of the parentless distribution in a conditional one; the best on validation is taken."""


class Numbers:
    """Mixtures of the numbers without an atom, one a column.

    Args:
        space: of the rows.
        train: rows [n, m].
    """

    def __init__(self, space: Table, train: Tensor):
        self.columns, self.scale = space.columns, Scale(space.columns)
        self.mixtures = [None if c.is_category else self._fitted(j, train[:, j]) for j, c in enumerate(self.columns)]

    def cell(self, j: int, probabilities: Tensor) -> Cell:
        """Column j's distribution over a batch, from those of its codes [n, codes]."""
        mixture = self.mixtures[j]
        rows = torch.zeros(len(probabilities), dtype=torch.long)
        return Cell(self.columns[j], j, self.scale, probabilities.log(), None if mixture is None else mixture[rows])

    def _fitted(self, j: int, x: Tensor) -> LogisticMixture:
        column = self.columns[j]
        others = x[codes_of(column, x) == column.codes - 1][:FITTED_ON]
        outputs = torch.zeros(1, 3 * COMPONENTS, dtype=torch.float64, requires_grad=True)
        if len(others) > 1:
            self.scale.fit(j, others)
            optimiser = torch.optim.Adam([outputs], lr=0.03)
            logits = torch.zeros(len(others), column.codes, dtype=torch.float64)
            for _ in range(STEPS):
                optimiser.zero_grad()
                cell = Cell(column, j, self.scale, logits, cell_mixture(outputs.expand(len(others), -1)))
                (-cell.log_other(others).mean()).backward()
                optimiser.step()
        return cell_mixture(outputs.detach())


class CountedTable:
    """A tree of columns, each counted given its parent.

    Args:
        numbers: the mixtures of the columns.
        train: rows [n, m].
        validation: rows that choose the pseudo-count.
        tree: take Chow and Liu's tree; without, columns are independent.
    """

    def __init__(self, numbers: Numbers, train: Tensor, validation: Tensor, tree: bool):
        self.numbers, self.columns = numbers, numbers.columns
        codes = [codes_of(column, train[:, j]) for j, column in enumerate(self.columns)]
        self.parents = chow_liu(codes, [c.codes for c in self.columns]) if tree else [-1] * len(codes)
        self.marginals = [
            (torch.bincount(code, minlength=c.codes).double() + 0.5) / (len(code) + c.codes / 2)
            for code, c in zip(codes, self.columns)
        ]
        self.counts = [
            None if parent < 0 else joint(codes[parent], codes[j], self.columns[parent].codes, self.columns[j].codes)
            for j, parent in enumerate(self.parents)
        ]
        self.pseudo = max(PSEUDO, key=lambda p: float(self.log_prob_per_column(validation, p).sum(1).mean()))

    def log_prob_per_column(self, x: Tensor, pseudo: float | None = None) -> Tensor:
        """log p of every cell of rows [n, m] given its parent, nats."""
        terms = []
        for j, parent in enumerate(self.parents):
            p, counts = self.marginals[j].expand(len(x), -1), self.counts[j]
            if counts is not None:
                table = counts + (self.pseudo if pseudo is None else pseudo) * self.marginals[j]
                p = (table / table.sum(1, keepdim=True))[codes_of(self.columns[parent], x[:, parent])]
            terms.append(self.numbers.cell(j, p).log_prob(x[:, j]))
        return torch.stack(terms, 1)


def joint(a: Tensor, b: Tensor, rows: int, columns: int) -> Tensor:
    """Counts [rows, columns] of pairs of codes."""
    return torch.bincount(a * columns + b, minlength=rows * columns).double().reshape(rows, columns)


def chow_liu(codes: Sequence[Tensor], sizes: Sequence[int]) -> list[int]:
    """Parent of every column in the maximum spanning tree of the mutual information; −1 at its root.

    What n rows of independent columns would show by chance is taken off (Miller 1955).
    """
    m, n = len(codes), len(codes[0])
    weight = np.zeros((m, m))
    for a in range(m):
        for b in range(a + 1, m):
            p = joint(codes[a], codes[b], sizes[a], sizes[b]).numpy() / n
            rows, columns = p.sum(1, keepdims=True), p.sum(0, keepdims=True)
            information = (p[p > 0] * np.log(p[p > 0] / (rows * columns)[p > 0])).sum()
            chance = ((p > 0).sum() - (rows > 0).sum() - (columns > 0).sum() + 1) / (2 * n)
            weight[a, b] = information - chance
    tree = minimum_spanning_tree(np.triu(weight.max() + 1 - weight, 1))  # 0 would be no edge
    _, parents = breadth_first_order(tree, 0, directed=False)
    return [int(max(parent, -1)) for parent in parents]
