"""The full joint table and the point masses, against brute force over all events."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch

from ptheta.errors import ContextError, DensityError, SpaceError, UsageError
from ptheta.models.counting import histogram as histogram_module
from ptheta.models.counting.empirical import Empirical
from ptheta.models.counting.histogram import Histogram
from ptheta.spaces import Discrete, Image, Label, Real, Sequence

MNIST = Image(28, 28, levels=2)


def pictures(n: int, space: Image, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, space.levels, (n, *space.shape), generator=g)


# Histogram


@pytest.mark.parametrize("concentration", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("sizes", [(3, 3, 3), (2, 4, 1, 3)])
def test_the_table_is_smoothed_relative_frequency(sizes, concentration):
    space = Discrete((len(sizes),), max(sizes), None if len(set(sizes)) == 1 else sizes)
    x = [
        tuple(int(k * u**2) for k, u in zip(sizes, row))
        for row in torch.rand(30, len(sizes), generator=torch.Generator().manual_seed(0)).tolist()
    ]
    model = Histogram(space, concentration=concentration)
    model.observe(torch.tensor(x))
    table, seen, cells = model.table(), Counter(x), math.prod(sizes)
    assert table.shape == sizes
    for event in itertools.product(*map(range, sizes)):
        p = (seen[event] + concentration / cells) / (len(x) + concentration)
        assert table[event].item() == pytest.approx(p, abs=1e-14)


def test_the_table_of_a_labelled_histogram_has_the_label_first():
    space, y = Image(1, 2, 3, levels=2), torch.arange(20) % 2
    x = pictures(20, space)
    both = Histogram(space, Label(("a", "b")))
    both.observe(x, y)
    for label in (0, 1):
        alone = Histogram(space)
        alone.observe(x[y == label])
        assert torch.allclose(both.table()[label], alone.table(), rtol=0, atol=1e-14)
        assert both.table()[label][tuple(x[0].reshape(-1))].log().item() == pytest.approx(
            both.log_prob(x[:1], [label]).item()
        )


@pytest.mark.parametrize("space", [MNIST, Image(8, 8, levels=17), Image(9, 9, 3, levels=256), Sequence(30, 1000)])
@pytest.mark.parametrize("concentration", [0.0, 1.0])
def test_the_joint_is_the_product_of_its_conditionals_however_many_cells(space, concentration):
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, space.levels, (40, *space.shape), generator=g)
    near = x[:5].clone()
    near.reshape(5, -1)[:, -1] = (near.reshape(5, -1)[:, -1] + 1) % space.levels
    model = Histogram(space, concentration=concentration)
    model.observe(torch.cat([x, x[:3]]))
    x = torch.cat([x[:5], near, x[:2] * 0])
    direct, product = model.log_prob(x), model.log_prob_per_dimension(x).reshape(len(x), -1).sum(1)
    assert not direct.isnan().any()
    assert torch.allclose(direct, product, rtol=1e-12, atol=1e-9)
    cells = space.event_count
    expected = math.log(2 / 43) if not concentration else math.log(2 + 1 / cells) - math.log(44)
    assert direct[0].item() == pytest.approx(expected, abs=1e-12)
    expected = -math.inf if not concentration else -math.log(44) - math.log(cells)
    assert direct[5].item() == pytest.approx(expected, abs=1e-9)


def test_the_full_joint_has_two_to_the_784_minus_1_parameters():
    assert Histogram(MNIST).free_parameters == 2**784 - 1
    assert Histogram(MNIST, Label(("a", "b", "c"))).free_parameters == 3 * (2**784 - 1)
    assert Histogram(Discrete((3,), 4, (4, 3, 2))).free_parameters == 23


def test_a_table_too_long_to_write_is_refused_with_its_length():
    with pytest.raises(DensityError, match=r"5\.607e78 cells.*log_prob"):
        Histogram(Image(8, 8, levels=17)).table()
    with pytest.raises(DensityError, match="8,388,608 cells"):
        Histogram(Discrete((23,), 2)).table()


def test_merging_often_or_seldom_gives_the_same_store(monkeypatch):
    x = torch.randint(0, 3, (500, 4), generator=torch.Generator().manual_seed(0))
    states = []
    for pending in (1, 10, 10**6):
        monkeypatch.setattr(histogram_module, "PENDING", pending)
        model = Histogram(Discrete((4,), 3))
        for batch in x.split(7):
            model.observe(batch)
        states.append(model.state_dict())
    distinct = x.unique(dim=0, return_counts=True)
    for state in states:
        assert torch.equal(state["rows"][:, 1:].long(), distinct[0])
        assert torch.equal(state["counts"], distinct[1])


def test_levels_above_a_byte_keep_their_order():
    model = Histogram(Sequence(2, 70_000), concentration=0)
    x = torch.tensor([[256, 1], [1, 256], [69_999, 0], [1, 256], [255, 65_536]])
    model.observe(x)
    model.finish()
    assert model.rows[:, 1:].tolist() == [[1, 256], [255, 65_536], [256, 1], [69_999, 0]]
    assert model.log_prob(x).exp().tolist() == pytest.approx([0.2, 0.4, 0.2, 0.4, 0.2])


def test_256_labels_are_told_apart():
    names = Label(tuple(map(str, range(256))))
    model = Histogram(Discrete((1,), 2), names, concentration=0)
    model.observe(torch.tensor([[0], [1]]), torch.tensor([255, 254]))
    assert model.log_prob([[0], [0]], [255, 254]).exp().tolist() == [1, 0]
    assert model.log_prob_per_dimension([[0], [0]], [255, 254]).exp().reshape(-1).tolist() == [1, 0]


def test_a_histogram_of_nothing_is_uniform():
    for concentration in (0.0, 1.0):
        model = Histogram(Discrete((2,), 3), concentration=concentration)
        assert model.log_prob([[0, 1]]).item() == pytest.approx(-math.log(9))
        assert model.sample(5, seed=0).shape == (5, 2)


@pytest.mark.parametrize("concentration", [-1.0, math.inf, math.nan])
def test_impossible_concentrations_are_refused(concentration):
    with pytest.raises(UsageError):
        Histogram(Discrete((2,), 2), concentration=concentration)


# Empirical


def test_point_masses_sample_only_training_events_in_their_proportions():
    space = Image(5, 5, levels=2)
    x = pictures(40, space)
    model = Empirical(space)
    model.observe(torch.cat([x, x[:1].repeat(40, 1, 1, 1)]))
    drawn = model.sample(2000, seed=0)
    assert model.is_copy(drawn).all()
    assert abs((drawn == x[0]).flatten(1).all(1).double().mean().item() - 41 / 80) < 0.05
    assert model.free_parameters == 39
    assert model.log_prob(x[:2]).exp().tolist() == pytest.approx([41 / 80, 1 / 80])
    assert (model.log_prob(pictures(9, space, seed=1)) == -math.inf).all()


@pytest.mark.parametrize("metric", ["hamming", "euclidean"])
def test_the_nearest_training_event_is_found(metric, monkeypatch):
    space = Image(3, 3, levels=5)
    stored, x = pictures(60, space), pictures(23, space, seed=1)
    model = Empirical(space, Label(("a", "b")))
    model.observe(stored, torch.arange(60) % 2)
    difference = (x[:, None] - stored[None]).flatten(2)
    expected = (difference != 0).sum(-1).double() if metric == "hamming" else difference.double().pow(2).sum(-1).sqrt()
    monkeypatch.setattr("ptheta.models.counting.empirical.COMPARISONS", 9 * 7 * 5)  # many small chunks
    event, distance = model.nearest(x, metric)
    assert distance.tolist() == pytest.approx(expected.min(1).values.tolist(), rel=1e-6)
    gap = (event - x).flatten(1)
    found = (gap != 0).sum(-1).double() if metric == "hamming" else gap.double().pow(2).sum(-1).sqrt()
    assert found.tolist() == pytest.approx(distance.tolist(), rel=1e-6)
    assert model.is_copy(event).all()


def test_a_copy_is_an_event_within_the_tolerance():
    space = Image(3, 3, levels=5)
    stored = pictures(10, space)
    changed = stored.clone()
    changed[:, 0, 0, :2] = (changed[:, 0, 0, :2] + 1) % 5
    model = Empirical(space)
    model.observe(stored)
    assert model.is_copy(stored).all()
    assert not model.is_copy(changed).any()
    assert not model.is_copy(changed, tolerance=1).any()
    assert model.is_copy(changed, tolerance=2).all()
    assert model.is_copy(stored[:0]).shape == (0,)
    assert model.nearest(stored[:0])[1].shape == (0,)


def test_point_masses_before_any_event_say_so():
    model = Empirical(Discrete((2,), 2))
    for act in (model.log_prob, model.nearest, model.is_copy):
        with pytest.raises(UsageError, match="no events"):
            act([[0, 1]])
    with pytest.raises(UsageError, match="no events"):
        model.sample(1, seed=0)


def test_a_label_without_events_is_named():
    model = Empirical(Discrete((2,), 2), Label(("cat", "dog")))
    model.observe(torch.tensor([[0, 1]]), torch.tensor([0]))
    with pytest.raises(ContextError, match="dog"):
        model.sample(1, ["dog"], seed=0)


def test_point_masses_have_no_density_on_real_vectors():
    with pytest.raises(SpaceError, match="density"):
        Empirical(Real((2,)))  # type: ignore[arg-type]


def test_an_unknown_metric_is_refused():
    with pytest.raises(UsageError, match="cosine"):
        Empirical(Discrete((2,), 2)).nearest([[0, 1]], "cosine")  # type: ignore[arg-type]
