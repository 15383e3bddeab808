"""Ancestral sampling on a distribution small enough to write down."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
import torch
from scipy import stats

from ptheta.distributions import Categorical
from ptheta.models.autoregressive.made import MADE
from ptheta.sampling import Effort, PatienceError, Warp, ancestral, generator_for, uniforms
from ptheta.spaces import Image

FIRST = torch.tensor([0.2, 0.8], dtype=torch.float64)
SECOND = torch.tensor([[0.9, 0.1], [0.4, 0.6]], dtype=torch.float64)  # given the first


class TwoCoins:
    """p(a, b) = FIRST[a] SECOND[a, b], and a record of what it was told."""

    def __init__(self, n: int):
        self.n, self.told = n, []

    def step(self, previous):
        self.told.append(previous)
        p = FIRST.expand(self.n, 2) if previous is None else SECOND[previous]
        return Categorical(p.log())

    def settled(self, previous):
        return None

    def prefill(self, values):
        self.told += [None, *values.unbind(1)]
        return Categorical(SECOND[values[:, -1]].log())


def noise(n: int, seed: int = 0) -> torch.Tensor:
    return uniforms(n, 2, 1, generator=torch.Generator().manual_seed(seed))


def test_pairs_come_in_their_joint_frequencies():
    n = 20_000
    x = ancestral(TwoCoins(n), noise(n))
    counts = torch.bincount(x[:, 0] * 2 + x[:, 1], minlength=4)
    assert stats.chisquare(counts.numpy(), (FIRST[:, None] * SECOND).reshape(-1).numpy() * n).pvalue > 1e-4


def test_the_decoder_is_told_each_value_drawn():
    decoder = TwoCoins(50)
    x = ancestral(decoder, noise(50))
    assert decoder.told[0] is None
    assert torch.equal(decoder.told[1], x[:, 0])


def test_a_prefix_is_kept_and_what_follows_depends_on_it():
    n = 20_000
    prefix = torch.ones(n, 1, dtype=torch.long)
    x = ancestral(TwoCoins(n), noise(n), prefix)
    assert torch.equal(x[:, :1], prefix)
    assert stats.binomtest(int(x[:, 1].sum()), n, 0.6).pvalue > 1e-4


def test_a_warp_acts_on_every_conditional():
    x = ancestral(TwoCoins(9), noise(9), warp=Warp(temperature=0))
    assert x.tolist() == [[1, 1]] * 9


def test_an_event_depends_on_its_own_noise_only():
    u = noise(30)
    whole = ancestral(TwoCoins(30), u)
    assert torch.equal(torch.cat([ancestral(TwoCoins(10), part) for part in u.split(10)]), whole)


def test_uniforms_are_uniform_and_never_touch_the_ends():
    u = uniforms(50_000, generator=torch.Generator().manual_seed(0))
    assert u.dtype == torch.float64
    assert u.min() > 0 and u.max() < 1  # noqa: PT018
    assert stats.kstest(u.numpy(), "uniform").pvalue > 1e-3


def test_a_seed_makes_a_generator_and_the_global_state_stays():
    before = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    a, b = (uniforms(5, generator=generator_for(seed, None)) for seed in (3, 3))
    c, d = (uniforms(5, generator=generator_for(None, None)) for _ in range(2))
    given = torch.Generator()
    assert torch.equal(a, b)
    assert not torch.equal(c, d)
    assert generator_for(None, given) is given
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), repr(np.random.get_state())) == before[1:]  # noqa: NPY002


@pytest.mark.parametrize("n", [0, 1])
def test_few_events_are_drawn_too(n):
    assert ancestral(TwoCoins(n), noise(n)).shape == (n, 2)


def test_a_draw_that_takes_longer_than_it_may_is_given_up_early(monkeypatch):
    model = MADE(Image(16, 16, levels=2), width=8, layers=1)
    monkeypatch.setattr(sys.modules["ptheta.sampling.decoding"], "PROBED", 0.0)
    with pytest.raises(PatienceError) as caught:
        model.sample(3, seed=0, effort=Effort(patience=1e-4))
    assert caught.value.seconds > 1e-4
    effort = Effort(patience=1e4)
    assert torch.equal(model.sample(3, seed=0, effort=effort), model.sample(3, seed=0))
    assert effort.passes == 256
