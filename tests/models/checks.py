"""What a model with a bound, a model without a density, and an objective must keep, as checks that any of them can be
put through: those of the zoo pass, and wrong ones must fail."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from ptheta.data import Split
from ptheta.errors import DensityError
from ptheta.models import Model
from ptheta.models.ensembles.base import Ensemble
from ptheta.training import OBJECTIVES, Budget, Settings, Trainer, World

HERE = World(0, 1, torch.device("cpu"))
SEEDS = 100
"""Draws of a bound from which its mean is estimated."""


# Bounds


def check_bound_is_no_likelihood(model: Model, x: Tensor, context: Tensor | None) -> None:
    """log_prob refuses and names elbo; elbo is finite nats of float64."""
    with pytest.raises(DensityError, match="use elbo for its bound"):
        model.log_prob(x, context)
    bound = model.elbo(x, context)
    assert bound.shape == (len(x),)
    assert bound.dtype == torch.float64
    assert bound.isfinite().all()


@torch.no_grad()
def check_bound_depends_on_seed_and_index_only(model: Model, x: Tensor, context: Tensor | None) -> None:
    """Neither the batch nor what else is in it changes an event's bound."""
    together = model.elbo(x, context, seed=3, draws=2)
    assert torch.equal(together, model.elbo(x, context, seed=3, draws=2)), "the seed fixes it"
    assert not torch.equal(together, model.elbo(x, context, seed=4, draws=2)), "another seed changes it"
    for i in range(len(x)):
        row = None if context is None else context[[i]]
        alone = model.elbo(x[[i]], row, seed=3, draws=2, index=torch.tensor([i]))
        assert torch.allclose(alone, together[[i]], rtol=0, atol=1e-9), "an event's bound depends on its company"
    order = torch.arange(len(x)).flip(0)
    turned = model.elbo(x[order], None if context is None else context[order], seed=3, draws=2, index=order)
    assert torch.allclose(turned[order], together, rtol=0, atol=1e-9)


@torch.no_grad()
def estimated_bounds(model: Model, events: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    """E[elbo(x)] of each event [N], and its standard error."""
    numbers = torch.arange(SEEDS * len(events))
    repeated = events.repeat(SEEDS, *[1] * (events.dim() - 1))
    draws = model.elbo(repeated, context, index=numbers).view(SEEDS, len(events))
    return draws.mean(0), draws.std(0) / math.sqrt(SEEDS)


@torch.no_grad()
def check_bound_sums_to_at_most_one(mean: Tensor, error: Tensor) -> None:
    """Σ_x exp E[elbo(x)] ≤ Σ_x p(x) = 1, for estimates of all events of a small space."""
    total, spread = float(mean.exp().sum()), float((mean.exp() * error).square().sum().sqrt())
    assert total <= 1 + 4 * spread + 1e-9, f"the bounds of all events sum to {total}"


@torch.no_grad()
def check_bound_is_below_the_frequency_of_samples(
    model: Model, events: Tensor, context: Tensor | None, mean: Tensor, error: Tensor
) -> None:
    """E[elbo(x)] ≤ log of how often the model draws x, up to 4 standard errors."""
    n = 4000
    drawn = model.sample(n, context, seed=11).reshape(n, -1)
    count = (drawn[:, None] == events.reshape(1, len(events), -1)).all(-1).sum(0)
    likely = count >= 30
    assert int(likely.sum()) >= 1
    frequency = count[likely].double() / n
    spread = (error[likely] ** 2 + (1 - frequency) / count[likely]).sqrt()
    assert (mean[likely] <= frequency.log() + 4 * spread).all(), "the bound is above what is drawn"


@torch.no_grad()
def check_more_draws_tighten_the_bound(model: Model, x: Tensor, context: Tensor | None) -> None:
    """The mean of the importance-weighted bound does not fall with its draws."""
    means = []
    for draws in (1, 4, 16):
        found = torch.stack([model.elbo(x, context, seed=1000 * draws + seed, draws=draws) for seed in range(20)])
        means.append((found.mean(), found.mean(1).std() / math.sqrt(20)))
    for (before, error), (after, other) in itertools.pairwise(means):
        assert after >= before - 4 * torch.hypot(error, other)


# Samples


def check_samples_alone(model: Model, context: Tensor | None) -> None:
    """No density, events of the space, and the same ones for the same seed."""
    x = model.sample(40, context, seed=2)
    model.space.validate(x)
    for ask in (model.log_prob, model.elbo):
        with pytest.raises(DensityError, match="judge it by its samples"):
            ask(x, context)
    assert torch.equal(x, model.sample(40, context, seed=2))
    assert not torch.equal(x, model.sample(40, context, seed=3))


def check_samples_depend_on_the_context(model: Model, contexts: list) -> None:
    """What is drawn for one context is not what is drawn for another."""
    n = 400
    first, second = (model.sample(n, context, seed=seed).reshape(n, -1) for seed, context in enumerate(contexts[:2]))
    p = [stats.ks_2samp(a, b).pvalue for a, b in zip(first.T.numpy(), second.T.numpy())]
    assert min(p) < 1e-6, "samples of two contexts cannot be told apart"


# Objectives


def learn(model: Model, x: Tensor, context: Tensor | None, steps: int, **more) -> Trainer:
    """A fit of a copy of the model by its own objective."""
    split = Split(x.numpy(), None if context is None else context.numpy())
    settings = Settings(batch_size=8, average=more.pop("average", 0.0), learning_rate=1e-2)
    objective = OBJECTIVES[model.objective](copy.deepcopy(model), split, split, settings, seed=0, world=HERE)
    trainer = Trainer(objective, Budget(steps=steps), **more)
    trainer.weights = trainer.run()
    return trainer


def check_players_own_their_parameters(trainer: Trainer) -> None:
    """Every learned parameter is one player's, and scaffolding is none of the model's."""
    owned = [id(p) for player in trainer.players.values() for p in player.loss.parameters()]
    assert len(owned) == len(set(owned)), "two players hold one parameter"
    model = {id(p) for p in trainer.model.parameters()}
    beside = {id(p) for module in trainer.objective.scaffolding.values() for p in module.parameters()}
    assert set(owned) == {i for i in model | beside if i in owned}
    assert not model & beside, "the opponent is part of the model"
    learned = trainer.model
    own = {"members": tuple(learned.members)} if isinstance(learned, Ensemble) else learned.hyperparameters()
    fresh = type(learned)(learned.space, learned.context_space, **own)
    assert trainer.weights.keys() == fresh.state_dict().keys(), "the weights hold what is not part of the model"


def check_average_keeps_buffers(trainer: Trainer) -> None:
    """The averaged weights go with the buffers that the model has now."""
    averaged = dict(trainer.average.model.named_buffers())
    buffers = dict(trainer.model.named_buffers())
    assert any("running_mean" in name for name in buffers), "there are moments to be kept"
    for name, buffer in buffers.items():
        assert torch.equal(averaged[name], buffer), f"{name} is forgotten"
