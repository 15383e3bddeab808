"""How every model of the zoo must sample, on every kind of tiny space it accepts.

A family that is added to the zoo's registry is tested here with no edits.
"""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from zoo_cases import (
    Case,
    all_events,
    autoregressive,
    autoregressive_discrete,
    autoregressive_real,
    close,
    contexts,
    each_context,
    every_model,
    exact,
    exact_discrete,
    frequencies_agree,
    likely_events,
    model_of,
    probe,
    random_events,
    tally,
)

from ptheta.distributions import Distribution
from ptheta.errors import UsageError
from ptheta.models import Autoregressive, Density
from ptheta.models.autoregressive import base as autoregressive_module
from ptheta.sampling import Effort
from ptheta.spaces import Discrete

# Sampling


@exact_discrete
def test_sample_frequencies_follow_log_prob(case: Case):
    model, n = model_of(case, torch.float32), 5_000
    context = each_context(case)[-1]
    counts = tally(model.sample(n, context, seed=11), case.space)
    assert frequencies_agree(counts, model.log_prob(all_events(case.space), context).exp().detach()) > 1e-4


@autoregressive
def test_no_events_have_no_conditionals(case: Case):
    model, none = model_of(case), random_events(case.space, 3, seed=3)[:0]
    context = None if case.context_space is None else contexts(case, 3)[:0]
    assert model.conditionals(none, context).batch_shape == (0, case.space.dimensions)
    assert model.log_prob_per_dimension(none, context).shape == (0, *case.space.shape)


@every_model
def test_one_seed_gives_one_sample(case: Case):
    model, context = model_of(case), contexts(case, 64)
    first = model.sample(64, context, seed=7)
    assert torch.equal(first, model.sample(64, context, seed=7))
    assert torch.equal(first, model.sample(64, context, generator=torch.Generator().manual_seed(7)))
    assert not torch.equal(first, model.sample(64, context, seed=8))


@autoregressive
def test_samples_do_not_depend_on_how_many_are_decoded_together(case: Case, monkeypatch):
    model, context = model_of(case), contexts(case, 40)
    expected = model.sample(40, context, seed=7)
    monkeypatch.setattr(autoregressive_module, "CHUNK_DIMENSIONS", 21)
    assert torch.allclose(model.sample(40, context, seed=7), expected, rtol=0, atol=1e-9)


@every_model
def test_the_global_random_state_is_left_alone(case: Case):
    model = copy.deepcopy(model_of(case)).train()
    before = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    x = model.sample(3, contexts(case, 3))
    x = model.sample(3, contexts(case, 3), seed=0)
    if model.density is Density.EXACT:
        model.log_prob(x, contexts(case, 3))
    if isinstance(model, Autoregressive):
        model.complete(x, 0.5, context=contexts(case, 3), seed=0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), repr(np.random.get_state())) == before[1:]  # noqa: NPY002


@exact
def test_a_model_in_training_mode_is_the_same_distribution(case: Case):
    model = copy.deepcopy(model_of(case)).train()
    x, context = likely_events(case, 8), contexts(case, 8)
    assert torch.equal(model.log_prob(x, context), model_of(case).log_prob(x, context))
    assert torch.equal(model.sample(8, context, seed=5), x)
    assert model.training


@autoregressive
def test_temperature_zero_takes_the_most_probable_level(case: Case):
    model, context = model_of(case), contexts(case, 6)
    if not isinstance(case.space, Discrete):
        conditionals = model.conditionals(likely_events(case, 6), context)
        if type(conditionals).warped is Distribution.warped:
            with pytest.raises(UsageError, match="continuous"):
                model.sample(6, context, seed=0, temperature=0.0)
        else:
            one, other = (model.sample(6, context, seed=seed, temperature=0.0) for seed in (0, 1))
            assert torch.allclose(one, other, rtol=1e-6, atol=1e-6, equal_nan=True), "nothing is left to chance"
        return
    x = model.sample(6, context, seed=0, temperature=0.0)
    best = probe(model.conditionals(x, context), case.space).max(-1).values
    assert close(model.conditionals(x, context).log_prob(model.flatten(x)), best, 1e-12)


WARPS = [{}, {"temperature": 0.7}, {"temperature": 0.0}, {"top_k": 2}, {"top_p": 0.8}, {"min_p": 0.5}]
WARPS.append({"temperature": 1.3, "top_k": 2, "top_p": 0.9, "min_p": 0.1})


@autoregressive_discrete
def test_fixed_point_sampling_draws_what_ancestral_sampling_draws(case: Case):
    model, context = model_of(case), contexts(case, 30)
    for warp in WARPS:
        effort = Effort()
        one = model.sample(30, context, seed=7, method="ancestral", **warp)
        assert torch.equal(model.sample(30, context, seed=7, method="fixed_point", effort=effort, **warp), one), warp
        assert effort.method == "fixed_point"
        assert 1 <= effort.passes <= effort.chunks * case.space.dimensions, warp
    for warp in WARPS if context is None else (WARPS[0], WARPS[-1]):
        half = model.complete(one, 0.5, 2, context, seed=8, method="ancestral", **warp)
        again = model.complete(one, 0.5, 2, context, seed=8, method="fixed_point", **warp)
        assert torch.equal(again, half), warp


@autoregressive_real
def test_fixed_point_sampling_of_real_values_agrees_to_rounding(case: Case):
    model, context = model_of(case), contexts(case, 30)
    one = model.sample(30, context, seed=7, method="ancestral")
    assert torch.allclose(model.sample(30, context, seed=7, method="fixed_point"), one, rtol=0, atol=1e-9)
