"""Reverse KL: learn q_θ from an unnormalised density f by minimising the variational free energy

    F(θ) = E_q[log q_θ(x) − log f(x)] = KL(q_θ ‖ f / Z) − log Z ≥ −log Z.

Where events can be drawn as a differentiable function of noise (flows), the gradient goes through the draw (pathwise).
Elsewhere it is the log-derivative trick with a leave-one-out baseline,

    ∇F ≈ 1/(n − 1) Σ_i (r_i − r̄) ∇ log q_θ(x_i),   r_i = log q_θ(x_i) − log f(x_i),   x_i ~ q_θ,

(Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!"; with r_i as above it is the gradient of half the
variance of r, VarGrad: Richter et al. 2020, arXiv:2010.10436). Events are drawn by the model's own sampler, with its
caches and without a graph, and scored again in one pass with a gradient. The target may be annealed, f^β with β rising
to 1, as Wu, Wang & Zhang 2019 (arXiv:1809.10606) do for statistical mechanics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from ptheta.data import Data
from ptheta.errors import FitError
from ptheta.models import Counting, Density, Model
from ptheta.numbers import nats, rounded
from ptheta.training.distributed import World
from ptheta.training.objectives.base import Objective, Verdict
from ptheta.training.objectives.free_energy import FreeEnergy, Target, draw_and_weigh, finite, seconds_per_event
from ptheta.training.objectives.likelihood import LikelihoodLoss
from ptheta.training.players import Player
from ptheta.training.randomness import generator
from ptheta.training.settings import Settings


@runtime_checkable
class Reparametrised(Protocol):
    """A model whose draws are differentiable functions of noise."""

    def rsample_and_log_prob(self, n: int, context: Any = None, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Events [n, *space.shape] and their log-density [n], both with gradients."""
        ...


class ReverseKL(Objective):
    """F(θ), of a model with an exact density and no context.

    Args:
        model, settings, seed, world: see `Objective`.
        target: log f.
        anneal: power β of the target at the start, from which it rises to 1
        anneal_until: fraction of the budget after which it is 1

    Raises:
        FitError: the model cannot learn in this way, or a batch is too small for a baseline.
    """

    name = "reverse_kl"
    dropout = False  # the density of what was drawn is without

    def __init__(
        self,
        model: Model,
        target: Target,
        settings: Settings,
        *,
        seed: int,
        world: World,
        anneal: float = 1.0,
        anneal_until: float = 0.5,
    ):
        super().__init__(model, settings, seed=seed, world=world)
        for name, value, least in (("anneal", anneal, 0.0), ("anneal_until", anneal_until, 1e-6)):
            if not least <= value <= 1:
                raise FitError(f"{name} is {value}", "give a number from 0 to 1")
        self.anneal, self.anneal_until = anneal, anneal_until
        family = type(model).__name__
        if model.density is not Density.EXACT:
            raise FitError(
                f"{family} has {model.density.phrase}, and reverse KL needs log q(x) itself",
                "choose a model with an exact density, see `ptheta zoo`",
            )
        if isinstance(model, Counting):
            raise FitError(f"{family} learns by counting events, and a target has none", "choose made or a flow")
        if model.context_space is not None:
            raise FitError("a target has no context", "build the model without one")
        self.target = target
        self.pathwise = isinstance(model, Reparametrised)
        world.check(settings.batch_size)
        self.share = settings.batch_size // world.size
        if not self.pathwise and self.share < 2 * settings.accumulate:
            raise FitError(
                f"a part of {self.share // settings.accumulate} events has no leave-one-out baseline",
                "raise --batch-size, or lower --accumulate",
            )
        self.noise = generator(seed)

    @classmethod
    def on(cls, model: Model, data: Data, settings: Settings, *, seed: int, world: World, **options: Any) -> Self:
        """Refused: it learns from a target."""
        raise FitError("reverse KL needs a target", "give target=f")

    @property
    def running(self) -> str:
        """Free energy, of the annealed target."""
        return "train_free_energy"

    @property
    def steps_per_epoch(self) -> int:
        """1: a target has no events to pass over, and no budget is given in epochs."""
        return 1

    def prepare(self) -> None:
        """Nothing: there are no events."""

    def power(self, progress: float) -> float:
        """β, the power of the target at a fraction of the budget."""
        return self.anneal + (1.0 - self.anneal) * min(1.0, progress / self.anneal_until)

    def rows(self, step: int, progress: float) -> tuple[Tensor | None, ...]:
        """Events drawn from the model and β log f of them; pathwise, numbers of events and β for each."""
        self.noise = generator(self.seed, 3, step, self.world.rank)
        power = self.power(progress)
        if self.pathwise:
            return torch.arange(self.share), torch.full((self.share,), power, dtype=torch.float64)
        x = self.model.sample(self.share, generator=self.noise).clone()  # a copy can enter a graph
        return x, power * finite(self.target(x))

    def players(self) -> dict[str, Player]:
        """The model, with the gradient of F / m that suits it."""
        loss = _Pathwise(self) if self.pathwise else _ScoreFunction(self.model, self.autocast)
        return {"model": Player(loss)}

    @classmethod
    def trial(cls, model: Model, cast: Callable[[], Any]) -> dict[str, nn.Module]:
        """A pass over events, which is most of the loss."""
        return {"model": LikelihoodLoss(model, cast)}

    def judge(self, model: Model, n: int) -> Verdict:
        """F of fresh events, with the same noise every time, at β = 1."""
        found = FreeEnergy.of(*draw_and_weigh(model, self.target, n, generator(self.seed, 5)))
        record = {
            "free_energy": found.free_energy,
            "free_energy_se": found.free_energy_se,
            "log_z": found.log_z,
            "ess": found.ess,
        }
        text = f"free energy {nats(found.free_energy, found.free_energy_se)} nats"
        return Verdict(found.penalised, text, record)

    def affordable(self, model: Model, seconds: float) -> int:
        """By a measurement on a few draws."""
        return max(2, rounded(seconds / seconds_per_event(model, self.target), self.settings.validation_events))


class _ScoreFunction(nn.Module):
    """Value F / m, gradient by the log-derivative trick with a leave-one-out baseline."""

    def __init__(self, model: Model, autocast: Callable[[], Any]):
        super().__init__()
        self.model, self.autocast = model, autocast

    def forward(self, x: Tensor, log_f: Tensor) -> Tensor:
        with self.autocast():
            log_q = self.model._log_prob(x, None)  # [n]
        r = log_q.detach() - log_f
        advantage = (r - r.mean()) * (len(r) / (len(r) - 1))  # r_i minus the mean of the others
        surrogate = (advantage * log_q).mean()
        return (surrogate + (r.mean() - surrogate).detach()) / self.model.space.dimensions


class _Pathwise(nn.Module):
    """Value F / m, gradient through the draw."""

    def __init__(self, objective: ReverseKL):
        super().__init__()
        self.model, self.autocast, self.objective = objective.model, objective.autocast, objective

    def forward(self, rows: Tensor, power: Tensor) -> Tensor:
        objective = self.objective
        assert isinstance(self.model, Reparametrised)
        with self.autocast():
            x, log_q = self.model.rsample_and_log_prob(len(rows), generator=objective.noise)
        log_f = objective.target.differentiable(x)
        return (log_q - power * log_f).mean() / objective.model.space.dimensions
