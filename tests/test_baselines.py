"""The simple densities of tables sum to one, and are what their names promise."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

import ptheta
from ptheta.data import Split
from ptheta.evaluation import baselines as simple
from ptheta.evaluation.baselines import CountedTable, Gaussians, Numbers, as_table, baselines, chow_liu, joint
from ptheta.spaces import Column, Discrete, Image, Real, Table

KINDS = Table(
    (
        Column("kind", 3),
        Column("count", per=1, low=0.0, atoms=(0.0, 4.0), missing=True),
        Column("size", atoms=(1.0,), low=-2.0),
        Column("left", 2, missing=True),
    )
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(simple, "STEPS", 30)


@pytest.fixture(scope="module")
def rows():
    """Dependent rows of that table."""
    g = np.random.default_rng(0)
    kind = g.integers(0, 3, 600)
    count = np.where(g.random(600) < 0.3, g.choice([0, 4], 600), g.poisson(3 + 3 * kind))
    size = np.where(g.random(600) < 0.2, 1.0, np.maximum(-2, g.normal(kind, 1)))
    left = np.where(g.random(600) < 0.1, np.nan, (size > 1) * 1.0)
    return torch.from_numpy(np.stack([kind, np.where(g.random(600) < 0.1, np.nan, count), size, left], 1)).double()


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize("ranges", [1, 5])
def test_mass_and_density_of_all_rows_are_one(tree, ranges, rows):
    found = CountedTable(Numbers(KINDS, rows), rows[:400], rows[400:], tree, (ranges,))
    counts = [*range(400), math.nan]
    sizes = np.linspace(-2, 40, 20_001)[1:]  # beyond, next to nothing
    with torch.no_grad():
        for kind, left in ((0, 0.0), (2, math.nan)):
            of_column = found.log_prob_per_column
            count_rows = torch.tensor([[kind, c, 1.0, left] for c in counts]).double()
            size_rows = torch.tensor([[kind, 2.0, s, left] for s in [*sizes, 1.0]]).double()
            assert float(of_column(count_rows)[:, 1].exp().sum()) == pytest.approx(1, abs=2e-3)
            p = of_column(size_rows)[:, 2].exp().numpy()
            assert np.trapezoid(p[:-1], sizes) + p[-1] == pytest.approx(1, abs=0.01)


def test_the_probabilities_of_a_table_of_categories_sum_to_one_and_a_tree_knows_more():
    g = np.random.default_rng(1)
    a = g.integers(0, 3, 400)
    x = np.stack([a, (a + (g.random(400) < 0.1)) % 3, g.integers(0, 2, 400)], 1)
    space = as_table(Discrete((3,), 3, (3, 3, 2)))
    train = torch.from_numpy(x).double()
    every = torch.tensor(list(itertools.product(range(3), range(3), range(2)))).double()
    alone, tree = (CountedTable(Numbers(space, train), train[:300], train[300:], t) for t in (False, True))
    for model in (alone, tree):
        assert float(model.log_prob(every).exp().sum()) == pytest.approx(1)
    counts = np.stack([np.bincount(x[:300, j], minlength=3) for j in range(2)])
    truth = np.log((counts + 0.5) / (300 + 1.5))
    np.testing.assert_allclose(alone.log_prob_per_column(every)[0, :2], truth[:, 0])
    assert float(tree.log_prob(train[300:]).mean()) > float(alone.log_prob(train[300:]).mean()) + 0.5
    assert (alone.parameters, tree.parameters) == (2 + 2 + 1, 2 + 3 * 2 + 3 * 1)


def test_the_tree_is_the_best_of_all_trees():
    g = np.random.default_rng(2)
    a = g.integers(0, 4, 500)
    b, d = (a + g.integers(0, 2, 500)) % 4, g.integers(0, 4, 500)
    columns = [a, b, (b + g.integers(0, 3, 500)) % 4, np.where(g.random(500) < 0.5, d, a)]
    codes = [torch.from_numpy(c) for c in columns]

    def information(i, j):
        p = joint(codes[i], codes[j], 4, 4).numpy() / 500
        rest = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
        return (p[p > 0] * np.log(p[p > 0] / rest[p > 0])).sum()

    pairs = list(itertools.combinations(range(4), 2))
    trees = [t for t in itertools.combinations(pairs, 3) if len(set(sum(t, ()))) == 4 and _connected(t)]
    assert len(trees) == 16, "Cayley"
    best = max(trees, key=lambda tree: sum(information(*pair) for pair in tree))
    parents = chow_liu(codes, [4] * 4)
    assert {tuple(sorted((j, p))) for j, p in enumerate(parents) if p >= 0} == set(best)


def _connected(pairs):
    reached = {0}
    for _ in pairs:
        reached |= {node for pair in pairs if reached & set(pair) for node in pair}
    return len(reached) == 4


def test_one_gaussian_is_the_normal_density_of_its_moments(monkeypatch):
    monkeypatch.setattr(simple, "GAUSSIANS", (1,))
    g = np.random.default_rng(3)
    x = g.normal(size=(2000, 2)) @ np.array([[3.0, 1.0], [0.0, 40.0]]) + [7, -100]
    found = Gaussians(torch.from_numpy(x), torch.from_numpy(x))
    truth = multivariate_normal(x.mean(0), np.cov(x.T, bias=True)).logpdf(x[:50])
    np.testing.assert_allclose(found.log_prob(torch.from_numpy(x[:50])), truth, atol=2e-3)
    assert found.parameters == 2 + 3


@pytest.mark.parametrize(
    ("space", "names"),
    [
        (KINDS, ["independent columns", "Chow–Liu tree"]),
        (Real((3,)), ["independent columns", "Chow–Liu tree", "Gaussian mixture"]),
        (Discrete((3,), 4), ["independent columns", "Chow–Liu tree"]),
        (Image(2, 2, levels=3), []),
        (Discrete((500,), 2), []),
    ],
)
def test_every_table_has_baselines_on_the_events_that_are_scored(space, names, rows):
    g = np.random.default_rng(0)
    x = rows.numpy() if space is KINDS else g.integers(0, 2, (60, *space.shape))
    x = g.normal(size=(60, 3)) if isinstance(space, Real) else x
    data = ptheta.Data("x", "x", space, None, None, {"train": Split(x), "test": Split(x[:20])}, [], {}, "")
    found = baselines(data, data.splits["test"])
    assert [one.name for one in found] == names
    assert all(one.score.n == 20 and math.isfinite(one.score.value) for one in found)
