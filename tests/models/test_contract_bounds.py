"""The contract of models with a bound, of models without a density, and of the objectives that learn them; and wrong
ones, which must fail it."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from checks import (
    check_average_keeps_buffers,
    check_bound_depends_on_seed_and_index_only,
    check_bound_is_below_the_frequency_of_samples,
    check_bound_is_no_likelihood,
    check_bound_sums_to_at_most_one,
    check_more_draws_tighten_the_bound,
    check_players_own_their_parameters,
    check_samples_alone,
    check_samples_depend_on_the_context,
    estimated_bounds,
    learn,
)
from torch.distributions import MultivariateNormal
from toy_gan import ToyGAN
from toy_vae import ToyVAE
from zoo_cases import (
    ALL,
    BOUNDED,
    IMPLICIT,
    Case,
    all_events,
    bounded,
    contexts,
    discrete,
    each_context,
    exact,
    implicit,
    likely_events,
    model_of,
    only,
    random_events,
)

from ptheta.models import Counting, Density, Model
from ptheta.spaces import Image, Label, Real
from ptheta.training.average import Average
from ptheta.training.objectives.likelihood import LikelihoodLoss

LABELS = Label(("cat", "dog"))
small = pytest.mark.parametrize("case", [p for p in discrete(BOUNDED) if p.values[0].space.event_count <= 81])


# Every density


@exact
def test_the_bound_of_an_exact_model_is_its_log_prob(case: Case):
    x, context = random_events(case.space, 6, seed=3), contexts(case, 6)
    model = model_of(case)
    assert torch.equal(model.elbo(x, context), model.log_prob(x, context))
    assert torch.equal(model.elbo(x, context, draws=3, seed=5), model.log_prob(x, context))


# Bounds


@bounded
def test_a_bound_is_no_likelihood(case: Case):
    check_bound_is_no_likelihood(model_of(case), random_events(case.space, 6, seed=3), contexts(case, 6))


@bounded
def test_a_bound_depends_on_seed_and_index_only(case: Case):
    check_bound_depends_on_seed_and_index_only(model_of(case), random_events(case.space, 6, seed=3), contexts(case, 6))


@small
def test_bounds_of_all_events_sum_to_at_most_one_and_are_below_the_frequency_of_samples(case: Case):
    model, events = model_of(case), all_events(case.space)
    for context in each_context(case):
        estimates = estimated_bounds(model, events, context)
        check_bound_sums_to_at_most_one(*estimates)
        check_bound_is_below_the_frequency_of_samples(model, events, context, *estimates)


@bounded
def test_more_draws_tighten_a_bound(case: Case):
    check_more_draws_tighten_the_bound(model_of(case), likely_events(case, 9), contexts(case, 9))


@bounded
def test_the_loss_is_the_mean_bound_of_one_draw(case: Case):
    model, x, context = model_of(case), likely_events(case, 12), contexts(case, 12)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        losses = torch.stack([LikelihoodLoss(model)(x, context) for _ in range(100)])
        bound = torch.stack([model.elbo(x, context, seed=seed).mean() for seed in range(100)]) / case.space.dimensions
    error = math.hypot(float(losses.std()), float(bound.std())) / math.sqrt(100)
    assert float(losses.mean()) == pytest.approx(-float(bound.mean()), abs=4 * error + 1e-9)


class LinearGaussian(Model):
    """x = W z + b + s e with standard normal z and e, and a posterior of any mean map and covariance."""

    density = Density.LOWER_BOUND
    spaces = (Real,)
    noise_size = 2

    def __init__(self, space, context_space=None, *, exact: bool = True):
        super().__init__(space, context_space)
        g = torch.Generator().manual_seed(1)
        self.exact = exact
        self.register_buffer("w", torch.randn(3, 2, generator=g, dtype=torch.float64))
        self.register_buffer("b", torch.randn(3, generator=g, dtype=torch.float64))
        self.scale = 0.7

    def _log_weight(self, x, context, noise):
        precision = torch.eye(2).double() + self.w.T @ self.w / self.scale**2
        covariance = torch.linalg.inv(precision)
        mean = (x - self.b) @ self.w @ covariance / self.scale**2
        if not self.exact:
            mean, covariance = 0.8 * mean, 1.5 * covariance
        q = MultivariateNormal(mean, covariance)
        z = mean + noise @ torch.linalg.cholesky(covariance).T
        p = MultivariateNormal(z @ self.w.T + self.b, self.scale**2 * torch.eye(3).double())
        prior = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
        return p.log_prob(x) + prior.log_prob(z) - q.log_prob(z)

    def _sample(self, n, context, generator):
        noise = torch.randn(n, 5, generator=generator, dtype=torch.float64)
        return noise[:, :2] @ self.w.T + self.b + self.scale * noise[:, 2:]


@pytest.mark.parametrize("draws", [1, 5])
def test_the_bound_is_log_p_where_the_posterior_is_exact(draws):
    model = LinearGaussian(Real((3,))).double()
    x = model.sample(50, seed=0)
    p = MultivariateNormal(model.b, model.w @ model.w.T + model.scale**2 * torch.eye(3).double())
    torch.testing.assert_close(model.elbo(x, draws=draws, seed=3), p.log_prob(x), rtol=0, atol=1e-9)
    wrong = LinearGaussian(Real((3,)), exact=False).double()
    bounds = torch.stack([wrong.elbo(x, draws=draws, seed=seed) for seed in range(100)]).mean(0)
    assert (bounds < p.log_prob(x) + 0.1).all()
    assert float((p.log_prob(x) - bounds).mean()) > 0.01, "a wrong posterior costs something"


# Samples alone


@implicit
def test_a_model_without_a_density_has_samples(case: Case):
    check_samples_alone(model_of(case), contexts(case, 40))


@pytest.mark.parametrize("case", [p for p in only(IMPLICIT, "real", "image") if p.values[0].context_name == "labelled"])
def test_samples_of_a_model_without_a_density_depend_on_the_context(case: Case):
    check_samples_depend_on_the_context(model_of(case), [["cat"], ["dog"]])


# Objectives


LEARNED = [
    p
    for p in only(ALL, "discrete", "real", "table", "image")
    if not issubclass(p.values[0].row.load(), Counting) and p.values[0].context_name in ("", "labelled")
]


@pytest.mark.parametrize("case", LEARNED)
def test_a_player_moves_only_its_own_parameters(case: Case):
    model = copy.deepcopy(model_of(case))
    check_players_own_their_parameters(learn(model, random_events(case.space, 24, seed=3), contexts(case, 24), 3))


@pytest.mark.parametrize("case", list(only(IMPLICIT, "real", "image")))
def test_the_average_keeps_buffers(case: Case):
    x = random_events(case.space, 24, seed=3)
    check_average_keeps_buffers(learn(model_of(case), x, contexts(case, 24), 3, average=0.9))


# Wrong ones


class LyingBound(ToyVAE):
    """Claims five nats too many."""

    def _log_weight(self, x, context, noise):
        return super()._log_weight(x, context, noise) + 5


class BatchBound(ToyVAE):
    """Its noise depends on what else is in the batch."""

    def _log_weight(self, x, context, noise):
        return super()._log_weight(x, context, noise - noise.mean(0))


class LooseBound(ToyVAE):
    """Its importance weights are averaged wrongly, as logarithms of a sum."""

    def _elbo(self, x, context, draws, noise):
        return super()._elbo(x, context, draws, noise) - 3 * math.log(draws)


class Leaking(ToyGAN):
    """Keeps its opponent as a part of itself."""

    def _opponent(self):
        self.kept = super()._opponent()
        return self.kept


class Deaf(ToyGAN):
    """Pays no attention to its context."""

    def _generate(self, noise, context):
        return super()._generate(noise, torch.zeros_like(context))


class Forgetting(Average):
    """Averages parameters and leaves buffers as they were."""

    def update(self, model, step):
        with torch.no_grad():
            for mean, new in zip(self.model.parameters(), model.parameters()):
                mean.lerp_(new, 0.1)


BITS = Image(2, 2, levels=2)


def wrong(cls, space=BITS, context_space=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = cls(space, context_space, width=12).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.4)
    return model


def test_a_lying_bound_fails():
    events = all_events(BITS)
    check_bound_sums_to_at_most_one(*estimated_bounds(wrong(ToyVAE), events, None))
    lies = estimated_bounds(wrong(LyingBound), events, None)
    with pytest.raises(AssertionError, match="the bounds of all events sum to"):
        check_bound_sums_to_at_most_one(*lies)
    with pytest.raises(AssertionError, match="above what is drawn"):
        check_bound_is_below_the_frequency_of_samples(wrong(LyingBound), events, None, *lies)


def test_a_bound_that_depends_on_the_batch_fails():
    with pytest.raises(AssertionError, match="company"):
        check_bound_depends_on_seed_and_index_only(wrong(BatchBound), all_events(BITS)[:5], None)


def test_a_bound_that_falls_with_its_draws_fails():
    with pytest.raises(AssertionError):
        check_more_draws_tighten_the_bound(wrong(LooseBound), all_events(BITS), None)


def test_an_opponent_that_leaks_into_the_weights_fails():
    x = random_events(BITS, 24, seed=3)
    with pytest.raises(AssertionError, match="two players hold one parameter"):
        check_players_own_their_parameters(learn(wrong(Leaking), x, None, 2))


def test_an_average_that_forgets_buffers_fails(monkeypatch):
    x = random_events(BITS, 24, seed=3)
    monkeypatch.setattr("ptheta.training.loop.Average", Forgetting)
    with pytest.raises(AssertionError, match="is forgotten"):
        check_average_keeps_buffers(learn(wrong(ToyGAN), x, None, 3, average=0.9))


def test_samples_that_ignore_the_context_fail():
    check_samples_depend_on_the_context(wrong(ToyGAN, Real((3,)), LABELS), [["cat"], ["dog"]])
    with pytest.raises(AssertionError, match="cannot be told apart"):
        check_samples_depend_on_the_context(wrong(Deaf, Real((3,)), LABELS), [["cat"], ["dog"]])
