"""How every model of the zoo must complete, and sample and score in any order; see `test_contract_sampling`."""

from __future__ import annotations

import copy

import pytest
import torch
from zoo_cases import (
    AUTOREGRESSIVE,
    Case,
    all_events,
    autoregressive,
    autoregressive_discrete,
    close,
    conditioned,
    contexts,
    discrete,
    each_context,
    frequencies_agree,
    likely_events,
    model_of,
    new,
    probe,
    tally,
)

from ptheta.errors import UsageError
from ptheta.models import ZOO
from ptheta.spaces import Discrete
from ptheta.training.objectives.likelihood import LikelihoodLoss


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
        same = mask.numpy() if kept % 2 else mask
        assert torch.equal(model.complete(x, same, n=3, context=context, seed=0), done)
    if m > 1 and not model.any_order:
        with pytest.raises(UsageError, match="beginning"):
            model.complete(x, ~(model.unflatten(torch.arange(m)[None])[0] == 0), context=context, seed=0)
        with pytest.raises(UsageError, match="one order"):
            model.reordered(model.visit.flip(0))


ANY_ORDER = [p for p in AUTOREGRESSIVE if new(p.values[0]).any_order]
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
    done = model.complete(x, kept / m, n=1000, context=context, seed=3)[0]
    p = model.log_prob(events, context).exp().detach()
    p[(model.flatten(events)[:, :kept] != model.flatten(x)[:, :kept]).any(1)] = 0
    assert frequencies_agree(tally(done, case.space), p / p.sum()) > 1e-4


@pytest.mark.parametrize("case", conditioned(discrete(AUTOREGRESSIVE)))
def test_each_event_is_completed_under_its_own_context(case: Case):
    model, n = model_of(case), 500
    two = contexts(case, 2).flip(0)
    done = model.complete(likely_events(case, 2), 0.0, n=n, context=two, seed=3)
    for drawn, context in zip(done, two.split(1)):
        p = model.log_prob(all_events(case.space), context).exp().detach()
        assert frequencies_agree(tally(drawn, case.space), p) > 1e-4
