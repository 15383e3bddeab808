"""How every model of the zoo must sample and complete, on every kind of tiny space it accepts.

A family that is added to the zoo's registry is tested here with no edits.
"""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from zoo_cases import (
    AUTOREGRESSIVE,
    Case,
    all_events,
    autoregressive,
    autoregressive_discrete,
    autoregressive_real,
    close,
    contexts,
    discrete,
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
from ptheta.models import ZOO, Autoregressive, Density
from ptheta.models.autoregressive import base as autoregressive_module
from ptheta.sampling import Effort
from ptheta.spaces import Discrete
from ptheta.training.objectives.likelihood import LikelihoodLoss

# Sampling


@exact_discrete
def test_sample_frequencies_follow_log_prob(case: Case):
    model, n = model_of(case, torch.float32), 8_000
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
@pytest.mark.parametrize("warp", WARPS, ids=str)
def test_fixed_point_sampling_draws_what_ancestral_sampling_draws(case: Case, warp):
    model, context, effort = model_of(case), contexts(case, 30), Effort()
    one = model.sample(30, context, seed=7, method="ancestral", **warp)
    assert torch.equal(model.sample(30, context, seed=7, method="fixed_point", effort=effort, **warp), one)
    assert effort.method == "fixed_point"
    assert 1 <= effort.passes <= case.space.dimensions
    half = model.complete(one, 0.5, 2, context, seed=8, method="ancestral", **warp)
    assert torch.equal(model.complete(one, 0.5, 2, context, seed=8, method="fixed_point", **warp), half)


@autoregressive_real
def test_fixed_point_sampling_of_real_values_agrees_to_rounding(case: Case):
    model, context = model_of(case), contexts(case, 30)
    one = model.sample(30, context, seed=7, method="ancestral")
    assert torch.allclose(model.sample(30, context, seed=7, method="fixed_point"), one, rtol=0, atol=1e-9)


# Completion


@autoregressive
def test_completion_keeps_what_is_kept(case: Case):
    model, x, context = model_of(case), likely_events(case, 5), contexts(case, 5)
    m = case.space.dimensions
    for kept in range(m + 1):
        done = model.complete(x, kept / m, n=3, context=context, seed=0)
        assert done.shape == (5, 3, *case.space.shape)
        z = model.flatten(done.reshape(15, *case.space.shape)).reshape(5, 3, m)
        assert (z[:, :, :kept] == model.flatten(x)[:, None, :kept]).all()
        mask = torch.zeros(m, dtype=torch.bool)
        mask[model.visit[:kept]] = True
        mask = mask.reshape(case.space.shape)
        assert torch.equal(model.complete(x, mask, n=3, context=context, seed=0), done)
        assert torch.equal(model.complete(x, mask.numpy(), n=3, context=context, seed=0), done)
    if m > 1 and not model.any_order:
        with pytest.raises(UsageError, match="beginning"):
            model.complete(x, ~(model.unflatten(torch.arange(m)[None])[0] == 0), context=context, seed=0)
        with pytest.raises(UsageError, match="one order"):
            model.reordered(model.visit.flip(0))


ANY_ORDER = [p for p in AUTOREGRESSIVE if model_of(p.values[0]).any_order]
ANY_ORDER_DISCRETE = discrete(ANY_ORDER)


@pytest.mark.parametrize("case", ANY_ORDER_DISCRETE)
def test_a_model_of_any_order_is_a_distribution_in_every_order(case: Case):
    model, events, m = model_of(case), all_events(case.space), case.space.dimensions
    for seed in range(3):
        order = torch.randperm(m, generator=torch.Generator().manual_seed(seed))
        view = model.reordered(order)
        for context in each_context(case):
            p = view.log_prob(events, context).exp()
            assert abs(p.sum().item() - 1) < 1e-10
        z, context = view.flatten(likely_events(case, 5)), contexts(case, 5)
        said = probe(view.conditionals(view.unflatten(z), context), case.space)
        decoder, previous = view.decoder(5, context), None
        for j in range(m):
            assert close(probe(decoder.step(previous), case.space), said[:, j], 1e-10)
            previous = z[:, j]
        assert torch.equal(
            view.reordered(model.visit).log_prob(events, context[:1] if context is not None else None),
            model.log_prob(events, context[:1] if context is not None else None),
        )


@pytest.mark.parametrize("case", ANY_ORDER)
def test_a_view_learns_and_starts_as_the_model_does(case: Case):
    model, x, context = copy.deepcopy(model_of(case)), likely_events(case, 6), contexts(case, 6)
    view = model.reordered(model.visit.flip(0))
    losses = []
    for either in (model, view):
        torch.manual_seed(3)
        losses.append(LikelihoodLoss(either)(x, context).item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-12)
    states = []
    for either in (model, view):
        either.prepare(x)
        states.append(copy.deepcopy(either.state_dict()))
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


@pytest.mark.parametrize("case", ANY_ORDER)
def test_random_orders_are_scored_in_the_views_that_visit_so(case: Case):
    model, x, context = model_of(case), likely_events(case, 5), contexts(case, 5)
    orders = model.random_orders(5, torch.Generator().manual_seed(9))
    rows = [(x[[i]], None if context is None else context[[i]]) for i in range(5)]
    each = [model.reordered(model.visit[order]).log_prob(*row) for order, row in zip(orders, rows)]
    assert close(model.log_prob_in_random_orders(x, context, seed=9), torch.cat(each), 1e-10)


@pytest.mark.parametrize("wrong", [[0, 0], (0.5, 1.5), 3, "diagonal", torch.tensor([1, 2, 3])], ids=str)
def test_an_order_that_is_none_is_refused(wrong):
    cls = ZOO["transformer"].load()
    with pytest.raises(UsageError):
        cls(Discrete((2,), 3), **ZOO["transformer"].small, any_order=True).reordered(wrong)
    with pytest.raises(UsageError):
        cls(Discrete((2,), 3), **ZOO["transformer"].small, order=wrong)


@pytest.mark.parametrize("case", ANY_ORDER_DISCRETE)
def test_arbitrary_masks_are_completed_from_the_distribution_that_visits_what_is_kept_first(case: Case):
    model, context, events, m = model_of(case), each_context(case)[-1], all_events(case.space), case.space.dimensions
    x = model.sample(1, context, seed=1)
    mask = torch.rand(m, generator=torch.Generator().manual_seed(m)) < 0.5
    mask[0], mask[-1] = False, m > 1
    kept = torch.nonzero(mask)[:, 0]
    order = torch.cat([model.visit[mask[model.visit]], model.visit[~mask[model.visit]]])
    p = model.reordered(order).log_prob(events, context).exp().detach()
    p[(events.reshape(-1, m)[:, kept] != x.reshape(1, m)[:, kept]).any(1)] = 0
    for method in ("ancestral", "fixed_point"):
        done = model.complete(x, mask.reshape(case.space.shape), 4000, context, seed=3, method=method)[0]
        assert frequencies_agree(tally(done, case.space), p / p.sum()) > 1e-4


@autoregressive_discrete
def test_completions_follow_the_conditional_distribution(case: Case):
    model, context, events = model_of(case), each_context(case)[-1], all_events(case.space)
    x, m = model.sample(1, context, seed=1), case.space.dimensions
    kept = m // 2
    done = model.complete(x, kept / m, n=1500, context=context, seed=3)[0]
    p = model.log_prob(events, context).exp().detach()
    p[(model.flatten(events)[:, :kept] != model.flatten(x)[:, :kept]).any(1)] = 0
    assert frequencies_agree(tally(done, case.space), p / p.sum()) > 1e-4


@autoregressive_discrete
def test_each_event_is_completed_under_its_own_context(case: Case):
    if case.context_space is None:
        return
    model, n = model_of(case), 800
    two = contexts(case, 2).flip(0)
    done = model.complete(likely_events(case, 2), 0.0, n=n, context=two, seed=3)
    for drawn, context in zip(done, two.split(1)):
        p = model.log_prob(all_events(case.space), context).exp().detach()
        assert frequencies_agree(tally(drawn, case.space), p) > 1e-4
