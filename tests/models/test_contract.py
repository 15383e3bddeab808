"""What every model of the zoo must do, on every kind of tiny space it accepts, with and without a context.

A family that is added to the zoo's registry is tested here with no edits.
"""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from zoo_cases import (
    ALL,
    AUTOREGRESSIVE,
    EXACT,
    ROWS,
    Case,
    all_events,
    autoregressive,
    autoregressive_discrete,
    autoregressive_real,
    close,
    conditioned,
    contexts,
    discrete,
    each_context,
    every_model,
    exact,
    exact_conditioned,
    exact_discrete,
    likely_events,
    model_of,
    new,
    only,
    probe,
    random_events,
)

from ptheta.errors import ContextError, SpaceError
from ptheta.models import Autoregressive, Counting
from ptheta.models.autoregressive.reference import ConditionalsDecoder
from ptheta.spaces import Discrete, Label
from ptheta.training.objectives.likelihood import LikelihoodLoss

# The distribution


def test_every_variant_is_tested_somewhere():
    tested = {(p.values[0].family, p.values[0].variant) for p in ALL}
    assert tested == {(name, variant) for name, row in ROWS.items() for variant in ["", *row.variants]}


@exact
def test_the_instances_tested_are_not_uniform(case: Case):
    assert likely_events(case, 64).reshape(64, -1).double().std(0).max() > 0
    if not isinstance(case.space, Discrete):
        return
    assert model_of(case).log_prob(all_events(case.space), each_context(case)[0]).exp().std() > 1e-3


@exact_discrete
def test_probabilities_sum_to_one(case: Case):
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-10)):
        for context in each_context(case):
            log_p = model_of(case, dtype).log_prob(all_events(case.space), context)
            assert (log_p <= 1e-6).all(), dtype  # false for NaN
            assert abs(log_p.exp().sum().item() - 1) < tolerance, dtype


@autoregressive_real
def test_real_conditionals_are_the_densities_of_what_is_drawn(case: Case):
    model, x = model_of(case), likely_events(case, 1)
    context = each_context(case)[-1]
    u = torch.linspace(-30, 30, 12001, dtype=torch.float64)
    grid = torch.sinh(u)  # tails may be heavy
    for j in range(case.space.dimensions):
        events = x.repeat(len(grid), 1)
        events[:, j] = grid
        density = model.log_prob_per_dimension(events, context)[:, j].exp().detach()
        cdf = torch.cumulative_trapezoid(density * torch.cosh(u), u)
        assert abs(float(cdf[-1]) - 1) < 1e-5
        drawn = model.complete(x, j / case.space.dimensions, n=2000, context=context, seed=j)[0, :, j]
        uniform = np.interp(drawn.numpy(), grid[1:].numpy(), cdf.numpy())
        assert stats.kstest(uniform, "uniform").pvalue > 1e-4


@autoregressive
def test_a_conditional_does_not_see_its_own_value_or_later_ones(case: Case):
    model, space, n = model_of(case), case.space, 6
    z, other = (model.flatten(random_events(space, n, seed)) for seed in (3, 4))
    if isinstance(space, Discrete):  # change as many values as can be changed
        sizes = torch.tensor(space.sizes or [space.levels]).expand(space.dimensions)[model.visit]
        other = (z + 1) % sizes
    said = probe(model.conditionals(model.unflatten(z), contexts(case, n)), space)
    for j in range(space.dimensions):
        changed = torch.cat([z[:, :j], other[:, j:]], 1)
        again = probe(model.conditionals(model.unflatten(changed), contexts(case, n)), space)
        assert close(said[:, : j + 1], again[:, : j + 1], 1e-12)


@autoregressive_real
def test_gradients_flow_only_from_earlier_values(case: Case):
    model, m = model_of(case), case.space.dimensions
    z = model.flatten(random_events(case.space, 1, seed=3)).requires_grad_()
    context = None if case.context_space is None else contexts(case, 2)[1:]
    for j in range(m):
        at_zero = model._conditionals(z, context)[:, j].log_prob(torch.zeros(1).double())
        (gradient,) = torch.autograd.grad(at_zero.sum(), z)
        assert gradient[:, j:].abs().max() == 0
        assert j == 0 or gradient[:, :j].abs().min() > 0


