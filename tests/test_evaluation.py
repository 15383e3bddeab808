"""Scores: the mean, its standard error, bits per dimension, and events of probability zero."""

import math

import numpy as np
import pytest
import torch
from toy_vae import ToyVAE

from ptheta.data import Split
from ptheta.divergences import forward_kl
from ptheta.errors import DensityError
from ptheta.evaluation.enumeration import enumerate_events
from ptheta.evaluation.nats import elbos, evaluate, log_probs
from ptheta.evaluation.results import Score
from ptheta.models import family
from ptheta.models.counting.tables import Independent
from ptheta.spaces import Column, Discrete, Real, Table


def test_a_score_is_the_mean_with_the_textbook_standard_error():
    log_prob = np.random.default_rng(0).normal(-5, 2, 100)
    score = Score.of(torch.from_numpy(log_prob), dimensions=3)
    assert score.nats == pytest.approx(-log_prob.mean(), rel=1e-12)
    assert score.nats_se == pytest.approx(log_prob.std(ddof=1) / 10, rel=1e-12)
    assert score.bits_per_dim == pytest.approx(-log_prob.mean() / 3 / np.log(2), rel=1e-12)
    assert (score.n, score.zero) == (100, 0)


def test_the_standard_error_says_how_far_the_mean_is_from_the_truth():
    g = np.random.default_rng(1)
    errors = [Score.of(torch.from_numpy(g.exponential(2, 50)), 1) for _ in range(400)]
    z = np.array([(s.nats + 2) / s.nats_se for s in errors])
    assert 0.8 < z.std() < 1.25


def test_uniform_levels_cost_their_number_of_bits():
    model = Independent(Discrete((5,), 8), pseudo_count=1.0)
    score = evaluate(model, Split(np.random.default_rng(0).integers(0, 8, (20, 5)).astype(np.uint8)))
    assert score.bits_per_dim == pytest.approx(3, rel=1e-12)
    assert score.nats == pytest.approx(5 * math.log(8), rel=1e-12)


def test_one_impossible_event_makes_the_score_infinite_and_is_counted():
    score = Score.of(torch.tensor([-1.0, -math.inf, -2.0]), 1)
    assert (score.nats, score.nats_se, score.zero) == (math.inf, math.inf, 1)


def test_one_event_has_no_standard_error():
    assert math.isnan(Score.of(torch.tensor([-1.0]), 1).nats_se)


def test_the_batch_size_does_not_change_scores_and_progress_is_told():
    model = family("made").load()(Discrete((4,), 3), **family("made").small).double()
    split = Split(np.random.default_rng(0).integers(0, 3, (50, 4)).astype(np.uint8))
    told = []
    parts = log_probs(model, split, batch_size=7, advance=told.append)
    assert told == [7] * 7 + [1]
    torch.testing.assert_close(parts, log_probs(model, split, batch_size=50), rtol=1e-12, atol=1e-12)
    assert parts.dtype == torch.float64


def test_scoring_leaves_the_mode_of_the_model_and_turns_dropout_off():
    model = family("made").load()(Discrete((4,), 3), width=16, dropout=0.9)
    torch.nn.init.normal_(model.out.weight)
    split = Split(np.zeros((9, 4), np.uint8))
    model.train()
    assert torch.equal(log_probs(model, split), log_probs(model, split))
    assert model.training


def test_a_limit_scores_a_seeded_part():
    model = Independent(Discrete((2,), 3))
    model.observe(torch.tensor([[0, 0], [1, 2]]))
    split = Split(np.random.default_rng(0).integers(0, 3, (50, 2)).astype(np.uint8))
    part = evaluate(model, split, limit=10)
    assert part.n == 10
    assert part == evaluate(model, split, limit=10)
    assert evaluate(model, split, limit=99) == evaluate(model, split)


def test_an_empty_split_has_no_log_probabilities():
    assert log_probs(Independent(Discrete((2,), 3)), Split(np.zeros((0, 2), np.uint8))).shape == (0,)


def test_enumeration_lists_every_event_once_in_order():
    events = enumerate_events(Discrete((2, 2), 3, (1, 2, 3, 2))).reshape(-1, 4)
    truth = [[0, b, c, d] for b in range(2) for c in range(3) for d in range(2)]
    assert events.tolist() == truth


@pytest.mark.parametrize(
    ("space", "said"), [(Real((1,)), "uncountably many"), (Discrete((784,), 2), "1.017e236 events")]
)
def test_what_cannot_be_listed_is_refused(space, said):
    with pytest.raises(DensityError) as caught:
        enumerate_events(space)
    assert said in str(caught.value)


def test_a_table_of_categories_is_listed_and_its_probabilities_sum_to_one():
    space = Table((Column("a", 3), Column("b", 2, missing=True)))
    rows = enumerate_events(space)
    assert len({tuple(map(str, row)) for row in rows.tolist()}) == space.event_count == 9
    model = family("table").load()(space, width=8, layers=1, heads=1).double()
    assert float(model.log_prob(rows).detach().exp().sum()) == pytest.approx(1, abs=1e-12)
    assert forward_kl(model, model).exact


def test_the_bound_of_an_event_does_not_depend_on_which_part_of_a_split_is_scored():
    model = ToyVAE(Discrete((3,), 3)).double()
    split = Split(np.random.default_rng(0).integers(0, 3, (40, 3)).astype(np.uint8))
    whole, part = elbos(model, split, seed=2), split.subset(12)
    assert torch.allclose(elbos(model, part, seed=2), whole[torch.from_numpy(part.numbers)], rtol=0, atol=1e-12)
    again = part.subset(5)
    assert torch.equal(torch.from_numpy(split.x[again.numbers]), torch.from_numpy(again.x))
    assert torch.allclose(elbos(model, again, seed=2, batch_size=2), whole[again.numbers], rtol=0, atol=1e-12)


def test_a_score_of_no_events_is_undefined():
    score = Score.of(torch.zeros(0), 3)
    assert math.isnan(score.value)
    assert math.isnan(score.se)
