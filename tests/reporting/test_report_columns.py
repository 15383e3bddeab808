"""Columns side by side: distances and associations against closed forms, scipy and scikit-learn."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ptheta.evaluation.samples import classifier_test
from ptheta.reporting.report.columns import (
    CELLS,
    Cells,
    association,
    correlation_ratio,
    cramers_v,
    marginal_distance,
    rank_correlation,
    ranks,
)


def column(*values):
    return pd.Series(values)


def test_total_variation_counts_values_missing_ones_and_those_never_seen():
    real = column("a", "a", "b", None)
    assert marginal_distance(real, real, real) == 0
    assert marginal_distance(real, real, column("a", "a", "b", "b")) == pytest.approx(0.25)
    assert marginal_distance(real, real, column("c", "d", "c", "d")) == 1
    assert marginal_distance(real, column("a", "b"), column("a", "a")) == pytest.approx(0.5)
    numbers = column(1.0, 2.0, 2.0, np.nan)
    assert marginal_distance(numbers, numbers, column(1.0, 2.0, 2.5, np.nan)) == pytest.approx(0.25)


def test_numbers_are_compared_in_ranges_of_equal_mass():
    g = np.random.default_rng(0)
    x = pd.Series(g.normal(size=20_000))
    shares = Cells.of(x).shares(x)
    assert len(shares) == CELLS + 2
    assert np.allclose(shares[:CELLS], 1 / CELLS, atol=1e-3)
    shifted = marginal_distance(x, x, pd.Series(g.normal(1.0, 1.0, size=20_000)))
    assert shifted == pytest.approx(2 * stats.norm.cdf(0.5) - 1, abs=0.02), "½ ∫ |p − q| of normals one apart"


def test_a_value_that_repeats_has_a_cell_of_its_own():
    g = np.random.default_rng(0)
    x = pd.Series(np.where(g.random(5000) < 0.6, 0.0, g.exponential(size=5000)))
    moved = x.where(x > 0, 1e-9)  # the spike lies elsewhere, in the same range
    assert Cells.of(x).shares(x).max() == pytest.approx((x == 0).mean())
    assert marginal_distance(x, x, moved) == pytest.approx((x == 0).mean())


def test_associations_are_those_of_scipy():
    g = np.random.default_rng(0)
    n = 300
    a = g.integers(0, 3, n)
    b = np.where(g.random(n) < 0.5, a, g.integers(0, 4, n))
    y = a + g.normal(size=n).round(1)
    table = pd.crosstab(a, b).to_numpy()
    plain = stats.contingency.association(table, method="cramer")
    phi2 = plain**2 * 2 - (3 - 1) * (4 - 1) / (n - 1)
    unbiased = math.sqrt(phi2 / min(3 - 4 / (n - 1) - 1, 4 - 9 / (n - 1) - 1))
    assert cramers_v(a, b) == pytest.approx(unbiased)
    z = stats.rankdata(y)
    assert np.array_equal(ranks(y), z)
    f = stats.f_oneway(*(z[a == k] for k in range(3))).statistic
    between = f * 2 / (n - 3)  # between / within
    assert correlation_ratio(y, a) == pytest.approx(math.sqrt(1 - (1 / (1 + between)) * (n - 1) / (n - 3)))
    assert rank_correlation(y, b.astype(float)) == pytest.approx(stats.spearmanr(y, b).statistic)


def test_what_is_independent_is_near_zero_and_what_is_determined_is_one():
    g = np.random.default_rng(1)
    a, b = g.integers(0, 20, 500), g.integers(0, 20, 500)
    assert cramers_v(a, b) < 0.15
    assert cramers_v(a, a) == pytest.approx(1)
    assert cramers_v(a, (a * 7) % 20) == pytest.approx(1)
    assert correlation_ratio(g.normal(size=500), a) < 0.2
    assert math.isnan(cramers_v(a, np.zeros(500, int)))
    assert math.isnan(rank_correlation(np.ones(5), np.arange(5.0)))
    assert math.isnan(correlation_ratio(np.full(3, np.nan), np.arange(3)))


def test_a_table_of_mixed_columns_with_missing_cells():
    g = np.random.default_rng(0)
    x = g.normal(size=400)
    frame = pd.DataFrame({"x": x, "minus": -x, "sign": np.where(x > 0, "up", "down"), "one": "same"})
    frame.loc[:9, "x"] = np.nan
    frame.loc[5:20, "sign"] = None
    found = association(frame, [True, True, False, False])
    assert np.allclose(found, found.T, equal_nan=True)
    assert found[0, 1] == pytest.approx(-1)
    assert found[0, 2] > 0.8
    assert np.isnan(found[3, :3]).all()
    assert found[0, 0] == 1


def test_the_classifier_tells_apart_what_can_be_told_apart():
    g = np.random.default_rng(0)
    a, same, other = g.normal(size=(200, 2)), g.normal(size=(200, 2)), g.normal(3, 1, size=(200, 2))
    area, error = classifier_test(a, same, 0)
    assert abs(area - 0.5) < 3 * error
    assert 0.02 < error < 0.04
    assert classifier_test(a, other, 0)[0] > 0.98
    assert classifier_test(a, same, 0)[0] == area