@autoregressive_discrete
def test_conditionals_are_those_of_the_joint(case: Case):
    """p(x_j | x_<j) from the model = Σ p(x) over what follows, divided, by enumeration."""
    model, events = model_of(case), all_events(case.space)
    for context in each_context(case):
        p = model.log_prob(events, context).exp()
        z = model.flatten(events)
        said = model.conditionals(events, context).log_prob(z).exp()
        before = torch.ones(len(z), dtype=torch.float64)
        for j in range(z.shape[1]):
            same = (z[:, None, : j + 1] == z[None, :, : j + 1]).all(-1)
            after = same.double() @ p
            assert torch.allclose(said[:, j] * before, after, rtol=0, atol=1e-10)
            before = after


@autoregressive
def test_decoding_gives_the_conditionals(case: Case):
    model, n = model_of(case), 7
    x, context = random_events(case.space, n, seed=3), contexts(case, n)
    z = model.flatten(x)
    parallel = probe(model.conditionals(x, context), case.space)
    with torch.no_grad():
        for decoder in (model.decoder(n, context), ConditionalsDecoder(model, n, context)):
            for j in range(case.space.dimensions):
                step = decoder.step(None if j == 0 else z[:, j - 1])
                assert step.batch_shape == (n,)
                assert close(probe(step, case.space), parallel[:, j], 1e-10)


@autoregressive
def test_log_prob_is_the_sum_over_dimensions(case: Case):
    x, context = likely_events(case, 9), contexts(case, 9)
    surprise = model_of(case).log_prob_per_dimension(x, context)
    assert surprise.shape == x.shape
    assert surprise.dtype == torch.float64
    assert close(surprise.reshape(9, -1).sum(1), model_of(case).log_prob(x, context), 1e-10)


@pytest.mark.parametrize("case", [p for p in discrete(AUTOREGRESSIVE) if p.values[0].space.sizes is not None])
def test_levels_that_a_dimension_does_not_have_are_impossible(case: Case):
    model = model_of(case)
    x = random_events(case.space, 5, seed=3)
    said = probe(model.conditionals(x, contexts(case, 5)), case.space)  # [n, m, K]
    allowed = case.space.allowed()
    assert allowed is not None
    assert (said[:, ~allowed[model.visit]] == -torch.inf).all()
    assert not said.isnan().any()


@exact
def test_log_prob_does_not_depend_on_the_batch(case: Case):
    x, context = likely_events(case, 8), contexts(case, 8)
    together = model_of(case).log_prob(x, context)
    alone = torch.cat(
        [model_of(case).log_prob(x[i : i + 1], None if context is None else context[[i]]) for i in range(8)]
    )
    assert close(together, alone, 1e-10)


@exact
def test_loss_is_the_mean_negative_log_prob_per_dimension(case: Case):
    x, context = likely_events(case, 8), contexts(case, 8)
    model = model_of(case)
    expected = -model.log_prob(x, context).mean() / case.space.dimensions
    if isinstance(model, Autoregressive) and model.any_order:  # each event in an order of its own
        torch.manual_seed(0)
        views = [model.reordered(model.visit[order]) for order in model.random_orders(8)]
        rows = [(x[[i]], None if context is None else context[[i]]) for i in range(8)]
        expected = torch.stack([view.log_prob(*row) for view, row in zip(views, rows)])
        expected = -expected.mean() / case.space.dimensions
        torch.manual_seed(0)
    assert LikelihoodLoss(model)(x, context).item() == pytest.approx(expected.item(), abs=1e-10)


# Shapes, types and contexts


@exact
def test_log_prob_and_samples_have_one_row_an_event(case: Case):
    for n in (0, 1, 5):
        model, context = model_of(case, torch.float32), contexts(case, n)
        x = model.sample(n, context, seed=0)
        assert x.shape == (n, *case.space.shape)
        assert x.dtype == (torch.int64 if isinstance(case.space, Discrete) else torch.float64), n
        log_p = model.log_prob(x, context)
        assert log_p.shape == (n,)
        assert log_p.dtype == torch.float64, n


@every_model
def test_samples_are_events_of_the_space(case: Case):
    x = model_of(case).sample(200, contexts(case, 200), seed=0)
    assert torch.equal(case.space.validate(x), x)


@exact_conditioned
def test_one_context_stands_for_all_rows(case: Case):
    model, x = model_of(case), likely_events(case, 2)[1:].repeat(6, *[1] * len(case.space.shape))
    one = contexts(case, 2)[1:]
    assert torch.equal(model.log_prob(x, one), model.log_prob(x, one.expand(6, *one.shape[1:])))
    assert torch.equal(model.sample(6, one, seed=0), model.sample(6, one.expand(6, *one.shape[1:]), seed=0))
    if not isinstance(case.context_space, Label):
        return
    assert torch.equal(model.log_prob(x, [1]), model.log_prob(x, [1] * 6))
    assert torch.equal(model.log_prob(x, ["dog"]), model.log_prob(x, torch.ones(6).int()))
    assert torch.equal(model.sample(6, ["dog"], seed=0), model.sample(6, [1] * 6, seed=0))


