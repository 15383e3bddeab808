"""Spaces of table rows: what a cell can be, and descriptions that cannot be."""

import json
import math

import numpy as np
import pytest
import torch

from ptheta.errors import SpaceError
from ptheta.spaces import Column, Space, Table
from ptheta.spaces.table import MOST_POINTS

TABLE = Table(
    (
        Column("kind", levels=3),
        Column("gap", levels=2, missing=True),
        Column("age", per=1, low=0.0, atoms=(0.0, 18.0)),
        Column("price", per=100, offset=0.005, missing=True),
        Column("size", low=-1.5, atoms=(2.5,)),
        Column("any"),
    )
)
ROW = [2.0, math.nan, 18.0, 0.995, -1.5, 1e300]


def test_a_table_says_what_it_holds():
    assert TABLE.shape == (6,)
    assert TABLE.dimensions == 6
    assert TABLE.names == ["kind", "gap", "age", "price", "size", "any"]
    assert TABLE.event_count is None
    assert not TABLE.is_discrete
    assert str(TABLE) == "Table(2 categories, 2 on a grid, 2 real; 2 with missing values)"
    assert Table(TABLE.columns[:2]).event_count == 3 * 3
    assert Table(TABLE.columns[:4]).is_discrete
    assert [c.codes for c in TABLE.columns] == [3, 3, 3, 2, 2, 1]
    assert [c.masses for c in TABLE.columns] == [3, 3, 2, 1, 1, 0]


def test_json_returns_the_same_table():
    assert Space.from_json(json.loads(json.dumps(TABLE.to_json()))) == TABLE


@pytest.mark.parametrize("kind", [lambda x: torch.tensor(x, dtype=torch.float64), np.array, list])
def test_rows_of_the_table_are_float64(kind):
    x = TABLE.validate(kind([ROW, ROW]))
    assert x.dtype == torch.float64
    assert x.shape == (2, 6)
    assert float(x[1, 5]) == 1e300


@pytest.mark.parametrize(
    ("j", "value", "said"),
    [
        (0, 3.0, "'kind' is one of the levels 0 to 2, not missing"),
        (0, -1.0, "'kind'"),
        (0, 0.5, "'kind'"),
        (0, math.nan, r"is missing, but column 'kind'"),
        (0, math.inf, "'kind'"),
        (1, 2.0, r"'gap' is one of the levels 0 to 1 or missing \(NaN\)"),
        (2, 1.5, "'age' is a whole number, at least 0, not missing"),
        (2, 1.01, "'age'"),
        (2, -1.0, "'age'"),
        (2, math.inf, "'age'"),
        (2, float(MOST_POINTS), "'age'"),
        (3, 0.5, r"'price' is a multiple of 1/100 beside 0\.005 or missing"),
        (3, -1e300, "'price'"),
        (4, -1.6, r"'size' is a real number, at least -1\.5, not missing"),
        (5, -math.inf, "'any' is a real number, not missing"),
        (5, math.nan, "'any'"),
    ],
)
def test_the_first_wrong_cell_is_named(j, value, said):
    rows = torch.tensor([ROW, ROW, ROW], dtype=torch.float64)
    rows[1:, j] = value
    with pytest.raises(SpaceError, match=rf"x\[1, {j}\].*{said}") as caught:
        TABLE.validate(rows)
    assert "\n" not in str(caught.value)


def test_float32_numbers_are_on_their_grid_and_halves_are_not():
    x = torch.tensor([0.1, 12.3, 999.9], dtype=torch.float32).double()
    assert not bool(Column("a", per=10).wrong(x).any())
    assert bool(Column("a", per=10).wrong(x + 0.01).all())


def test_the_filler_is_a_value_of_its_column():
    columns = [
        *TABLE.columns,
        Column("b", per=10, low=0.0, offset=0.07),
        Column("c", per=4, low=-0.3),
        Column("d", low=5.0),
    ]
    for column in columns:
        assert not bool(column.wrong(torch.tensor([column.filler], dtype=torch.float64)).any())


def test_points_and_values_are_inverse():
    column = Column("a", per=100, offset=0.005)
    k = torch.tensor([-(10.0**9), -1, 0, 7, 10**12], dtype=torch.float64)
    assert torch.equal(column.points(column.values(k)), k)


@pytest.mark.parametrize(
    "change",
    [
        {"levels": 2**40},
        {"levels": -1},
        {"levels": 2.5},
        {"levels": "2"},
        {"levels": True},
        {"levels": 3, "per": 1, "atoms": []},
        {"per": -1},
        {"per": 2**60},
        {"per": math.inf},
        {"per": 0.5},
        {"offset": math.nan},
        {"offset": "0"},
        {"low": math.nan},
        {"low": -math.inf},
        {"atoms": [3.0, 1.0]},
        {"atoms": [1.0, 1.0]},
        {"atoms": [math.nan]},
        {"atoms": [math.inf]},
        {"atoms": [0.5]},
        {"atoms": [-2.0]},
        {"atoms": [1.0, 1.0001]},
        {"atoms": "ab"},
        {"atoms": 5},
        {"missing": "yes"},
        {"missing": 1},
        {"name": 5},
        {"more": 1},
    ],
)
def test_edited_descriptions_are_refused(change):
    column = {"name": "a", "levels": 0, "per": 1, "offset": 0.0, "low": 0.0, "atoms": [1.0, 4.0], "missing": False}
    assert isinstance(Space.from_json({"kind": "table", "columns": [column]}), Table)
    with pytest.raises(SpaceError):
        Space.from_json({"kind": "table", "columns": [column | change]})
    with pytest.raises(SpaceError):
        Space.from_json({"kind": "table", "columns": [{k: v for k, v in column.items() if k != "per"}]})


@pytest.mark.parametrize("columns", [[], ["a"], [5], [None], 7, None, {"a": 1}])
def test_no_columns_are_no_table(columns):
    with pytest.raises(SpaceError):
        Space.from_json({"kind": "table", "columns": columns})
