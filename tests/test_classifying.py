"""Bayes agrees with sums over small spaces."""

import numpy as np
import pytest
import torch

import ptheta
from ptheta.classifying import log_likelihoods, log_loss, training_prior
from ptheta.errors import ContextError, UsageError
from ptheta.evaluation.enumeration import enumerate_events
from ptheta.spaces import Discrete, Label

SPACE, LABELS = Discrete((3,), 3), Label(("a", "b", "c", "d"))


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = ptheta.models.MADE(SPACE, LABELS, width=16)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return made.requires_grad_(False).double()


@pytest.fixture
def counted():
    """A run on labelled events, of which some have probability 0."""
    g = np.random.default_rng(0)
    labels = g.choice(3, 90, p=[0.6, 0.3, 0.1])
    return np.stack([(labels + g.choice(3, 90, p=[0.8, 0.1, 0.1])) % 3, g.integers(0, 3, 90)], 1), labels


def bayes(model, x, prior):
    """p(y | x) by exponentials and sums, in the plainest way."""
    joint = np.stack([model.log_prob(x, torch.full((len(x),), k)).exp().numpy() * prior[k] for k in range(4)], 1)
    return joint / joint.sum(1, keepdims=True)


@pytest.mark.parametrize("prior", [(1, 1, 1, 1), (0.1, 0.2, 0.3, 0.4), (1, 0, 0, 3)])
def test_all_events_of_a_small_space(model, prior):
    x = enumerate_events(SPACE)
    found = ptheta.classify(model, x, prior=prior, batch_size=7)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), bayes(model, x, np.array(prior) / sum(prior)), rtol=1e-6)


def test_posteriors_weighted_by_the_evidence_sum_to_the_prior(model):
    x, prior = enumerate_events(SPACE), np.array([0.1, 0.2, 0.3, 0.4])
    evidence = sum(prior[k] * model.log_prob(x, torch.full((len(x),), k)).exp() for k in range(4))
    total = (ptheta.classify(model, x, prior=prior) * evidence[:, None]).sum(0)
    np.testing.assert_allclose(total, prior, rtol=1e-5)


def test_candidates_are_the_only_contexts(model):
    x = enumerate_events(SPACE)[:5]
    whole = ptheta.classify(model, x)
    some = ptheta.classify(model, x, ["c", "a"])
    np.testing.assert_allclose(some, whole[:, [2, 0]] / whole[:, [2, 0]].sum(1, keepdim=True), rtol=1e-6)


def test_each_event_can_have_its_own_candidates(model):
    x = enumerate_events(SPACE)[:6]
    each = torch.tensor([[i % 4, (i + 1) % 4] for i in range(6)])
    found = ptheta.classify(model, x, each, batch_size=3)
    whole = ptheta.classify(model, x).gather(1, each)
    np.testing.assert_allclose(found, whole / whole.sum(1, keepdim=True), rtol=1e-6)
    with pytest.raises(ContextError, match="candidates for 6 events of 5"):
        ptheta.classify(model, x[:5], each)


def test_batches_change_nothing(model):
    x = enumerate_events(SPACE)
    one, many = (log_likelihoods(model, x, batch_size=size) for size in (1, 1000))
    np.testing.assert_allclose(one, many, rtol=1e-6)


def test_an_event_that_no_candidate_allows_says_nothing():
    model = ptheta.models.Independent(Discrete((1,), 2), Label(("a", "b")), pseudo_count=0.0)
    model.observe(torch.zeros(4, 1, dtype=torch.long), torch.tensor([0, 0, 1, 1]))
    model.finish()
    found = ptheta.classify(model, torch.tensor([[0], [1]]))
    assert found[0].tolist() == [0.5, 0.5]
    assert found[1].isnan().all()


def test_tiny_likelihoods_do_not_underflow():
    wide = ptheta.models.Independent(Discrete((2000,), 2), Label(("a", "b")))
    wide.observe(torch.randint(0, 2, (50, 2000), generator=torch.Generator().manual_seed(0)), torch.arange(50) % 2)
    wide.finish()
    x = torch.ones(1, 2000, dtype=torch.long)
    assert float(wide.log_prob(x, torch.tensor([0])).exp()) == 0  # what plain division would meet
    assert float(ptheta.classify(wide, x).sum()) == pytest.approx(1)


def test_the_training_prior_is_the_frequency_of_labels(counted, tmp_path):
    import pandas as pd

    x, labels = counted
    frame = pd.DataFrame({"a": x[:, 0].astype(str), "b": x[:, 1].astype(str), "kind": [f"k{i}" for i in labels]})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    data = ptheta.load(str(tmp_path / "rows.csv"), context="kind", columns="categories")
    run = ptheta.fit("independent", data, out=tmp_path / "run")
    known = data.train.context
    assert training_prior(run) == pytest.approx([np.mean(known == k) for k in range(3)])
    events = data.test.events()[0]
    given = ptheta.classify(run.model, events, prior=training_prior(run))
    torch.testing.assert_close(ptheta.classify(run, events, prior="train"), given)
    assert not torch.allclose(given, ptheta.classify(run, events))


def test_log_loss_is_that_of_scikit_learn():
    from sklearn.metrics import log_loss as reference

    p = torch.tensor([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]]).double()
    truth = torch.tensor([1, 0, 0])
    assert float(log_loss(p, truth).mean()) == pytest.approx(reference(truth, p), rel=1e-6)


def test_what_is_no_prior_and_what_has_no_candidates_is_refused(model):
    x = enumerate_events(SPACE)[:2]
    for prior in ([1, -1, 1, 1], [0, 0, 0, 0], [np.nan, 1, 1, 1], [1, 2], "laplace", "train"):
        with pytest.raises(UsageError):
            ptheta.classify(model, x, prior=prior)
    with pytest.raises(ContextError, match="no context"):
        ptheta.classify(ptheta.models.MADE(SPACE, width=8), x)
    other = ptheta.models.MADE(SPACE, Discrete((2,), 3), width=8)
    with pytest.raises(ContextError, match="cannot be listed"):
        ptheta.classify(other, x)