@exact_conditioned
def test_the_context_matters(case: Case):
    x = likely_events(case, 20)
    seen = [model_of(case).log_prob(x, y) for y in each_context(case)]
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("case", [p for p in conditioned(EXACT) if new(p.values[0]).context_dropout])
def test_without_its_context_a_model_that_knows_is_another_distribution(case: Case):
    model, space = model_of(case), case.context_space
    assert space is not None
    x = likely_events(case, 12)
    alone = model.log_prob(x)
    assert torch.equal(alone, model.log_prob(x, space.null(12)))
    assert not torch.equal(alone, model.log_prob(x, contexts(case, 12)))
    some = torch.arange(12) % 3 == 0
    mixed = torch.where(some.view(-1, *[1] * len(space.shape)), space.null(12), contexts(case, 12))
    expected = torch.where(some, alone, model.log_prob(x, contexts(case, 12)))
    assert close(model.log_prob(x, mixed), expected, 1e-10)
    assert torch.equal(model.sample(5, seed=3), model.sample(5, space.null(5), seed=3))


@exact
def test_k_samples_of_each_of_n_contexts(case: Case):
    if case.context_space is None:
        with pytest.raises(ContextError):
            model_of(case).sample_each(2, [0])
        return
    y = contexts(case, 3)
    x = model_of(case).sample_each(4, y, seed=0)
    assert x.shape == (3, 4, *case.space.shape)
    rows = y.repeat_interleave(4, 0)
    assert torch.equal(x.reshape(12, *case.space.shape), model_of(case).sample(12, rows, seed=0))


@exact
def test_wrong_contexts_are_refused(case: Case):
    model, x = model_of(case), random_events(case.space, 4, seed=3)
    wrong: list[Any] = [[0]]
    if isinstance(case.context_space, Label):
        wrong = [[0, 1], [2], [-1], [0.5], ["cow"], *[None] * (not model.context_dropout)]
    elif case.context_space is not None:
        wrong = [contexts(case, 3), contexts(case, 5), torch.zeros(4, 77), "nonsense"]
    for context in wrong:
        with pytest.raises(ContextError):
            model.log_prob(x, context)
        with pytest.raises(ContextError):
            model.sample(4, context, seed=0)


@exact_discrete
def test_a_value_outside_the_alphabet_is_refused_and_named(case: Case):
    x = random_events(case.space, 4, seed=3)
    place = (2, *(s - 1 for s in case.space.shape))
    actions = [model_of(case).log_prob]
    if isinstance(model_of(case), Autoregressive):
        actions.append(lambda x, context: model_of(case).complete(x, 0.5, context=context))
    if isinstance(model_of(case), Counting):
        actions.append(copy.deepcopy(model_of(case)).observe)
    for level, act in itertools.product((4, -1), actions):
        x[place] = level
        with pytest.raises(SpaceError) as caught:
            act(x, contexts(case, 4))
        assert f"x{list(place)} is {level}" in str(caught.value)


@exact_discrete
def test_values_of_the_wrong_type_or_shape_are_refused(case: Case):
    x, context = random_events(case.space, 4, seed=3), contexts(case, 4)
    with pytest.raises(SpaceError, match="float32"):
        model_of(case).log_prob(x.float(), context)
    with pytest.raises(SpaceError, match="shape"):
        model_of(case).log_prob(x[..., None], context)
    with pytest.raises(SpaceError):
        model_of(case).log_prob("nonsense", context)


@pytest.mark.parametrize("case", only(EXACT, "real"))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_refused_and_named(case: Case, value):
    x = random_events(case.space, 4, seed=3)
    x[2, 1] = value
    with pytest.raises(SpaceError, match=r"x\[2, 1\]"):
        model_of(case).log_prob(x, contexts(case, 4))


@exact_discrete
def test_any_integer_type_is_an_event(case: Case):
    x, context = random_events(case.space, 4, seed=3), contexts(case, 4)
    expected = model_of(case).log_prob(x, context)
    for same in (x.to(torch.uint8), x.int(), x.numpy().astype(np.uint16), x.tolist()):
        assert torch.equal(model_of(case).log_prob(same, context), expected)
