"""Fixed-point sampling on conditionals written by hand, and against ancestral sampling of random tables."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ptheta.distributions import Categorical
from ptheta.sampling import Warp, ancestral, fixed_point, uniforms

WARPS = [
    Warp(),
    Warp(temperature=0.6),
    Warp(temperature=0.0),
    Warp(top_k=2),
    Warp(top_p=0.7),
    Warp(min_p=0.4),
    Warp(1.4, 3, 0.9, 0.1),
]


def noise(n: int, m: int, seed: int = 0) -> Tensor:
    return uniforms(n, m, 1, generator=torch.Generator().manual_seed(seed))


def open_prefix(n: int) -> Tensor:
    return torch.zeros(n, 0, dtype=torch.long)


def certain(values: Tensor, levels: int = 2) -> Categorical:
    """Conditionals that leave no choice."""
    return Categorical(torch.nn.functional.one_hot(values, levels).double().log())


class Recorded:
    """Conditionals [b, m] of values [b, m], and a record of what was asked."""

    def __init__(self, conditionals: Callable[[Tensor, Tensor], Categorical]):
        self.conditionals = conditionals
        self.rows: list[list[int]] = []
        self.first: list[int] = []

    def __call__(self, z: Tensor, rows: Tensor, first: int) -> Categorical:
        self.rows.append(rows.tolist())
        self.first.append(first)
        return self.conditionals(z, rows)[:, first:]


class Tables:
    """p(x_j | x_<j) of m values of K levels: a random table with one row for each past, alone for each of n events."""

    def __init__(self, n: int, m: int, levels: int, certainty: float = 1.0, seed: int = 0):
        g = torch.Generator().manual_seed(seed)
        self.m, self.levels, self.place = m, levels, levels ** torch.arange(m)
        shape = (n, m, levels ** (m - 1), levels)
        self.logits = certainty * torch.randn(shape, generator=g, dtype=torch.float64)

    def at(self, z: Tensor, rows: Tensor, j: int) -> Tensor:
        return self.logits[rows, j, (z[:, :j] * self.place[:j]).sum(1)]

    def __call__(self, z: Tensor, rows: Tensor) -> Categorical:
        return Categorical(torch.stack([self.at(z, rows, j) for j in range(self.m)], 1))

    def decoder(self) -> TableDecoder:
        return TableDecoder(self)


class TableDecoder:
    def __init__(self, tables: Tables):
        self.tables, self.rows = tables, torch.arange(len(tables.logits))
        self.z = torch.zeros(len(self.rows), 0, dtype=torch.long)

    def step(self, previous: Tensor | None) -> Categorical:
        if previous is not None:
            self.z = torch.cat([self.z, previous.long()[:, None]], 1)
        return Categorical(self.tables.at(self.z, self.rows, self.z.shape[1]))

    def settled(self, previous):
        return None

    def prefill(self, values: Tensor) -> Categorical:
        self.z = values.long()
        return Categorical(self.tables.at(self.z, self.rows, self.z.shape[1]))


def copy_from(lag: int) -> Callable[[Tensor, Tensor], Categorical]:
    """x_j = x_{j − lag}, and 1 where there is none: all ones is the only event."""

    def conditionals(z: Tensor, rows: Tensor) -> Categorical:
        return certain(torch.cat([torch.ones_like(z[:, :lag]), z[:, :-lag]], 1)[:, : z.shape[1]])

    return conditionals


# The number of passes


@pytest.mark.parametrize("m", [1, 2, 9])
def test_independent_dimensions_take_one_pass_and_one_that_confirms(m: int):
    logits = torch.randn(m, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    asked = Recorded(lambda z, rows: Categorical(logits.expand(len(z), m, 4)))
    u = noise(50, m)
    x, passes = fixed_point(asked, u, open_prefix(50))
    assert torch.equal(x, Categorical(logits.expand(50, m, 4)).sample(u))
    assert passes == len(asked.first) == min(2, m)


def test_a_start_that_is_right_takes_one_pass():
    x, passes = fixed_point(Recorded(lambda z, rows: certain(torch.zeros_like(z))), noise(5, 8), open_prefix(5))
    assert (x.abs().max(), passes) == (0, 1)


@pytest.mark.parametrize("m", [1, 2, 3, 12])
def test_a_chain_that_copies_its_predecessor_takes_a_pass_for_every_dimension(m: int):
    asked = Recorded(copy_from(1))
    x, passes = fixed_point(asked, noise(3, m), open_prefix(3))
    assert torch.equal(x, torch.ones(3, m).long())
    assert passes == m
    assert asked.first == list(range(m))


@pytest.mark.parametrize("lag", [2, 3, 5, 12, 20])
def test_copies_from_further_back_take_fewer_passes(lag: int):
    """Each pass sets `lag` more values right; one more confirms them, unless the last pass set only the last value."""
    m = 12
    x, passes = fixed_point(Recorded(copy_from(lag)), noise(3, m), open_prefix(3))
    assert torch.equal(x, torch.ones(3, m).long())
    assert passes == math.ceil(m / lag) + (m % lag != 1)


@pytest.mark.parametrize("kept", range(6))
def test_a_prefix_saves_the_passes_of_its_dimensions(kept: int):
    asked = Recorded(copy_from(1))
    x, passes = fixed_point(asked, noise(3, 6), torch.ones(3, kept).long())
    assert torch.equal(x, torch.ones(3, 6).long())
    assert passes == 6 - kept
    assert asked.first == list(range(kept, 6))


def test_never_more_passes_than_open_dimensions():
    for seed in range(20):
        tables = Tables(4, 5, 3, certainty=4, seed=seed)
        assert fixed_point(Recorded(tables), noise(4, 5, seed), open_prefix(4))[1] <= 5
        assert fixed_point(Recorded(tables), noise(4, 5, seed), torch.ones(4, 3).long())[1] <= 2


# The events


@pytest.mark.parametrize("warp", WARPS, ids=str)
@pytest.mark.parametrize("kept", [0, 1, 3, 5])
@pytest.mark.parametrize("certainty", [0.3, 3.0])
def test_the_same_noise_gives_the_events_of_ancestral_sampling(warp: Warp, kept: int, certainty: float):
    n, m, levels = 40, 6, 4
    tables, u = Tables(n, m, levels, certainty), noise(n, m)
    prefix = torch.randint(levels, (n, kept), generator=torch.Generator().manual_seed(2))
    x, _ = fixed_point(Recorded(tables), u, prefix, warp)
    assert torch.equal(x, ancestral(tables.decoder(), u, prefix, warp))
    assert torch.equal(x[:, :kept], prefix)


def test_events_are_drawn_alike_alone_and_together():
    tables, u = Tables(12, 5, 3), noise(12, 5)
    together, _ = fixed_point(Recorded(tables), u, open_prefix(12))
    for i in range(12):
        asked = Recorded(lambda z, rows, i=i: tables(z, rows + i))
        alone, _ = fixed_point(asked, u[i : i + 1], open_prefix(1))
        assert torch.equal(alone[0], together[i])


def test_no_events_ask_nothing():
    asked = Recorded(copy_from(1))
    x, passes = fixed_point(asked, noise(0, 4), open_prefix(0))
    assert (tuple(x.shape), passes, asked.rows) == ((0, 4), 0, [])


def test_whole_events_ask_nothing():
    asked = Recorded(copy_from(1))
    whole = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1]])
    x, passes = fixed_point(asked, noise(2, 4), whole)
    assert torch.equal(x, whole)
    assert passes == 0
    assert asked.rows == []


# What is asked


def test_finished_events_leave_the_batch():
    """Event i copies its predecessor up to dimension i only, so that it takes i + 1 passes, and one that confirms."""
    n, m = 5, 7

    def conditionals(z: Tensor, rows: Tensor) -> Categorical:
        copied = torch.cat([torch.ones_like(z[:, :1]), z[:, :-1]], 1)
        return certain(torch.where(torch.arange(m) <= rows[:, None], copied, 0))

    asked = Recorded(conditionals)
    x, passes = fixed_point(asked, noise(n, m), open_prefix(n))
    assert torch.equal(x, (torch.arange(m) <= torch.arange(n)[:, None]).long())
    assert passes == n + 1
    assert asked.rows == [list(range(max(0, p - 1), n)) for p in range(n + 1)]


def test_passes_begin_at_the_first_dimension_open_in_any_event():
    """Event 0 takes a pass for each dimension; event 1 is right from the start and then leaves."""

    def conditionals(z: Tensor, rows: Tensor) -> Categorical:
        copied = torch.cat([torch.ones_like(z[:, :1]), z[:, :-1]], 1)
        return certain(copied * (rows[:, None] == 0))

    asked = Recorded(conditionals)
    x, _ = fixed_point(asked, noise(2, 4), open_prefix(2))
    assert x.tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
    assert asked.first == [0, 1, 2, 3]
    assert asked.rows == [[0, 1], [0], [0], [0]]


def test_the_slower_event_says_where_passes_begin():
    """Event 1 is final up to dimension 3 after one pass, event 0 up to dimension 1."""

    def conditionals(z: Tensor, rows: Tensor) -> Categorical:
        step = torch.arange(6)
        first_one = torch.where(rows == 0, 0, 3)[:, None]
        copied = torch.cat([torch.zeros_like(z[:, :1]), z[:, :-1]], 1)
        return certain(torch.where(step == first_one, 1, copied))

    asked = Recorded(conditionals)
    x, passes = fixed_point(asked, noise(2, 6), open_prefix(2))
    assert x.tolist() == [[1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]]
    assert asked.first == [0, 1, 2, 3, 4, 5]
    assert asked.rows == [[0, 1]] * 3 + [[0]] * 3
    assert passes == 6


def test_each_pass_sees_the_values_of_the_one_before():
    seen = []

    def conditionals(z: Tensor, rows: Tensor) -> Categorical:
        seen.append(z.tolist())
        return copy_from(1)(z, rows)

    fixed_point(Recorded(conditionals), noise(1, 3), open_prefix(1))
    assert seen == [[[0, 0, 0]], [[1, 0, 0]], [[1, 1, 0]]]


# What is final stays


def test_final_values_never_change_even_if_conditionals_would_answer_otherwise():
    """From the second pass on, the conditionals say 2 everywhere; what was final by then keeps its value.

    After the first pass event 0 is final up to its first 1, at dimension 0, and event 1 up to dimension 2, so a pass
    that begins at dimension 1 also asks for final values of event 1.
    """
    first_answers = torch.tensor([[1, 0, 0, 1, 0], [0, 0, 1, 0, 1]])
    asked = Recorded(
        lambda z, rows: certain(first_answers[rows] if len(asked.first) == 1 else torch.full_like(z, 2), levels=3)
    )
    x, passes = fixed_point(asked, noise(2, 5), open_prefix(2))
    assert x.tolist() == [[1, 2, 2, 2, 2], [0, 0, 1, 2, 2]]
    assert asked.first[:2] == [0, 1]
    assert passes == 3


def test_a_prefix_never_changes():
    prefix = torch.tensor([[2, 0], [1, 2]])
    x, _ = fixed_point(Recorded(lambda z, rows: certain(torch.zeros_like(z), levels=3)), noise(2, 4), prefix)
    assert torch.equal(x, torch.cat([prefix, torch.zeros(2, 2).long()], 1))


def test_conditionals_that_never_agree_with_themselves_still_end():
    """One dimension more is final after every pass, whatever it says: rounding cannot make sampling hang."""
    asked = Recorded(lambda z, rows: certain(1 - z))
    _, passes = fixed_point(asked, noise(3, 8), open_prefix(3))
    assert passes == 8
