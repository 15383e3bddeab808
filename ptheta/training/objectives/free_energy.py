"""An unnormalised density as a target, and what a model q says of its normalising constant Z."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ptheta.errors import FitError
from ptheta.evaluation.nats import suited_batch
from ptheta.models import Model
from ptheta.spaces import Discrete, Space

PROBED = 64
"""Events by which speed is measured, and by which targets are distinguished."""


IMPOSSIBLE = 10.0
"""Nats by which an event that f makes impossible counts as less likely than the least likely one drawn beside it: an
infinite loss has no gradient. Reported free energies are infinite all the same."""


@dataclass(frozen=True)
class Target:
    """An unnormalised log-density, checked wherever it is evaluated.

    Args:
        log_density: events [n, *space.shape] → log f(x) [n], nats; −∞ for what cannot be.
        name: used in reports.
    """

    log_density: Callable[[Tensor], Any]
    name: str

    @classmethod
    def of(cls, log_density: Any) -> Target:
        """A target with the name of its function.

        Raises:
            FitError: it cannot be called.
        """
        if not callable(log_density):
            raise FitError(
                f"the target is a {type(log_density).__name__}, not a function",
                "give a function of events [n, …] that returns log f(x) [n]",
            )
        return cls(log_density, getattr(log_density, "__name__", type(log_density).__name__).strip("<>"))

    def __call__(self, x: Tensor) -> Tensor:
        """log f of drawn events, [n] float64, without a gradient.

        Raises:
            FitError: not one number an event, NaN, +∞, or −∞ for all.
        """
        with torch.no_grad():
            return self._checked(x.clone())  # a target may work in place

    def differentiable(self, x: Tensor) -> Tensor:
        """log f of drawn events, [n] float64, with a gradient.

        Raises:
            FitError: as for a call; also, log f is −∞ somewhere or does not depend on x by torch's operations.
        """
        log_f = self._checked(x)
        if not log_f.requires_grad:
            raise FitError(
                f"target {self.name} has no gradient with respect to x",
                "compute it from x by torch's operations alone; flows learn by that gradient",
            )
        if bool(torch.isneginf(log_f).any()):
            raise FitError(
                f"target {self.name} is −∞ for some events, where it has no gradient",
                "let log f fall off steeply instead, or learn over a space that holds possible events only",
            )
        return log_f

    def fingerprint(self, space: Space) -> str:
        """SHA-256 of log f at fixed events, by which a resumed fit knows its target again."""
        g = torch.Generator().manual_seed(0)
        if isinstance(space, Discrete):
            sizes = torch.tensor(space.sizes or (space.levels,) * space.dimensions)
            x = (torch.rand(PROBED, space.dimensions, generator=g, dtype=torch.float64) * sizes).long()
        else:
            x = torch.randn(PROBED, space.dimensions, generator=g, dtype=torch.float64)
        with torch.no_grad():
            values = self._numbers(x.reshape(PROBED, *space.shape))
        return hashlib.sha256(values.cpu().numpy().tobytes()).hexdigest()

    def _numbers(self, x: Tensor) -> Tensor:
        """log f, one number an event."""
        log_f = self.log_density(x)
        if not isinstance(log_f, Tensor) or tuple(log_f.shape) != (len(x),):
            what = f"shape {list(log_f.shape)}" if isinstance(log_f, Tensor) else f"a {type(log_f).__name__}"
            raise FitError(
                f"target {self.name} returned {what} for {len(x)} events",
                f"return a tensor of log f(x), one number an event: [{len(x)}]",
            )
        return log_f.double()

    def _checked(self, x: Tensor) -> Tensor:
        log_f = self._numbers(x)
        for wrong, what in ((torch.isnan(log_f), "NaN"), (torch.isposinf(log_f), "+∞")):
            if bool(wrong.any()):
                first = _shown(x[wrong.to(x.device)][0])
                raise FitError(
                    f"target {self.name} is {what} for {int(wrong.sum())} of {len(x)} events, the first {first}",
                    "return the logarithm of a density: finite, or −∞ for impossible events",
                )
        if bool(torch.isneginf(log_f).all()):
            raise FitError(
                f"target {self.name} assigns probability 0 to all {len(x)} events drawn from the model",
                "start from a model that reaches some possible ones, or let log f fall off instead of ending",
            )
        return log_f.to(x.device)


@dataclass(frozen=True)
class FreeEnergy:
    """What events drawn from q say of f and its normalising constant Z, in nats.

    Attributes:
        free_energy: E_q[log q − log f], an upper bound on −log Z; infinite if q draws what f makes impossible.
        free_energy_se: its standard error.
        log_z: log of the mean weight f/q. The mean is unbiased if q can draw whatever f makes possible; its logarithm
            is too low by about half of `log_z_se` squared.
        log_z_se: standard error by the delta method, that of the mean weight relative to it.
        ess: effective sample size (Σ w)² / Σ w² of the weights, at most n (Kish 1965).
        n: events drawn.
        impossible: of them, those that f makes impossible.
        penalised: `free_energy` with impossible events counted as `finite` does, for comparing weights in learning.
    """

    free_energy: float
    free_energy_se: float
    log_z: float
    log_z_se: float
    ess: float
    n: int
    impossible: int
    penalised: float

    @classmethod
    def of(cls, log_q: Tensor, log_f: Tensor) -> FreeEnergy:
        """From log q and log f of events drawn from q, [n] float64."""
        n = len(log_q)
        log_w = log_f - log_q
        impossible = int(torch.isneginf(log_f).sum())
        top = log_w.max()
        w = (log_w - top).exp()
        mean = w.mean()
        return cls(
            math.inf if impossible else -float(log_w.mean()),
            math.inf if impossible else float(log_w.std()) / math.sqrt(n),
            float(top + mean.log()),
            float(w.std() / mean) / math.sqrt(n),
            float(w.sum() ** 2 / w.square().sum()),
            n,
            impossible,
            float((log_q - finite(log_f)).mean()),
        )

    def to_json(self) -> dict[str, Any]:
        """All that is reported."""
        return {name: value for name, value in vars(self).items() if name != "penalised"}


def finite(log_f: Tensor) -> Tensor:
    """log f [n] of events, of which at least one is possible, with −∞ replaced by `IMPOSSIBLE` nats below the least."""
    impossible = torch.isneginf(log_f)
    return torch.where(impossible, log_f[~impossible].min() - IMPOSSIBLE, log_f)


def draw_and_weigh(
    model: Model, target: Target, n: int, generator: torch.Generator, advance: Callable[[int], None] | None = None
) -> tuple[Tensor, Tensor]:
    """Draw n events from a model.

    Args:
        model: with an exact density and no context.
        target: log f.
        n: events.
        generator: of the draws.
        advance: called with the number of events done after each batch.

    Returns:
        log q and log f of the events, nats [n] float64, on the CPU.
    """
    batch = max(256, suited_batch(model))
    parts: list[tuple[Tensor, Tensor]] = []
    training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, n, batch):
            x = model.sample(min(batch, n - start), generator=generator)
            parts.append((model.log_prob(x).cpu(), target(x).cpu()))
            if advance:
                advance(len(x))
    model.train(training)
    log_q, log_f = zip(*parts)
    return torch.cat(log_q), torch.cat(log_f)


def seconds_per_event(model: Model, target: Target) -> float:
    """How long it takes to draw, score and weigh an event, measured on a few."""
    clock = time.perf_counter()
    draw_and_weigh(model, target, PROBED, torch.Generator().manual_seed(0))
    return (time.perf_counter() - clock) / PROBED


def _shown(event: Tensor) -> str:
    values = ", ".join(f"{float(value):.3g}" for value in event.flatten()[:6])
    return f"[{values}{', …' if event.numel() > 6 else ''}]"
