"""Independent dimensions and Markov chains, against counting by hand."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch
from sklearn.datasets import load_digits

from ptheta.errors import UsageError
from ptheta.models.counting.tables import CHUNK, Independent, MarkovChain
from ptheta.spaces import Discrete, Image, Label, Sequence

MNIST = Image(28, 28, levels=2)


def events(n: int, sizes: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return (torch.rand(n, len(sizes), generator=g) ** 2 * torch.tensor(sizes)).long()


def chain_by_hand(rows: list[tuple[int, ...]], x: tuple[int, ...], sizes, order: int, shared: bool, a: float) -> float:
    """log p(x) from dictionaries of counts."""
    cells, histories = Counter(), Counter()
    for row in rows:
        for j, value in enumerate(row):
            place = min(j, order) if shared else j
            history = row[max(0, j - order) : j]
            cells[place, history, value] += 1
            histories[place, history] += 1
    total = 0.0
    for j, value in enumerate(x):
        place, history = min(j, order) if shared else j, x[max(0, j - order) : j]
        mass = histories[place, history] + a * sizes[j]
        p = (cells[place, history, value] + a) / mass if mass else 1 / sizes[j]
        total += math.log(p) if p else -math.inf
    return total


@pytest.mark.parametrize("pseudo_count", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("order", "shared", "sizes"),
    [
        (0, False, (3, 3, 3, 3)),
        (1, False, (2, 4, 1, 3)),
        (2, False, (2, 3, 4, 2)),
        (1, True, (3,) * 5),
        (2, True, (2,) * 5),
    ],
)
def test_a_chain_is_what_counting_by_hand_gives(order, shared, sizes, pseudo_count):
    space = Discrete((len(sizes),), max(sizes), None if len(set(sizes)) == 1 else sizes)
    x = events(40, sizes)
    model = MarkovChain(space, order=order, shared=shared, pseudo_count=pseudo_count)
    model.observe(x)
    everything = list(itertools.product(*map(range, sizes)))
    rows = [tuple(row) for row in x.tolist()]
    expected = [chain_by_hand(rows, e, sizes, order, shared, pseudo_count) for e in everything]
    assert model.log_prob(everything).tolist() == pytest.approx(expected, abs=1e-12)


def test_independent_is_a_chain_of_order_zero():
    x = events(30, (3, 3))
    one, other = Independent(Discrete((2,), 3)), MarkovChain(Discrete((2,), 3), order=0)
    for model in (one, other):
        model.observe(x)
    assert torch.equal(one.log_prob(x), other.log_prob(x))


def test_each_label_has_counts_of_its_own():
    x, y = events(50, (3, 3, 3)), torch.arange(50) % 2
    both = MarkovChain(Discrete((3,), 3), Label(("a", "b")))
    both.observe(x, y)
    for label in (0, 1):
        alone = MarkovChain(Discrete((3,), 3))
        alone.observe(x[y == label])
        assert torch.equal(both.log_prob(x, [label]), alone.log_prob(x))


def test_pixels_are_chained_in_raster_order_with_their_channels():
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (50, 3, 2, 2), generator=g)
    flat = x.permute(0, 2, 3, 1).reshape(50, 12)  # r, g, b of the first pixel, then of the second …
    image, sequence = MarkovChain(Image(2, 2, 3, levels=2)), MarkovChain(Sequence(12, 2))
    image.observe(x)
    sequence.observe(flat)
    assert torch.equal(image.log_prob(x), sequence.log_prob(flat))


def test_the_lectures_parameter_counts():
    assert Independent(MNIST).free_parameters == 784
    assert MarkovChain(MNIST).free_parameters == 2 * 783 + 1 == 1567
    assert MarkovChain(MNIST, Label(map(str, range(10)))).free_parameters == 15670  # type: ignore[arg-type]
    assert MarkovChain(MNIST, shared=True).free_parameters == 1 + 2
    assert MarkovChain(MNIST, order=2).free_parameters == 1 + 2 + 4 * 782
    assert Independent(Discrete((3,), 5, (5, 2, 1))).free_parameters == 4 + 1 + 0


def test_an_unseen_value_is_impossible_without_a_prior_and_never_nan():
    model = MarkovChain(Discrete((3,), 3), order=1, pseudo_count=0)
    model.observe(torch.tensor([[0, 1, 0], [0, 1, 1]]))
    log_p = model.log_prob([[0, 1, 0], [0, 1, 2], [2, 2, 2]])
    assert log_p.tolist() == [pytest.approx(math.log(0.5)), -math.inf, -math.inf]
    assert not model.log_prob_per_dimension([[2, 2, 2]]).isnan().any()
    assert model.log_prob_per_dimension([[0, 2, 1]])[0, 2] == pytest.approx(math.log(1 / 3))  # after 2: never seen


def test_before_any_event_all_are_equally_probable():
    for model in (Independent(Discrete((2,), 3)), MarkovChain(Discrete((2,), 3), pseudo_count=0)):
        assert model.log_prob([[0, 1], [2, 2]]).tolist() == pytest.approx([-2 * math.log(3)] * 2)


def test_counts_longer_than_a_chunk_are_the_same():
    n = CHUNK // 2 + 5
    x = events(n, (5, 5, 5)).to(torch.uint8)
    model = MarkovChain(Discrete((3,), 5))
    model.observe(x)
    pairs = torch.bincount((x[:, 1].long() * 5 + x[:, 2].long()), minlength=25)
    assert torch.equal(model.counts[0, -25:], pairs)
    assert model.counts.sum() == 3 * n


def test_sparse_batches_into_large_tables_count_the_same():
    space, x = Sequence(6, 40), events(200, (40,) * 6)
    whole, parts = MarkovChain(space, order=2), MarkovChain(space, order=2)
    whole.observe(x.repeat(400, 1))  # more values than cells
    for _ in range(400):
        parts.observe(x)
    assert whole.counts.numel() < 400 * x.numel()
    assert torch.equal(whole.counts, parts.counts)


def test_learning_again_after_a_query_changes_the_answer():
    model = Independent(Discrete((1,), 2), pseudo_count=0)
    model.observe(torch.tensor([[0]]))
    assert model.log_prob([[0]]).item() == 0
    model.observe(torch.tensor([[1]]))
    assert model.log_prob([[0]]).item() == pytest.approx(math.log(0.5))


@pytest.mark.parametrize(
    ("space", "options"),
    [(MNIST, {"order": 30}), (MNIST, {"order": 783}), (Image(32, 32, 3), {"order": 2}), (Sequence(1000, 50_000), {})],
)
def test_tables_that_do_not_fit_are_refused_before_they_are_made(space, options):
    with pytest.raises(UsageError, match="shared=True, a smaller order"):
        MarkovChain(space, **options)


def test_a_shared_table_fits_where_one_for_each_position_does_not():
    space = Sequence(1000, 1000)
    assert MarkovChain(space, shared=True).counts.shape == (1, 1000 + 1000**2)
    with pytest.raises(UsageError):
        MarkovChain(space)


@pytest.mark.parametrize("options", [{"pseudo_count": -1.0}, {"pseudo_count": math.nan}, {"order": -1}])
def test_impossible_hyperparameters_are_refused(options):
    with pytest.raises(UsageError):
        MarkovChain(Discrete((3,), 3), **options)


def test_dimensions_of_different_sizes_cannot_share_a_table():
    with pytest.raises(UsageError, match="shared=False"):
        MarkovChain(Discrete((2,), 3, (2, 3)), shared=True)


def test_digits_reach_the_known_marks():
    x = torch.from_numpy(load_digits(return_X_y=True)[0]).long().reshape(-1, 1, 8, 8)
    x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
    nats = []
    for model in (Independent(Image(8, 8, levels=17)), MarkovChain(Image(8, 8, levels=17))):
        model.observe(x[:1200])
        nats.append(-model.log_prob(x[-360:]).mean().item())
    assert nats[0] < 108.0
    assert nats[1] < 103.0
