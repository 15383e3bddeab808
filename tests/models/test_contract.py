"""What every model of the zoo must do, on every kind of tiny space it accepts, with and without a context.

A family that is added to the zoo's registry is tested here with no edits.
"""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import json
import math
import random
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from ptheta.distributions import Distribution
from ptheta.errors import ContextError, SpaceError, UsageError
from ptheta.models import ZOO, Autoregressive, Counting, Density, Model, name_of
from ptheta.models import autoregressive as autoregressive_module
from ptheta.models.autoregressive import ConditionalsDecoder
from ptheta.models.orders import random_orders
from ptheta.models.zoo import Family
from ptheta.sampling import Effort
from ptheta.spaces import Discrete, Grid, Image, Label, Real, Sequence, Space

SPACES = {
    "discrete": Discrete((3,), 3),
    "sizes": Discrete((2, 2), 4, (2, 3, 4, 1)),
    "image": Image(2, 2, levels=2),
    "rgb": Image(2, 1, 3, levels=3),
    "grid": Grid(2, 2, levels=3),
    "sequence": Sequence(4, 3),
    "label": Label(("ant", "bee", "cow")),
    "real": Real((3,)),
}
CONTEXTS = {"": None, "labelled": Label(("cat", "dog"))}


class Case(NamedTuple):
    family: str
    space_name: str
    context_name: str
    variant: str = ""

    @property
    def row(self) -> Family:
        return ZOO[self.family]

    @property
    def space(self) -> Space:
        return SPACES[self.space_name]

    @property
    def context_space(self) -> Label | None:
        return CONTEXTS[self.context_name]

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return {**self.row.small, **self.row.variants.get(self.variant, {})}


def cases(kind: type = Model, density: Density | None = None) -> list[Any]:
    """Every family that is a `kind`, and its variants, × every space × every context that it accepts."""
    found = []
    for name, row in ZOO.items():
        cls = row.load()
        if not issubclass(cls, kind) or (density is not None and cls.density is not density):
            continue
        for space, context, variant in itertools.product(SPACES, CONTEXTS, ["", *row.variants]):
            case = Case(name, space, context, variant)
            if accepts(cls, case):
                found.append(pytest.param(case, id="-".join(filter(None, case))))
    return found


def accepts(cls: type[Model], case: Case) -> bool:
    if not isinstance(case.space, cls.spaces):
        return False
    if case.context_space is not None and not isinstance(case.context_space, cls.context_spaces):
        return False
    try:
        cls(case.space, case.context_space, **case.hyperparameters)
    except UsageError:  # a variant for other spaces
        return not case.variant
    return True


def only(parameters: list[Any], *space_names: str) -> list[Any]:
    return [p for p in parameters if p.values[0].space_name in space_names]


def discrete(parameters: list[Any]) -> list[Any]:
    return [p for p in parameters if p.values[0].space_name != "real"]


ALL = cases()
EXACT = cases(density=Density.EXACT)
AUTOREGRESSIVE = cases(Autoregressive)
every_model = pytest.mark.parametrize("case", ALL)
exact = pytest.mark.parametrize("case", EXACT)
exact_discrete = pytest.mark.parametrize("case", discrete(EXACT))
autoregressive = pytest.mark.parametrize("case", AUTOREGRESSIVE)
autoregressive_discrete = pytest.mark.parametrize("case", discrete(AUTOREGRESSIVE))
autoregressive_real = pytest.mark.parametrize("case", only(AUTOREGRESSIVE, "real"))


# Instances


