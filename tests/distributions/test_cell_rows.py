"""Codes of cells, rows of cells and the scales of their columns."""

import numpy as np
import pytest
import torch
from test_cells import NAN, cell, many

from ptheta.distributions import Row, Scale, codes_of
from ptheta.spaces import Column, Table

# Codes, rows, scales


def test_codes():
    def codes(column, values):
        return codes_of(column, torch.tensor(values, dtype=torch.float64)).tolist()

    assert codes(Column("a", 3, missing=True), [0, 2, NAN]) == [0, 2, 3]
    assert codes(Column("a", per=1), [5, -3]) == [0, 0]
    assert codes(Column("a", atoms=(-1.0, 0.0, 4.0), missing=True), [-1, -0.0, 4, 5, -9, 3.999, NAN]) == [
        0,
        1,
        2,
        4,
        4,
        4,
        3,
    ]
    near = float(np.float32(0.7))
    assert codes(Column("a", per=10, atoms=(0.7,)), [near, 0.7, 0.8]) == [0, 0, 1]
    assert codes(Column("a", atoms=(0.7,)), [near, 0.7]) == [1, 0]


def test_a_row_is_its_cells():
    columns = (Column("a", 2), Column("b", per=1, missing=True), Column("c"))
    cells = [many(cell(column), 3) for column in columns]
    row = Row(cells)
    x = torch.tensor([[0, 3, 0.5], [1, NAN, -2], [1, 0, 9]], dtype=torch.float64)
    assert row.batch_shape == (3, 3)
    found = row.log_prob(x)
    for t, one in enumerate(cells):
        assert torch.equal(found[:, t], one.log_prob(x[:, t]))
    for part in ((slice(1, None), slice(1, None)), (slice(None), 2)):  # scalar and vector code round differently
        torch.testing.assert_close(row[part].log_prob(x[part]), found[part], rtol=1e-14, atol=0)
    noise = torch.rand(3, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = row.sample(noise)
    Table(columns).validate(drawn)
    torch.testing.assert_close(drawn[:, 2], cells[2].sample(noise[:, 2]), rtol=1e-14, atol=0)


def test_a_scale_is_robust_invertible_and_stays_in_float64():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(4_000, generator=g, dtype=torch.float64) * 3 + 1e9
    x[:20] = 1e15
    scale = Scale([Column("a"), Column("b")])
    scale.fit(0, x)
    assert float(scale.centre[0]) == pytest.approx(1e9, abs=0.3)
    assert float(scale.width[0]) == pytest.approx(3, rel=0.1)
    assert torch.equal(scale.width[1:], torch.ones(1).double())
    y = scale(x[20:], 0)
    assert torch.allclose(scale.inverse(y, 0), x[20:], rtol=0, atol=1e-5)
    all_y = scale(x, 0)
    assert float(all_y.mean()) == pytest.approx(0, abs=1e-9)
    assert float(all_y.std(unbiased=False)) == pytest.approx(1)
    h = 1e-2
    slope = (scale(x[20:25] + h, 0) - scale(x[20:25] - h, 0)) / (2 * h)
    assert torch.allclose(scale.log_slope(x[20:25], 0).exp(), slope, rtol=1e-3)
    assert scale.to(torch.float32).centre.dtype == torch.float64
    assert scale.half().unit.dtype == torch.float64


@pytest.mark.parametrize(
    "values",
    [
        [],
        [5.0],
        [5.0, 5.0],
        [0.0] * 9 + [7.0],
        [-1e300, 0.0, 1e300],
        [-1.5e308, 1.5e308, 0.0, 1.0],
        [-0.95e308, -0.95e308, 0.0, 0.95e308, 0.95e308],
        [1e12, 1e12 + 1],
        [5e-324, 0.0],
    ],
)
def test_a_scale_of_few_constant_or_extreme_values_is_finite(values):
    scale = Scale([Column("a")])
    x = torch.tensor(values, dtype=torch.float64)
    scale.fit(0, x)
    for buffer in (scale.centre, scale.width, scale.shift, scale.unit):
        assert bool(buffer.isfinite().all())
    assert float(scale.width[0]) > 0
    assert float(scale.unit[0]) > 0
    if len(values):
        assert bool(scale(x, 0).isfinite().all())
        assert bool(scale.log_slope(x, 0).isfinite().all())


def test_a_scale_of_a_spike_is_that_of_the_other_values():
    x = torch.cat([torch.zeros(900), torch.randn(100, generator=torch.Generator().manual_seed(0)) * 50]).double()
    scale = Scale([Column("a")])
    scale.fit(0, x)
    assert 20 < float(scale.width[0]) < 60
