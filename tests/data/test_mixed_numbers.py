"""Which numbers of a column are a grid, an atom, a category or have a density."""

import math

import numpy as np
import pytest
import torch
from test_mixed import N, found, rng

from ptheta.errors import SourceError
from ptheta.spaces import Column
from ptheta.values import shortest


def grid_of(values, kind="double"):
    column = found(values, kind)
    assert column["values"] is None
    return column["per"], column["offset"]


@pytest.mark.parametrize(
    ("values", "per"),
    [
        (rng().integers(0, 90, N), 1),
        (rng().integers(-90, 90, N) / 4, 4),
        (rng().integers(0, 300, N) / 10, 10),
        (rng().integers(0, 500, N) / 100, 100),
        (rng().integers(30_000, 30_400, N) / 100, 100),
        (rng().integers(10**9, 10**9 + 400, N) / 100, 100),
        (rng().integers(0, 500, N) / 10**6, 10**6),
        (rng().integers(-200, 200, N) / 20, 20),
    ],
)
def test_rounded_numbers_lie_on_the_coarsest_grid(values, per):
    assert grid_of(values) == (per, 0.0)
    x = torch.from_numpy(values.astype(np.float64))
    assert not bool(Column("a", per=per).wrong(x).any())


@pytest.mark.parametrize("per", [1, 4, 10, 100])
def test_rounded_float32_numbers_and_centred_ones_are_found(per):
    values = (rng().integers(0, 70 * per, N) / per).astype(np.float32)[: N if per < 100 else None]
    values = np.concatenate([values] * 10)
    assert grid_of(values, "float") == (per, 0.0)
    centred = (values - values.mean(dtype=np.float32)).astype(np.float32)
    column = found(centred, "float")
    assert column["per"] == per
    assert column["offset"] in shortest(centred)
    cell = Column("a", per=per, offset=column["offset"])
    assert not bool(cell.wrong(torch.from_numpy(centred.astype(np.float64))).any())


def test_numbers_that_arithmetic_left_beside_their_grid_are_found():
    values = np.repeat(rng().integers(0, 900, 300), 5) * 0.1 + rng().integers(0, 9, 1_500) * 0.1
    assert len(np.unique(values)) > 1.15 * len(np.unique(np.round(values, 1)))
    assert grid_of(values) == (10, 0.0)


def test_no_grid_is_found_where_there_is_none():
    g = rng()
    for values in (
        np.repeat(g.normal(size=300), 5),
        np.repeat(g.random(300) * 1e-9, 5),
        np.repeat(np.concatenate([g.random(300) * 1e-6, g.integers(0, 1_000, 300)]), 5),
        np.repeat(g.normal(size=300) * 1e17, 5),
    ):
        assert grid_of(values) == (0, 0.0)
    assert grid_of(np.repeat(np.round(g.normal(size=300) * 1e3) * 1e17, 5)) == (0, 0.0)  # float64 is coarser than 1


def test_mostly_different_reals_have_a_density_and_nothing_else():
    nothing = {"values": None, "missing": False, "per": 0, "offset": 0.0, "low": None, "atoms": []}
    values = rng().normal(size=N)
    seen = {"seen": [values.min(), values.max()]}
    assert found(values) == {"name": "a", "type": "double", "resolution": "double"} | seen | nothing
    assert found(rng().random(N))["low"] == 0.0
    assert found(rng().random(N) - 1e-9 - rng().random(N).min())["low"] is None


def test_whole_numbers_are_on_their_grid_even_if_all_differ():
    assert grid_of(np.arange(5_000), "int64") == (1, 0.0)
    assert found(np.arange(5_000), "int64")["atoms"] == []


@pytest.mark.parametrize("part", [0.3, 0.05, 0.02])
def test_a_spike_beside_continuous_values_is_an_atom(part):
    g = rng()
    values = np.where(g.random(N) < part, 0.0, g.normal(size=N) ** 2)
    column = found(values)
    assert (column["per"], column["atoms"], column["low"]) == (0, [0.0], 0.0)
    both = np.where(g.random(N) < part, 99.5, values)
    assert found(both)["atoms"] == [0.0, 99.5]


def test_negative_zero_is_zero():
    column = found(np.where(np.arange(N) % 3 == 0, -0.0, rng().random(N)))
    assert column["atoms"] == [0.0]
    assert math.copysign(1, column["atoms"][0]) == 1
    assert column["low"] == 0.0
    assert math.copysign(1, found([-0.0, 1.0] * 50)["values"][0]) == 1


def test_few_values_are_a_category_of_their_own_type():
    assert found([0.25, 0.5, 0.25] * 40)["values"] == [0.25, 0.5]
    whole = found([3.0, math.nan, 1.0] * 40)  # whole numbers with gaps, as CSV files give them
    assert whole["values"] == [1, 3]
    assert [type(v) for v in whole["values"]] == [int, int]
    assert whole["missing"]
    assert found([7.5] * 40)["values"] == [7.5]
    assert found(range(10), "int64")["values"] is None  # each but once


def test_one_value_is_a_number_and_none_is_refused():
    assert grid_of([3.0], "int64") == (1, 0.0)
    assert grid_of([3.5]) == (0, 0.0)
    with pytest.raises(SourceError, match="'a' has no value in any row"):
        found([math.nan] * 5)


def test_atoms_of_a_heavily_repeated_grid_are_bounded_and_sorted():
    values = np.repeat(np.arange(3_000), 12)
    column = found(values, "int64")
    assert column["per"] == 1
    assert len(column["atoms"]) <= 1_024
    assert column["atoms"] == sorted(column["atoms"])
    ages = found(np.concatenate([rng().integers(0, 80, N), [99]]), "int64")
    assert 99.0 not in ages["atoms"]  # once is chance
    assert len(ages["atoms"]) > 60