def random_events(space: Space, n: int, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    if isinstance(space, Discrete):
        sizes = torch.tensor(space.sizes or [space.levels]).expand(space.dimensions)
        return (torch.rand(n, space.dimensions, generator=g) * sizes).long().reshape(n, *space.shape)
    return torch.randn(n, *space.shape, generator=g, dtype=torch.float64) * 2 + 1


def all_events(space: Space) -> Tensor:
    assert isinstance(space, Discrete)
    sizes = space.sizes or (space.levels,) * space.dimensions
    return torch.tensor(list(itertools.product(*map(range, sizes)))).reshape(-1, *space.shape)


def build(row: Family, space: Space, context_space: Label | None, **hyperparameters: Any) -> Model:
    """A small instance whose distribution is far from uniform: perturbed weights, or counts of random events."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = row.load()(space, context_space, **{**row.small, **hyperparameters})
    x = random_events(space, 14, seed=1)
    context = None if context_space is None else torch.arange(14) % context_space.levels
    if isinstance(model, Counting):
        model.observe(x, context)
        model.finish()
    else:
        if isinstance(space, Real):
            model.prepare(x)
        g = torch.Generator().manual_seed(2)
        size = 0.15 if isinstance(space, Real) else 0.4
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=g) * size)
    return model.eval()


@functools.cache
def model_of(case: Case, dtype: torch.dtype = torch.float64) -> Any:
    """The case's instance; shared between tests, which leave it as it is."""
    return build(case.row, case.space, case.context_space, **case.hyperparameters).to(dtype)


def contexts(case: Case, n: int) -> Tensor | None:
    return None if case.context_space is None else torch.arange(n) % case.context_space.levels


def each_context(case: Case) -> list[Any]:
    return [None] if case.context_space is None else [[y] for y in range(case.context_space.levels)]


def likely_events(case: Case, n: int) -> Tensor:
    """Events of positive probability."""
    return model_of(case).sample(n, contexts(case, n), seed=5)


def probe(conditional: Distribution, space: Space) -> Tensor:
    """What a conditional says: its log-densities at all levels, or at some real values, [*batch, P]."""
    probes = torch.arange(space.levels) if isinstance(space, Discrete) else torch.linspace(-3, 3, 5).double()
    return torch.stack([conditional.log_prob(p.expand(conditional.batch_shape)) for p in probes], -1)


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Equal up to a tolerance in log-probability, with equal −∞ and no NaN."""
    return torch.allclose(a, b, rtol=0, atol=tolerance, equal_nan=False)


def frequencies_agree(counts: Tensor, probabilities: Tensor) -> float:
    """p-value of a χ² test; cells that expect under 5 are pooled. Impossible cells must be empty."""
    assert counts[probabilities == 0].sum() == 0, "an event of probability 0 was drawn"
    expected = probabilities * counts.sum()
    rare = expected < 5
    observed = torch.cat([counts[~rare], counts[rare].sum()[None]]).double()
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    observed, expected = observed[expected > 0], expected[expected > 0]
    if len(expected) == 1:
        return 1.0
    return float(stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)


def tally(samples: Tensor, space: Space) -> Tensor:
    """How often each of `all_events` is among the samples."""
    assert isinstance(space, Discrete)
    sizes = space.sizes or (space.levels,) * space.dimensions
    index = np.ravel_multi_index(samples.reshape(len(samples), -1).T.numpy(), sizes)
    return torch.from_numpy(np.bincount(index, minlength=math.prod(sizes)))


# The distribution


def test_every_variant_is_tested_somewhere():
    tested = {(p.values[0].family, p.values[0].variant) for p in ALL}
    assert tested == {(name, variant) for name, row in ZOO.items() for variant in ["", *row.variants]}


@exact
def test_the_instances_tested_are_not_uniform(case: Case):
    assert likely_events(case, 64).reshape(64, -1).double().std(0).max() > 0
    if case.space_name == "real":
        return
    assert model_of(case).log_prob(all_events(case.space), each_context(case)[0]).exp().std() > 1e-3


@exact_discrete
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-10)], ids=["f32", "f64"])
def test_probabilities_sum_to_one(case: Case, dtype, tolerance):
    for context in each_context(case):
        p = model_of(case, dtype).log_prob(all_events(case.space), context).exp()
        assert abs(p.sum().item() - 1) < tolerance


@autoregressive_real
def test_real_conditionals_are_the_densities_of_what_is_drawn(case: Case):
    model, x = model_of(case), likely_events(case, 1)
    context = None if case.context_space is None else [1]
    grid = torch.linspace(-80, 80, 64001, dtype=torch.float64)
    for j in range(case.space.dimensions):
        events = x.repeat(len(grid), 1)
        events[:, j] = grid
        density = model.log_prob_per_dimension(events, context)[:, j].exp().detach()
        cdf = torch.cumulative_trapezoid(density, grid)
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
    context = None if case.context_space is None else torch.tensor([1])
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


@exact
def test_log_prob_is_the_sum_over_dimensions(case: Case):
    x, context = likely_events(case, 9), contexts(case, 9)
    if not isinstance(model_of(case), Autoregressive):
        return
    surprise = model_of(case).log_prob_per_dimension(x, context)
    assert surprise.shape == x.shape
    assert surprise.dtype == torch.float64
    assert close(surprise.reshape(9, -1).sum(1), model_of(case).log_prob(x, context), 1e-10)


@exact_discrete
def test_levels_that_a_dimension_does_not_have_are_impossible(case: Case):
    model = model_of(case)
    if not isinstance(model, Autoregressive) or not isinstance(case.space, Discrete) or case.space.sizes is None:
        return
    x = random_events(case.space, 5, seed=3)
    said = probe(model.conditionals(x, contexts(case, 5)), case.space)  # [n, m, K]
    allowed = case.space.allowed()
    assert allowed is not None
    assert (said[:, ~allowed[model.visit]] == -torch.inf).all()
    assert not said.isnan().any()


@exact_discrete
def test_log_prob_is_never_nan_or_positive(case: Case):
    for context in each_context(case):
        log_p = model_of(case, torch.float32).log_prob(all_events(case.space), context)
        assert (log_p <= 1e-6).all()  # false for NaN


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
        views = [model.reordered(model.visit[order]) for order in random_orders(8, model.coordinates)]
        rows = [(x[[i]], None if context is None else context[[i]]) for i in range(8)]
        expected = torch.stack([view.log_prob(*row) for view, row in zip(views, rows)])
        expected = -expected.mean() / case.space.dimensions
        torch.manual_seed(0)
    assert model.loss(x, context).item() == pytest.approx(expected.item(), abs=1e-10)


# Shapes, types and contexts


@exact
@pytest.mark.parametrize("n", [0, 1, 5])
def test_log_prob_and_samples_have_one_row_an_event(case: Case, n):
    model, context = model_of(case, torch.float32), contexts(case, n)
    x = model.sample(n, context, seed=0)
    assert x.shape == (n, *case.space.shape)
    assert x.dtype == (torch.float64 if case.space_name == "real" else torch.int64)
    log_p = model.log_prob(x, context)
    assert log_p.shape == (n,)
    assert log_p.dtype == torch.float64


@every_model
def test_samples_are_events_of_the_space(case: Case):
    x = model_of(case).sample(200, contexts(case, 200), seed=0)
    assert torch.equal(case.space.validate(x), x)


@exact
def test_one_context_stands_for_all_rows(case: Case):
    if case.context_space is None:
        return
    model, x = model_of(case), likely_events(case, 2)[1:].repeat(6, *[1] * len(case.space.shape))
    assert torch.equal(model.log_prob(x, [1]), model.log_prob(x, [1] * 6))
    assert torch.equal(model.log_prob(x, ["dog"]), model.log_prob(x, torch.ones(6).int()))
    assert torch.equal(model.sample(6, ["dog"], seed=0), model.sample(6, [1] * 6, seed=0))


@exact
def test_the_context_matters(case: Case):
    if case.context_space is None:
        return
    x = likely_events(case, 20)
    seen = [model_of(case).log_prob(x, [y]) for y in range(case.context_space.levels)]
    assert not torch.equal(seen[0], seen[1])


@exact
def test_wrong_contexts_are_refused(case: Case):
    model, x = model_of(case), random_events(case.space, 4, seed=3)
    wrong: list[Any] = [[0]] if case.context_space is None else [None, [0, 1], [2], [-1], [0.5], ["cow"]]
    for context in wrong:
        with pytest.raises(ContextError):
            model.log_prob(x, context)
        with pytest.raises(ContextError):
            model.sample(4, context, seed=0)


@exact_discrete
@pytest.mark.parametrize("level", [4, -1])
def test_a_value_outside_the_alphabet_is_refused_and_named(case: Case, level):
    x = random_events(case.space, 4, seed=3)
    place = (2, *(s - 1 for s in case.space.shape))
    x[place] = level
    actions = [model_of(case).log_prob]
    if isinstance(model_of(case), Autoregressive):
        actions.append(lambda x, context: model_of(case).complete(x, 0.5, context=context))
    if isinstance(model_of(case), Counting):
        actions.append(copy.deepcopy(model_of(case)).observe)
    for act in actions:
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


# Sampling


@exact_discrete
def test_sample_frequencies_follow_log_prob(case: Case):
    model, n = model_of(case, torch.float32), 20_000
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
    if case.space_name == "real":
        with pytest.raises(UsageError, match="continuous"):
            model.sample(6, context, seed=0, temperature=0.0)
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


@pytest.mark.parametrize("case", ANY_ORDER)
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
        losses.append(either.loss(x, context).item())
    assert losses[0] == pytest.approx(losses[1], abs=1e-12)
    if model.output_bias is not None:
        model.prepare(x)
        bias = model.output_bias.clone()
        view.prepare(x)
        assert torch.equal(model.output_bias, bias)


@pytest.mark.parametrize("case", ANY_ORDER)
def test_random_orders_are_scored_in_the_views_that_visit_so(case: Case):
    model, x, context = model_of(case), likely_events(case, 5), contexts(case, 5)
    orders = random_orders(5, model.coordinates, torch.Generator().manual_seed(9))
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


@pytest.mark.parametrize("case", ANY_ORDER)
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
    done = model.complete(x, kept / m, n=4000, context=context, seed=3)[0]
    p = model.log_prob(events, context).exp().detach()
    p[(model.flatten(events)[:, :kept] != model.flatten(x)[:, :kept]).any(1)] = 0
    assert frequencies_agree(tally(done, case.space), p / p.sum()) > 1e-4


@autoregressive_discrete
def test_each_event_is_completed_under_its_own_context(case: Case):
    if case.context_space is None:
        return
    model, n = model_of(case), 2000
    done = model.complete(likely_events(case, 2), 0.0, n=n, context=["dog", "cat"], seed=3)
    for drawn, context in zip(done, ("dog", "cat")):
        p = model.log_prob(all_events(case.space), [context]).exp().detach()
        assert frequencies_agree(tally(drawn, case.space), p) > 1e-4


# State


@every_model
def test_state_and_hyperparameters_make_the_same_model(case: Case):
    model = model_of(case)
    hyperparameters = json.loads(json.dumps(model.hyperparameters()))
    twin = type(model)(case.space, case.context_space, **hyperparameters).to(torch.float64).eval()
    assert twin.hyperparameters() == model.hyperparameters()
    assert set(case.row.small) <= set(twin.hyperparameters())
    twin.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    assert twin.free_parameters == model.free_parameters
    assert torch.equal(twin.sample(30, contexts(case, 30), seed=0), model.sample(30, contexts(case, 30), seed=0))
    if model.density is Density.EXACT:
        x, context = random_events(case.space, 30, seed=3), contexts(case, 30)
        assert torch.equal(twin.log_prob(x, context), model.log_prob(x, context))


@every_model
def test_the_space_survives_json(case: Case):
    model = model_of(case)
    assert Space.from_json(json.loads(json.dumps(model.space.to_json()))) == model.space
    if model.context_space is not None:
        assert Space.from_json(json.loads(json.dumps(model.context_space.to_json()))) == model.context_space


@every_model
def test_registry_and_class_agree(case: Case):
    model = model_of(case)
    assert name_of(model) == case.family
    assert model.density.value == case.row.density
    assert isinstance(model.free_parameters, int)
    assert model.free_parameters > 0


@pytest.mark.parametrize("family", ZOO)
def test_spaces_that_a_family_cannot_model_are_refused(family):
    cls = ZOO[family].load()
    for space in SPACES.values():
        if not isinstance(space, cls.spaces):
            with pytest.raises(SpaceError):
                cls(space, **ZOO[family].small)
    if not issubclass(Real, cls.context_spaces):
        with pytest.raises(SpaceError):
            cls(SPACES["discrete"], Real((2,)), **ZOO[family].small)


@pytest.mark.parametrize("case", [p for p in ALL if not issubclass(p.values[0].row.load(), Counting)])
def test_every_parameter_takes_part_in_the_loss(case: Case):
    model = copy.deepcopy(model_of(case))
    x, context = random_events(case.space, 8, seed=3), contexts(case, 8)
    for player, module in model.players().items():
        model.zero_grad()
        model.loss(x.to(model.dtype) if x.is_floating_point() else x, context, player).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("case", cases(Counting))
def test_counts_do_not_depend_on_how_the_data_are_cut(case: Case):
    n = 60
    x, context = random_events(case.space, n, seed=3), contexts(case, n)
    states = []
    for cuts in ([n], [1] * n, [0, 7, 0, 50, 3]):
        model = case.row.load()(case.space, case.context_space, **case.row.small)
        ends = list(itertools.accumulate(cuts))
        for begin, end in zip([0, *ends], ends):
            model.observe(x[begin:end].to(torch.uint8), None if context is None else context[begin:end])
        model.finish()
        states.append(model.state_dict())
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(state[name], states[0][name]) for name in state)


# Visiting order


def ordered_cases() -> list[Any]:
    def takes_order(cls: type) -> bool:
        order = inspect.signature(cls, eval_str=True).parameters.get("order")
        return order is not None and "tuple" in str(order.annotation)

    return [p for p in only(AUTOREGRESSIVE, "discrete", "sizes", "rgb") if takes_order(p.values[0].row.load())]


@pytest.mark.parametrize("case", ordered_cases())
def test_any_visiting_order_gives_a_distribution(case: Case):
    m = case.space.dimensions
    order = tuple(torch.randperm(m, generator=torch.Generator().manual_seed(4)).tolist())
    model: Any = build(case.row, case.space, case.context_space, order=order).double()
    assert model.hyperparameters()["order"] == order
    events, context = all_events(case.space), each_context(case)[0]
    p = model.log_prob(events, context).exp()
    assert abs(p.sum().item() - 1) < 1e-10
    first = events.reshape(len(events), m)[:, order[0]]
    marginal = torch.zeros(int(first.max()) + 1, dtype=torch.float64).index_add(0, first, p)
    said = model.conditionals(events, context).log_prob(model.flatten(events)).exp()
    assert torch.allclose(said[:, 0], marginal[first], rtol=0, atol=1e-10)
    decoder = model.decoder(len(events), context)
    for j in range(m):
        z = model.flatten(events)
        step = decoder.step(None if j == 0 else z[:, j - 1])
        assert torch.allclose(step.log_prob(z[:, j]).exp(), said[:, j], rtol=0, atol=1e-10)


@pytest.mark.parametrize("family", sorted({p.values[0].family for p in ordered_cases()}))
@pytest.mark.parametrize("order", [(0, 1), (0, 1, 1), (0, 1, 3)])
def test_an_order_that_is_no_permutation_is_refused(family, order):
    with pytest.raises(UsageError, match="permutation"):
        ZOO[family].load()(SPACES["discrete"], order=order, **ZOO[family].small)
